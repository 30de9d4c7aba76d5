package cli

import (
	"encoding/json"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestDescribe: the sum is sha256sum's of the demo's chat template; what the flags say of texts is recorded, as far as a rendering heeds it.
func TestDescribe(t *testing.T) {
	_, tuned, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := NewFlags("p", "", "")
	var models ModelFlags
	f.String("base-as", "", "")
	models.Register(f)
	args := []string{"-backend", "go", "-bos", "add", "-base-bos", "none", "-system", "Be brief.", "-var", "thinking=false", "-var", `list={"b": [1, 2.50], "a": null}`, "-var", "name=A & B", "-date", "2026-01-31", "-template", "default"}
	if err := f.Parse(args, io.Discard); err != nil {
		t.Fatal(err)
	}
	loader, err := models.Loader(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	m, err := loader.Load(t.Context(), tuned)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flag, as, want string }{
		{"tuned-as", "chat", `{"rendering":"chat","date":"2026-01-31","bos":"add","system":"Be brief.","template_vars":{"list":{"b":[1,2.50],"a":null},"name":"A \u0026 B","thinking":false},` +
			`"template":"c4b949bca331afa7cf5dd66ef647890be7648ff538b969e1678f0131ca35654d"}`},
		{"base-as", "raw", `{"rendering":"raw","bos":"none"}`},
	} {
		var meta logprob.Meta
		(&Model{Model: m, As: c.as, loader: loader, flag: c.flag}).Describe(&meta)
		b, err := json.Marshal(meta)
		if err != nil || string(b) != c.want {
			t.Errorf("%s: %s %v, wanted %s", c.flag, b, err, c.want)
		}
	}
	o, err := loader.reads(m, "m", "tuned-as", "chat", "")
	if err != nil || o.System != "Be brief." || !o.Date.Equal(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)) || o.Template != m.Tokenizer().Template() {
		t.Errorf("%+v %v", o, err)
	}
}

// TestTextFlags: values that cannot be meant.
func TestTextFlags(t *testing.T) {
	for _, c := range []struct {
		flags textFlags
		want  string
	}{
		{textFlags{BOS: "yes"}, `-bos "yes", wanted auto, add, none or extra`},
		{textFlags{BaseBOS: "no"}, `-base-bos "no", wanted auto, add, none or extra`},
		{textFlags{Date: "31.1.2026"}, `-date "31.1.2026", wanted a date such as 2024-07-26`},
		{textFlags{Template: filepath.Dir(t.TempDir())}, ""}, // a folder
	} {
		if _, err := c.flags.check(); err == nil || c.want != "" && err.Error() != c.want {
			t.Errorf("%+v: error %v, wanted %s", c.flags, err, c.want)
		}
	}
	for _, value := range []string{"", "=1", "a-b=1", "a", "a=2"} {
		v := variables{"a": "1"}
		if err := v.Set(value); err == nil {
			t.Errorf("%q is taken", value)
		}
	}
	var v variables
	for _, s := range []string{"a=1", "_b=", "c=x=y", `d="é"`} {
		if err := v.Set(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	if got := v.String(); got != `{"_b":"","a":1,"c":"x=y","d":"é"}` {
		t.Errorf("got %s", got)
	}
}
