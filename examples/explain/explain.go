package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/tokenize"
)

// explain prints how a reply is scored.
func explain(w io.Writer, pair *cli.Pair, r implicit.Reward) error {
	var b bytes.Buffer
	describe(&b, "tuned", pair.Tuned, r.TunedText)
	describe(&b, "base", pair.Base, r.BaseText)
	if err := tabulate(&b, r, pair.Tuned.Tokenizer(), pair.Base.Tokenizer()); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// describe prints a text as a model reads it.
func describe(w io.Writer, role string, model *cli.Model, t tokenize.Encoded) {
	m := model.Model
	fmt.Fprintf(w, "%s: %s (%s)\n", role, model.Name, model.As)
	fmt.Fprintf(w, "  text:   %q\n", t.Rendered)
	fmt.Fprintf(w, "  prompt: %d tokens:", t.Reply)
	if t.Reply > 0 {
		fmt.Fprint(w, " ", pieces(m.Tokenizer(), t.IDs[:t.Reply]))
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
func tabulate(w io.Writer, r implicit.Reward, tuned, base *tokenize.Tokenizer) error {
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
func pieces(t *tokenize.Tokenizer, ids []int32) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = token(t, id)
	}
	return strings.Join(list, " ")
}

// token is "id:piece".
func token(t *tokenize.Tokenizer, id int32) string { return fmt.Sprintf("%d:%s", id, piece(t, id)) }

// piece is a token's text, quoted; the bytes of an incomplete character as \xc3.
func piece(t *tokenize.Tokenizer, id int32) string {
	if b, ok := t.Bytes(id); ok {
		return strconv.Quote(string(b))
	}
	return strconv.Quote(t.Decode(id))
}

// digits prints a number of nats to the fourth decimal, further than bfloat16 runs agree.
func digits(x float64) string {
	if math.IsInf(x, 0) {
		return fmt.Sprint(x)
	}
	return strconv.FormatFloat(x, 'f', 4, 64)
}
