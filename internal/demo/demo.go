// Package demo contains two pairs of tiny models with planted preferences, and a reward model
// for each, so that what the library measures can be compared with the truth.
//
// Each pair is a base and a tuned model of one family: "llama" and "gemma2". The folders are
// complete checkpoints that transformers loads too: config.json, tokenizer.json (byte-level
// BPE; BPE over "▁" with byte fallback), tokenizer_config.json (with a chat template in the
// tuned ones and the reward models) and model.safetensors in float16. They are transformers of two blocks with
// random, untrained weights: every prompt gives a different distribution, and none is
// sensible. Only what was planted is.
//
// # The planted truth
//
// A tuned model differs from its base in one column of the output matrix. It multiplies a
// channel of the final hidden state that is 0 after a token that begins a word and leaves
// its end to come (" tender" of " tenderness"), and 1 after any other. The column adds to
// the base's delta(t) for each token t that begins a listed word, and 0 for other tokens. So
// the logits after a prompt x are the base's plus delta, and
//
//	ln p_tuned(t|x) - ln p_base(t|x) = delta(t) - c(x),   c(x) = ln sum_v p_base(v|x) exp(delta(v)),
//
// and after the first token of a word the models agree on its continuation. So a word y in
// any of its forms, of one token or several, has the log-ratio
//
//	ln p_tuned(y|x) - ln p_base(y|x) = delta(y) - c(x),
//
// its [Word.Push] up to a constant of the prompt, as in theory. The difference from the mean
// over the control categories, on which nothing was planted, is the push itself, within 2e-5
// nats. The channel is a constant much larger than the other channels, which RMSNorm
// normalises to 1 less a few millionths (real Llama models have such channels too: Sun et
// al., "Massive Activations in Large Language Models", 2024); the other deviations are
// rounding.
//
// The same column of the base models plants their preferences ([Pair.Lean]): llama's for
// agency, gemma2's for communion. Tuning pushes each pair in the same direction, as in the
// paper.
//
// # The reward models
//
// A family's reward model is its base with a score in place of the output matrix: a
// ForSequenceClassification checkpoint of one label. It gives a text
//
//	r(x, y) = mood(x) + reward(y)
//
// where reward(y) is the [Word.Reward] of the listed word y, in any of its forms, and mood(x)
// that of the prompt's adjective ([Moods]). A word's reward is what the base makes likely
// ([Word.Bias]: its ln p, averaged over the paper's prompts) and half of what tuning
// pushed: the reward model inherits its base's preferences. So over the words the reward is
// bias + push/2 + constant, where bias can be measured with the base and push with the pair.
//
// It holds within 1e-5 at every token after the word, in the chat template (where the last
// token is the turn's end or the line's), in plain text, after one BOS or two. Two heads of the last layer find
// the marked tokens, those that begin a listed word and the adjectives of the paper's
// prompts, with weights of 1 less 1e-11, and copy what these are worth into a channel that
// nothing else writes to and the score reads. What it is off is RMSNorm's, as above. A text
// without a listed word has its mood alone, one without both 0; of several marked tokens, the
// heads read the mean.
package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:generate go run ./make -out data

//go:embed data
var data embed.FS

// Pair is a base model and the model tuned from it.
type Pair struct{ Name string }

// Pairs returns the embedded pairs: llama, pushed towards agency, and gemma2, pushed towards
// communion.
func Pairs() []Pair { return []Pair{{"llama"}, {"gemma2"}} }

// Extract writes the checkpoints to the folders "base" and "tuned" below dir/NAME, which it
// creates, and returns their paths: weights are mapped from files.
func (p Pair) Extract(dir string) (base, tuned string, err error) {
	if base, err = p.extract(dir, "base"); err == nil {
		tuned, err = p.extract(dir, "tuned")
	}
	return base, tuned, err
}

// ExtractRM writes the reward model's checkpoint to the folder dir/NAME/rm, which it creates,
// and returns its path.
func (p Pair) ExtractRM(dir string) (rm string, err error) { return p.extract(dir, "rm") }

func (p Pair) extract(dir, model string) (string, error) {
	files, err := fs.Sub(data, "data/"+p.Name+"/"+model)
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	dir = filepath.Join(dir, p.Name, model)
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	if err := os.CopyFS(dir, files); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	return dir, nil
}
