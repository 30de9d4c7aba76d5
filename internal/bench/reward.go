package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/tokenize"
)

// transcript is a prompt and a reply as a reward model reads them. Number counts prompt by
// prompt through the reward job: Number = prompt x number of words + word.
type transcript struct {
	encoded
	Number int `json:"number"`
}

// rewardTask adds the reward model's job to a task: every word after every prompt. The model
// is that of the task with a head of random weights, in dir.
func (t *task) rewardTask(tok *tokenize.Tokenizer, dir string, words []string) error {
	var err error
	if t.Reward, err = filepath.Abs(dir); err != nil {
		return err
	}
	t.Words = words
	for _, n := range sampleOf(len(t.Prompts)*len(t.Words), sampleSize, sampleSeed) {
		p, w := n/len(t.Words), n%len(t.Words)
		text, err := tok.Transcript([]tokenize.Message{{Role: "user", Content: t.Prompts[p]}}, t.Words[w], nil)
		if err != nil {
			return err
		}
		t.RewardSample = append(t.RewardSample, transcript{encoded{text.Rendered, text.IDs}, n})
	}
	return nil
}

// writeReward writes a reward model to dir, an absolute path: the model's own files by link, and beside them
// score.weight [1 D], normal with standard deviation 0.02 as transformers initialises it.
func writeReward(dir, model string) error {
	c, err := readConfig(model)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	from, err := filepath.Abs(model)
	if err == nil {
		from, err = filepath.Rel(dir, from)
	}
	if err != nil {
		return err
	}
	// The trunk's file has another name, or transformers would read it alone.
	for to, name := range map[string]string{"trunk.safetensors": "model.safetensors", "tokenizer.json": "tokenizer.json", "tokenizer_config.json": "tokenizer_config.json"} {
		link := filepath.Join(dir, to)
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(filepath.Join(from, name), link); err != nil {
			return err
		}
	}
	shape := []int{1, c.D}
	var head bytes.Buffer
	if err := writeHeader(&head, map[string]any{"score.weight": map[string]any{"dtype": "BF16", "shape": shape, "data_offsets": []int{0, 2 * c.D}}}); err != nil {
		return err
	}
	if err := newNormal(0.02).write(&head, shape); err != nil {
		return err
	}
	names, _ := c.tensors()
	index := map[string]string{"score.weight": "score.safetensors"}
	for _, name := range names {
		index[name] = "trunk.safetensors"
	}
	var config map[string]any
	b, err := os.ReadFile(filepath.Join(model, "config.json"))
	if err == nil {
		err = json.Unmarshal(b, &config)
	}
	if err != nil {
		return err
	}
	maps.Copy(config, map[string]any{
		"architectures": []string{"LlamaForSequenceClassification"},
		"id2label":      map[string]string{"0": "LABEL_0"}, "label2id": map[string]int{"LABEL_0": 0},
	})
	indexJSON, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": index})
	if err != nil {
		return err
	}
	configJSON, err := json.Marshal(config)
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"score.safetensors": head.Bytes(), "model.safetensors.index.json": indexJSON, "config.json": configJSON} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

const shownPipeline = "transformers, text-classification pipeline, batch 32"

// rewards is a word list after each prompt under an explicit reward model; the peer does a
// sample of it. First the sample in float32, once, for its numbers.
func (b *bench) rewards(ctx context.Context) error {
	if err := writeReward(b.task.Reward, b.model); err != nil {
		return err
	}
	n, all := len(b.task.RewardSample), len(b.task.Prompts)*len(b.task.Words)
	if b.python != "" {
		if err := b.contest(ctx, "reward f32", 0, b.ours("reward-sample", "f32", n), b.peer("pipeline", shownPipeline, "f32", n)); err != nil {
			return err
		}
	}
	return b.contest(ctx, "reward bf16", b.rounds, b.ours("reward", "bf16", all), b.peer("pipeline", shownPipeline, "bf16", n))
}

// reward is the reward of every word after each prompt.
func (w *work) reward(ctx context.Context) error {
	return w.rewardsOf(ctx, func(yield func(implicit.Item) bool) {
		for _, p := range w.task.Prompts {
			for _, word := range w.task.Words {
				if !yield(implicit.Item{Prompt: p, Reply: word}) {
					return
				}
			}
		}
	})
}

// rewardSample is the reward of the sample's words.
func (w *work) rewardSample(ctx context.Context) error {
	return w.rewardsOf(ctx, func(yield func(implicit.Item) bool) {
		for _, s := range w.task.RewardSample {
			p, word := s.Number/len(w.task.Words), s.Number%len(w.task.Words)
			if !yield(implicit.Item{Prompt: w.task.Prompts[p], Reply: w.task.Words[word]}) {
				return
			}
		}
	})
}

func (w *work) rewardsOf(ctx context.Context, items iter.Seq[implicit.Item]) error {
	for s, err := range rewardmodel.Scores(ctx, w.rm, items) {
		if err == nil {
			err = s.Err
		}
		if err != nil {
			return err
		}
		w.numbers = append(w.numbers, float32(s.Reward))
	}
	return nil
}
