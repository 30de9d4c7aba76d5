package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/logprob"
)

// RMFlags are the flags of every program that runs an explicit reward model.
type RMFlags struct {
	RM        string
	RMAll     []string // all values of -rm, of which RM is the last
	Output    string   // what is the reward: see rewardmodel.Options
	Pooling   string   // last, hf or hf-old
	As        string   // rendering: chat, raw or ended
	Normalize bool
	Quiet     bool // says nothing of what was chosen, in a program that leaves no choice
	ModelFlags
}

// Register adds the flags and those of ModelFlags.
func (r *RMFlags) Register(f *Flags) {
	r.RegisterRM(f)
	r.ModelFlags.Register(f)
}

// RegisterRM adds the reward model's own flags alone, for a program that has those of
// ModelFlags from PairFlags.
func (r *RMFlags) RegisterRM(f *Flags) {
	f.Var(names{&r.RM, &r.RMAll}, "rm", "explicit reward `model`: a folder, or org/name[@revision] on the hub, or BASE+ADAPTER, each so, with a LoRA adapter")
	f.StringVar(&r.Output, "output", "", "`name` of the reward model's output that is the reward, column=N, or token=ID for the logit of a token of a causal checkpoint; default: the head's own reward")
	f.StringVar(&r.Pooling, "pooling", "last", "`rule` for the token that the reward model's head reads: last, hf (as transformers 5) or hf-old (as transformers 4.43)")
	f.StringVar(&r.As, "rm-as", "chat", "`rendering` for the reward model: chat, prompt and reply as the turns of its template, whose BOS -bos auto leaves to the model's own way, which is printed; raw, as they stand; or ended, raw and the EOS, as TRL trains on texts")
	f.BoolVar(&r.Normalize, "normalize", false, "rewards are (r - mean) / std with the reward model's mean and std, which OpenRLHF writes in config.json")
}

// Check is a UsageError if a value is wrong, if flags of a reward model are given without
// one, or if flags about chats are and it reads none; a program with a pair's flags checks the
// latter by PairFlags.Check(f, r.As).
func (r *RMFlags) Check(f *Flags) error {
	if name := f.Given("output", "pooling", "rm-as", "normalize"); name != "" && r.RM == "" {
		return Usagef("-%s is about a reward model, wanted -rm", name)
	}
	if _, err := rewardmodel.ParsePooling(r.Pooling); err != nil {
		return Usagef("-pooling %q, wanted last, hf or hf-old", r.Pooling)
	}
	if r.As != "ended" && CheckRendering("rm-as", r.As) != nil {
		return Usagef("-rm-as %q, wanted chat, raw or ended", r.As)
	}
	if f.Lookup("tuned-as") != nil {
		return nil
	}
	return r.CheckChat(f, r.As)
}

// RM is a loaded reward model.
type RM struct {
	*rewardmodel.Model
	Name string // as the command line has it
}

// Meta returns the model's provenance with its name and rendering.
func (m *RM) Meta(ctx context.Context) (rewardmodel.Meta, error) {
	meta, err := m.Model.Meta(ctx)
	meta.Model = m.Name
	return meta, err
}

// adviseRM adds to an error what the flags of a reward model can do about it.
func adviseRM(err error) error {
	switch {
	case errors.Is(err, rewardmodel.ErrNoHead):
		return fmt.Errorf("%w (-output token=ID)", err)
	case errors.Is(err, rewardmodel.ErrOutput):
		return fmt.Errorf("%w: choose with -output", err)
	}
	return advise(err, "rm-as")
}

// RM loads the reward model that the flags name, and says on stderr what was chosen: the head,
// the output, the pooling and the BOS. Closing the loader frees it.
func (l *Loader) RM(ctx context.Context, r *RMFlags) (*RM, error) {
	pooling, err := rewardmodel.ParsePooling(r.Pooling)
	if err != nil {
		return nil, err
	}
	base, adapter := logprob.SplitAdapter(r.RM)
	dir, err := Folder(ctx, l.stderr, base, logprob.Find)
	if err != nil {
		return nil, err
	}
	on, of, err := l.adapterRM(ctx, base, dir, adapter)
	if err != nil {
		return nil, err
	}
	m := &RM{Name: r.RM}
	err = l.open(r.RM, func(o *logprob.Options) (err error) {
		o.Adapter = of
		m.Model, err = rewardmodel.Load(ctx, dir, &rewardmodel.Options{
			Base: on, Model: *o, Output: r.Output, Pooling: pooling, Normalize: r.Normalize,
			Raw: r.As != "chat", Ended: r.As == "ended", Chat: l.texts.options("rm-as"), Template: l.texts.template,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.RM, adviseRM(err))
	}
	l.rms = append(l.rms, m.Model)
	provenance := func(ctx context.Context) (logprob.Meta, error) {
		meta, err := m.Meta(ctx)
		return meta.Meta, err
	}
	if err := l.opened(ctx, r.RM, provenance, m.Warnings()); err != nil {
		return nil, err
	}
	if !r.Quiet {
		fmt.Fprintf(l.stderr, "%s: %s\n", r.RM, m.Chosen())
	}
	return m, nil
}

// adapterRM returns the loaded base model, with or without a vocabulary head, and the folder of
// a reward model's adapter; nil and "" without one.
func (l *Loader) adapterRM(ctx context.Context, base, dir, adapter string) (on *logprob.Model, of string, err error) {
	if adapter == "" {
		return nil, "", nil
	}
	if of, err = Folder(ctx, l.stderr, adapter, logprob.FindAdapter); err != nil {
		return nil, "", err
	}
	if on = l.models[dir]; on != nil {
		return on, of, nil
	}
	on, err = l.model(ctx, base, "trunk of "+dir, func(o *logprob.Options) (*logprob.Model, error) {
		o.Trunk, o.Store = true, nil
		return l.load(ctx, dir, o)
	})
	return on, of, err
}
