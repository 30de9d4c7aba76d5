// Package demo holds two pairs of tiny models in which preferences were planted, so that what
// the library measures can be compared with what is true.
//
// Each pair is a base model and a tuned one, of a family of its own: "llama" and "gemma2".
// The folders are complete checkpoints that transformers loads too: config.json, tokenizer.json
// (byte-level BPE; BPE over "▁" with byte fallback), tokenizer_config.json (with a chat
// template in the tuned ones) and model.safetensors in float16. They are transformers of two
// blocks with random weights, not trained on anything: every prompt gives another
// distribution, and none of them is sensible. What is sensible was planted.
//
// # The planted truth
//
// A tuned model is its base but for one column of the output matrix. That column meets a
// channel of the final hidden state that is 1 after every token but those that begin a word
// and leave its end to come (" tender" of " tenderness"), and 0 after these. The column
// holds, over the base's, delta(t) for each token t with which a listed word begins, and 0 for
// the others. So the logits after a prompt x are the base's plus delta, and
//
//	ln p_tuned(t|x) - ln p_base(t|x) = delta(t) - c(x),   c(x) = ln sum_v p_base(v|x) exp(delta(v)),
//
// and after the first token of a word the models agree on how it goes on. A word y in any of
// its forms, single token or several, therefore has the log-ratio
//
//	ln p_tuned(y|x) - ln p_base(y|x) = delta(y) - c(x),
//
// the [Word.Push] up to a constant of the prompt that is the same for all words, as theory
// has it. The difference from the mean over the control categories, on which nothing was
// planted, is the push itself. It holds within 2e-5 nats: the channel is a constant much larger
// than the other channels, so that RMSNorm turns it into 1 (real Llama models hold such
// channels too: Sun et al., "Massive Activations in Large Language Models", 2024), short of it
// by a few millionths, and the rest is rounding.
//
// The same column plants in the base models what they lean to ([Pair.Lean]): llama to agency,
// gemma2 to communion. And what tuning did in each pair goes the same way, as in the paper.
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

// Pair is a base model and the model that was tuned from it.
type Pair struct{ Name string }

// Pairs returns the embedded pairs: llama, pushed towards agency, and gemma2, pushed towards
// communion.
func Pairs() []Pair { return []Pair{{"llama"}, {"gemma2"}} }

// Extract writes the checkpoints to the folders "base" and "tuned" below dir/NAME, which it
// makes, and returns the two: weights are mapped from files.
func (p Pair) Extract(dir string) (base, tuned string, err error) {
	files, err := fs.Sub(data, "data/"+p.Name)
	if err != nil {
		return "", "", fmt.Errorf("demo: %w", err)
	}
	dir = filepath.Join(dir, p.Name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", "", fmt.Errorf("demo: %w", err)
	}
	if err := os.CopyFS(dir, files); err != nil {
		return "", "", fmt.Errorf("demo: %w", err)
	}
	return filepath.Join(dir, "base"), filepath.Join(dir, "tuned"), nil
}
