package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/demo"
)

const heading = `Two families of tiny models, each a base, a model tuned from it and a reward model; %d words after %d of the paper's prompts.
  base    where the base leaned: ln p_base(word)
  tuning  where tuning pushed:   ln p_tuned(word) - ln p_base(word), the implicit reward
  reward  what the explicit reward model gives the word, in its own unit
Category means (of base and tuning in nats), over those of the control words; "planted" is what was built into the models.
`

const reading = `
How to read it: above 0, tuning made a category's words likelier than it made the control words; below 0,
less likely. The rewards of one prompt share a constant that nobody can know, so only differences count,
here those from the controls. (What "base" is off was not planted: the later tokens of words.) The models
were made to tell the paper's story: tuning goes on the way the base leaned, Llama to agency, Gemma to
communion, and the reward models inherit it: a word's reward is what its base makes likely and half of
what tuning pushed.

Next: bin/score -h, for two checkpoints and a word list of yours; or on these, from the repository's root:
  bin/score -tuned internal/demo/data/llama/tuned -base internal/demo/data/llama/base \
    -tuned-as raw -base-as raw -corpus internal/demo/data/words.csv -forms " {}" -prompts paper -out r.csv
`

// report prints the findings. Two decimals are what all backends agree on, with a thousandfold to spare.
func report(w io.Writer, found []finding) error {
	var b strings.Builder
	fmt.Fprintf(&b, heading, len(demo.Words()), len(prompts()))
	for _, f := range found {
		fmt.Fprintf(&b, "\n%s\n", f.pair.Name)
		const row = "  %-18s %5v %14v %8s %8s %8s %8s %8s %8s\n"
		fmt.Fprintf(&b, row, "category", "words", "single tokens", "base", "planted", "tuning", "planted", "reward", "planted")
		for _, c := range demo.Categories() {
			mean, words, single := f.category(c)
			name := c
			if demo.Control(c) {
				name += " (control)"
			}
			fmt.Fprintf(&b, row, name, words, single, signed(mean.base), signed(f.pair.Lean(c)), signed(mean.implicit), signed(f.pair.Push(c)),
				signed(mean.explicit), signed(f.pair.Reward(c)))
		}
		byPush := slices.SortedStableFunc(slices.Values(f.words), func(a, b scored) int { return cmp.Compare(b.implicit, a.implicit) })
		fmt.Fprintf(&b, "  tuned most up (planted):   %s\n", list(f.pair, byPush[:3]))
		slices.Reverse(byPush)
		fmt.Fprintf(&b, "  tuned most down (planted): %s\n", list(f.pair, byPush[:3]))
	}
	b.WriteString(reading)
	_, err := io.WriteString(w, b.String())
	return err
}

// list is "freedom +2.50 (+2.50), ...": measured and planted.
func list(pair demo.Pair, words []scored) string {
	var all []string
	for _, w := range words {
		all = append(all, fmt.Sprintf("%s %s (%s)", w.Text, signed(w.implicit), signed(w.Push[pair.Name])))
	}
	return strings.Join(all, ", ")
}

// signed prints two decimals with their sign, and 0 without.
func signed(x float64) string {
	if math.Abs(x) < 0.005 {
		return "0.00"
	}
	return fmt.Sprintf("%+.2f", x)
}
