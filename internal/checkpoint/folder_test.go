package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotCheckpoint: what is no checkpoint is called what it is, in one line that says
// what to do.
func TestNotCheckpoint(t *testing.T) {
	for _, test := range []struct {
		files []string // relative; "name=text" has that text
		want  string
	}{
		{[]string{"model.Q4_K_M.gguf"}, "llama.cpp's format (model.Q4_K_M.gguf), wanted safetensors: take the model's original checkpoint, with config.json and model.safetensors"},
		{[]string{`adapter_config.json={"base_model_name_or_path": "org/base", "peft_type": "LORA"}`, "adapter_model.safetensors", "tokenizer.json"},
			`an adapter without its model "org/base": name both, as org/base+ADAPTER`},
		{[]string{"adapter_config.json={"}, "an adapter without its model: name both, as BASE+ADAPTER"},
		{[]string{"checkpoint-500/config.json", "checkpoint-1000/config.json", "checkpoint-90/config.json", "runs/x", "tokenizer.json"},
			"the output of a training run, with no model of its own: name one of the checkpoints in it, the newest is DIR/checkpoint-1000"},
		{[]string{"params.json", "consolidated.safetensors", "tekken.json"}, "Mistral's own format (params.json, consolidated.safetensors): take the checkpoint for transformers, with config.json and model.safetensors, or convert it with the script of transformers"},
		{[]string{"params.json", "consolidated.00.pth", "tokenizer.model"}, "Meta's own format (params.json, consolidated.00.pth): take the checkpoint for transformers, with config.json and model.safetensors, or convert it with the script of transformers"},
		{[]string{"snapshots/0123/config.json", "refs/main", "blobs/x"}, "a model's cache, not a checkpoint: name the model as org/name, or DIR/snapshots/0123"},
		{[]string{"snapshots/0123/config.json", "snapshots/4567/config.json"}, "a model's cache, not a checkpoint: name the model as org/name, or one of the folders in snapshots"},
		{[]string{"models--org--some--name/refs/main"}, "a cache of models, not a checkpoint: name one as org/name, such as org/some--name"},
		{[]string{"pytorch_model.bin"}, "no config.json, and only pytorch_model.bin, wanted safetensors: save the model anew with transformers (save_pretrained)"},
		{[]string{"model.safetensors", "tokenizer.json"}, "model.safetensors without config.json, wanted both: put the model's config.json beside it"},
		{[]string{"tokenizer.model"}, "a tokenizer without a model, wanted config.json and model.safetensors beside it"},
		{[]string{"tuned/config.json", "base/config.json"}, "no checkpoint, but folders in it may be: name one of DIR/base, DIR/tuned"},
		{[]string{"zero_to_fp32.py", "latest"}, "DeepSpeed's shards of a training run: run zero_to_fp32.py in it with --safe_serialization, or save the model anew (save_pretrained)"},
		{nil, "no config.json, wanted a checkpoint: config.json, model.safetensors, tokenizer.json"},
	} {
		dir := t.TempDir()
		for _, f := range test.files {
			name, text, _ := strings.Cut(f, "=")
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := ReadConfig(dir)
		if want := "checkpoint: " + dir + ": " + strings.ReplaceAll(test.want, "DIR", dir); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", test.files, err, want)
		}
	}
	// The folder that huggingface_hub makes names its model.
	dir := filepath.Join(t.TempDir(), "models--org--name")
	if err := os.MkdirAll(filepath.Join(dir, "snapshots", "0123"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := OpenWeights(dir)
	if want := "checkpoint: " + dir + ": a model's cache, not a checkpoint: name the model as org/name, or " + filepath.Join(dir, "snapshots", "0123"); err == nil || err.Error() != want {
		t.Errorf("%v, wanted %s", err, want)
	}
}
