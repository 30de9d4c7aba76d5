package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/logprob"
)

const testdata = "../../logprob/testdata/"

// TestMerge: the program writes a folder that loads as a model, says so, and refuses wrong use.
func TestMerge(t *testing.T) {
	out, decoded := filepath.Join(t.TempDir(), "merged"), filepath.Join(t.TempDir(), "decoded")
	const name = testdata + "families/llama-mha+" + testdata + "adapters/llama-plain"
	const file = testdata + "quantised/gguf-qwen2/model.gguf"
	for _, c := range []struct {
		args []string
		want string // of the error, or else the end of what is said
	}{
		{[]string{"-model", name}, "-out"},
		{[]string{"-out", out}, "-model"},
		{[]string{"-model", testdata + "families/llama-mha", "-out", out}, "nothing to merge or to decode, wanted an adapter or another type"},
		{[]string{"-model", name, "-out", out, "-dtype", "f8"}, "wanted auto, f32, bf16 or f16"},
		{[]string{"-model", testdata + "families/llama-mha+" + testdata + "adapters/refused-pissa", "-out", out}, "init_lora_weights"},
		{[]string{"-model", name, "-out", testdata + "families/llama-mha", "-force"}, "would be replaced, which is read"},
		{[]string{"-model", name, "-out", out}, ""},
		{[]string{"-model", name, "-out", out}, "exists, wanted a new folder"},
		{[]string{"-model", name, "-out", out, "-force", "-dtype", "bf16"}, ""},
		{[]string{"-model", file, "-out", decoded, "-dtype", "bf16"}, decoded + ": " + file + ", decoded\n"},
	} {
		var stderr strings.Builder
		err := run(t.Context(), strings.NewReader(""), io.Discard, &stderr, c.args)
		switch {
		case c.want == "" && (err != nil || !strings.HasSuffix(stderr.String(), out+": "+name+", merged\n")):
			t.Errorf("%q: %v, said %q", c.args, err, stderr.String())
		case err == nil && c.want != "" && strings.HasSuffix(stderr.String(), c.want):
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, wanted an error with %q", c.args, err, c.want)
		}
	}
	if _, err := os.Stat(out + ".part"); err == nil {
		t.Error("a half-written folder is left")
	}
	for _, dir := range []string{out, decoded} {
		m, err := logprob.Load(t.Context(), dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if meta, err := m.Meta(t.Context()); err != nil || meta.DType != "bf16" {
			t.Errorf("%+v, %v, wanted a model in bfloat16", meta, err)
		}
	}
}
