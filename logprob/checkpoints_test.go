package logprob_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kinds has one checkpoint of each kind of block, of which a test takes every one where trying all
// families says nothing more: biases by distance, values narrower than keys, Mamba-2 beside and
// instead of attention, caps, streams beside each other, widths by block with keys of other layers, learned positions, plain
// rope, sinks, windows, experts with and without groups, a parallel block, gated delta nets.
var kinds = []string{"bloom-heads", "deepseek_v3-groups", "falcon_h1-norm", "gemma2-base", "gemma4_text-shared", "gpt2-plain", "gpt_neox-serial",
	"gpt_oss-sinks", "granitemoehybrid-experts", "llama-llama3", "mistral-window", "olmoe-clip", "phi-partial", "qwen3_5_text-hybrid",
	"gemma3n_text-streams"} // last, for the weights that TestEngineDense draws

const checkpoints = "testdata/families/"

// family is that of a checkpoint's folder.
func family(dir string) string {
	name, _, _ := strings.Cut(filepath.Base(dir), "-")
	return name
}

// references are the golden files of all checkpoints, with -short of one of each kind.
func references(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(checkpoints + "*/golden.json")
	if err != nil || len(all) < 150 {
		t.Fatalf("%d reference checkpoints (%v), wanted more than 150", len(all), err)
	}
	if testing.Short() {
		all = slices.DeleteFunc(all, func(path string) bool { return !slices.Contains(kinds, filepath.Base(filepath.Dir(path))) })
	}
	return all
}

// oneEach has the folder of a checkpoint of each family, that of kinds where there is one, and
// those stored in bfloat16; with -short one of each kind.
func oneEach(t *testing.T) []string {
	t.Helper()
	var all []string
	seen := map[string]bool{}
	for _, name := range kinds {
		all, seen[family(name)] = append(all, checkpoints+name), true
	}
	for _, path := range references(t) {
		if dir := filepath.Dir(path); !seen[family(dir)] || strings.HasSuffix(dir, "-bf16") {
			all, seen[family(dir)] = append(all, dir), true
		}
	}
	slices.Sort(all)
	return all
}
