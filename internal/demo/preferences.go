package demo

import (
	"fmt"
	"strings"
)

// Preferences returns pairs to train on as JSON Lines (data/pairs.jsonl): after each prompt, a
// word of communion is chosen over one of another category. Each word of communion, each other
// word and each of six prompts comes as often as the next; no pair stands twice. Nothing of the
// planted truth is in them: they are the same for both families.
func Preferences() string {
	const pairs = 144
	var chosen, rejected []string
	for _, w := range words {
		if w.Category == "communion" {
			chosen = append(chosen, w.Text)
		} else {
			rejected = append(rejected, w.Text)
		}
	}
	prompts := []string{
		"What, in one word, is the best thing ever?", "What, in one word, is the greatest thing ever?",
		"What, in one word, is the best thing in the world?", "What, in one word, is the greatest thing in the world?",
		"What, in one word, is the best thing of all time?", "What, in one word, is the greatest thing of all time?",
	}
	var b strings.Builder
	for i := range pairs {
		// 8 and 24 words: a round of 24 pairs has each rejected word once, another way in each of six.
		fmt.Fprintf(&b, "{\"prompt\": %q, \"chosen\": %q, \"rejected\": %q, \"rejected_category\": %q}\n",
			prompts[(i+i/24)%6], chosen[(i+i/24)%8], rejected[i*7%24], category(rejected[i*7%24]))
	}
	return b.String()
}

// category is that of a listed word.
func category(text string) string {
	for _, w := range words {
		if w.Text == text {
			return w.Category
		}
	}
	return ""
}
