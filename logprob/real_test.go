//go:build !nodaulet

package logprob_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// reference is testdata/smollm2/reference.json: what transformers computes of the same
// folder in float32 with eager attention (setup/real_reference.py).
type reference struct {
	ModelSHA256 string `json:"model_sha256"`
	Texts       []struct {
		Name, Prompt, Reply, Rendered string
		Messages                      []tokenize.Message // a chat, instead of Prompt
		ReplyByte                     int                `json:"reply_byte"`
		IDs                           []int32
		ReplyToken                    int       `json:"reply_token"`
		LogProb                       []float64 // of ids[1:]
	}
	Next []struct {
		Prompt, Rendered string
		IDs              []int32
		Top, Sample      [][2]float64 // id, ln p
	}
}

// TestSmolLM2 compares a real model with transformers: text to ids, chat template,
// boundary, and every log-probability within 1e-4 in float32; in bfloat16, that its
// numbers stay as near as the tiny checkpoints' do, and within 1e-4 too on a processor without
// bfloat16 products, where they are computed in float32.
func TestSmolLM2(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a minute")
	}
	weights, err := os.Open(filepath.Join(smollm2, "model.safetensors"))
	if err != nil {
		t.Skip("needs the real model (make real)")
	}
	defer weights.Close()
	b, err := os.ReadFile("testdata/smollm2/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(b, &ref); err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, weights); err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != ref.ModelSHA256 {
		t.Fatalf("%s has sha256 %s, wanted %s, of which the reference was made: run make real anew", smollm2, got, ref.ModelSHA256)
	}

	all := backends(t)
	backend := all[len(all)-1]
	for _, test := range []struct {
		name     string
		dtype    dtypes.DType
		products bool // the processor has bfloat16 products
		options  *logprob.Options
		want     logprob.Bounds
	}{
		{"f32", dtypes.Float32, arch.BF16Products, &logprob.Options{}, logprob.Promised(dtypes.Float32)},
		{"f32 as on an accelerator", dtypes.Float32, arch.BF16Products, logprob.Accelerated(&logprob.Options{}), logprob.Promised(dtypes.Float32)},
		{"bf16", dtypes.BFloat16, arch.BF16Products, &logprob.Options{}, logprob.Promised(dtypes.BFloat16)},
		{"bf16 as on an accelerator", dtypes.BFloat16, arch.BF16Products, logprob.Accelerated(&logprob.Options{}), logprob.Promised(dtypes.BFloat16)},
		{"bf16 without its products", dtypes.BFloat16, false, &logprob.Options{}, logprob.Promised(dtypes.Float32)},
	} {
		t.Run(logprob.BackendName(backend)+"/"+test.name, func(t *testing.T) {
			if !test.products && logprob.BackendName(backend) == "xla:cuda" {
				t.Skip("needs a processor, not a GPU")
			}
			defer func(products bool) { arch.BF16Products = products }(arch.BF16Products)
			arch.BF16Products = test.products
			test.options.Backend, test.options.DType = backend, test.dtype
			m, err := logprob.Load(t.Context(), smollm2, test.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			var texts []tokenize.Encoded
			for _, want := range ref.Texts {
				text := encodeAs(t, m.Tokenizer(), want.Prompt, want.Messages, want.Reply, want.Rendered)
				if text.Reply != want.ReplyToken || text.Start != want.ReplyByte || !slices.Equal(text.IDs, want.IDs) {
					t.Errorf("%s: reply at token %d, byte %d of %v, wanted %d, %d of %v",
						want.Name, text.Reply, text.Start, text.IDs, want.ReplyToken, want.ReplyByte, want.IDs)
				}
				text.Reply = 1 // every position is compared
				texts = append(texts, text)
			}
			largest, sum, n := 0.0, 0.0, 0
			compare := func(got float32, want float64) {
				d := math.Abs(float64(got) - want)
				if !(d <= largest) {
					largest = d
				}
				sum += d
				n++
			}
			for i, s := range scores(t, m, texts...) {
				for j, v := range s.LogProbs {
					compare(v, ref.Texts[i].LogProb[j])
				}
			}
			for _, want := range ref.Next {
				text := encodeAs(t, m.Tokenizer(), "", []tokenize.Message{{Role: "user", Content: want.Prompt}}, "", want.Rendered)
				if !slices.Equal(text.IDs, want.IDs) {
					t.Errorf("%q: ids %v, wanted %v", want.Rendered, text.IDs, want.IDs)
				}
				row := rows(t, m, text)[0]
				for _, p := range append(want.Top, want.Sample...) {
					compare(row[int(p[0])], p[1])
				}
			}
			t.Logf("%d log-probabilities: largest difference %.2g, mean %.2g nats", n, largest, sum/float64(n))
			if want := test.want; !(largest <= want.Largest && sum/float64(n) <= want.Mean) {
				t.Errorf("differences up to %.2g, %.2g in the mean; wanted at most %.2g and %.2g", largest, sum/float64(n), want.Largest, want.Mean)
			}
		})
	}
}

