package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/cli/home"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/logprob"
)

// ModelFlags are the flags of every program that runs a model.
type ModelFlags struct {
	DType, Backend, Memory, Tokenizer, Devices string
	textFlags
}

// Register adds the flags, after the program's own.
func (m *ModelFlags) Register(f *Flags) {
	f.StringVar(&m.DType, "dtype", "auto", "`type` to compute in: auto (the checkpoint's), f32 or bf16")
	f.StringVar(&m.Backend, "backend", "auto", "`backend` that computes: auto, xla:cpu, xla:cuda or go")
	f.StringVar(&m.Memory, "memory", "", "`size` that weights and buffers may take on the device, such as 2GiB: a larger model is read block by block; default: what the machine has, and on a GPU, whose memory is not asked for, no bound")
	f.StringVar(&m.Tokenizer, "tokenizer", "", "`folder` whose tokenizer and chat template all models take in place of their own, such as that of the model that a GGUF file was made of")
	m.register(f)
}

// RegisterDevices adds the flag -devices, for a program that does not train.
func (m *ModelFlags) RegisterDevices(f *Flags) {
	f.StringVar(&m.Devices, "devices", "0", "`numbers` of the backend's devices that hold a copy of each model and divide the texts, such as 0,1; with + between those that divide the layers of a copy, such as 0+1 or 0+1,2+3: the output has the same bytes")
}

// devices reads the flag -devices: those of each copy of a model, one after the other, and how
// many a copy has.
func (m *ModelFlags) devices() (all []int, split int, err error) {
	if m.Devices == "" {
		return nil, 0, nil
	}
	for copied := range strings.SplitSeq(m.Devices, ",") {
		divided := strings.Split(copied, "+")
		for _, s := range divided {
			n, err := strconv.Atoi(strings.TrimSpace(s))
			if err != nil || n < 0 || slices.Contains(all, n) || split != 0 && split != len(divided) {
				return nil, 0, Usagef("-devices %q, wanted different numbers with commas between them, such as 0,1, or as many with + between them in each place, such as 0+1,2+3", m.Devices)
			}
			all = append(all, n)
		}
		split = len(divided)
	}
	return all, split, nil
}

// Loader loads models onto one backend.
type Loader struct {
	backend     compute.Backend
	auto        bool // the backend was chosen here
	load        func(ctx context.Context, dir string, o *logprob.Options) (*logprob.Model, error)
	dtype       dtypes.DType
	memory      int64
	devices     []int // split of them divide each copy of a model
	split       int
	programs    logprob.Programs // for a series of models, of which one is loaded at a time
	tokenizer   string
	promptCache int64
	answerCache int64
	texts       texts
	stderr      io.Writer
	models      map[string]*logprob.Model // by folder
	rms         []*rewardmodel.Model
	journal     *output.Journal // nil without an output to resume
	tracker     tracker
	warned      map[string]bool // models whose template writes no BOS
}

// Loader checks the flags and opens the backend. Close frees it.
func (m *ModelFlags) Loader(stderr io.Writer) (*Loader, error) {
	l := &Loader{stderr: stderr, load: logprob.Load, auto: m.Backend == "" || m.Backend == "auto", models: map[string]*logprob.Model{}, warned: map[string]bool{}}
	if home.Guessed != "" {
		fmt.Fprintf(stderr, "HOME is not set: taking %s, where the XLA plugin and models of the hub are looked for\n", home.Guessed)
	}
	var err error
	if l.dtype, err = parseDType(m.DType); err != nil {
		return nil, err
	}
	l.tokenizer = m.Tokenizer
	if l.texts, err = m.check(); err != nil {
		return nil, err
	}
	if m.Memory != "" {
		if l.memory, err = ParseSize(m.Memory); err != nil {
			return nil, Usagef("-memory: %v", err)
		}
	}
	if l.devices, l.split, err = m.devices(); err != nil {
		return nil, err
	}
	l.backend, err = Backend(m.Backend, stderr)
	return l, err
}

// Resume keeps what the models that are loaded from now on compute in an output.Journal beside
// the output, until DiscardJournal, so that the same command, started again, continues from
// there. For "-", standard output, nothing is kept.
func (l *Loader) Resume(out string) (err error) {
	if out != "-" {
		l.journal, err = output.OpenJournal(out, l.stderr)
	}
	return err
}

