package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/demo"
)

// changed is a copy of the demo's tuned llama whose JSON file of that name has other members;
// nil takes one out.
func changed(t *testing.T, tuned, file string, members map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tuned)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, file)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		if value == nil {
			delete(all, name)
		} else {
			all[name] = value
		}
	}
	if b, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

var (
	rewardOf = regexp.MustCompile(`reward \(beta = 1\): (\S+)`)
	textOf   = regexp.MustCompile(`text: +(".*")\n +prompt: \d+ tokens: (\d+):`)
)

// TestText: what the flags say of the text, and what they advise where they are needed.
func TestText(t *testing.T) {
	base, tuned, err := demo.Pair{Name: "llama"}.Extract(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config := func(members map[string]any) string { return changed(t, tuned, "tokenizer_config.json", members) }
	const template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if thinking is defined %}{{ thinking }}{% endif %}"
	list := config(map[string]any{"chat_template": []map[string]string{{"name": "tool_use", "template": template}}})
	dated := config(map[string]any{"chat_template": template + "{{ strftime_now('%d %B %Y') }}"})
	without := config(map[string]any{"chat_template": nil})
	bare := config(map[string]any{"chat_template": strings.TrimPrefix(template, "{{ bos_token }}")})
	// As DeepSeek-R1-Distill-Qwen: the class asks for a BOS that tokenizer.json does not add.
	byClass := changed(t, config(map[string]any{"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": true}), "tokenizer.json", map[string]any{"post_processor": nil})
	other := filepath.Join(t.TempDir(), "other.jinja")
	if err := os.WriteFile(other, []byte("{{ bos_token }}other: {{ messages[0].content }}"), 0o644); err != nil {
		t.Fatal(err)
	}
	ask := func(args ...string) (text, first, reward, stderr string) {
		t.Helper()
		stdout, stderr, _ := call(t, append([]string{"-base", base, "-prompt", "Hi", "-reply", "Love"}, args...)...)
		if m := textOf.FindStringSubmatch(stdout); m != nil {
			text, first = m[1], m[2]
		}
		if m := rewardOf.FindStringSubmatch(stdout); m != nil {
			reward = m[1]
		}
		return text, first, reward, stderr
	}
	const bos = "622" // <|begin_of_text|>; "39" is "H"
	_, _, raw, _ := ask("-tuned", tuned, "-tuned-as", "raw")
	for _, c := range []struct {
		args                []string
		text, first, reward string
	}{
		{[]string{"-tuned", list, "-tuned-as", "raw"}, `"HiLove"`, bos, raw},
		{[]string{"-tuned", list, "-template", "tool_use"}, `"<|begin_of_text|>[user]HiLove"`, bos, ""},
		{[]string{"-tuned", list, "-template", other}, `"<|begin_of_text|>other: HiLove"`, bos, ""},
		{[]string{"-tuned", dated, "-date", "2026-01-31"}, `"<|begin_of_text|>[user]Hi31 January 2026Love"`, bos, ""},
		{[]string{"-tuned", without, "-tuned-as", "raw"}, `"HiLove"`, bos, raw},
		{[]string{"-tuned", byClass, "-tuned-as", "raw", "-bos", "add"}, `"HiLove"`, bos, raw},
		{[]string{"-tuned", byClass, "-tuned-as", "raw", "-bos", "none", "-base-bos", "auto"}, `"HiLove"`, "39", ""},
		{[]string{"-tuned", tuned, "-tuned-as", "raw", "-bos", "none", "-base-bos", "auto"}, `"HiLove"`, "39", ""},
		{[]string{"-tuned", list, "-template", "tool_use", "-system", "Be brief."}, `"<|begin_of_text|>[system]Be brief.[user]HiLove"`, bos, ""},
		{[]string{"-tuned", list, "-template", "tool_use", "-var", "thinking=false"}, `"<|begin_of_text|>[user]HiFalseLove"`, bos, ""},
		{[]string{"-tuned", list, "-template", "tool_use", "-var", "thinking=no way"}, `"<|begin_of_text|>[user]Hino wayLove"`, bos, ""},
		{[]string{"-tuned", bare, "-bos", "add"}, `"[user]HiLove"`, bos, ""},
	} {
		text, first, reward, stderr := ask(c.args...)
		if text != c.text || first != c.first || reward == "" || c.reward != "" && reward != c.reward || stderr != "" {
			t.Errorf("%v: text %s, first token %s, reward %q, wanted %s, %s, %q; stderr %q", c.args, text, first, reward, c.text, c.first, c.reward, stderr)
		}
	}
	text, first, _, stderr := ask("-tuned", bare)
	if text != `"[user]HiLove"` || first == bos || stderr != bare+": its chat template writes no <|begin_of_text|>, with which other text of this model begins: none is added, as in transformers (-bos add adds it)\n" {
		t.Errorf("a template without BOS: text %s, first token %s, stderr %q", text, first, stderr)
	}
	for _, c := range []struct {
		args []string
		want string // the end of the error
	}{
		{[]string{"-tuned", list}, `none of them is named default, but ["tool_use"]: -tuned-as raw needs none, -template takes a name or a file`},
		{[]string{"-tuned", list, "-template", "rag"}, `-template rag: no file, and no template of the checkpoint, which has ["tool_use"]`},
		{[]string{"-tuned", dated}, "wanted a date: -date 2026-01-31 gives it that one"},
		{[]string{"-tuned", without}, "-tuned-as raw needs none, -template takes a name or a file"},
		{[]string{"-tuned", byClass, "-tuned-as", "raw"}, "choose with -bos add or -bos none"},
		{[]string{"-tuned", tuned, "-base", byClass}, "choose with -base-bos add or -base-bos none (-bos for both models)"},
		{[]string{"-tuned", tuned, "-bos", "some"}, "-bos \"some\", wanted auto, add, none or extra\nexplain -h lists the flags"},
		{[]string{"-tuned", tuned, "-base-bos", "some"}, "-base-bos \"some\", wanted auto, add, none or extra\nexplain -h lists the flags"},
		{[]string{"-tuned", tuned, "-var", "enable-thinking=1"}, "wanted name=value, such as enable_thinking=false\nexplain -h lists the flags"},
		{[]string{"-tuned", tuned, "-var", "x=1", "-var", "x=2"}, "the variable x is set already\nexplain -h lists the flags"},
		{[]string{"-tuned", tuned, "-var", "messages=1"}, "it is set already, wanted another name"},
		{[]string{"-tuned", tuned, "-tuned-as", "raw", "-system", "x"}, "-system is about chats, and every prompt is read raw: wanted a rendering as chat\nexplain -h lists the flags"},
	} {
		if _, _, reward, stderr := ask(c.args...); reward != "" || !strings.HasSuffix(stderr, c.want+"\n") || strings.Contains(stderr, "ChatOptions") || strings.Contains(stderr, "Raw") {
			t.Errorf("%v: reward %q, stderr %q, wanted ... %s", c.args, reward, stderr, c.want)
		}
	}
}
