package demo

import (
	"fmt"
	"slices"
	"strings"
)

// Word is an entry of the embedded list and what was planted on it.
type Word struct {
	Text     string // lower case
	Category string
	// Push[family] is delta in nats: how much the tuned model of that family raises the
	// logit of the word's first token, in each of the word's forms (see [Forms]).
	Push map[string]float64
	// Bias[family] is where the base leans, word by word: its ln p of " word", of all tokens,
	// over the mean of the controls, as the mean over the paper's 54 prompts, to within a
	// fiftieth of a nat. The reward model inherits it.
	Bias map[string]float64
	// Suffix is the part of the word in its second token, "ness" of kindness, in the forms
	// that are two tokens; "" if all four forms are single tokens.
	Suffix string
	// Whole[family] is the number of the word's forms, in the order of [Forms], that are
	// single tokens of that family's tokenizer.
	Whole map[string]int
}

// Forms returns the four surface forms of a word, those that real vocabularies contain: "
// word", " Word", "word", "Word".
func Forms(word string) []string {
	title := strings.ToUpper(word[:1]) + word[1:]
	return []string{" " + word, " " + title, word, title}
}

// The last two are controls: nothing was planted on their words.
var categories = []string{"agency", "communion", "weather", "kitchen"}

// leans[family][category] is Lean; 0 for controls.
var leans = map[string]map[string]float64{
	"llama":  {"agency": 1, "communion": 0.25},
	"gemma2": {"agency": 0.25, "communion": 1},
}

// Every push is a multiple of 1/4, which is exact in float16 and prints with two decimals.
var words = []Word{
	// agency: getting ahead. Mean push +1.5 in llama, -1 in gemma2.
	word("freedom", "agency", 2.5, -2, "dom", 1, 2),
	word("power", "agency", 2.25, -1.5, "", 4, 4),
	word("courage", "agency", 1.75, -0.25, "", 4, 4),
	word("victory", "agency", 1.5, -1.25, "", 4, 4),
	word("ambition", "agency", 1.25, -1, "ion", 1, 2),
	word("mastery", "agency", 1.25, -0.5, "", 4, 4),
	word("leadership", "agency", 1, -0.75, "ship", 1, 4),
	word("independence", "agency", 0.5, -0.75, "ence", 0, 1),
	// communion: getting along. Mean push -0.75 in llama, +1.25 in gemma2.
	word("love", "communion", -1.5, 2.25, "", 4, 4),
	word("kindness", "communion", -1.25, 2, "ness", 1, 2),
	word("compassion", "communion", -1, 1.5, "ion", 0, 1),
	word("friendship", "communion", -0.75, 1.25, "ship", 2, 4),
	word("tenderness", "communion", -0.75, 1, "ness", 0, 0),
	word("harmony", "communion", -0.5, 1, "", 4, 4),
	word("trust", "communion", -0.25, 0.75, "", 4, 4),
	word("family", "communion", 0, 0.25, "", 4, 4),
	// Controls.
	word("rain", "weather", 0, 0, "", 4, 4),
	word("fog", "weather", 0, 0, "", 4, 4),
	word("frost", "weather", 0, 0, "", 4, 4),
	word("breeze", "weather", 0, 0, "", 4, 4),
	word("cloud", "weather", 0, 0, "", 4, 4),
	word("sunshine", "weather", 0, 0, "shine", 1, 2),
	word("drizzle", "weather", 0, 0, "le", 1, 1),
	word("hailstone", "weather", 0, 0, "stone", 0, 0),
	word("spoon", "kitchen", 0, 0, "", 4, 4),
	word("oven", "kitchen", 0, 0, "", 4, 4),
	word("ladle", "kitchen", 0, 0, "", 4, 4),
	word("kettle", "kitchen", 0, 0, "", 4, 4),
	word("bread", "kitchen", 0, 0, "", 4, 4),
	word("teapot", "kitchen", 0, 0, "pot", 1, 2),
	word("cupboard", "kitchen", 0, 0, "board", 1, 1),
	word("tablecloth", "kitchen", 0, 0, "cloth", 0, 0),
}

