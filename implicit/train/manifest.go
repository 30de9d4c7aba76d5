package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/internal/checkpoint"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/regular"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
)

// manifest is train.json: what was done with what, and how far it is.
type manifest struct {
	Settings   settings `json:"settings"`
	Model      string   `json:"model"` // Options.Model
	Init       string   `json:"init"`
	Data       string   `json:"data_sha256"` // of the file
	Eval       string   `json:"eval_sha256"`
	Rows       Counts   `json:"rows"`
	Held       Counts   `json:"eval_rows"`
	Checkpoint int      `json:"checkpoint"` // the step of the last one
	Complete   bool     `json:"complete"`
	Warnings   []string `json:"warnings"`
	AtEnd      []string `json:"warnings_at_end"` // about what was trained
}

// settings are all that the numbers of a run depend on: a run that goes on must have the same.
type settings struct {
	Version     string  `json:"version"` // of this library
	Task        Task    `json:"task"`
	LoRA        *LoRA   `json:"lora"`
	LR          float64 `json:"lr"`
	Schedule    string  `json:"schedule"`
	Warmup      float64 `json:"warmup"`
	Batch       int     `json:"batch"`
	MicroBatch  int     `json:"micro_batch"`
	Steps       int     `json:"steps"`
	Clip        float64 `json:"clip"`
	WeightDecay float64 `json:"weight_decay"`
	Beta1       float64 `json:"beta1"`
	Beta2       float64 `json:"beta2"`
	Epsilon     float64 `json:"epsilon"`
	Seed        uint64  `json:"seed"`
	Order       string  `json:"order_sha256"`
	Beta        float64 `json:"beta"`
	Center      float64 `json:"center"`
	SFT         float64 `json:"sft"`
	Pow2        bool    `json:"checkpoints_pow2"`
	Every       int     `json:"checkpoints_every"`
	DType       string  `json:"dtype"`
	Backend     string  `json:"backend"`
	Model       string  `json:"model_sha256"` // what training begins with: see hashFolder
	Init        string  `json:"init_sha256"`
	Rows        string  `json:"rows_sha256"` // in tokens
	Held        string  `json:"eval_rows_sha256"`
}

// settings are the run's.
func (t *trainer) settings(ctx context.Context) (settings, error) {
	o := &t.o
	s := settings{
		Version: logprob.Version, Task: o.Task, LoRA: o.LoRA, LR: o.LR, Schedule: o.Schedule, Warmup: o.Warmup, Batch: o.Batch, MicroBatch: o.MicroBatch,
		Steps: t.steps, Clip: o.Clip, WeightDecay: o.WeightDecay, Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon, Seed: o.Seed,
		Order: hashOrder(o.Order), Beta: o.Beta, Center: o.Center, SFT: o.SFT, Pow2: o.Checkpoints.Pow2, Every: o.Checkpoints.Every,
		DType: logprob.DTypeName(o.DType), Rows: hashRows(t.samples), Held: hashRows(t.held),
	}
	if o.Backend != nil {
		s.Backend = o.Backend.Name()
	}
	var err error
	if s.Model, err = hashFolder(ctx, o.Model); err == nil && o.Init != "" {
		s.Init, err = hashFolder(ctx, o.Init)
	}
	return s, err
}

// hashFolder is the SHA-256, in hex, of what a model or an adapter computes with: its config and
// weights. Of a model that is to begin with random weights there are none.
func hashFolder(ctx context.Context, dir string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"config.json", "adapter_config.json"} {
		data, err := regular.Read(filepath.Join(dir, name), regular.Text)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(data), data)
	}
	open := checkpoint.OpenWeights
	if path := filepath.Join(dir, "adapter_model.safetensors"); exists(path) {
		open = func(string) (*checkpoint.Weights, error) { return checkpoint.OpenFile(path) }
	} else if !exists(filepath.Join(dir, "model.safetensors")) && !exists(filepath.Join(dir, "model.safetensors.index.json")) {
		return hex.EncodeToString(h.Sum(nil)), nil
	}
	w, err := open(dir)
	if err != nil {
		return "", err
	}
	defer w.Close()
	sum, err := w.Hash(ctx)
	fmt.Fprintf(h, "weights %s\n", sum)
	return hex.EncodeToString(h.Sum(nil)), err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readManifest returns the folder's, nil for none.
