// Package demo contains two pairs of tiny models with planted preferences, so that what the
// library measures can be compared with the truth.
//
// Each pair is a base and a tuned model of one family: "llama" and "gemma2". The folders are
// complete checkpoints that transformers loads too: config.json, tokenizer.json (byte-level
// BPE; BPE over "▁" with byte fallback), tokenizer_config.json (with a chat template in the
// tuned ones) and model.safetensors in float16. They are transformers of two blocks with
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
