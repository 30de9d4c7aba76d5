//go:build !nodaulet

package tokenize

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The test tokenizers: testdata/make.py makes them and says what each stands for.
var folders = []string{"llama3", "smollm2", "qwen2", "neox", "gemma", "llama2", "mistral"}

func mustLoad(t testing.TB, dir string) *Tokenizer {
	t.Helper()
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	return tok
}

func testdata(t testing.TB, name string) *Tokenizer {
	t.Helper()
	return mustLoad(t, filepath.Join("testdata", name))
}

func readJSON(t testing.TB, path string, to any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, to); err != nil {
		t.Fatal(path, err)
	}
}

// vectors are the results of transformers 5.23.0 on texts.json with a test tokenizer.
type vectors struct {
	IDs     [][]int32
	Decoded []string
	Vocab   [][3]any // id, name, decoded
	Chats   []struct {
		Messages []Message
		Text     string
		IDs      []int32
	}
}

func read(t testing.TB, name string) ([]string, vectors) {
	var texts []string
	var v vectors
	readJSON(t, "testdata/texts.json", &texts)
	readJSON(t, filepath.Join("testdata", name, "vectors.json"), &v)
	return texts, v
}

func TestGolden(t *testing.T) {
	for _, name := range folders {
		t.Run(name, func(t *testing.T) {
			tok := testdata(t, name)
			texts, v := read(t, name)
			for i, s := range texts {
				ids, _, err := tok.encode(s)
				if ids = append(slices.Clone(tok.prefix), ids...); err != nil || !slices.Equal(ids, v.IDs[i]) {
					t.Errorf("%q: ids %v %v, wanted %v", s, ids, err, v.IDs[i])
				}
				if got := tok.Decode(v.IDs[i]...); got != v.Decoded[i] {
					t.Errorf("%q: decoded %q, wanted %q", s, got, v.Decoded[i])
				}
			}
			if tok.VocabSize() != len(v.Vocab) {
				t.Errorf("size %d, wanted %d", tok.VocabSize(), len(v.Vocab))
			}
			i := 0
			for got := range tok.Vocab() {
				want := v.Vocab[i]
				if float64(got.ID) != want[0] || got.Name != want[1] || got.Text != want[2] {
					t.Errorf("token %v, wanted %v", got, want)
				}
				i++
			}
		})
	}
}

// TestGoldenRaw holds Raw to transformers' ids too, where it accepts the text.
func TestGoldenRaw(t *testing.T) {
	for _, name := range folders {
		tok := testdata(t, name)
		texts, v := read(t, name)
		bos, hasBOS := tok.BOS()
		for i, s := range texts {
			text, err := tok.Raw(s, "")
			count := 0
			for _, id := range v.IDs[i] {
				if hasBOS && id == bos {
					count++
				}
			}
			bad := count > 1 || len(v.IDs[i]) == 0
			if bad != (err != nil) {
				t.Errorf("%s: %q: error %v", name, s, err)
			}
			if err == nil && (!slices.Equal(text.IDs, v.IDs[i]) || text.Reply != len(text.IDs) || text.Rendered != s) {
				t.Errorf("%s: %q: %+v, wanted ids %v", name, s, text, v.IDs[i])
			}
		}
	}
}

func TestGoldenChat(t *testing.T) {
	for _, name := range folders {
		tok := testdata(t, name)
		_, v := read(t, name)
		if len(v.Chats) == 0 {
			if _, err := tok.Chat("x", "y", nil); err == nil {
				t.Errorf("%s: a chat without a template", name)
			}
			continue
		}
		for _, c := range v.Chats {
			o := &ChatOptions{} // as apply_chat_template
			user := c.Messages[len(c.Messages)-1]
			if len(c.Messages) == 2 {
				o.System = c.Messages[0].Content
			}
			text, err := tok.Chat(user.Content, "", o)
			if err != nil || text.Rendered != c.Text || !slices.Equal(text.IDs, c.IDs) {
				t.Errorf("%s: %v:\n   got %q %v %v\nwanted %q %v", name, c.Messages, text.Rendered, text.IDs, err, c.Text, c.IDs)
			}
			rendered, err := tok.Render(c.Messages, nil)
			if err != nil || rendered != c.Text {
				t.Errorf("%s: rendered %q %v, wanted %q", name, rendered, err, c.Text)
			}
		}
	}
}

// TestReal is SmolLM2 itself, where it has been fetched.
func TestReal(t *testing.T) {
	dir := "../.deps/models/smollm2-135m-instruct"
	if _, err := os.Stat(filepath.Join(dir, "tokenizer.json")); errors.Is(err, os.ErrNotExist) {
		t.Skip("needs the real model (make real)")
	}
	tok := mustLoad(t, dir)
	if tok.VocabSize() != 49152 {
		t.Errorf("size %d, wanted 49152", tok.VocabSize())
	}
	if _, ok := tok.BOS(); ok {
		t.Error("SmolLM2 puts no BOS before a text")
	}
	// transformers 5.23.0 on the same folder.
	text, err := tok.Raw("What, in one word, is the greatest thing ever?", " Love 1984")
	want := []int32{1780, 28, 281, 582, 2229, 28, 314, 260, 6250, 2775, 2042, 47, 12657, 216, 33, 41, 40, 36}
	if err != nil || !slices.Equal(text.IDs, want) || text.Reply != 12 || text.Straddle {
		t.Errorf("got %+v %v, wanted ids %v", text, err, want)
	}
	chat, err := tok.Chat("Hi", "Freedom", nil)
	wantText := "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nFreedom"
	if err != nil || chat.Rendered != wantText || tok.Decode(chat.IDs[chat.Reply:]...) != "Freedom" {
		t.Errorf("got %+v %v", chat, err)
	}
}
