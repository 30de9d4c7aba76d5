package checkpoint

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// notCheckpoint describes a folder that lacks config.json or weights, and what to do;
// missing describes its file names if the folder is of no known kind.
func notCheckpoint(dir string, missing func(names []string) string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	var names, folders []string
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	what := adapter(dir, names)
	if what == "" {
		what = hubCache(dir, folders)
	}
	if what == "" {
		what = trainerOutput(dir, folders)
	}
	if what == "" {
		what = otherFormat(names)
	}
	if what == "" {
		what = inside(dir, folders)
	}
	if what == "" {
		what = missing(names)
	}
	return fmt.Errorf("checkpoint: %s: %s", dir, what)
}

// adapter describes PEFT's folders, which contain trained adapters and name the base model.
func adapter(dir string, names []string) string {
	if !slices.Contains(names, adapterConfig) {
		return ""
	}
	of, base := "its model", "BASE"
	var c struct {
		Base string `json:"base_model_name_or_path"`
	}
	if b, err := regular.Read(filepath.Join(dir, adapterConfig), maxJSON); err == nil && json.Unmarshal(b, &c) == nil && c.Base != "" {
		of, base = "its model "+quote(c.Base), c.Base
	}
	return "an adapter without " + of + ": name both, as " + base + "+ADAPTER"
}

// hubCache describes a model's folder in the hub's cache, and the cache itself.
func hubCache(dir string, folders []string) string {
	const prefix = "models--"
	id := func(name string) string { return strings.Replace(strings.TrimPrefix(name, prefix), "--", "/", 1) }
	if slices.Contains(folders, "snapshots") {
		name := "org/name"
		if abs, err := filepath.Abs(dir); err == nil && strings.HasPrefix(filepath.Base(abs), prefix) {
			name = id(filepath.Base(abs))
		}
		which := "one of the folders in snapshots"
		if commits, err := os.ReadDir(filepath.Join(dir, "snapshots")); err == nil && len(commits) == 1 {
			which = filepath.Join(dir, "snapshots", commits[0].Name())
		}
		return fmt.Sprintf("a model's cache, not a checkpoint: name the model as %s, or %s", name, which)
	}
	for _, f := range folders {
		if strings.HasPrefix(f, prefix) {
			return fmt.Sprintf("a cache of models, not a checkpoint: name one as org/name, such as %s", id(f))
		}
	}
	return ""
}

var stepFolder = regexp.MustCompile(`^(checkpoint|global_step|step|epoch)[-_]?(\d+)$`)

// trainerOutput describes a folder of checkpoints of a training run.
func trainerOutput(dir string, folders []string) string {
	newest, most := "", -1
	for _, f := range folders {
		if m := stepFolder.FindStringSubmatch(f); m != nil {
			if n, err := strconv.Atoi(m[2]); err == nil && n > most {
				newest, most = f, n
			}
		}
	}
	if newest == "" {
		return ""
	}
	return fmt.Sprintf("the output of a training run, with no model of its own: name one of the checkpoints in it, the newest is %s", filepath.Join(dir, newest))
}

// otherFormat describes models in the formats of programs other than transformers.
func otherFormat(names []string) string {
	var gguf, consolidated []string
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, ".gguf"):
			gguf = append(gguf, name)
		case strings.HasPrefix(name, "consolidated"):
			consolidated = append(consolidated, name)
		case name == singleFile || name == indexFile:
			return ""
		}
	}
	switch {
	case len(gguf) > 0:
		return fmt.Sprintf("llama.cpp's format (%s), wanted safetensors: take the model's original checkpoint, with config.json and %s", errorName(gguf), singleFile)
	case len(consolidated) > 0 && slices.Contains(names, "params.json"):
		whose := "Mistral's"
		if strings.HasSuffix(consolidated[0], ".pth") {
			whose = "Meta's"
		}
		return fmt.Sprintf("%s own format (params.json, %s): take the checkpoint for transformers, with config.json and %s, or convert it with the script of transformers", whose, errorName(consolidated), singleFile)
	case slices.Contains(names, "zero_to_fp32.py"):
		return "DeepSpeed's shards of a training run: run zero_to_fp32.py in it with --safe_serialization, or save the model anew (save_pretrained)"
	}
	return ""
}

// inside describes a folder that contains folders with checkpoints.
func inside(dir string, folders []string) string {
	var found []string
	for _, f := range folders {
		if _, err := os.Stat(filepath.Join(dir, f, "config.json")); err == nil {
			found = append(found, filepath.Join(dir, f))
		}
	}
	if len(found) == 0 {
		return ""
	}
	return "no checkpoint, but folders in it may be: name one of " + errorName(found)
}

// missingConfig describes file names without config.json.
func missingConfig(names []string) string {
	for _, name := range names {
		if strings.HasSuffix(name, ".safetensors") {
			return fmt.Sprintf("%s without config.json, wanted both: put the model's config.json beside it", name)
		}
	}
	switch without := missingWeights(names); {
	case strings.HasPrefix(without, "only "):
		return "no config.json, and " + without
	case slices.Contains(names, "tokenizer.json"), slices.Contains(names, "tokenizer.model"), slices.Contains(names, "vocab.json"):
		return "a tokenizer without a model, wanted config.json and " + singleFile + " beside it"
	}
	return "no config.json, wanted a checkpoint: config.json, " + singleFile + ", tokenizer.json"
}

// missingWeights describes file names without usable weights, and what to do.
func missingWeights(names []string) string {
	var other, shards []string
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "pytorch_model") && strings.HasSuffix(name, ".bin"),
			strings.HasSuffix(name, ".h5"), strings.HasSuffix(name, ".msgpack"), strings.HasSuffix(name, ".onnx"),
			strings.HasSuffix(name, ".pth"), strings.HasSuffix(name, ".pt"):
			other = append(other, name)
		case strings.HasSuffix(name, ".safetensors"):
			shards = append(shards, name)
		}
	}
	if what := otherFormat(names); what != "" {
		return what
	}
	switch {
	case slices.Contains(names, "adapter_config.json"):
		return adapter("", names)
	case len(shards) > 0:
		return fmt.Sprintf("%s without %s, wanted that index or %s", errorName(shards), indexFile, singleFile)
	case len(other) > 0:
		return fmt.Sprintf("only %s, wanted safetensors: save the model anew with transformers (save_pretrained)", errorName(other))
	}
	return fmt.Sprintf("no weights, wanted %s or %s", singleFile, indexFile)
}