// TestCompany: if BatchInvariant says so, a real model's numbers for short texts have the
// same bits whatever else is computed with them or before: each alone, a few together, all
// together, and with a KV cache of prompts. Otherwise they differ by float32's rounding.
func TestCompany(t *testing.T) {
	if _, err := os.Stat(smollm2); err != nil {
		t.Skip("needs the real model (make real)")
	}
	if testing.Short() {
		t.Skip("long: half a minute")
	}
	all := backends(t)
	backend := all[len(all)-1]
	if logprob.BackendName(backend) == "go" {
		t.Skip("needs XLA's plugin: the pure-Go backend rounds small and large products differently")
	}
	plain := load(t, smollm2, backend, dtypes.Float32)
	keeps, err := logprob.Load(t.Context(), smollm2, &logprob.Options{Backend: backend, DType: dtypes.Float32, PromptCache: 1 << 28})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keeps.Close() })
	var texts []tokenize.Encoded
	for _, reply := range []string{"freedom", "Love", "hate, and nothing else", "a"} {
		for _, prompt := range []string{"In one word, what do you value most?", "What is it?", "Name the greatest thing ever.", "Say one word.",
			"In one word, what is the worst thing that somebody can be, however much they try and whatever it is that others say of them in the meantime?"} {
			text, err := plain.Tokenizer().Chat(prompt, reply, nil)
			if err != nil {
				t.Fatal(err)
			}
			short, err := plain.Tokenizer().Raw(prompt, " "+reply)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text, short)
		}
	}
	long, err := plain.Tokenizer().Raw("Once", strings.Repeat("A text of some length, whose keys need much room. ", 40))
	if err != nil {
		t.Fatal(err)
	}
	long.Reply = 1
	want := scores(t, plain, texts...)
	for _, m := range []struct {
		name  string
		model *logprob.Model
	}{{"plain", plain}, {"keeping prompts", keeps}} {
		for _, size := range []int{1, 3, 8, len(texts)} {
			var got []logprob.Result
			for from := 0; from < len(texts); from += size {
				to := min(from+size, len(texts))
				group := append(slices.Clone(texts[from:to]), long)[:to-from+min(1, size/8)] // some with a long text
				got = append(got, scores(t, m.model, group...)[:to-from]...)
			}
			sameBits(t, fmt.Sprintf("%s, %d at a time", m.name, size), m.model, got, want)
		}
	}
}

// sameBits compares scores of the same texts in different batches, as exactly as
// BatchInvariant says.
func sameBits(t *testing.T, name string, m *logprob.Model, got, want []logprob.Result) {
	t.Helper()
	invariant, err := m.BatchInvariant()
	if err != nil {
		t.Fatal(err)
	}
	bound := 2e-5 // of a value's size, where it is above 1
	if invariant {
		bound = 0
	}
	most, same, n := 0.0, 0, 0
	for i, s := range got {
		for j, v := range s.LogProbs {
			w := want[i].LogProbs[j]
			most = max(most, math.Abs(float64(v-w))/max(1, math.Abs(float64(w))))
			n++
			if v == w {
				same++
			}
		}
	}
	t.Logf("%s: batch-invariant: %v; %d of %d are the same bits, largest difference %.2g", name, invariant, same, n, most)
	if !(most <= bound) {
		t.Errorf("%s: largest difference %.2g, wanted at most %.2g", name, most, bound)
	}
}

// TestCompanyFamilies is TestCompany for tiny models whose attention differs from SmolLM2's:
// soft-capped and windowed, with a key for each query, and with experts that take rows in tiles.
func TestCompanyFamilies(t *testing.T) {
	all := backends(t)
	backend := all[len(all)-1]
	for _, name := range []string{"gemma2-base", "gpt2-plain", "olmoe-clip"} {
		m := load(t, "testdata/families/"+name, backend, dtypes.Float32)
		rng := rand.New(rand.NewPCG(4, 4))
		texts := randomTexts(rng, 60, min(m.MaxTokens(), 80), m.VocabSize())
		together := scores(t, m, texts...)
		var alone []logprob.Result
		for _, text := range texts {
			alone = append(alone, scores(t, m, text)...)
		}
		sameBits(t, name, m, alone, together)
	}
}

// encodeAs encodes a raw prompt, or a chat: its only user turn by Chat, a longer one as
// Render gives it (SmolLM2 has no BOS that Raw could add).
func encodeAs(t *testing.T, tok *tokenize.Tokenizer, prompt string, chat []tokenize.Message, reply, rendered string) tokenize.Encoded {
	t.Helper()
	var text tokenize.Encoded
	var err error
	switch {
	case len(chat) == 1:
		text, err = tok.Chat(chat[0].Content, reply, nil)
	case len(chat) > 1:
		if prompt, err = tok.Render(chat, nil); err != nil {
			break
		}
		fallthrough
	default:
		text, err = tok.Raw(prompt, reply)
	}
	if err != nil {
		t.Fatal(err)
	}
	if text.Rendered != rendered {
		t.Errorf("rendered %q, wanted %q", text.Rendered, rendered)
	}
	return text
}
