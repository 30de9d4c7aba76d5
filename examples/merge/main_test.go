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
	out := filepath.Join(t.TempDir(), "merged")
	const name = testdata + "families/llama-mha+" + testdata + "adapters/llama-plain"
	for _, c := range []struct {
		args []string
		want string // of the error, or else the end of what is said
	}{
		{[]string{"-model", name}, "-out"},
		{[]string{"-out", out}, "-model"},
		{[]string{"-model", testdata + "families/llama-mha", "-out", out}, "wanted BASE+ADAPTER"},
		{[]string{"-model", name, "-out", out, "-dtype", "f8"}, "wanted auto, f32, bf16 or f16"},
		{[]string{"-model", testdata + "families/llama-mha+" + testdata + "adapters/refused-pissa", "-out", out}, "init_lora_weights"},
		{[]string{"-model", name, "-out", testdata + "families/llama-mha", "-force"}, "would be replaced, which is read"},
		{[]string{"-model", name, "-out", out}, ""},
		{[]string{"-model", name, "-out", out}, "exists, wanted a new folder"},
		{[]string{"-model", name, "-out", out, "-force", "-dtype", "bf16"}, ""},
	} {
		var stderr strings.Builder
		err := run(t.Context(), strings.NewReader(""), io.Discard, &stderr, c.args)
		switch {
		case c.want == "" && (err != nil || !strings.HasSuffix(stderr.String(), out+": "+name+", merged\n")):
			t.Errorf("%q: %v, said %q", c.args, err, stderr.String())
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%q: %v, wanted an error with %q", c.args, err, c.want)
		}
	}
	if _, err := os.Stat(out + ".part"); err == nil {
		t.Error("a half-written folder is left")
	}
	m, err := logprob.Load(t.Context(), out, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if meta, err := m.Meta(t.Context()); err != nil || meta.DType != "bf16" {
		t.Errorf("%+v, %v, wanted a model in bfloat16", meta, err)
	}
}
