package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli/home"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// ModelFlags are the flags of every program that runs a model.
type ModelFlags struct {
	DType, Backend, Memory string
	textFlags
}

// Register adds the flags, after the program's own.
func (m *ModelFlags) Register(f *Flags) {
	f.StringVar(&m.DType, "dtype", "auto", "`type` to compute in: auto (the checkpoint's), f32 or bf16")
	f.StringVar(&m.Backend, "backend", "auto", "`backend` that computes: auto, xla:cpu, xla:cuda or go")
	f.StringVar(&m.Memory, "memory", "", "`size` that weights and buffers may take on the device, such as 2GiB: a larger model is read block by block; default: what the machine has")
	m.register(f)
}

// Loader loads models onto one backend.
type Loader struct {
	backend     compute.Backend
	auto        bool // it was chosen by us
	load        func(ctx context.Context, dir string, o *logprob.Options) (*logprob.Model, error)
	dtype       dtypes.DType
	memory      int64
	promptCache int64
	answerCache int64
	texts       texts
	stderr      io.Writer
	models      map[string]*logprob.Model // by folder
	journal     *output.Journal           // nil without an output to resume
	watch       watch
	told        map[string]bool // of these models that their template writes no BOS
}

// Loader checks the flags and opens the backend. Close frees it.
func (m *ModelFlags) Loader(stderr io.Writer) (*Loader, error) {
	l := &Loader{stderr: stderr, load: logprob.Load, auto: m.Backend == "" || m.Backend == "auto", models: map[string]*logprob.Model{}, told: map[string]bool{}}
	if home.Guessed != "" {
		fmt.Fprintf(stderr, "HOME is not set: taking %s, where the XLA plugin and models of the hub are looked for\n", home.Guessed)
	}
	var err error
	if l.dtype, err = parseDType(m.DType); err != nil {
		return nil, err
	}
	if l.texts, err = m.check(); err != nil {
		return nil, err
	}
	if m.Memory != "" {
		if l.memory, err = ParseSize(m.Memory); err != nil {
			return nil, Usagef("-memory: %v", err)
		}
	}
	l.backend, err = Backend(m.Backend, stderr)
	return l, err
}

