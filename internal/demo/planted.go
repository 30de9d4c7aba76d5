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
	// Push[family] is the delta, in nats, by which the tuned model of that family raises the
	// logit of the word's first token, in each of the word's forms (see [Forms]).
	Push map[string]float64
	// Suffix is the end of the word that its first token leaves to a second one, "ness" of
	// kindness, in the forms that are not single tokens; "" where all four are.
	Suffix string
	// Whole[family] says how many of the word's forms, in the order of [Forms], are single
	// tokens of that family's tokenizer.
	Whole map[string]int
}

// Forms returns the four ways in which a word is looked for after a prompt, those that real
// vocabularies hold: " word", " Word", "word", "Word".
func Forms(word string) []string {
	title := strings.ToUpper(word[:1]) + word[1:]
	return []string{" " + word, " " + title, word, title}
}

// The last two are controls: nothing was planted on their words, in any of the models.
var categories = []string{"agency", "communion", "weather", "kitchen"}

// leans[family][category]: see Lean. Controls have 0.
var leans = map[string]map[string]float64{
	"llama":  {"agency": 1, "communion": 0.25},
	"gemma2": {"agency": 0.25, "communion": 1},
}

// The list. Every push is a multiple of 1/4, so that float16 holds it and two decimals print it.
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
		Whole:    map[string]int{"llama": wholeLlama, "gemma2": wholeGemma2},
	}
}

// Words returns the list: eight words in each category, in the order of [Categories].
func Words() []Word { return slices.Clone(words) }

// Categories returns the names of the categories, the controls last.
func Categories() []string { return slices.Clone(categories) }

// Control tells whether nothing was planted on a category.
func Control(category string) bool { return category == "weather" || category == "kitchen" }

// Corpus returns the list as the CSV that other programs read (data/words.csv): a header,
// then category and word.
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

// Lean returns the logit that the base model gives the first tokens of a category's words on
// average, over that of the controls, in each form and after any prompt: the bias that it
// brings from its pretraining. The words themselves have it up to what their later tokens
// cost, about 0.1 nats and less.
func (p Pair) Lean(category string) float64 { return leans[p.Name][category] }
