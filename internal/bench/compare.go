package main

import (
	"fmt"
	"math"
)

// difference is how far numbers lie from what they are compared with, in nats.
type difference struct {
	max, mean float64
	n         int
}

// compare is +Inf where a number is not finite or one has no counterpart: nothing
// that was not compared can pass.
func compare(got, want []float32) difference {
	d := difference{n: len(want)}
	if len(got) != len(want) || len(want) == 0 {
		return difference{math.Inf(1), math.Inf(1), len(want)}
	}
	for i := range want {
		x := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(x) {
			x = math.Inf(1)
		}
		d.max = max(d.max, x)
		d.mean += x / float64(len(want))
	}
	return d
}

// agreement is a line of the table of numbers.
type agreement struct {
	what    string
	against string
	ours    difference
	theirs  *difference // bf16: the peer's distance from the same truth
}

// f32Tolerance is how far float32 numbers may be from a peer's, in nats.
const f32Tolerance = 1e-4

// verdict is "" where the numbers agree: in float32 to f32Tolerance; in bfloat16 ours
// must lie nearer to the float32 truth than the peer's do, at most and on average.
func (a *agreement) verdict() string {
	switch {
	case a.theirs == nil && !(a.ours.max <= f32Tolerance):
		return fmt.Sprintf("DISAGREE: wanted at most %g", f32Tolerance)
	case a.theirs != nil && !(a.ours.max < a.theirs.max && a.ours.mean < a.theirs.mean):
		return "DISAGREE: wanted ours nearer to float32"
	}
	return ""
}

// numbers keeps what workers computed by contest and side, so that it can be compared
// after all of them.
type numbers map[string][]float32

// compareAll lists the agreements that what is there allows. ours, and the peers' names, are as in
// contests.go.
func (n numbers) compareAll() []agreement {
	var all []agreement
	f32 := func(what, ours, peer, against string) {
		if n[ours] != nil && n[peer] != nil {
			all = append(all, agreement{what: what + ", f32", against: against, ours: compare(n[ours], n[peer])})
		}
	}
	bf16 := func(what, ours, peer, truth, against string) {
		if n[ours] != nil && n[peer] != nil && n[truth] != nil {
			theirs := compare(n[peer], n[truth])
			all = append(all, agreement{what: what + ", bf16", against: against, ours: compare(n[ours], n[truth]), theirs: &theirs})
		}
	}
	const rows, replies, rewards, long = "next-token rows", "replies of the sample", "rewards of a sample", "long texts, every position"
	f32(rows, "next f32 ours", "next f32 next", "transformers")
	bf16(rows, "next bf16 ours", "next bf16 next", "next f32 next", "transformers, one prompt at a time")
	bf16(rows, "next bf16 ours", "next bf16 next-batch", "next f32 next", "transformers, one batch")
	f32(replies, "sample f32 ours", "sample f32 minicons", "minicons")
	f32(replies+" and the line break before them", "sample f32 ours+space", "sample f32 lm-eval", "lm-eval")
	bf16(replies, "sample bf16 ours", "corpus bf16 minicons", "sample f32 minicons", "minicons")
	bf16(replies+", out of the whole corpus job", "corpus bf16 ours", "corpus bf16 minicons", "sample f32 minicons", "minicons")
	bf16(replies+" and the line break before them", "sample bf16 ours+space", "corpus bf16 lm-eval", "sample f32 lm-eval", "lm-eval")
	for _, m := range mixtures() {
		at := m.name + " "
		f32(at+rows, at+"next f32 ours", at+"next f32 next", "transformers")
		bf16(at+rows, at+"next bf16 ours", at+"next bf16 next", at+"next f32 next", "transformers")
		f32(at+replies+" and the line break before them", at+"sample f32 ours+space", at+"sample f32 lm-eval", "lm-eval")
		bf16(at+replies+" and the line break before them", at+"sample bf16 ours+space", at+"corpus bf16 lm-eval", at+"sample f32 lm-eval", "lm-eval")
	}
	f32(rewards, "reward f32 ours", "reward f32 pipeline", "transformers")
	bf16(rewards+", out of the whole job", "reward bf16 ours", "reward bf16 pipeline", "reward f32 pipeline", "transformers")
	f32(long, "long f32 ours", "long f32 long", "transformers")
	bf16(long, "long bf16 ours", "long bf16 long", "long f32 long", "transformers")
	return all
}

// add keeps a contest's numbers under "contest side". Of a whole job those of the sampled
// items are kept, and those of a sample of size n in its two halves: see work.sample.
func (n numbers) add(contest string, t *timing, sampled []int, size int) error {
	name := contest + " " + t.name
	switch {
	case t.name == oursName && len(sampled) > 0:
		var x []float32
		for _, i := range sampled {
			if i >= len(t.numbers) {
				return fmt.Errorf("%s: %d numbers, wanted one for item %d", name, len(t.numbers), i)
			}
			x = append(x, t.numbers[i])
		}
		n[name] = x
	case t.name == oursName && len(t.numbers) == 2*size && size > 0:
		n[name], n[name+"+space"] = t.numbers[:size], t.numbers[size:]
	default:
		n[name] = t.numbers
	}
	return nil
}
