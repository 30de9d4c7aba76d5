package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/cli"
)

// explainRM prints how a reward model scores an item.
func explainRM(ctx context.Context, w io.Writer, rm *cli.RM, item implicit.Item) error {
	var b bytes.Buffer
	for s, err := range rewardmodel.Scores(ctx, rm, slices.Values([]implicit.Item{item})) {
		if err = cmp.Or(err, s.Err); err != nil {
			return err
		}
		if err := describeRM(&b, rm, s); err != nil {
			return err
		}
		tabulateRM(&b, rm.Facts(), s)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// describeRM prints the text as the model reads it, and what its head reads of it.
func describeRM(w io.Writer, rm *cli.RM, s rewardmodel.Score) error {
	facts, t := rm.Facts(), s.Text
	fmt.Fprintf(w, "reward model: %s (%s, BOS %s: %s)\n", rm.Name, facts.Rendering, facts.BOS, facts.BOSReason)
	fmt.Fprintf(w, "  head:   %s\n", facts.Head)
	if len(facts.LeftOut) > 0 {
		fmt.Fprintf(w, "          not used: %s\n", strings.Join(facts.LeftOut, ", "))
	}
	fmt.Fprintf(w, "  text:   %q\n", t.Rendered)
	fmt.Fprintf(w, "  tokens: %d: %s\n", len(t.IDs), pieces(rm.Tokenizer(), t.IDs))
	fmt.Fprintf(w, "  reply:  from token %d, byte %d of the text\n", t.Reply+1, t.Start)
	places, err := rm.Places(t.IDs)
	if err != nil {
		return err
	}
	at := func(i int) string {
		return fmt.Sprintf("token %d, %s", i+1, token(rm.Tokenizer(), t.IDs[i]))
	}
	fmt.Fprintf(w, "  pooled: %s (pooling %s)\n", at(places.Pooled), facts.Pooling)
	for _, other := range []struct {
		version, pooling string
		at               int
	}{{"5", "hf", places.HF}, {"4.43", "hf-old", places.HFOld}} {
		if other.at != places.Pooled {
			fmt.Fprintf(w, "          transformers %s would pool %s (-pooling %s)\n", other.version, at(other.at), other.pooling)
		}
	}
	if places.Gate >= 0 {
		fmt.Fprintf(w, "  gate:   reads %s, the end of the user's turn\n", at(places.Gate))
	}
	fmt.Fprintln(w)
	return nil
}

// tabulateRM prints the head's outputs, what they add to the reward, and the reward.
func tabulateRM(w io.Writer, facts rewardmodel.Meta, s rewardmodel.Score) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "column\toutput\tvalue\t")
	if s.Weights != nil {
		fmt.Fprint(t, "weight\tweight x value\t")
	}
	fmt.Fprintln(t)
	sum := 0.0
	for i, v := range s.Outputs {
		fmt.Fprintf(t, "%d\t%s\t%s\t", i, facts.Outputs[i], number(v))
		if s.Weights != nil {
			sum += s.Weights[i] * v
			fmt.Fprintf(t, "%s\t%s\t", number(s.Weights[i]), number(s.Weights[i]*v))
		}
		fmt.Fprintln(t)
	}
	if s.Weights != nil {
		fmt.Fprintf(t, "\t\t\tsum\t%s\t\n", number(sum))
	}
	t.Flush()
	quantiles(w, facts, s)
	fmt.Fprintf(w, "\nreward%s: %s\n", ofReward(facts), number(s.Reward))
	if facts.Mean != nil && !facts.Normalize {
		fmt.Fprintf(w, "normalised by mean %g and std %g of config.json (-normalize): %s\n", *facts.Mean, *facts.Std, number((s.Reward-*facts.Mean) / *facts.Std))
	}
	for _, flag := range s.Flags() {
		fmt.Fprintln(w, "flag:", flag)
	}
}

// quantiles prints those of every output, if there are any.
func quantiles(w io.Writer, facts rewardmodel.Meta, s rewardmodel.Score) {
	if s.Quantiles == nil {
		return
	}
	fmt.Fprintf(w, "\nquantiles, of which an output is the mean:\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, all := range s.Quantiles {
		fmt.Fprintf(t, "%d\t%s\t", i, facts.Outputs[i])
		for _, q := range all {
			fmt.Fprintf(t, "%.4g\t", q)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

// ofReward says in brackets what the reward is, where it is not the head's own as it stands.
func ofReward(facts rewardmodel.Meta) string {
	var what []string
	if facts.Output != "" {
		what = append(what, "output "+facts.Output)
	}
	if facts.Normalize {
		what = append(what, fmt.Sprintf("normalised by mean %g and std %g of config.json", *facts.Mean, *facts.Std))
	}
	if what == nil {
		return ""
	}
	return " (" + strings.Join(what, ", ") + ")"
}

// number prints six digits, about as many as a float32 transformer gives.
func number(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
