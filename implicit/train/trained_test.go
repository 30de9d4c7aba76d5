package train

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// rewardModel writes a reward model with a test tokenizer, whose chat template writes no BOS, and
// how it was trained unless that is nil.
func rewardModel(t *testing.T, tokenizer string, trained any) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "rm")
	if err := os.CopyFS(dir, os.DirFS("../rewardmodel/testdata/heads/linear-score")); err != nil {
		t.Fatal(err)
	}
	grow(t, dir, 1000)
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		b, err := os.ReadFile(filepath.Join("../../tokenize/testdata", tokenizer, name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.NewReplacer("{{- bos_token }}", "", "{{ bos_token }}", "").Replace(string(b))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if trained != nil {
		b, err := strictjson.Marshal(trained)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, rewardmodel.TrainedFile), b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// grow gives a checkpoint a larger vocabulary, of zeros.
func grow(t *testing.T, dir string, vocabulary int) {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	config = bytes.Replace(config, []byte(`"vocab_size": 60`), fmt.Appendf(nil, `"vocab_size": %d`, vocabulary), 1)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o666); err != nil {
		t.Fatal(err)
	}
	weights, err := checkpoint.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	var tensors []checkpoint.Tensor
	for _, name := range weights.Names() {
		tensor, _ := weights.Get(name)
		if strings.HasSuffix(name, "embed_tokens.weight") {
			width := tensor.Shape[1]
			tensor = checkpoint.Float32(name, make([]float32, vocabulary*width), vocabulary, width)
		}
		tensor.Data = bytes.Clone(tensor.Data)
		tensors = append(tensors, tensor)
	}
	var file bytes.Buffer
	if err := checkpoint.Write(&file, tensors, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestTrained: package rewardmodel reads a pair, with its default options, as the tokens that it
// was trained on: also where the tokenizer puts a BOS and the chat template none, which it would
// otherwise add.
func TestTrained(t *testing.T) {
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	backend := goBackend(t)
	load := func(t *testing.T, dir string, chat *tokenize.ChatOptions) *rewardmodel.Model {
		t.Helper()
		m, err := rewardmodel.Load(t.Context(), dir, &rewardmodel.Options{Model: logprob.Options{Backend: backend}, Chat: chat})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	template := "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}{{ tone }}\n{% endfor %}"
	for _, c := range []struct {
		name, line string
		o          Options
	}{
		{"conversations", chatLine, Options{}},
		{"texts", pairLine, Options{}},
		{"texts as turns", pairLine, Options{Turns: true}},
		{"the tokenizer's BOS", chatLine, Options{Chat: &tokenize.ChatOptions{BOS: tokenize.BOSExtra}}},
		{"texts without a BOS", pairLine, Options{Chat: &tokenize.ChatOptions{BOS: tokenize.BOSNone}}},
		{"another template", chatLine, Options{Chat: &tokenize.ChatOptions{Template: template, System: "S", Vars: map[string]any{"tone": "!"}, Date: time.Date(2024, 7, 26, 0, 0, 0, 0, time.UTC)}}},
	} {
		for _, tokenizer := range []string{"llama3", "gemma"} {
			t.Run(c.name+"/"+tokenizer, func(t *testing.T) {
				d := read(t, Reward, c.line)
				trained, err := d.trained(c.o)
				if err != nil {
					t.Fatal(err)
				}
				m := load(t, rewardModel(t, tokenizer, trained), nil)
				if trained == nil || !strings.Contains(m.Chosen(), "as it was trained") {
					t.Fatalf("%+v, %s", trained, m.Chosen())
				}
				c.o.Task = Reward
				rows, _, err := d.encode(t.Context(), m.Tokenizer(), c.o)
				if err != nil {
					t.Fatal(err)
				}
				for i, reply := range []string{"b", "c"} {
					got, err := m.Encode(implicit.Item{Prompt: "a", Reply: reply})
					if want := rows[0].texts[i].ids; err != nil || !slices.Equal(got.IDs, want) {
						t.Errorf("%d, %v, wanted %d", got.IDs, err, want)
					}
				}
			})
		}
	}

	// Without the record, a BOS is put before the chat, as where the template writes it.
	rows, _, err := read(t, Reward, chatLine).encode(t.Context(), tokenizers(t)("gemma"), Options{Task: Reward, Chat: &tokenize.ChatOptions{}})
	if err != nil {
		t.Fatal(err)
	}
	plain := load(t, rewardModel(t, "gemma", nil), nil)
	text, err := plain.Encode(implicit.Item{Prompt: "a", Reply: "b"})
	if err != nil || !slices.Equal(text.IDs, rows[0].texts[0].ids) || text.IDs[0] != 2 {
		t.Errorf("%d, %v, wanted %d", text.IDs, err, rows[0].texts[0].ids)
	}

	// A choice against the record is followed, and doubted.
	ended, err := rewardmodel.NewTrained(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := load(t, rewardModel(t, "llama3", ended), &tokenize.ChatOptions{})
	if said := fmt.Sprint(m.Warnings()); !strings.Contains(said, "rewardmodel: rendering.json says that it was trained on texts as ended, and it is to read them as chat") || !strings.Contains(m.Chosen(), "; chat, BOS") {
		t.Errorf("%s; %s", said, m.Chosen())
	}

	for file, want := range map[string]string{
		`{"as": "raw", "bos": "auto"}`:                    `rendering.json: as "raw", wanted chat or ended`,
		`{"as": "chat", "bos": "two"}`:                    `rendering.json: tokenize: BOS "two", wanted auto, add, none or extra`,
		`{"as": "chat", "eos": "auto"}`:                   `rendering.json: `,
		`{"as": "chat", "bos": "auto", "date": "26 Jul"}`: `rendering.json: date "26 Jul", wanted one such as 2024-07-26`,
	} {
		dir := rewardModel(t, "llama3", nil)
		if err := os.WriteFile(filepath.Join(dir, rewardmodel.TrainedFile), []byte(file), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := rewardmodel.Load(t.Context(), dir, &rewardmodel.Options{Model: logprob.Options{Backend: backend}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, wanted %s", file, err, want)
		}
	}
}
