//go:build !nodaulet

package rewardmodel

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/tokenize"
)

// renumbered loads a tokenizer of tokenize/testdata in which some tokens have the ids of the
// published one; merges are added where a token needs them.
func renumbered(t *testing.T, name, template string, ids map[string]int, merges ...string) *tokenize.Tokenizer {
	t.Helper()
	from := filepath.Join("../../tokenize/testdata", name)
	var file map[string]any
	read := func(name string, to any) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = json.Unmarshal(b, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	read("tokenizer.json", &file)
	model := file["model"].(map[string]any)
	vocab := model["vocab"].(map[string]any)
	next := 300000
	for token, id := range ids {
		for other, at := range vocab {
			if at == float64(id) {
				vocab[other] = float64(next)
				next++
			}
		}
		vocab[token] = float64(id)
	}
	var first []any // before the file's own
	for _, m := range merges {
		a, b, _ := strings.Cut(m, " ")
		if vocab[a+b] == nil {
			vocab[a+b] = float64(next)
			next++
		}
		first = append(first, []any{a, b})
	}
	model["merges"] = append(first, model["merges"].([]any)...)
	for _, a := range file["added_tokens"].([]any) {
		a := a.(map[string]any)
		content := a["content"].(string)
		if vocab[content] == nil {
			vocab[content] = a["id"]
		}
		a["id"] = vocab[content]
	}
	var config map[string]any
	read("tokenizer_config.json", &config)
	if template != "" {
		config["chat_template"] = template
	}
	dir := t.TempDir()
	for name, v := range map[string]any{"tokenizer.json": file, "tokenizer_config.json": config} {
		b, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenize.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	return tok
}

// TestEndOfTurn: the pattern that a gate looks for is the one that the models' own code has as
// numbers (ArmoRM's and QRM's modeling_custom.py, token_pattern).
func TestEndOfTurn(t *testing.T) {
	llama := renumbered(t, "llama3", "", map[string]int{"<|eot_id|>": 128009, "<|start_header_id|>": 128006, "<|end_header_id|>": 128007, "assistant": 78191, "ĊĊ": 271})
	gemma := renumbered(t, "gemma", "", map[string]int{"<end_of_turn>": 107, "<start_of_turn>": 106, "\n": 108, "model": 2516}, "m o", "mo d", "mod e", "mode l")
	for _, c := range []struct {
		tok  *tokenize.Tokenizer
		want []int32
	}{
		{llama, []int32{128009, 128006, 78191, 128007, 271}},
		{gemma, []int32{107, 108, 106, 2516, 108}},
	} {
		got, err := endOfTurn(c.tok, tokenize.ChatOptions{})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v, %v, wanted %v", got, err, c.want)
		}
	}
	for template, want := range map[string]string{
		"{% for m in messages %}{{ m.content }}{% endfor %}":                                             "writes nothing between",
		"Hi {% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{% endif %}{% endfor %}": "does not write the user's message",
		"{{ 1 }}": "the end of the user's turn",
	} {
		if _, err := endOfTurn(llama, tokenize.ChatOptions{Template: template}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, wanted %q", template, err, want)
		}
	}
}

// TestKnown finds models by every way in which they are named.
func TestKnown(t *testing.T) {
	for _, name := range []string{
		"Ray2333/GRM-gemma2-2B-rewardmodel-ft", "Ray2333/GRM-gemma2-2B-rewardmodel-ft@abc", "models/GRM-gemma2-2B-rewardmodel-ft", "GRM-gemma2-2B-rewardmodel-ft",
		"cache/hub/models--Ray2333--GRM-gemma2-2B-rewardmodel-ft/snapshots/0123", "Ray2333/another", "Oxford-HIPlab/any@step-100", "cache/models--Oxford-HIPlab--any/snapshots/0",
	} {
		if k := knownModel(name, "somewhere"); k.bos != tokenize.BOSExtra || k.why == "" {
			t.Errorf("%s: %+v, wanted two BOS", name, k)
		}
	}
	if k := knownModel("x", "cache/models--sfairXC--FsfairX-LLaMA3-RM-v0.1/snapshots/0"); !k.drop {
		t.Errorf("FsfairX: %+v", k)
	}
	for _, name := range []string{"", "/", "x", "testdata/heads/armorm", "Ray2333", "Skywork", "GRM", "../.."} {
		if k := knownModel(name, name); k.why != "" {
			t.Errorf("%q is taken for a known model: %+v", name, k)
		}
	}
	for id, k := range knownModels {
		if k.why == "" || len(k.labels) != 0 && len(k.labels) != 5 && len(k.labels) != 19 {
			t.Errorf("%s: %+v", id, k)
		}
	}
}

// demoRM extracts the demo's reward model to a folder of that name.
func demoRM(t *testing.T, pair demo.Pair, name string) string {
	t.Helper()
	dir, err := pair.ExtractRM(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), name)
	if err := os.Rename(dir, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// edit changes a file of a folder.
func edit(t *testing.T, path string, change ...string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(change...).Replace(string(b))
	if text == string(b) {
		t.Fatalf("%s: nothing to change in %q", path, b)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestBOS: each model reads the BOS of its own way, or the chosen one, and says so.
func TestBOS(t *testing.T) {
	for _, pair := range demo.Pairs() {
		for _, c := range []struct {
			name   string
			bos    tokenize.BOS
			silent bool // the template writes no BOS
			count  int
			meta   string
		}{
			{"rm", tokenize.BOSAuto, false, 1, "add"},
			{"rm", tokenize.BOSAuto, true, 1, "add"},
			{"rm", tokenize.BOSNone, true, 0, "none"},
			{"rm", tokenize.BOSNone, false, 1, "none"},
			{"rm", tokenize.BOSExtra, false, 2, "extra"},
			{"GRM-Llama3-8B-rewardmodel-ft", tokenize.BOSAuto, false, 2, "extra"},
			{"GRM-Llama3-8B-rewardmodel-ft", tokenize.BOSAuto, true, 1, "extra"},
			{"GRM-Llama3-8B-rewardmodel-ft", tokenize.BOSAdd, false, 1, "add"},
			{"ArmoRM-Llama3-8B-v0.1", tokenize.BOSAuto, true, 0, "auto"},
			{"FsfairX-LLaMA3-RM-v0.1", tokenize.BOSAuto, false, 0, "removed"},
			{"FsfairX-LLaMA3-RM-v0.1", tokenize.BOSAuto, true, 0, "removed"},
		} {
			dir := demoRM(t, pair, c.name)
			if c.silent {
				edit(t, filepath.Join(dir, "tokenizer_config.json"), "{{- bos_token }}", "", "{{ bos_token }}", "")
			}
			m, err := load(t, dir, &Options{Chat: &tokenize.ChatOptions{BOS: c.bos}})
			if err != nil {
				t.Fatal(err)
			}
			text, err := m.Encode(implicit.Item{Prompt: "What?", Reply: "freedom"})
			if err != nil {
				t.Fatal(err)
			}
			bos, _ := m.Tokenizer().BOS()
			count := 0
			for _, id := range text.IDs {
				if id == bos {
					count++
				}
			}
			meta, err := m.Meta(t.Context())
			if err != nil || count != c.count || meta.BOS != c.meta || !strings.Contains(m.Chosen(), "BOS "+c.meta+" (") {
				t.Errorf("%s %s, bos %s: %d BOS, meta %q, %q, %v, wanted %d, %s", pair.Name, c.name, c.bos, count, meta.BOS, m.Chosen(), err, c.count, c.meta)
			}
			if got := text.Rendered[text.Start:]; !strings.HasPrefix(got, "freedom") || len(text.Spans) != len(text.IDs) || text.Spans[text.Reply][0] > text.Start || text.Spans[text.Reply][1] <= text.Start {
				t.Errorf("%s %s: the reply is %q from token %d of %v", pair.Name, c.name, got, text.Reply, text.Spans)
			}
		}
	}
}

// TestUnsureBOS: where versions of transformers disagree about the tokenizer's BOS, the
// template's decides, and without one the user must.
func TestUnsureBOS(t *testing.T) {
	dir := demoRM(t, demo.Pairs()[0], "rm")
	edit(t, filepath.Join(dir, "tokenizer_config.json"), "PreTrainedTokenizerFast", "GPTNeoXTokenizer")
	m, err := load(t, dir, nil)
	if err != nil || !strings.Contains(m.Chosen(), "BOS auto (the one that the template writes") {
		t.Fatal(err)
	}
	edit(t, filepath.Join(dir, "tokenizer_config.json"), "{{- bos_token }}", "", "{{ bos_token }}", "")
	if _, err := load(t, dir, nil); !errors.Is(err, tokenize.ErrBOS) {
		t.Errorf("error %v, wanted ErrBOS", err)
	}
	if _, err := load(t, dir, &Options{Chat: &tokenize.ChatOptions{BOS: tokenize.BOSAdd}}); err != nil {
		t.Error(err)
	}
}

// TestRaw: plain text is prompt and reply as they stand; a gated head needs the template's end
// of a turn in it.
func TestRaw(t *testing.T) {
	m, err := load(t, demoRM(t, demo.Pairs()[0], "rm"), &Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.Encode(implicit.Item{Prompt: "What? ", Reply: "freedom"})
	if err != nil || text.Rendered != "What? freedom" || text.Start != 6 {
		t.Errorf("%+v, %v", text, err)
	}
	if f := m.Facts(); f.Rendering != "raw" || f.BOS != "auto" {
		t.Errorf("%+v", f)
	}
	if _, err := m.Encode(implicit.Item{Messages: []tokenize.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}, {Role: "user", Content: "c"}}, Reply: "x"}); err == nil {
		t.Error("a conversation as plain text, and no error")
	}
	gate, err := load(t, "testdata/heads/armorm", &Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gate.Encode(implicit.Item{Prompt: "What? ", Reply: "freedom"}); err == nil || !strings.Contains(err.Error(), "end of a user's turn") {
		t.Errorf("a text without the end of a turn: %v", err)
	}
	if _, err := gate.Encode(implicit.Item{Prompt: "What?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", Reply: "freedom"}); err != nil {
		t.Error(err)
	}
	for _, err := range gate.Run(t.Context(), slices.Values([]tokenize.Encoded{{IDs: []int32{1, 2, 3}}})) {
		if err == nil || !strings.Contains(err.Error(), "text 0: it holds no end of a user's turn") {
			t.Errorf("run: %v", err)
		}
	}
}

// TestPad: a pad token that ends texts is a warning, and the texts that transformers pools
// otherwise are flagged.
func TestPad(t *testing.T) {
	dir := demoRM(t, demo.Pairs()[0], "rm")
	m, err := load(t, dir, nil)
	if err != nil || len(m.Warnings()) > 0 {
		t.Fatal(err, m.Warnings())
	}
	eos, _, err := m.Tokenizer().Encode("<|eot_id|>")
	if err != nil || len(eos) != 1 {
		t.Fatal(eos, err)
	}
	m.Close()
	var config map[string]any
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(b, &config)
	}
	config["pad_token_id"] = eos[0]
	if b, err2 := json.Marshal(config); err == nil {
		err = err2
		os.WriteFile(filepath.Join(dir, "config.json"), b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	at := map[Pooling]int{}
	for _, p := range []Pooling{Last, HF, HFOld} {
		m, err := load(t, dir, &Options{Pooling: p})
		if err != nil {
			t.Fatal(err)
		}
		if w := m.Warnings(); len(w) != 1 || !strings.Contains(w[0].Error(), "pooling "+p.String()+" is chosen") {
			t.Errorf("warnings %v", w)
		}
		for s, err := range Scores(t.Context(), m, slices.Values([]implicit.Item{{Prompt: "What?", Reply: "freedom"}})) {
			if err != nil || s.Err != nil || !slices.Contains(s.Flags(), FlagPooling) {
				t.Fatal(err, s.Err, s.Flags())
			}
			at[p] = s.Position
			if p == Last && s.Position != len(s.Text.IDs)-1 {
				t.Errorf("position %d of %d", s.Position, len(s.Text.IDs))
			}
		}
	}
	if at[HF] != at[Last]-1 || at[HFOld] >= at[HF]-3 { // the token before the last, and one of the prompt
		t.Errorf("positions %v", at)
	}
}

// TestChat: what a template needs is asked for, and its options reach it.
func TestChat(t *testing.T) {
	dir := demoRM(t, demo.Pairs()[0], "rm")
	dated := "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}{{ strftime_now('%Y') }}"
	choose := func(*tokenize.Tokenizer) (string, error) { return dated, nil }
	if _, err := load(t, dir, &Options{Template: choose}); err == nil || !strings.Contains(err.Error(), "today's date") {
		t.Errorf("error %v, wanted one about the date", err)
	}
	m, err := load(t, dir, &Options{Template: choose, Chat: &tokenize.ChatOptions{Date: time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC), System: "Be kind."}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.Encode(implicit.Item{Prompt: "What?", Reply: " freedom"})
	if err != nil || !strings.HasSuffix(text.Rendered, "2025") || !strings.Contains(text.Rendered, "Be kind.") || !text.Trimmed {
		t.Errorf("%+v, %v", text, err)
	}
	if f := m.Facts(); f.Date != "2025-01-02" || f.System != "Be kind." || len(f.Template) != 64 {
		t.Errorf("%+v", f)
	}
}

// TestEnded: a raw text that is ended has the EOS after it, which the head reads; a chat has its
// template's end.
func TestEnded(t *testing.T) {
	for _, pair := range demo.Pairs() {
		dir := demoRM(t, pair, "rm")
		it := implicit.Item{Prompt: "What is it? ", Reply: "Love"}
		var ids [2][]int32
		for i, ended := range []bool{false, true} {
			m, err := load(t, dir, &Options{Raw: true, Ended: ended})
			if err != nil {
				t.Fatal(err)
			}
			text, err := m.Encode(it)
			if err != nil {
				t.Fatal(err)
			}
			ids[i] = text.IDs
			if want := map[bool]string{false: "raw", true: "ended"}[ended]; m.Facts().Rendering != want || !strings.Contains(m.Chosen(), "; "+want+", BOS") {
				t.Errorf("%s: %s, %s, wanted %s", pair.Name, m.Facts().Rendering, m.Chosen(), want)
			}
			if !ended {
				continue
			}
			name, _ := m.Tokenizer().SpecialToken("eos_token")
			end, _, err := m.Tokenizer().Encode(name)
			if err != nil || !slices.Equal(ids[1], append(ids[0], end...)) {
				t.Errorf("%s: ids %v, wanted %v and %v", pair.Name, ids[1], ids[0], end)
			}
			if places, err := m.Places(text.IDs); err != nil || places.Pooled != len(text.IDs)-1 {
				t.Errorf("%s: %+v, %v, wanted the last of %d", pair.Name, places, err, len(text.IDs))
			}
		}
		if _, err := load(t, dir, &Options{Ended: true}); err == nil || !strings.Contains(err.Error(), "an EOS to end chats") {
			t.Errorf("%s: %v, wanted an error about chats", pair.Name, err)
		}
	}
}
