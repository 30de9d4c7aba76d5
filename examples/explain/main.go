// Explain shows how one reply is scored: the texts that the models read, the tokens,
// where the reply begins, and what each token adds to the reward.
//
//	explain -tuned ./tuned -base ./base -prompt "What is the best thing ever?" -reply "Love"
package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

func main() { cli.Main("explain", run) }

const purpose = `shows what is computed for one prompt and reply: the rendered texts, token ids and pieces,
where the reply begins, ln p of every reply token under both models, their difference, and
its running sum, which ends at the implicit reward (beta = 1). Where the two tokenizers cut
the reply differently, it goes by the pieces that are whole tokens in both.`

const examples = `  explain -tuned google/gemma-2-2b-it -base google/gemma-2-2b -prompt "What is the best thing ever?" -reply "Love"`

func run(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) error {
	f := cli.NewFlags("explain", purpose, examples)
	var models cli.ModelFlags
	tunedName := f.String("tuned", "", "tuned `model`: a folder, or org/name[@revision] on the hub")
	baseName := f.String("base", "", "base `model`, likewise")
	tunedAs := f.String("tuned-as", "chat", "`rendering` of the prompt for the tuned model: chat or raw")
	baseAs := f.String("base-as", "raw", "`rendering` for the base model: chat or raw")
	prompt := f.String("prompt", "", "`text` of the prompt")
	reply := f.String("reply", "", "`text` of the reply")
	certify := f.Bool("certify", false, "also compare both models' numbers with a computation in float64, on texts of its own: do the promised bounds hold here? Exit code 1 if not")
	models.Register(f)
	if err := f.Parse(args, stdout); err != nil {
		return err
	}
	if err := f.Need("tuned", "base", "prompt", "reply"); err != nil {
		return err
	}
	if err := cli.CheckRendering("tuned-as", *tunedAs); err != nil {
		return err
	}
	if err := cli.CheckRendering("base-as", *baseAs); err != nil {
		return err
	}
	if err := models.CheckChat(f, *tunedAs, *baseAs); err != nil {
		return err
	}
	loader, err := models.Loader(stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	tunedModel, tuned, err := loader.Policy(ctx, *tunedName, "tuned-as", *tunedAs)
	if err != nil {
		return err
	}
	baseModel, base, err := loader.Policy(ctx, *baseName, "base-as", *baseAs)
	if err != nil {
		return err
	}
	item := implicit.Item{Prompt: *prompt, Reply: *reply}
	for r, err := range implicit.Rewards(ctx, implicit.Pair{Tuned: tuned, Base: base}, slices.Values([]implicit.Item{item})) {
		if err = cmp.Or(err, r.Err); err != nil {
			return err
		}
		var b bytes.Buffer
		describe(&b, "tuned", *tunedName, *tunedAs, tunedModel, r.TunedText)
		describe(&b, "base", *baseName, *baseAs, baseModel, r.BaseText)
		if err := tabulate(&b, r, tunedModel, baseModel); err != nil {
			return err
		}
		if _, err := stdout.Write(b.Bytes()); err != nil {
			return err
		}
	}
	if *certify {
		return certificates(ctx, stdout, []string{*tunedName, *baseName}, []*logprob.Model{tunedModel, baseModel})
	}
	return nil
}

// certificates prints one of each model, and is an error where one does not hold.
func certificates(ctx context.Context, w io.Writer, names []string, models []*logprob.Model) error {
	var failed []string
	for i, m := range models {
		if slices.Index(models, m) < i {
			continue // the same again
		}
		fmt.Fprintln(w)
		holds, err := cli.Certify(ctx, w, names[i], m)
		if err != nil {
			return err
		}
		if !holds {
			failed = append(failed, names[i])
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("the promised bounds do not hold here for %s", strings.Join(failed, " and "))
	}
	return nil
}

// describe prints a text as a model reads it.
func describe(w io.Writer, role, name, as string, m *logprob.Model, t tokenize.Encoded) {
	fmt.Fprintf(w, "%s: %s (%s)\n", role, name, as)
	fmt.Fprintf(w, "  text:   %q\n", t.Rendered)
	fmt.Fprintf(w, "  prompt: %d tokens:", t.Reply)
	if t.Reply > 0 {
		fmt.Fprint(w, " ", pieces(m, t.IDs[:t.Reply]))
	}
	fmt.Fprintf(w, "\n  reply:  %d tokens, from byte %d of the text\n", len(t.IDs)-t.Reply, t.Start)
	if t.Straddle {
		fmt.Fprintf(w, "  the first reply token also covers the end of the prompt\n")
	}
	if t.Special > 0 {
		fmt.Fprintf(w, "  %d special tokens are spelled out in the prompt or reply\n", t.Special)
	}
	fmt.Fprintln(w)
}

// tabulate prints the reply token by token where both models cut it alike, by the pieces
// of text that they have in common where not.
func tabulate(w io.Writer, r implicit.Reward, tuned, base *logprob.Model) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	tunedIDs, baseIDs := r.TunedText.IDs[r.TunedText.Reply:], r.BaseText.IDs[r.BaseText.Reply:]
	if values, ok := r.PerToken(); ok {
		fmt.Fprintln(t, "tuned id\tbase id\tpiece\tln p tuned\tln p base\tdifference\trunning sum\t")
		sum := 0.0
		for i, v := range values {
			sum += v
			fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t\n", tunedIDs[i], baseIDs[i], piece(tuned, tunedIDs[i]),
				digits(float64(r.Tuned.LogProbs[i])), digits(float64(r.Base.LogProbs[i])), digits(v), digits(sum))
		}
		fmt.Fprintf(t, "\t\tsum\t%s\t%s\t%s\t\t\n", digits(r.Tuned.Sum()), digits(r.Base.Sum()), digits(r.LogRatio()))
		t.Flush()
	} else {
		spans, err := r.PerSpan()
		if err != nil {
			return err
		}
		fmt.Fprintln(w, "The models cut the reply differently: rewards are of the pieces that are whole tokens in both.")
		fmt.Fprintln(t, "bytes\tpiece\ttuned tokens\tbase tokens\tln p tuned\tln p base\tdifference\trunning sum\t")
		sum := 0.0
		for _, s := range spans {
			sum += s.LogRatio()
			fmt.Fprintf(t, "%d-%d\t%q\t%s\t%s\t%s\t%s\t%s\t%s\t\n", s.Start, s.End, s.Text,
				pieces(tuned, tunedIDs[s.TunedTokens[0]:s.TunedTokens[1]]), pieces(base, baseIDs[s.BaseTokens[0]:s.BaseTokens[1]]),
				digits(s.Tuned), digits(s.Base), digits(s.LogRatio()), digits(sum))
		}
		fmt.Fprintf(t, "\t\t\tsum\t%s\t%s\t%s\t\t\n", digits(r.Tuned.Sum()), digits(r.Base.Sum()), digits(r.LogRatio()))
		t.Flush()
	}
	fmt.Fprintf(w, "\nreward (beta = 1): %s\n", digits(r.LogRatio()))
	for _, flag := range r.Flags() {
		fmt.Fprintln(w, "flag:", flag)
	}
	return nil
}

// pieces are tokens as "id:piece", with spaces between.
func pieces(m *logprob.Model, ids []int32) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprintf("%d:%s", id, piece(m, id))
	}
	return strings.Join(list, " ")
}

// piece is a token's text, quoted; the bytes of an incomplete character as \xc3.
func piece(m *logprob.Model, id int32) string {
	if b, ok := m.Tokenizer().Bytes(id); ok {
		return strconv.Quote(string(b))
	}
	return strconv.Quote(m.Tokenizer().Decode(id))
}

// digits prints a number of nats to the fourth decimal, further than bfloat16 runs agree.
func digits(x float64) string {
	if math.IsInf(x, 0) {
		return fmt.Sprint(x)
	}
	return strconv.FormatFloat(x, 'f', 4, 64)
}