// LoaderFor is Loader for a program whose output can take long to compute: what its models
// compute is kept in an output.Journal beside it until Complete is called, so that the same
// command, started again, goes on from there. Of "-", standard output, nothing is kept.
func (m *ModelFlags) LoaderFor(out string, stderr io.Writer) (*Loader, error) {
	l, err := m.Loader(stderr)
	if err != nil || out == "-" {
		return l, err
	}
	if l.journal, err = output.OpenJournal(out, stderr); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Complete tells that the output is there, so that the journal is no longer needed.
func (l *Loader) Complete() error { return l.journal.Complete() }

// Watch tells p which items the earlier run had, and, if items is above 0, how many of so
// many are done. An item is scored passes times: twice where there are two models.
func (l *Loader) Watch(p *Progress, items, passes int) {
	l.watch.Lock()
	defer l.watch.Unlock()
	l.watch.progress, l.watch.items, l.watch.passes = p, int64(items), int64(passes)
}

// watch counts what all models score.
type watch struct {
	sync.Mutex
	progress      *Progress
	items, passes int64
	done, stored  int64 // texts
}

func (w *watch) batch(texts int, stored bool) {
	w.Lock()
	defer w.Unlock()
	if w.progress == nil {
		return
	}
	n := int64(texts)
	if w.done += n; stored {
		w.progress.Free((w.stored+n)/w.passes - w.stored/w.passes)
		w.stored += n
	}
	if w.items > 0 {
		w.progress.Set(w.done/w.passes, w.items)
	}
}

// Remember lets models that are loaded from now on keep prompts' keys and values, and their
// answers, from one call to the next, in this many bytes each.
func (l *Loader) Remember(prompts, answers int64) { l.promptCache, l.answerCache = prompts, answers }

// Load loads the model that name means: a folder, or a hub id. The same folder is
// loaded once.
func (l *Loader) Load(ctx context.Context, name string) (*logprob.Model, error) {
	hub := HubOptions(os.Getenv, l.stderr)
	download := NewProgress(l.stderr, "downloading "+name, true)
	hub.Progress = download.Set
	if hub.CacheDir == "" {
		if _, err := os.Stat(name); err != nil {
			return nil, fmt.Errorf("%s: no folder of that name, and none for models of the hub: wanted HOME, HF_HOME or HF_HUB_CACHE to be set", name)
		}
	}
	dir, err := logprob.Find(ctx, name, hub)
	download.Done()
	if err != nil {
		return nil, err
	}
	if m := l.models[dir]; m != nil {
		return m, nil
	}
	loading := NewProgress(l.stderr, "loading "+name, true)
	o := &logprob.Options{Backend: l.backend, DType: l.dtype, MemoryLimit: l.memory, PromptCache: l.promptCache, AnswerCache: l.answerCache, Progress: loading.Set, Batch: l.watch.batch}
	if l.journal != nil {
		o.Store = l.journal
	}
	m, err := l.load(ctx, dir, o)
	if l.other(err) {
		o.Backend = l.backend
		m, err = l.load(ctx, dir, o)
	}
	loading.Done()
	if err != nil {
		return nil, inFlags(err)
	}
	if l.journal != nil {
		meta, err := m.Meta(ctx)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		machine := meta.Processor
		if meta.Plugin != "" {
			machine += fmt.Sprintf(", plugin %s %.8s", meta.Plugin, meta.PluginHash)
		}
		l.journal.On(machine)
	}
	for _, w := range m.Warnings() {
		fmt.Fprintf(l.stderr, "%s: %v\n", name, w)
	}
	l.models[dir] = m
	return m, nil
}

// Policy loads a model and pairs it with a rendering, which CheckRendering has passed. flag
// is the name of the flag that says it: "base-as" for the base model of a pair.
func (l *Loader) Policy(ctx context.Context, name, flag, as string) (*logprob.Model, *implicit.Policy, error) {
	m, err := l.Load(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	o, err := l.Reads(m, name, flag, as)
	if err != nil {
		return nil, nil, err
	}
	if as == "raw" {
		return m, implicit.RawBOS(m, o.BOS), nil
	}
	return m, implicit.Chat(m, o), nil
}

// Reads returns how the flags let a model read prompts in a rendering: chats, and with
// ChatOptions.BOS raw text too. What would fail at every text fails here.
func (l *Loader) Reads(m *logprob.Model, name, flag, as string) (*tokenize.ChatOptions, error) {
	return l.ReadsAs(m, name, flag, as, "")
}

// ReadsAs is Reads with the text of another chat template; "" is what the flags say.
func (l *Loader) ReadsAs(m *logprob.Model, name, flag, as, template string) (*tokenize.ChatOptions, error) {
	t := m.Tokenizer()
	if t == nil {
		return nil, fmt.Errorf("%s: %w", name, m.NoTokenizer())
	}
	o := l.texts.options(flag)
	o.Template = template
	if template == "" {
		var err error
		if o.Template, err = l.texts.template(t); err != nil && as != "raw" {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if as == "raw" {
		if _, err := t.RawBOS("x", "", o.BOS); err != nil {
			return nil, fmt.Errorf("%s: %w", name, advise(err, flag))
		}
		return o, nil
	}
	text, err := t.Chat("x", "", o)
	if err != nil {
		return nil, fmt.Errorf("%s as chat: %w", name, advise(err, flag))
	}
	if bos, ok := t.BOS(); ok && o.BOS == tokenize.BOSAuto && text.IDs[0] != bos && !l.told[name] {
		l.told[name] = true
		fmt.Fprintf(l.stderr, "%s: its chat template writes no %s, with which other text of this model begins: none is added, as in transformers (-bos add adds it)\n", name, t.Decode(bos))
	}
	return o, nil
}

// Chat is how the flags let a model read chats, without Reads' look at whether it can.
func (l *Loader) Chat(m *logprob.Model, flag string) (*tokenize.ChatOptions, error) {
	o := l.texts.options(flag)
	var err error
	o.Template, err = l.texts.template(m.Tokenizer())
	return o, err
}

// CheckRendering is a UsageError unless as, the value of the named flag, is raw or chat.
func CheckRendering(name, as string) error {
	if as != "raw" && as != "chat" {
		return Usagef("-%s %q, wanted raw or chat", name, as)
	}
	return nil
}

// Close frees all models and the backend, and keeps what was computed of an output that
// is not complete.
func (l *Loader) Close() {
	if err := l.journal.Close(); err != nil {
		fmt.Fprintln(l.stderr, err)
	}
	for _, m := range l.models {
		m.Close()
	}
	l.backend.Finalize()
}
