package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// scorePairs answers a JSON Lines file line by line: each object comes back with what
// both models say of its reply.
func scorePairs(ctx context.Context, o *flags, stdin io.Reader, stdout, stderr io.Writer) error {
	format, err := cli.OutputFormat(o.out, o.format, [2]string{"jsonl", ".jsonl"}, [2]string{"inspect", ".jsonl"})
	if err != nil {
		return err
	}
	if o.out != "-" {
		if err := cli.CheckApart(o.out, o.pairs); err != nil {
			return err
		}
	}
	file := output.File{Path: o.out, Force: o.force}
	if o.out != "-" {
		if err := output.Check(file); err != nil {
			return err
		}
	}
	in, name := stdin, "standard input"
	if o.pairs != "-" {
		f, _, err := regular.Open(o.pairs, 0) // read line by line
		if err != nil {
			return fmt.Errorf("pairs: %w", err)
		}
		defer f.Close()
		in, name = f, o.pairs
	}
	pair, models, loader, err := o.load(ctx, stderr)
	if err != nil {
		return err
	}
	defer loader.Close()
	meta, err := o.meta(ctx, loader, models)
	if err != nil {
		return err
	}

	var tally tally
	write := func(w io.Writer) error {
		b := bufio.NewWriter(w)
		p := &pairReader{lines: cli.Lines(ctx, in, name), name: name}
		if format == "inspect" {
			p.samples = &samples{seen: map[string]int{}}
		}
		for r, err := range implicit.Rewards(ctx, pair, p.items) {
			if err != nil {
				return err
			}
			bad, _ := errors.AsType[*implicit.ItemError](r.Err)
			asked := p.read[0]
			p.read = p.read[1:]
			line, reason := asked.object, ""
			switch {
			case asked.err != nil:
				reason = asked.err.Error()
			case bad != nil:
				reason = bad.Error()
			case format == "inspect":
				line, reason = asked.sample.record(r)
			default:
				if line, err = answer(line, r, models); err != nil {
					return err
				}
			}
			if reason == "" {
				tally.scored++
			} else {
				if asked.err == nil && bad != nil { // without the reply, which may be long
					where := "reply"
					if bad.Model != "" {
						where = bad.Model + " model"
					}
					tally.refuse(asked, where+": "+bad.Err.Error())
				} else {
					tally.refuse(asked, reason)
				}
				if format == "inspect" {
					continue
				}
				line = append(appendField(line, "error", reason), '}')
			}
			if _, err := b.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		if p.err != nil {
			return p.err
		}
		if err := b.Flush(); err != nil {
			return err
		}
		switch {
		case tally.refused == 0 && tally.scored == 0:
			return fmt.Errorf("%s: empty, wanted lines {\"prompt\": ..., \"reply\": ...}", name)
		case tally.scored == 0:
			return fmt.Errorf("%s: none of the %d pairs could be scored; the first: %s", name, tally.refused, tally.reasons[0])
		}
		tally.tell(stderr, format)
		return nil
	}
	if o.out == "-" {
		err = write(stdout)
	} else if err = file.WriteWithMeta(write, meta.WriteJSON); err == nil || tally.scored == 0 && tally.refused > 0 {
		err = errors.Join(err, loader.Complete()) // no other run would come further
	}
	if err == nil && tally.refused > 0 {
		err = cli.Incompletef("%s: %d of %d pairs refused", name, tally.refused, tally.scored+tally.refused)
	}
	return err
}

// tally counts what became of the pairs.
type tally struct {
	scored, refused int
	reasons         []string // of the first that were refused
}

func (t *tally) refuse(q question, reason string) {
	if t.refused++; t.refused <= 10 {
		where := fmt.Sprintf("line %d", q.line)
		if q.err == nil && q.sample.ID != nil {
			where += fmt.Sprintf(" (id %s)", q.sample.ID)
		}
		t.reasons = append(t.reasons, where+": "+reason)
	}
}

// tell prints the counts, and why pairs were refused.
func (t *tally) tell(w io.Writer, format string) {
	where := "see \"error\" in their lines"
	if format == "inspect" {
		where = "they have no record"
	}
	fmt.Fprintf(w, "%d pairs scored, %d refused (%s)\n", t.scored, t.refused, where)
	for _, reason := range t.reasons {
		fmt.Fprintf(w, "  %s\n", reason)
	}
	if more := t.refused - len(t.reasons); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}

// pairReader reads pairs as they are asked for and keeps the lines that are not yet
// answered.
type pairReader struct {
	lines   iter.Seq2[cli.Line, error]
	name    string
	samples *samples // nil where they are not asked for
	read    []question
	err     error
}

// question is a line that was read.
type question struct {
	line   int
	object []byte // without its closing brace; of a line that is no object of a pair, {"line": its number
	sample sample
	err    error // why the line was refused
}

// items yields an item a line. That of a line that was refused is empty, so that Rewards
// refuses it in its place.
func (p *pairReader) items(yield func(implicit.Item) bool) {
	for line, err := range p.lines {
		if err != nil {
			p.err = err
			return
		}
		q := question{line: line.Number, err: line.Err}
		var item implicit.Item
		whole := false
		if q.err == nil {
			item, whole, q.err = parsePair(line.Text)
		}
		if whole {
			q.object = bytes.TrimRight(line.Text[:len(line.Text)-1], " \t")
		} else {
			q.object = appendField([]byte("{"), "line", line.Number)
		}
		if p.samples != nil {
			p.samples.n++
			if q.err == nil {
				q.sample, q.err = p.samples.add(line)
			}
		}
		if q.err != nil {
			item = implicit.Item{}
		}
		p.read = append(p.read, q)
		if !yield(item) {
			return
		}
	}
}

// side is what one model says of a reply.
type side struct {
	IDs      []int32              `json:"ids"`
	Pieces   []string             `json:"pieces"`
	LogProbs []strictjson.Float32 `json:"logprobs"`
	Sum      strictjson.Float64   `json:"sum"`
}

// piece is an element of "per_span": what both models say of a piece of the reply that
// is whole tokens in each. The pieces' texts are the reply, their rewards add up to its.
type piece struct {
	Text        string             `json:"text"`
	Start       int                `json:"start"` // bytes of the reply, as UTF-8
	End         int                `json:"end"`
	Tuned       strictjson.Float64 `json:"tuned"` // ln p of its tokens, summed
	Base        strictjson.Float64 `json:"base"`
	Reward      strictjson.Float64 `json:"reward"`       // beta * (tuned - base)
	TunedTokens [2]int             `json:"tuned_tokens"` // its ids are tuned.ids[from:to]
	BaseTokens  [2]int             `json:"base_tokens"`
}

// answer adds the results to an object. "per_token" is there where the models cut the
// reply alike, "per_span" where they do not.
func answer(object []byte, r implicit.Reward, models [2]*logprob.Model) ([]byte, error) {
	flags := r.Flags()
	for i, m := range []struct {
		name  string
		text  tokenize.Encoded
		score logprob.Result
	}{{"tuned", r.TunedText, r.Tuned}, {"base", r.BaseText, r.Base}} {
		s := side{IDs: m.text.IDs[m.text.Reply:], Sum: strictjson.Float64(m.score.Sum())}
		for j, id := range s.IDs {
			s.Pieces = append(s.Pieces, models[i].Tokenizer().Decode(id))
			s.LogProbs = append(s.LogProbs, strictjson.Float32(m.score.LogProbs[j]))
		}
		if math.IsInf(m.score.Sum(), -1) {
			flags = append(flags, m.name+"-zero") // a null stands for -Inf
		}
		object = appendField(object, m.name, s)
	}
	object = appendField(object, "reward", strictjson.Float64(r.Value()))
	if values, ok := r.PerToken(); ok {
		scaled := make([]strictjson.Float64, len(values))
		for i, v := range values {
			scaled[i] = strictjson.Float64(r.Beta * v)
		}
		object = appendField(object, "per_token", scaled)
	} else {
		spans, err := r.PerSpan()
		if err != nil {
			return nil, err // not with these policies: both models were given this reply
		}
		pieces := make([]piece, len(spans))
		for i, s := range spans {
			pieces[i] = piece{s.Text, s.Start, s.End, strictjson.Float64(s.Tuned), strictjson.Float64(s.Base), strictjson.Float64(r.Beta * s.LogRatio()), s.TunedTokens, s.BaseTokens}
		}
		object = appendField(object, "per_span", pieces)
	}
	if flags == nil {
		flags = []string{}
	}
	object = appendField(object, "flags", flags)
	return append(object, '}'), nil
}

// appendField adds a member to an object whose closing brace is still to come.
func appendField(object []byte, key string, value any) []byte {
	if object[len(object)-1] != '{' {
		object = append(object, ", "...)
	}
	object = append(object, strconv.Quote(key)+": "...)
	return appendJSON(object, value)
}
