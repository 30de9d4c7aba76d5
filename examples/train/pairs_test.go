package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
)

// pairItems reads chosen and rejected replies of a file, one after the other.
func pairItems(t *testing.T, path string) (items []implicit.Item) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var pair struct{ Prompt, Chosen, Rejected string }
		if err := json.Unmarshal([]byte(line), &pair); err != nil {
			t.Fatal(err)
		}
		items = append(items, implicit.Item{Prompt: pair.Prompt, Reply: pair.Chosen}, implicit.Item{Prompt: pair.Prompt, Reply: pair.Rejected})
	}
	return items
}

// rewardsOf scores items.
func rewardsOf(t *testing.T, rm rewardmodel.RM, items []implicit.Item) (rewards []float64) {
	t.Helper()
	for s, err := range rewardmodel.Scores(t.Context(), rm, slices.Values(items)) {
		if err != nil || s.Err != nil {
			t.Fatal(err, s.Err)
		}
		rewards = append(rewards, s.Reward)
	}
	return rewards
}
