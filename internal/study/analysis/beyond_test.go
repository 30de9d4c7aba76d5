package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/study/cube"
	"github.com/implicitreward/implicitreward/internal/testdata/synth"
)

// planted makes a pair whose reward of category A is greater by shift, nats.
func planted(name, family string, shift float64, seed uint64) *Pair {
	s := synth.Planted(shift, seed)
	s.Files = []string{name}
	return &Pair{name, family, allWords, *s}
}

var twoCategories = &cube.Dictionary{Name: "ab", File: "ab.csv", Categories: []string{"A", "B"}}

// TestDiD: what was planted is found, and the parts add up.
func TestDiD(t *testing.T) {
	c, d := planted("one", "X", 0.7, 1), planted("two", "Y", 0.2, 2)
	d.Words[3] = "other" // not shared: left out
	res, err := DiD(twoCategories, []*Pair{c, d}, &Options{Draws: 999})
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]record{}
	for _, r := range rowsOf(t, res, "parts") {
		parts[r.key("prompt_framing", "part")] = r
		if r["words"] != "all words: 39" {
			t.Errorf("words %s, want 39", r["words"])
		}
	}
	for _, framing := range []string{"positive", "negative"} {
		base, add, tuned := parts[framing+"/pretraining"], parts[framing+"/tuning added"], parts[framing+"/tuned"]
		near(t, framing+" sum", base.num(t, "diff")+add.num(t, "diff"), tuned.num(t, "diff"), 1e-12)
		near(t, framing, add.num(t, "diff"), 0.5, 0.1) // planted 0.7 - 0.2; the noise is 0.1 a word
		if p := add.num(t, "shuffled_words_p"); p > 0.01 {
			t.Errorf("%s: shuffled words give p = %v for what was planted", framing, p)
		}
		if p := base.num(t, "shuffled_words_p"); p < 0.001 {
			t.Errorf("%s: shuffled words give p = %v where nothing was planted", framing, p)
		}
	}
}

