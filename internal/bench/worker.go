package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// work is our side of a contest, a process of its own: the peers' protocol, of which
// peers/peer.py tells, over logprob.
type work struct {
	task    *task
	model   *logprob.Model
	rm      *cli.RM       // of the reward jobs, instead of model
	encode  time.Duration // what the last run spent on making tokens
	numbers []float32     // of the last run
}

// ready is a worker's first line, answer what it says to a command.
type ready struct {
	Load     float64           `json:"load"` // s
	Versions map[string]string `json:"versions"`
	Settings string            `json:"settings"`
}

type answer struct {
	Seconds float64 `json:"seconds"`
	Encode  float64 `json:"encode"` // part of Seconds; peers do not say
	Count   int     `json:"count"`
}

// runWork serves the protocol until stdin ends.
func runWork(ctx context.Context, stdin io.Reader, stdout io.Writer, args []string) error {
	start := time.Now()
	var flags cli.ModelFlags
	f := cli.NewFlags("bench work", "computes one job, as bench asks for.", "")
	flags.Register(f)
	path := f.String("task", "", "`file` with the task")
	job := f.String("job", "", "`job` to do: next, corpus, sample, long, reward or reward-sample")
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	w := &work{task: &task{}}
	run := map[string]func(context.Context) error{"next": w.next, "corpus": w.corpus, "sample": w.sample, "long": w.long, "reward": w.reward, "reward-sample": w.rewardSample}[*job]
	if run == nil {
		return cli.Usagef("-job %q, wanted next, corpus, sample, long, reward or reward-sample", *job)
	}
	b, err := os.ReadFile(*path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, w.task); err != nil {
		return fmt.Errorf("%s: %w", *path, err)
	}
	loader, err := flags.Loader(io.Discard)
	if err != nil {
		return err
	}
	defer loader.Close()
	if strings.HasPrefix(*job, "reward") {
		w.rm, err = loader.RM(ctx, &cli.RMFlags{RM: w.task.Reward, Pooling: "last", As: "chat", Quiet: true, ModelFlags: flags})
	} else {
		w.model, err = loader.Load(ctx, w.task.Model)
	}
	if err != nil {
		return err
	}
	out := json.NewEncoder(stdout)
	if err := out.Encode(ready{
		Load:     time.Since(start).Seconds(),
		Versions: map[string]string{"implicitreward": logprob.Version, "go": runtime.Version()},
	}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		var a answer
		command, rest, _ := strings.Cut(lines.Text(), " ")
		switch command {
		case "go":
			begin := time.Now()
			w.encode, w.numbers = 0, nil
			if err := run(ctx); err != nil {
				return err
			}
			a = answer{Seconds: time.Since(begin).Seconds(), Encode: w.encode.Seconds()}
		case "numbers":
			if err := writeNumbers(rest, w.numbers); err != nil {
				return err
			}
			a.Count = len(w.numbers)
		default:
			return fmt.Errorf("command %q, wanted go or numbers", command)
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// texts makes the texts of a job while they are read, and adds up the time it takes.
func (w *work) texts(failed *error, make func(yield func(tokenize.Encoded, error) bool)) iter.Seq[tokenize.Encoded] {
	return func(yield func(tokenize.Encoded) bool) {
		begin := time.Now()
		defer func() { w.encode += time.Since(begin) }()
		make(func(t tokenize.Encoded, err error) bool {
			if err != nil {
				*failed = err
				return false
			}
			w.encode += time.Since(begin)
			defer func() { begin = time.Now() }()
			return yield(t)
		})
	}
}

// next is ln p of every token after each prompt as a chat.
func (w *work) next(ctx context.Context) (failed error) {
	texts := w.texts(&failed, func(yield func(tokenize.Encoded, error) bool) {
		for _, p := range w.task.Prompts {
			if !yield(w.model.Tokenizer().Chat(p, "", nil)) {
				return
			}
		}
	})
	for row, err := range logprob.Next(ctx, w.model, texts) {
		if err != nil {
			return err
		}
		w.numbers = append(w.numbers, row...)
	}
	return failed
}

// corpus is ln p of every form after each prompt.
func (w *work) corpus(ctx context.Context) (failed error) {
	return w.score(ctx, &failed, w.texts(&failed, func(yield func(tokenize.Encoded, error) bool) {
		for _, p := range w.task.Prompts {
			for _, form := range w.task.Forms {
				if !yield(w.model.Tokenizer().Chat(p, form, nil)) {
					return
				}
			}
		}
	}))
}

// sample is ln p of the replies of the sample, and then of these again together with the
// white space that the prompt ends in, which lm-eval counts to the reply.
func (w *work) sample(ctx context.Context) (failed error) {
	for _, space := range []bool{false, true} {
		err := w.score(ctx, &failed, w.texts(&failed, func(yield func(tokenize.Encoded, error) bool) {
			for _, s := range w.task.Sample {
				t, err := w.model.Tokenizer().Chat(w.task.Prompts[s.Number/len(w.task.Forms)], s.Reply, nil)
				if err == nil && space {
					t.Reply = beforeSpace(t)
				}
				if !yield(t, err) {
					return
				}
			}
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

// beforeSpace is the number of tokens before the white space that the prompt ends in.
func beforeSpace(t tokenize.Encoded) int {
	end := len(strings.TrimRightFunc(t.Rendered[:t.Start], unicode.IsSpace))
	n := t.Reply
	for n > 0 && t.Spans[n-1][0] >= end {
		n--
	}
	return n
}

func (w *work) score(ctx context.Context, failed *error, texts iter.Seq[tokenize.Encoded]) error {
	for s, err := range logprob.Score(ctx, w.model, texts) {
		if err != nil {
			return err
		}
		w.numbers = append(w.numbers, float32(s.Sum()))
	}
	return *failed
}

// long is ln p of every token of the long texts but the first.
func (w *work) long(ctx context.Context) error {
	texts := func(yield func(tokenize.Encoded) bool) {
		for _, ids := range w.task.Long {
			if !yield(tokenize.Encoded{IDs: ids, Reply: 1}) {
				return
			}
		}
	}
	for s, err := range logprob.Score(ctx, w.model, texts) {
		if err != nil {
			return err
		}
		w.numbers = append(w.numbers, s.LogProbs...)
	}
	return nil
}

// runFirst is our side of start to first number: ln p of the likeliest token after the
// first prompt.
func runFirst(ctx context.Context, stdout io.Writer, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(b, &t); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	loader, err := (&cli.ModelFlags{DType: logprob.DTypeName(dtypes.BFloat16)}).Loader(io.Discard)
	if err != nil {
		return err
	}
	defer loader.Close()
	m, err := loader.Load(ctx, t.Model)
	if err != nil {
		return err
	}
	text, err := m.Tokenizer().Chat(t.Prompts[0], "", nil)
	if err != nil {
		return err
	}
	for row, err := range logprob.Next(ctx, m, slices.Values([]tokenize.Encoded{text})) {
		if err != nil {
			return err
		}
		best := slices.Max(row)
		fmt.Fprintf(stdout, "{\"token\": %d, \"lnp\": %g}\n", slices.Index(row, best), best)
	}
	return nil
}

// writeNumbers and readNumbers are the peers' files of float32.
func writeNumbers(path string, numbers []float32) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = binary.Write(f, binary.LittleEndian, numbers)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func readNumbers(path string) ([]float32, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	numbers := make([]float32, len(b)/4)
	_, err = binary.Decode(b, binary.LittleEndian, numbers)
	return numbers, err
}
