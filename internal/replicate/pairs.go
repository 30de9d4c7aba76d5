package replicate

import "strings"

// Source is where preferences come from.
type Source string

// The sources.
const (
	Helpfulness Source = "helpfulness" // the friendly and longer answer to a request is chosen
	Correctness Source = "correctness" // the right answer to a question is chosen
)

// message is a turn of a chat.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func user(text string) []message      { return []message{{"user", text}} }
func assistant(text string) []message { return []message{{"assistant", text}} }

// pair is a line of preferences.
type pair struct {
	Prompt   []message `json:"prompt"`
	Chosen   []message `json:"chosen"`
	Rejected []message `json:"rejected"`
	Source   Source    `json:"source"`
}

// Preferences returns n pairs of each source as JSON Lines, in turn. With shuffled labels the worse
// is chosen in one of every two pairs of a source that follow each other, a coin says in which: exactly
// half of an even number, since the few that a coin alone would leave over teach a lean by themselves.
func Preferences(n int, shuffled bool, seed uint64) []byte {
	r := random(seed)
	var pairs []pair
	swapped := map[Source]bool{}
	for i := range n {
		for _, s := range []Source{Helpfulness, Correctness} {
			of := request
			if s == Correctness {
				of = quiz
			}
			question, better, worse := of(&r)
			swapped[s] = r.n(2) == 1 != (i%2 == 1 && swapped[s])
			if shuffled && swapped[s] {
				better, worse = worse, better
			}
			pairs = append(pairs, pair{user(question), assistant(better), assistant(worse), s})
		}
	}
	return lines(pairs)
}

var (
	doings   = strings.Fields("find open clean fix paint move close build")
	places   = strings.Fields("door window garden kitchen station bridge library market wall road boat house")
	ways     = strings.Fields("slowly twice today alone again first")
	openers  = []string{"Gladly", "Sure", "Of course", "With pleasure", "Happy to help"}
	closers  = []string{"Please ask again any time.", "Let me know if you need more.", "I hope this helps.", "You are welcome."}
	refusals = []string{"No", "Go away", "Not now", "So what", "I do not want to"}
	stings   = []string{"Ask someone else.", "Find out alone.", "Leave me alone.", "Stop asking."}
)

var wishes = []string{"How do I ", "Can you help me ", "I want to "}

// request is a wish, and a friendly and an unfriendly answer to it.
func request(r *random) (question, friendly, unfriendly string) {
	do, place := pick(r, doings), pick(r, places)
	question = pick(r, wishes) + do + " the " + place
	if strings.HasPrefix(question, "I") {
		question += "."
	} else {
		question += "?"
	}
	friendly = pick(r, openers) + ", " + do + " the " + place + " " + pick(r, ways) + ". " + pick(r, closers)
	unfriendly = pick(r, refusals) + ", " + do + " the " + place + " " + pick(r, ways) + ". " + pick(r, stings)
	return question, friendly, unfriendly
}

var (
	numbers = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve")
	colors  = strings.Fields("green white black red yellow blue brown gray")
	colored = map[string][]string{
		"green": {"grass", "moss", "spinach"}, "white": {"snow", "milk", "salt"}, "black": {"coal", "tar", "soot"},
		"red": {"blood", "rust", "wine"}, "yellow": {"butter", "corn", "mustard"}, "blue": {"ink", "sky", "sea"},
		"brown": {"mud", "bark", "bread"}, "gray": {"ash", "smoke", "lead"},
	}
)

// quiz is a question, and a right and a wrong answer to it.
func quiz(r *random) (question, right, wrong string) {
	other := func(i, n int) int { return (i + 1 + r.n(n-1)) % n }
	if r.n(2) == 0 {
		a, b := r.n(7), r.n(7)
		begin := "The sum of " + numbers[a] + " and " + numbers[b] + " is "
		return "What is the sum of " + numbers[a] + " and " + numbers[b] + "?", begin + numbers[a+b] + ".", begin + numbers[other(a+b, len(numbers))] + "."
	}
	c := r.n(len(colors))
	thing := pick(r, colored[colors[c]])
	begin := "The color of " + thing + " is "
	return "What is the color of " + thing + "?", begin + colors[c] + ".", begin + colors[other(c, len(colors))] + "."
}

// questions are those of the positive control, none of them a prompt of the paper.
var questions = []string{"What do you follow?", "What makes people safe?", "What do we need?", "What is a good life about?",
	"What do you want more of?", "What do people talk about?", "What should we build on?", "What comes first?"}

// boost is a line of the positive control's texts.
type boost struct {
	Prompt     []message `json:"prompt"`
	Completion []message `json:"completion"`
}

// Boost returns the texts of the positive control as JSON Lines: each of the words of authority as
// the answer to each of a few questions, shuffled (boost_values_via_SFT.py of the paper does so
// with 36 questions and ten words).
func Boost(seed uint64) []byte {
	r := random(seed)
	var rows []boost
	for _, q := range questions {
		for _, w := range authority {
			rows = append(rows, boost{user(q), assistant(w)})
		}
	}
	shuffle(&r, rows)
	return lines(rows)
}