// TestAllWords: the same gap on words of all lengths, and counts.
func TestAllWords(t *testing.T) {
	c := planted("one", "X", 0.2, 1)
	text := "Category,token_decoded\nA,missing\n"
	for i, w := range c.Words {
		text += c.Category[i] + "," + w + "\n"
	}
	corpus, err := lexicon.ReadCorpus(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	dict, err := cube.NewDictionary("ab", "ab.csv", corpus, false)
	if err != nil {
		t.Fatal(err)
	}
	res, err := AllWords(dict, []*Pair{c}, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rowsOf(t, res, "coverage") {
		want := map[string][3]string{"A": {"21", "20", "7"}, "B": {"20", "20", "7"}}[r["Category"]]
		if got := [3]string{r["entries"], r["scored"], r["single_token"]}; got != want {
			t.Errorf("coverage of %s: %v, want %v", r["Category"], got, want)
		}
	}
	for _, r := range rowsOf(t, res, "gaps") {
		if d := r.num(t, "diff"); d > -0.3 || d < -0.55 { // two noises above: the medians nearly a half of all ranks apart
			t.Errorf("%s, %s: gap %v, wanted about -0.45", r["prompt_framing"], r["words"], d)
		}
	}
}

// TestDecompose: scores made of base and reward come apart as they were made.
func TestDecompose(t *testing.T) {
	c := planted("one", "X", 0, 3)
	r := rand.New(rand.NewPCG(3, 3))
	s := &cube.Scores{Models: []cube.Model{{ID: "rm", Family: "X"}}, Files: []string{"rm.csv"}, Words: slices.Clone(c.Words),
		Prompts: c.Prompts, Values: make([][][]float64, 1)}
	for p := range c.Prompts {
		v := slices.Clone(c.Reward(p)) // the reward, and a little noise
		for w := range v {
			v[w] += 0.005 * r.NormFloat64()
		}
		slices.Reverse(v)
		s.Values[0] = append(s.Values[0], v)
	}
	slices.Reverse(s.Words)
	res, err := Decompose(twoCategories, []*cube.Scores{s}, []*Pair{c}, &Options{Draws: 999})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rowsOf(t, res, "parts") {
		near(t, "implicit", r.num(t, "beta_implicit"), 1, 0.02)
		near(t, "base", r.num(t, "beta_base"), 0, 0.02)
		near(t, "R2", r.num(t, "r2"), 1, 0.02)
		if r.num(t, "beta_implicit_p") != 1./1000 || r.num(t, "r2_p") != 1./1000 {
			t.Errorf("p %s and %s, wanted the least, 1/1000", r["beta_implicit_p"], r["r2_p"])
		}
	}
}

// TestDecomposeSlopes: scores that are 0.4 ln p(base) + 0.7 reward + a constant of the prompt, and noise, come
// apart as they were made, in the reward model's unit, over all prompts and after each.
func TestDecomposeSlopes(t *testing.T) {
	c := planted("one", "X", 0.5, 3)
	r := rand.New(rand.NewPCG(4, 4))
	s := &cube.Scores{Models: []cube.Model{{ID: "rm", Family: "X"}}, Files: []string{"rm.csv"}, Words: slices.Clone(c.Words[1:]),
		Prompts: c.Prompts, Values: make([][][]float64, 1)}
	for p := range c.Prompts {
		v := make([]float64, len(s.Words))
		for w := range v {
			v[w] = float64(p) + 0.4*c.Values[0][p][w+1] + 0.7*c.Reward(p)[w+1] + 0.001*r.NormFloat64()
		}
		s.Values[0] = append(s.Values[0], v)
	}
	decomposed := func(s *cube.Scores, c *Pair) (parts, prompts []record) {
		res, err := Decompose(twoCategories, []*cube.Scores{s}, []*Pair{c}, &Options{Draws: 999})
		if err != nil {
			t.Fatal(err)
		}
		if want := "rm, one: 1 of 40 words of the pair have no score, and are left out."; !slices.Equal(res.Warnings, []string{want}) {
			t.Errorf("doubts %q, wanted %q", res.Warnings, want)
		}
		return rowsOf(t, res, "parts"), rowsOf(t, res, "prompts")
	}
	parts, prompts := decomposed(s, c)
	for _, row := range slices.Concat(parts, prompts) {
		for _, part := range []struct {
			name   string
			want   float64
			within float64
		}{{"slope_base", 0.4, 0.01}, {"slope_implicit", 0.7, 0.01}} {
			at := row["prompt_framing"] + " " + row["prompt"] + ", " + part.name
			near(t, at, row.num(t, part.name), part.want, part.within)
			if lo, hi := row.num(t, part.name+"_lo"), row.num(t, part.name+"_hi"); !(lo < part.want && part.want < hi && hi-lo < 0.03) {
				t.Errorf("%s: interval %g to %g, wanted a narrow one about %g", at, lo, hi, part.want)
			}
		}
	}
	if len(parts) != 3 || len(prompts) != len(c.Prompts) {
		t.Fatalf("%d parts, %d prompts, wanted 3 framings and %d", len(parts), len(prompts), len(c.Prompts))
	}
	// The rho of a framing is the mean over its prompts.
	for _, part := range parts {
		for _, name := range []string{"rho_base", "rho_implicit"} {
			sum, n := 0.0, 0.0
			for _, row := range prompts {
				if row["prompt_framing"] == part["prompt_framing"] {
					sum, n = sum+row.num(t, name), n+1
				}
			}
			near(t, name, part.num(t, name), sum/n, 1e-12)
			if lo, hi := part.num(t, name+"_lo"), part.num(t, name+"_hi"); !(lo < sum/n && sum/n < hi) {
				t.Errorf("%s %g is not between %g and %g", name, sum/n, lo, hi)
			}
		}
	}
	// With one prompt the slopes are those after the prompt, and words alone are resampled.
	one := *s
	one.Prompts, one.Values = s.Prompts[:1], [][][]float64{s.Values[0][:1]}
	parts, prompts = decomposed(&one, c)
	if len(parts) != 1 || len(prompts) != 1 {
		t.Fatalf("%d parts, %d prompts, wanted 1 and 1", len(parts), len(prompts))
	}
	for _, name := range []string{"slope_base", "slope_implicit", "rho_base", "rho_implicit"} {
		near(t, name, parts[0].num(t, name), prompts[0].num(t, name), 1e-12)
	}
}

// TestDecomposeAlike: where scores do not vary there is no number, and a doubt says so.
func TestDecomposeAlike(t *testing.T) {
	c := planted("one", "X", 0.5, 3)
	s := &cube.Scores{Models: []cube.Model{{ID: "rm", Family: "X"}}, Files: []string{"rm.csv"}, Words: c.Words,
		Prompts: c.Prompts, Values: make([][][]float64, 1)}
	for range c.Prompts {
		s.Values[0] = append(s.Values[0], make([]float64, len(s.Words)))
	}
	res, err := Decompose(twoCategories, []*cube.Scores{s}, []*Pair{c}, &Options{Draws: 99})
	if err != nil || len(res.Tables) > 0 || len(res.Warnings) != 3 || !strings.Contains(res.Warnings[0], "not decomposed") {
		t.Errorf("%v, %v, wanted a doubt a framing and no table", err, res)
	}
}

// TestControls: a gap made of frequency alone is gone when words are matched; one that
// is not stays.
func TestControls(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	freq := map[string]float64{}
	var rare, planted wordValues
	for i := range 200 {
		w := "w" + strings.Repeat("x", i)
		category := []string{"A", "B"}[i%2]
		f := r.NormFloat64()
		if category == "A" {
			f++
		}
		freq[w] = f
		for _, v := range []*wordValues{&rare, &planted} {
			v.words, v.category = append(v.words, w), append(v.category, category)
		}
		rare.values = append(rare.values, 10*f+r.NormFloat64())
		bonus := 0.0
		if category == "A" {
			bonus = 5
		}
		planted.values = append(planted.values, bonus+r.NormFloat64())
	}
	rare.what, rare.framing, planted.what, planted.framing = "frequency", "all", "planted", "all"
	res, err := Controls(twoCategories, []wordValues{rare, planted}, freq, "made up", &Options{Draws: 999})
	if err != nil {
		t.Fatal(err)
	}
	rows := rowsOf(t, res, "gaps")
	if g, m := rows[0].num(t, "gap"), rows[0].num(t, "matched_gap"); g < 5 || math.Abs(m) > 1.5 {
		t.Errorf("frequency alone: gap %v, matched %v, wanted about 10 and 0", g, m)
	}
	if m := rows[1].num(t, "matched_gap"); math.Abs(m-5) > 0.5 {
		t.Errorf("planted: matched %v, wanted about 5", m)
	}
	if b, a := rows[0].num(t, "ln_p_difference_before"), rows[0].num(t, "ln_p_difference_after"); math.Abs(a) > math.Abs(b)/5 {
		t.Errorf("ln p of the categories %v apart before, %v after matching", b, a)
	}
	// The normal interval of shuffled gaps, against shuffling.
	shuffled, over := slices.Clone(rare.values), 0
	for range 2000 {
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if math.Abs(gap(shuffled, rare.category, "A", "B")) > rows[0].num(t, "shuffled_hi") {
			over++
		}
	}
	if over < 60 || over > 145 { // 100 wanted, sd 10
		t.Errorf("%d of 2000 shuffled gaps outside the 95 %% interval, wanted about 100", over)
	}
}

// TestPower: no shift is found 1 time in 20 by the tests that take models as the unit,
// far more often by those that do not; a great one always; the seed decides.
func TestPower(t *testing.T) {
	d := PaperDesign
	d.Words = [2]int{20, 30}
	d.Model = 0.3
	run := func(sims int) map[string]float64 {
		res, err := Power(t.Context(), d, []float64{0, 3}, sims, &Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		rates := map[string]float64{}
		for _, r := range rowsOf(t, res, "rates") {
			rates[r.key("test", "shift")] = r.num(t, "rate")
		}
		return rates
	}
	rates := run(80)
	for i, name := range powerTests {
		at0, at3 := rates[name+"/0"], rates[name+"/3"]
		if i < 2 && at0 < .3 || i >= 2 && at0 > .15 || at3 < .95 {
			t.Errorf("%s: found %v of nothing, %v of 3 SD", name, at0, at3)
		}
	}
	again := run(10)
	for k, v := range run(10) {
		if again[k] != v {
			t.Errorf("%s: %v and %v with the same seed", k, again[k], v)
		}
	}
	res, err := Power(t.Context(), Design{Models: [2]int{2, 2}, Prompts: 5, Words: [2]int{5, 5}, Word: .5, Taste: .5}, []float64{1}, 10, &Options{})
	if err != nil || len(res.Warnings) == 0 {
		t.Errorf("2 against 2 models: no warning, %v", err)
	}
	for _, wrong := range []Design{{Models: [2]int{1, 1}, Prompts: 5, Words: [2]int{5, 5}}, {Models: [2]int{2, 2}, Prompts: 1, Words: [2]int{5, 5}}, {Models: [2]int{2, 2}, Prompts: 5, Words: [2]int{1, 5}}} {
		if _, err := Power(t.Context(), wrong, []float64{1}, 10, &Options{}); err == nil {
			t.Errorf("%+v: no error", wrong)
		}
	}
}

// TestContrast: the categories asked for, the first less the second; by default the
// dictionary's first two in its order, which is not the alphabet's.
func TestContrast(t *testing.T) {
	c, d := planted("one", "X", 0.7, 1), planted("two", "Y", 0.2, 2)
	dict := &cube.Dictionary{Name: "ba", File: "ba.csv", Categories: []string{"B", "A"}}
	diff := func(o *Options) float64 {
		t.Helper()
		res, err := DiD(dict, []*Pair{c, d}, o)
		if err != nil {
			t.Fatal(err)
		}
		return rowsOf(t, res, "parts")[1].num(t, "diff")
	}
	asked := diff(&Options{Draws: 99, Contrast: []string{"A", "B"}})
	near(t, "A less B", asked, 0.5, 0.1) // planted 0.7 - 0.2
	near(t, "B less A", diff(&Options{Draws: 99}), -asked, 1e-12)
	res, err := AllWords(dict, []*Pair{planted("one", "X", 0.2, 1)}, &Options{Contrast: []string{"A", "B"}})
	if err != nil || !strings.HasSuffix(res.Tests[0].Name, "A - B") {
		t.Errorf("words: %v, %v, wanted A - B", res, err)
	}
}
