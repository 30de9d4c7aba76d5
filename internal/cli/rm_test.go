//go:build !nodaulet

package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/demo"
)

// TestRMFlags: which flags of a reward model are taken.
func TestRMFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"-rm m", ""},
		{"-rm m -output column=1 -pooling hf-old -rm-as raw -normalize", ""},
		{"-pooling hf", "-pooling is about a reward model, wanted -rm"},
		{"-normalize", "-normalize is about a reward model, wanted -rm"},
		{"-rm m -pooling first", `-pooling "first", wanted last, hf or hf-old`},
		{"-rm m -rm-as text", `-rm-as "text", wanted chat, raw or ended`},
		{"-rm m -rm-as raw -system x", "-system is about chats, and every prompt is read raw: wanted a rendering as chat"},
	} {
		f := NewFlags("p", "", "")
		var r RMFlags
		r.Register(f)
		if err := f.Parse(strings.Fields(c.args), io.Discard); err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := r.Check(f); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, wanted %q", c.args, got, c.want)
		}
	}
	f := NewFlags("p", "", "")
	var p PairFlags
	var r RMFlags
	p.Register(f)
	r.RegisterRM(f)
	if err := f.Parse(strings.Fields("-rm m -rm-as raw -system x"), io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := r.Check(f); err != nil { // the pair's chats may have it
		t.Error(err)
	}
}

// loadRM loads a reward model by flags, and returns what is said of it.
func loadRM(t *testing.T, args ...string) (*RM, string, error) {
	t.Helper()
	f := NewFlags("p", "", "")
	var r RMFlags
	r.Register(f)
	if err := f.Parse(append([]string{"-backend", "go"}, args...), io.Discard); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	l, err := r.Loader(&b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	m, err := l.RM(t.Context(), &r)
	return m, b.String(), err
}

func TestRM(t *testing.T) {
	dir, err := demo.Pair{Name: "llama"}.ExtractRM(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m, said, err := loadRM(t, "-rm", dir, "-bos", "extra", "-system", "Be kind.", "-template", "default")
	if err != nil {
		t.Fatal(err)
	}
	if want := dir + `: linear head (score.weight [1 64]), output "LABEL_0"; pooling last; chat, BOS extra (as chosen)` + "\n"; said != want {
		t.Errorf("said %q, wanted %q", said, want)
	}
	meta, err := m.Meta(t.Context())
	if err != nil || meta.Model != dir || meta.BOS != "extra" || meta.System != "Be kind." || meta.Rendering != "chat" || len(meta.Template) != 64 || meta.WeightsHash == "" {
		t.Errorf("%+v, %v", meta, err)
	}
	for s, err := range rewardmodel.Scores(t.Context(), m, slices.Values([]implicit.Item{{Prompt: "What?", Reply: "freedom"}})) {
		if err != nil || s.Err != nil || !strings.Contains(s.Text.Rendered, "Be kind.") {
			t.Errorf("%+v, %v", s, err)
		}
	}
	if _, said, err = loadRM(t, "-rm", dir, "-rm-as", "raw"); err != nil || !strings.Contains(said, "raw, BOS auto (plain text") {
		t.Errorf("%q, %v", said, err)
	}

	_, tuned, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	heads := "../../implicit/rewardmodel/testdata/"
	bare := t.TempDir() // the reward model without its template
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(bare, name), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-rm", tuned}, "no head: wanted score.weight [n 64]"},
		{[]string{"-rm", tuned}, "(-output token=ID)"},
		{[]string{"-rm", heads + "families/llama-three"}, ": choose with -output"},
		{[]string{"-rm", dir, "-output", "helpful"}, `no output "helpful", wanted one of "LABEL_0" (column=0)`},
		{[]string{"-rm", dir, "-normalize"}, "config.json has no mean and std"},
		{[]string{"-rm", dir, "-template", "nowhere"}, "-template nowhere: no file, and no template"},
		{[]string{"-rm", bare}, "-rm-as raw needs none"},
	} {
		if _, _, err := loadRM(t, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, wanted %q", c.args, err, c.want)
		}
	}
	if _, _, err := loadRM(t, "-rm", tuned, "-output", "token=5"); err != nil {
		t.Error(err)
	}
}
