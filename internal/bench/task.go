package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/tokenize"
)

// task is what all workers are given, ours and the peers', as a JSON file.
type task struct {
	Model   string    `json:"model"`   // checkpoint folder, absolute
	Prompts []string  `json:"prompts"` // what the user says, for ours
	Next    []encoded `json:"next"`    // the same prompts as chats, for the peers
	Forms   []string  `json:"forms"`   // replies: every one after every prompt is the corpus job
	Sample  []pair    `json:"sample"`  // some of these
	Long    [][]int32 `json:"long"`    // token ids of long texts, no replies
	Pad     string    `json:"pad"`     // a special token that none of the chats holds

	Reward       string       `json:"reward"`        // folder of a reward model, absolute
	Words        []string     `json:"words"`         // replies: every one after every prompt is the reward job
	RewardSample []transcript `json:"reward_sample"` // some of these
}

// encoded is a text with its tokens, which a peer must find too.
type encoded struct {
	Text string  `json:"text"`
	IDs  []int32 `json:"ids"`
}

// pair is a chat and a reply to be scored after it. Number counts prompt by prompt
// through the corpus job: Number = prompt x number of forms + form.
type pair struct {
	Prompt string `json:"prompt"`
	Reply  string `json:"reply"`
	Number int    `json:"number"`
}

const (
	sampleSize  = 256
	sampleSeed  = 4 // any number; fixed so that runs compare
	longWindows = 8
	longTokens  = 1024
	padToken    = "<|endoftext|>" // of SmolLM2, which uses it between documents only
)

// makeTask builds the task for a checkpoint with a chat template. words is the corpus;
// root holds the text files for the long texts.
func makeTask(model, root string, words []string) (*task, error) {
	tok, err := tokenize.Load(model)
	if err != nil {
		return nil, err
	}
	defer tok.Close()
	dir, err := filepath.Abs(model)
	if err != nil {
		return nil, err
	}
	t := &task{Model: dir, Forms: allForms(words), Pad: padToken}
	for _, p := range lexicon.PaperPrompts() {
		text, err := tok.Chat(p.Text, "", nil)
		if err != nil {
			return nil, fmt.Errorf("prompt %s: %w", p.Name, err)
		}
		if strings.Contains(text.Rendered, t.Pad) {
			return nil, fmt.Errorf("prompt %s: rendered with %s, wanted a padding token that no prompt holds", p.Name, t.Pad)
		}
		t.Prompts = append(t.Prompts, p.Text)
		t.Next = append(t.Next, encoded{text.Rendered, text.IDs})
	}
	if err := t.draw(tok, sampleSize); err != nil {
		return nil, err
	}
	if err := t.rewardTask(tok, dir+"-score", words); err != nil {
		return nil, err
	}
	t.Long, err = longTexts(tok, root)
	return t, err
}

// draw draws the sample of the corpus job.
func (t *task) draw(tok *tokenize.Tokenizer, size int) error {
	t.Sample = nil
	for _, n := range sampleOf(len(t.Prompts)*len(t.Forms), size, sampleSeed) {
		p, f := n/len(t.Forms), n%len(t.Forms)
		text, err := tok.Chat(t.Prompts[p], t.Forms[f], nil)
		if err != nil {
			return err
		}
		if text.Straddle {
			return fmt.Errorf("%q after prompt %d: its first token holds the end of the prompt too, wanted a reply that every program cuts alike", t.Forms[f], p)
		}
		t.Sample = append(t.Sample, pair{text.Rendered[:text.Start], t.Forms[f], n})
	}
	return nil
}

// sampled are the items of a job that the peers do, and that ours are compared with them on.
func (t *task) sampled(contest string) []int {
	var all []int
	switch {
	case strings.HasSuffix(contest, "corpus bf16"):
		for _, s := range t.Sample {
			all = append(all, s.Number)
		}
	case contest == "reward bf16":
		for _, s := range t.RewardSample {
			all = append(all, s.Number)
		}
	}
	return all
}

// longTexts cuts the first tokens of the repository's own text, in order of the files'
// names, into windows.
func longTexts(tok *tokenize.Tokenizer, root string) ([][]int32, error) {
	paths, err := filepath.Glob(filepath.Join(root, "*", "*.go"))
	if err != nil {
		return nil, err
	}
	paths = slices.Insert(paths, 0, filepath.Join(root, "README.md"), filepath.Join(root, "LICENSE"))
	var text strings.Builder
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		text.Write(b)
		if text.Len() > 10*longWindows*longTokens { // no tokenizer makes tokens of more than ten bytes on average
			break
		}
	}
	all, err := tok.Raw(text.String(), "")
	if err != nil {
		return nil, err
	}
	if len(all.IDs) < longWindows*longTokens {
		return nil, fmt.Errorf("%s: %d tokens of text, wanted %d", root, len(all.IDs), longWindows*longTokens)
	}
	return slices.Collect(slices.Chunk(all.IDs[:longWindows*longTokens], longTokens)), nil
}

// corpusWords reads the words of the Big Two nouns where the paper's data is, else those
// of the embedded demonstration; name says which.
func corpusWords() (words []string, name string, err error) {
	name = "263 Big Two nouns"
	f, err := os.Open(filepath.Join(paper, "data/corpora/dict_big2_nouns.csv"))
	if errors.Is(err, fs.ErrNotExist) {
		name = "words of the demonstration"
		f, err = os.Open("internal/demo/data/words.csv")
	}
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	c, err := lexicon.ReadCorpus(f)
	if err != nil {
		return nil, "", err
	}
	for _, e := range c.Entries {
		words = append(words, e.Term)
	}
	return words, name, nil
}

// write puts the task into a file.
func (t *task) write(path string) error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