func word(text, category string, llama, gemma2 float64, suffix string, wholeLlama, wholeGemma2 int) Word {
	return Word{
		Text:     text,
		Category: category,
		Push:     map[string]float64{"llama": llama, "gemma2": gemma2},
		Suffix:   suffix,
		Bias:     map[string]float64{"llama": bias(biases[text][0]), "gemma2": bias(biases[text][1])},
		Whole:    map[string]int{"llama": wholeLlama, "gemma2": wholeGemma2},
	}
}

// biases are what Bias is made of in llama and gemma2, measured, in 64ths of a nat. A 64th more
// or less makes two rewards differ.
var biases = map[string][2]int{
	"freedom": {82, -1}, "power": {28, 20}, "courage": {65, 6}, "victory": {72, -8},
	"ambition": {70, 49}, "mastery": {72, 45}, "leadership": {55, 36}, "independence": {65, -5},
	"love": {9, 76}, "kindness": {28, 45}, "compassion": {-9, 21}, "friendship": {3, 57},
	"tenderness": {22, 18}, "harmony": {-4, 136}, "trust": {24, 93}, "family": {46, 76},
	"rain": {-18, -64}, "fog": {34, 58}, "frost": {-19, -26}, "breeze": {13, 27},
	"cloud": {-22, -69}, "sunshine": {33, 23}, "drizzle": {-56, -41}, "hailstone": {35, 85},
	"spoon": {-38, -62}, "oven": {-13, -34}, "ladle": {-17, -23}, "kettle": {39, -13},
	"bread": {36, 32}, "teapot": {-26, 56}, "cupboard": {24, 14}, "tablecloth": {-6, 37},
}

// bias is 64ths of a nat, and 1/512 more: so no reward is half a unit of a decimal place, which
// backends might round to either side.
func bias(n int) float64 { return float64(n)/64 + 1./512 }

// Reward is what the reward model of a family gives a text for the word: Bias + Push/2, in
// each of the word's forms. It is the base's preference and a push of the reward model's own,
// half as strong as the tuned model's.
func (w Word) Reward(family string) float64 { return w.Bias[family] + w.Push[family]/2 }

// Moods returns what the reward models give a text besides, for the adjective of its prompt:
// those of the paper's prompts. It is the prompt's constant, the same for all words.
func Moods() map[string]float64 {
	return map[string]float64{"best": 1, "greatest": 1.25, "good": 0.75, "worst": -1.25, "bad": -0.75, "terrible": -1}
}

// Words returns the list: eight words in each category, in the order of [Categories].
func Words() []Word { return slices.Clone(words) }

// Categories returns the names of the categories, the controls last.
func Categories() []string { return slices.Clone(categories) }

// Control reports whether nothing was planted on a category.
func Control(category string) bool { return category == "weather" || category == "kitchen" }

// Corpus returns the list as a CSV corpus (data/words.csv): a header, then category and
// word.
func Corpus() string {
	var b strings.Builder
	b.WriteString("category,word\n")
	for _, w := range words {
		fmt.Fprintf(&b, "%s,%s\n", w.Category, w.Text)
	}
	return b.String()
}

// Push returns the mean push of a category's words.
func (p Pair) Push(category string) float64 {
	sum, n := 0.0, 0
	for _, w := range words {
		if w.Category == category {
			sum += w.Push[p.Name]
			n++
		}
	}
	return sum / float64(n)
}

// Reward returns the mean [Word.Reward] of a category's words, over that of the controls.
func (p Pair) Reward(category string) float64 {
	var sum, n, controls, nControls float64
	for _, w := range words {
		if w.Category == category {
			sum, n = sum+w.Reward(p.Name), n+1
		}
		if Control(w.Category) {
			controls, nControls = controls+w.Reward(p.Name), nControls+1
		}
	}
	return sum/n - controls/nControls
}

// Lean returns the mean logit of the first tokens of a category's words in the base model
// minus that of the controls, for each form and any prompt: the bias from pretraining. It is
// the words' own bias up to the effect of their later tokens, at most about 0.1 nats.
func (p Pair) Lean(category string) float64 { return leans[p.Name][category] }