func (f *folder) readManifest() (*manifest, error) {
	data, err := regular.Read(f.join(manifestFile), regular.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	m := &manifest{}
	if err == nil {
		err = strictjson.Unmarshal(data, m)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.join(manifestFile), err)
	}
	return m, nil
}

// same holds what a run began with to what it goes on with.
func (s settings) same(now settings) error {
	was, err := fields(s)
	if err != nil {
		return err
	}
	is, err := fields(now)
	if err != nil {
		return err
	}
	for i, m := range is {
		if i >= len(was) || was[i].Key != m.Key {
			return fmt.Errorf("%s is new: the run began with another version of this program", m.Key)
		}
		if !bytes.Equal(was[i].Value, m.Value) {
			return fmt.Errorf("%s is %s, and the run began with %s: wanted the same, or another folder", m.Key, m.Value, was[i].Value)
		}
	}
	return nil
}

func fields(s settings) ([]strictjson.Member, error) {
	data, err := strictjson.Marshal(s)
	if err != nil {
		return nil, err
	}
	return strictjson.Members(data, "")
}

// hashRows is the SHA-256 of rows in tokens, in hex.
func hashRows(samples []*sample) string {
	h := sha256.New()
	put := func(x uint64) { h.Write(binary.LittleEndian.AppendUint64(nil, x)) }
	for _, e := range samples {
		put(math.Float64bits(e.margin))
		put(uint64(len(e.texts)))
		for _, t := range e.texts {
			put(uint64(t.from))
			put(uint64(len(t.ids)))
			for _, id := range t.ids {
				put(uint64(id))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hashOrder is the SHA-256 of a given order, in hex.
func hashOrder(order []int) string {
	if order == nil {
		return ""
	}
	h := sha256.New()
	for _, row := range order {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(row)))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// open makes the folder ready, and returns the state to go on from, nil for a run from its
// beginning. It is this process's until close.
func (f *folder) open(now *manifest, resume bool) (s *state, err error) {
	switch _, err := os.Stat(f.path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(f.path), 0o777); err != nil {
			return nil, err
		}
		if err := os.Mkdir(f.path, 0o777); err != nil {
			return nil, err
		}
		f.made = true
	case err != nil:
		return nil, err
	case !resume:
		return nil, fmt.Errorf("%s exists, wanted a new folder, or to resume", f.path)
	}
	if f.claim, err = output.Claim(f.path); err != nil {
		return nil, err
	}
	was, err := f.readManifest()
	if err != nil {
		return nil, err
	}
	if was == nil {
		if err := f.foreign(); err != nil {
			return nil, err
		}
		return nil, f.writeJSON(f.join(manifestFile), now)
	}
	if err := was.Settings.same(now.Settings); err != nil {
		return nil, fmt.Errorf("%s: %w", f.join(manifestFile), err)
	}
	if s, err = f.readState(); err != nil {
		return nil, err
	}
	if s != nil {
		now.Warnings = was.Warnings
	}
	if s.complete(now.Settings.Steps) {
		now.Complete, now.AtEnd = true, was.AtEnd
	}
	return s, f.sweep(s)
}

// leave removes the folder of a run that could not begin, if it was made for it: another try
// finds it as this one did.
func (f *folder) leave() error {
	if !f.made {
		return nil
	}
	return os.RemoveAll(f.path)
}

// close lets others have the folder.
func (f *folder) close() {
	if f.claim != nil {
		f.claim.Close()
	}
}

// foreign is an error of a file that no run has written.
func (f *folder) foreign() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "."+manifestFile+".") { // what is left of one that was killed
			return fmt.Errorf("%s has %s and no %s, wanted the folder of a run", f.path, e.Name(), manifestFile)
		}
	}
	return nil
}

// warned returns the warnings of a run that is complete.
func (m *manifest) warned() (all []error) {
	for _, w := range slices.Concat(m.Warnings, m.AtEnd) {
		all = append(all, errors.New(w))
	}
	return all
}