// DiscardJournal removes the journal of an output that is complete.
func (l *Loader) DiscardJournal() error { return l.journal.Complete() }

// Remember lets models that are loaded from now on keep prompts' keys and values, and their
// answers, from one call to the next, in this many bytes each.
func (l *Loader) Remember(prompts, answers int64) { l.promptCache, l.answerCache = prompts, answers }

// Load loads the model that name means: a folder, or a hub id, or BASE+ADAPTER. The same folder
// is loaded once, and a base model once for all its adapters.
func (l *Loader) Load(ctx context.Context, name string) (*logprob.Model, error) {
	base, adapter := logprob.SplitAdapter(name)
	dir, err := Folder(ctx, l.stderr, base, logprob.Find)
	if err != nil || adapter == "" {
		if err != nil {
			return nil, err
		}
		return l.model(ctx, name, dir, func(o *logprob.Options) (*logprob.Model, error) { return l.load(ctx, dir, o) })
	}
	of, err := Folder(ctx, l.stderr, adapter, logprob.FindAdapter)
	if err != nil {
		return nil, err
	}
	on, err := l.model(ctx, base, dir, func(o *logprob.Options) (*logprob.Model, error) { return l.load(ctx, dir, o) })
	if err != nil {
		return nil, err
	}
	return l.model(ctx, name, dir+"+"+of, func(o *logprob.Options) (*logprob.Model, error) { return on.WithAdapter(ctx, of, o) })
}

// model loads the model of a key by load, once.
func (l *Loader) model(ctx context.Context, name, key string, load func(*logprob.Options) (*logprob.Model, error)) (*logprob.Model, error) {
	if m := l.models[key]; m != nil {
		return m, nil
	}
	var m *logprob.Model
	err := l.open(name, func(o *logprob.Options) (err error) {
		m, err = load(o)
		return err
	})
	if err == nil {
		err = l.opened(ctx, name, m.Meta, m.Warnings())
	}
	if err != nil {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
		return nil, err
	}
	l.models[key] = m
	return m, nil
}

// open loads a model by load, on another backend where the first fails its test.
func (l *Loader) open(name string, load func(*logprob.Options) error) error {
	giveBackMemory()
	loading := NewProgress(l.stderr, "loading "+name, true)
	o := &logprob.Options{Backend: l.backend, Devices: l.devices, Split: l.split, DType: l.dtype, MemoryLimit: l.memory, Tokenizer: l.tokenizer, PromptCache: l.promptCache, AnswerCache: l.answerCache, Programs: &l.programs, Progress: loading.Set, Batch: l.tracker.batch}
	if l.journal != nil {
		o.Store = l.journal
	}
	err := load(o)
	if l.other(err) {
		o.Backend = l.backend
		err = load(o)
	}
	loading.Done()
	return inFlags(err)
}

// opened tells the journal and the user about a model that has been loaded.
func (l *Loader) opened(ctx context.Context, name string, provenance func(context.Context) (logprob.Meta, error), warnings []error) error {
	if l.journal != nil {
		meta, err := provenance(ctx)
		if err != nil {
			return err
		}
		machine := meta.Processor
		if meta.Plugin != "" {
			machine += fmt.Sprintf(", plugin %s %.8s", meta.Plugin, meta.PluginHash)
		}
		l.journal.On(machine)
	}
	for _, w := range warnings {
		fmt.Fprintf(l.stderr, "%s: %v\n", name, w)
	}
	return nil
}

// Close frees all models and the backend, and keeps what was computed of an output that
// is not complete.
func (l *Loader) Close() {
	if err := l.journal.Close(); err != nil {
		fmt.Fprintln(l.stderr, err)
	}
	for dir, m := range l.models {
		if err := m.Routing().Doubt(); err != nil {
			fmt.Fprintf(l.stderr, "%s: %v\n", dir, err)
		}
		m.Close()
	}
	for _, m := range l.rms {
		m.Close()
	}
	l.programs.Close()
	l.backend.Finalize()
}
