package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// ModelFlags are the flags of every program that runs a model.
type ModelFlags struct {
	DType, Backend, Date, Memory string
}

// Register adds the flags.
func (m *ModelFlags) Register(f *Flags) {
	f.StringVar(&m.DType, "dtype", "auto", "`type` to compute in: auto (the checkpoint's), f32 or bf16")
	f.StringVar(&m.Backend, "backend", "auto", "`backend` that computes: auto, xla:cpu, xla:cuda or go")
	f.StringVar(&m.Memory, "memory", "", "`size` that weights and buffers may take on the device, such as 2GiB: a larger model is read block by block; default: what the machine has")
	f.StringVar(&m.Date, "date", "", "`date` (2006-01-02) that a chat template is given; default: the template's own fixed date")
}

// Loader loads models onto one backend.
type Loader struct {
	backend     compute.Backend
	dtype       dtypes.DType
	memory      int64
	promptCache int64
	date        time.Time
	stderr      io.Writer
	models      map[string]*logprob.Model // by folder
	last        *logprob.Model
	journal     *Journal // nil without an output to resume
	watch       watch
}

// Loader checks the flags and opens the backend. Close frees it.
func (m *ModelFlags) Loader(stderr io.Writer) (*Loader, error) {
	l := &Loader{stderr: stderr, models: map[string]*logprob.Model{}}
	var err error
	if l.dtype, err = parseDType(m.DType); err != nil {
		return nil, err
	}
	if m.Date != "" {
		if l.date, err = time.Parse(time.DateOnly, m.Date); err != nil {
			return nil, Usagef("-date %q, wanted a date such as 2024-07-26", m.Date)
		}
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
// compute is kept in a Journal beside it until Complete is called, so that the same
// command, started again, goes on from there. Of "-", standard output, nothing is kept.
func (m *ModelFlags) LoaderFor(out string, stderr io.Writer) (*Loader, error) {
	l, err := m.Loader(stderr)
	if err != nil || out == "-" {
		return l, err
	}
	if l.journal, err = OpenJournal(out, stderr); err != nil {
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

// KeepPrompts lets models that are loaded from now on keep prompts' keys and values
// from one call to the next, in this many bytes each.
func (l *Loader) KeepPrompts(bytes int64) { l.promptCache = bytes }

// Load loads the model that name means: a folder, or a hub id. The same folder is
// loaded once.
func (l *Loader) Load(ctx context.Context, name string) (*logprob.Model, error) {
	hub := HubOptions(os.Getenv, l.stderr)
	download := NewProgress(l.stderr, "downloading "+name, true)
	hub.Progress = download.Set
	dir, err := logprob.Find(ctx, name, hub)
	download.Done()
	if err != nil {
		return nil, err
	}
	if m := l.models[dir]; m != nil {
		return m, nil
	}
	loading := NewProgress(l.stderr, "loading "+name, true)
	o := &logprob.Options{Backend: l.backend, DType: l.dtype, MemoryLimit: l.memory, PromptCache: l.promptCache, Like: l.last, Progress: loading.Set, Batch: l.watch.batch}
	if l.journal != nil {
		o.Store = l.journal
	}
	m, err := logprob.Load(ctx, dir, o)
	loading.Done()
	if err != nil {
		return nil, err
	}
	if t := m.Tokenizer(); t != nil {
		for _, w := range t.Warnings() {
			fmt.Fprintf(l.stderr, "%s: %v\n", name, w)
		}
	}
	l.models[dir], l.last = m, m
	return m, nil
}

// Policy loads a model and pairs it with a rendering, which CheckRendering has passed.
func (l *Loader) Policy(ctx context.Context, name, as string) (*logprob.Model, implicit.Policy, error) {
	m, err := l.Load(ctx, name)
	if err != nil {
		return nil, implicit.Policy{}, err
	}
	if m.Tokenizer() == nil {
		return nil, implicit.Policy{}, fmt.Errorf("%s: no tokenizer.json, wanted one to make tokens of text", name)
	}
	if as == "raw" {
		return m, implicit.Plain(m), nil
	}
	// A template that is missing or fails would otherwise fail at every text.
	if _, err := m.Tokenizer().Chat("x", "", l.Chat()); err != nil {
		return nil, implicit.Policy{}, fmt.Errorf("%s as chat: %w", name, err)
	}
	return m, implicit.Chat(m, l.Chat()), nil
}

// Chat is how the -date flag renders chats.
func (l *Loader) Chat() *tokenize.ChatOptions { return &tokenize.ChatOptions{Date: l.date} }

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
