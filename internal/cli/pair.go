package cli

import (
	"context"
	"io"
	"math"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
)

// PairFlags are the flags of every program that runs a tuned and a base model.
type PairFlags struct {
	Tuned, Base     string
	TunedAll        []string // all values of -tuned, of which Tuned is the last
	TunedAs, BaseAs string   // renderings of a prompt: raw or chat
	Beta            float64
	// Same lets BaseAs be "same", which is then the default: the base model reads the text
	// that the tuned model's rendering writes.
	Same bool
	ModelFlags
}

// Register adds the flags, but for -beta.
func (p *PairFlags) Register(f *Flags) {
	f.Var(names{&p.Tuned, &p.TunedAll}, "tuned", "tuned `model`: a folder, or org/name[@revision] on the hub, or BASE+ADAPTER, each so, with a LoRA adapter")
	f.StringVar(&p.Base, "base", "", "base `model`, likewise")
	f.StringVar(&p.TunedAs, "tuned-as", "chat", "`rendering` of a prompt for the tuned model: chat, as the user's turn of its template, or raw, as it stands")
	as := "raw"
	if p.Same {
		as = "same"
	}
	f.StringVar(&p.BaseAs, "base-as", as, "`rendering` for the base model")
	p.ModelFlags.Register(f)
}

// RegisterBeta adds the flag -beta.
func (p *PairFlags) RegisterBeta(f *Flags) {
	f.Float64Var(&p.Beta, "beta", 1, "`factor` of the rewards, above 0")
}

// Check is a UsageError if a rendering or beta is wrong, or if flags about chats are given and
// nothing is rendered as one; renderings are further ones that the program may use.
func (p *PairFlags) Check(f *Flags, renderings ...string) error {
	if err := CheckRendering("tuned-as", p.TunedAs); err != nil {
		return err
	}
	switch err := CheckRendering("base-as", p.BaseAs); {
	case p.Same && p.BaseAs == "same":
	case p.Same && err != nil:
		return Usagef("-base-as %q, wanted same, chat or raw", p.BaseAs)
	case err != nil:
		return err
	}
	if f.Lookup("beta") != nil && (!(p.Beta > 0) || math.IsInf(p.Beta, 1)) {
		return Usagef("-beta %g, wanted a number above 0", p.Beta)
	}
	return p.CheckChat(f, append(renderings, p.TunedAs, p.BaseAs)...)
}

// Pair are the two loaded models. Base is nil if the flag -base is empty.
type Pair struct {
	Tuned, Base *Model
	beta        float64
	shared      bool // the base model reads chats by the tuned model's template
}

// Open makes a loader that resumes the output (Loader.Resume) and loads the models. Closing the
// loader frees them.
func (p *PairFlags) Open(ctx context.Context, out string, stderr io.Writer) (*Loader, *Pair, error) {
	l, err := p.Loader(stderr)
	if err != nil {
		return nil, nil, err
	}
	if err = l.Resume(out); err == nil {
		var pair *Pair
		if pair, err = p.Load(ctx, l); err == nil {
			return l, pair, nil
		}
	}
	l.Close()
	return nil, nil, err
}

// Load loads the models.
func (p *PairFlags) Load(ctx context.Context, l *Loader) (*Pair, error) {
	pair := &Pair{beta: p.Beta}
	var err error
	if pair.Tuned, err = l.Model(ctx, p.Tuned, "tuned-as", p.TunedAs); err != nil || p.Base == "" {
		return pair, err
	}
	as, template := p.BaseAs, ""
	if as == "same" {
		as = p.TunedAs
		pair.shared = as == "chat"
	}
	if pair.shared {
		if template = pair.Tuned.Chat.Template; template == "" {
			template = pair.Tuned.Tokenizer().Template()
		}
	}
	if pair.Base, err = l.modelAs(ctx, p.Base, "base-as", as, template); err == nil {
		warn(l.stderr, p.Tuned+", "+p.Base, pair.Policies().Warnings())
	}
	return pair, err
}

// Policies returns the pair that scores.
func (p *Pair) Policies() implicit.Pair {
	pair := implicit.Pair{Tuned: p.Tuned.Policy(), Beta: p.beta}
	if p.Base != nil {
		pair.Base = p.Base.Policy()
	}
	return pair
}

// Meta returns the provenance of the models; base is empty without a base model.
func (p *Pair) Meta(ctx context.Context) (tuned, base logprob.Meta, err error) {
	if tuned, err = p.Tuned.Meta(ctx); err != nil || p.Base == nil {
		return tuned, base, err
	}
	base, err = p.Base.Meta(ctx)
	if p.shared {
		base.Rendering = "chat, by the tuned model's template"
	}
	return tuned, base, err
}
