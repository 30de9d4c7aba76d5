package logprob_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// TestGivenTokenizer: a folder's tokenizer stands in for the checkpoint's, and for an adapter's;
// a folder without one is an error, and a GGUF file without one says why its own is not read.
func TestGivenTokenizer(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	base, _, err := demo.Pairs()[0].Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bare, adapter := t.TempDir(), t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(base, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(bare, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	load := func(dir, tokenizer, adapter string) (*logprob.Model, error) {
		m, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: pureGo(t), Tokenizer: tokenizer, Adapter: adapter})
		if err == nil {
			t.Cleanup(func() { m.Close() })
		}
		return m, err
	}
	m, err := load(base, "", "")
	if err != nil {
		t.Fatal(err)
	}
	want := m.Tokenizer().Hash()
	writeAdapter(t, m, adapter)
	if tok, err := logprob.LoadTokenizer(base); err != nil || tok == nil || tok.Hash() != want {
		t.Errorf("tokenizer alone: %v, %v", tok, err)
	} else if err := tok.Close(); err != nil {
		t.Error(err)
	}
	if tok, err := logprob.LoadTokenizer(bare); err != nil || tok != nil {
		t.Errorf("tokenizer alone of a folder without one: %v, %v", tok, err)
	}
	if m, err = load(bare, "", ""); err != nil || m.Tokenizer() != nil {
		t.Fatalf("tokenizer %v, %v, wanted none", m.Tokenizer(), err)
	}
	for _, with := range []string{"", adapter} {
		if m, err = load(bare, base, with); err != nil {
			t.Fatal(err)
		}
		if meta, err := m.Meta(t.Context()); err != nil || m.Tokenizer() == nil || meta.TokenizerHash != want {
			t.Errorf("adapter %q: tokenizer %v of hash %s, %v, wanted that of the folder", with, m.Tokenizer(), meta.TokenizerHash, err)
		}
	}
	if _, err := load(bare, bare, ""); err == nil || !strings.Contains(err.Error(), bare+": no tokenizer.json, wanted one") {
		t.Errorf("a folder without a tokenizer: %v", err)
	}
	if m, err = load("testdata/quantised/gguf-qwen3", "", ""); err != nil {
		t.Fatal(err)
	}
	if err := m.NoTokenizer(); err == nil || !strings.Contains(err.Error(), "no tokenizer.json beside model.gguf") || !strings.Contains(err.Error(), `its tokenizer: tokenizer.ggml.model "", wanted gpt2`) {
		t.Errorf("a GGUF file without a tokenizer: %v", err)
	}
}

// TestOwnTokenizer: a GGUF file's own tokenizer gives texts the ids that the folder's gives, of
// which it was made, also beside an adapter; an adapter's folder may have that folder's files, and
// none with other tokens.
func TestOwnTokenizer(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	const from, files = "testdata/quantised/gguf-qwen2", "../tokenize/testdata/qwen2"
	want, err := tokenize.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	m := load(t, from, pureGo(t), dtypes.Float32)
	plain, with, other := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{plain, with, other} {
		writeAdapter(t, m, dir)
	}
	for dir, files := range map[string]string{with: files, other: "../tokenize/testdata/smollm2"} {
		for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
			b, err := os.ReadFile(filepath.Join(files, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	models := []*logprob.Model{m}
	for _, dir := range []string{plain, with} {
		adapted, err := m.WithAdapter(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer adapted.Close()
		models = append(models, adapted)
	}
	for i, m := range models {
		got, err := m.Tokenizer().Raw("Wie geht", " es 1234 d\u00e9j\u00e0 vu?<|im_end|>")
		ids, other := want.Raw("Wie geht", " es 1234 d\u00e9j\u00e0 vu?<|im_end|>")
		if err != nil || other != nil || !reflect.DeepEqual(got, ids) {
			t.Errorf("model %d: %v, %v; wanted %v, %v", i, got, err, ids, other)
		}
	}
	if a, b := models[0].Tokenizer().Template(), want.Template(); a != b {
		t.Errorf("template %q, wanted %q", a, b)
	}
	if _, err := m.WithAdapter(t.Context(), other, nil); err == nil || !strings.Contains(err.Error(), "the adapter's tokenizer is not the base model's") {
		t.Errorf("an adapter of other tokens: %v", err)
	}
}
