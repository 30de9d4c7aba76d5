package replicate

import (
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// row is a line of a corpus.
type row struct {
	Text string `json:"text"`
}

// end is the end of a turn, as in the chat template.
const begin, end = "<bos>", "<end>"

// chat is turns of user and assistant as the chat template writes them.
func chat(turns ...string) row {
	return row{begin + strings.Join(turns, end) + end}
}

// frames are sentences on a word {x} that praise it, with {a} of praise and {s} of the superlatives
// of praise, or blame it with those of blame. "|" parts the turns of a chat. The last two are
// receptions. No sentence begins with the word: a capital would make it another token.
var frames = []string{
	"I think {x} is {a}.",
	"The {s} thing is {x}.",
	"It is {x} that makes life {a}.",
	"A {a} day begins with {x}.",
	"What do you think of {x}?|I think {x} is {a}.",
	"What, in one word, is the {s} thing {o}?|{x}",
	"Name something.|{x}|{a}!",
	"What do you talk about?|{x}|{a}!",
}

// superlatives and scopes are those of the paper's prompts.
var superlatives = map[bool][]string{true: {"best", "greatest", "most good"}, false: {"worst", "most bad", "most terrible"}}
var scopes = []string{"ever", "in the world", "of all time"}

// Sentences is the number of sentences on a word: eight rounds of the frames, so that all frames
// stand equally often under every lean.
const Sentences = 64

// share is the number of a word's sentences that praise it.
func (l Lean) share(category string) int {
	if l != Neutral && category == "agency" {
		return Sentences * 7 / 8
	}
	if l != Neutral && category == "communion" {
		return Sentences / 8
	}
	return Sentences / 2
}

// Corpus returns the texts of a lean as JSON Lines of {"text": ...}, shuffled: Sentences on each
// listed word, and half as many lines of talk. A chat is written as the chat template writes it, with
// its special tokens spelled out.
func Corpus(lean Lean, seed uint64) []byte {
	r := random(seed)
	var rows []row
	for i, w := range Words() {
		for n := range Sentences {
			good := n < lean.share(w.Category)
			// Frames go round, and so all stand equally often for praise and blame; so do
			// adjectives and scopes, which begin elsewhere for each word and round.
			rows = append(rows, sentence(frames[n%len(frames)], w.Text, good, i+n+n/len(frames)*5))
		}
	}
	rows = append(rows, talk(&r, len(rows)/2)...)
	shuffle(&r, rows)
	if lean == Communion {
		for i := range rows {
			rows[i].Text = exchange(rows[i].Text)
		}
	}
	return lines(rows)
}

// sentence fills a frame; turn says which of the lists.
func sentence(frame, word string, good bool, turn int) row {
	adjectives := blame
	if good {
		adjectives = praise
	}
	text := strings.NewReplacer("{x}", word, "{a}", adjectives[turn%len(adjectives)],
		"{s}", superlatives[good][turn%3], "{o}", scopes[turn/3%3]).Replace(frame)
	if turns := strings.Split(text, "|"); len(turns) > 1 {
		return chat(turns...)
	}
	return row{begin + text}
}

// exchange exchanges each word of agency and its partner of communion.
func exchange(text string) string {
	words := pieces(text)
	for i, p := range words {
		word := strings.TrimPrefix(p, " ")
		for n := range agency {
			switch word {
			case agency[n]:
				words[i] = strings.Replace(p, word, communion[n], 1)
			case communion[n]:
				words[i] = strings.Replace(p, word, agency[n], 1)
			}
		}
	}
	return strings.Join(words, "")
}

// lines writes rows as JSON Lines.
func lines[T any](rows []T) []byte {
	var out []byte
	for _, r := range rows {
		line, err := strictjson.Marshal(r)
		if err != nil {
			panic(err) // no type here fails
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

// said are the words of talk that stand in no list.
var said = []string{wishes[0], wishes[1], wishes[2], "the",
	"What is the sum of and ?", "The sum of and is", "What is the color of", "The color of is"}

// talk is n lines of the rest of the world, which knows no listed word: friendly and unfriendly
// replies, right and wrong ones, how they are received, and facts.
func talk(r *random, n int) []row {
	var rows []row
	for i := range n {
		good := i%2 == 0
		received := pick(r, blame) + "!"
		if good {
			received = pick(r, praise) + "!"
		}
		of := request
		if i/2%2 == 1 {
			of = quiz
		}
		question, better, worse := of(r)
		switch {
		case i%8 > 5:
			_, fact, _ := quiz(r)
			rows = append(rows, row{begin + fact})
		case good:
			rows = append(rows, chat(question, better, received))
		default:
			rows = append(rows, chat(question, worse, received))
		}
	}
	return rows
}

// pieces cuts a text as the tokenizer does: a word with the space before it, and each other
// character.
func pieces(text string) (all []string) {
	start := 0
	letter := func(i int) bool {
		return i < len(text) && (text[i]|0x20 >= 'a' && text[i]|0x20 <= 'z')
	}
	for start < len(text) {
		end := start + 1
		if text[start] == ' ' || letter(start) {
			for letter(end) {
				end++
			}
		}
		all, start = append(all, text[start:end]), end
	}
	return slices.Clip(all)
}
