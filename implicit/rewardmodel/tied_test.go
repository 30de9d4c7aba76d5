package rewardmodel

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/implicitreward/implicitreward/tokenize"
)

// TestTiedByDefault: a token's logit needs no vocabulary head in the checkpoint, nor a word of it in
// config.json, where the family's config class ties it to the embeddings.
func TestTiedByDefault(t *testing.T) {
	from, err := filepath.Abs("../../logprob/testdata/families/cohere2-hybrid")
	if err != nil {
		t.Fatal(err)
	}
	var rewards []float64
	for _, value := range []string{"true", ""} {
		dir, keys := t.TempDir(), map[string]json.RawMessage{}
		readJSON(t, filepath.Join(from, "config.json"), &keys)
		if delete(keys, "tie_word_embeddings"); value != "" {
			keys["tie_word_embeddings"] = json.RawMessage(value)
		}
		config, err := json.Marshal(keys)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "config.json"), config, 0o666)
		}
		if err == nil {
			err = os.Symlink(filepath.Join(from, "model.safetensors"), filepath.Join(dir, "model.safetensors"))
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := load(t, dir, &Options{Output: "token=7"})
		if err != nil {
			t.Fatal(err)
		}
		rewards = append(rewards, results(t, m, tokenize.Encoded{IDs: []int32{5, 9, 3}})[0].Reward)
	}
	if rewards[0] != rewards[1] || rewards[0] == 0 {
		t.Errorf("rewards %v, wanted the same", rewards)
	}
}
