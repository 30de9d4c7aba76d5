package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Model is a loaded model with the rendering that the flags choose.
type Model struct {
	*logprob.Model
	Name string                // as the command line has it
	As   string                // rendering of prompts: raw or chat
	Chat *tokenize.ChatOptions // of chats; its BOS is also that of raw text

	loader *Loader
	flag   string // of the rendering
}

// Model loads the model that name means with its rendering, which CheckRendering has passed.
// flag is the name of the rendering's flag: "base-as" for the base model of a pair.
func (l *Loader) Model(ctx context.Context, name, flag, as string) (*Model, error) {
	return l.modelAs(ctx, name, flag, as, "")
}

func (l *Loader) modelAs(ctx context.Context, name, flag, as, template string) (*Model, error) {
	m, err := l.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	chat, err := l.reads(m, name, flag, as, template)
	return &Model{Model: m, Name: name, As: as, Chat: chat, loader: l, flag: flag}, err
}

// Policy returns the policy of the model and its rendering.
func (m *Model) Policy() *implicit.Policy {
	if m.As == "raw" {
		return implicit.RawBOS(m.Model, m.Chat.BOS)
	}
	return implicit.Chat(m.Model, m.Chat)
}

// Meta returns the model's provenance with its name and rendering.
func (m *Model) Meta(ctx context.Context) (logprob.Meta, error) {
	meta, err := m.Model.Meta(ctx)
	m.Describe(&meta)
	return meta, err
}

// Describe sets the name and the rendering in a model's provenance.
func (m *Model) Describe(to *logprob.Meta) {
	to.Model = m.Name
	o := m.loader.texts.options(m.flag)
	to.Rendering, to.BOS = m.As, o.BOS.String()
	if m.As != "chat" {
		return
	}
	to.System, to.Vars = o.System, o.Vars
	if !o.Date.IsZero() {
		to.Date = o.Date.Format(time.DateOnly)
	}
	if text, err := m.loader.texts.template(m.Tokenizer()); err == nil && text != "" {
		sum := sha256.Sum256([]byte(text))
		to.Template = hex.EncodeToString(sum[:])
	}
}

// reads returns how the flags let a model render chats and, by ChatOptions.BOS, raw text. What
// would fail for every text in the rendering fails here. template is the text of a chat
// template; "" is the flags'.
func (l *Loader) reads(m *logprob.Model, name, flag, as, template string) (*tokenize.ChatOptions, error) {
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
	if bos, ok := t.BOS(); ok && o.BOS == tokenize.BOSAuto && text.IDs[0] != bos && !l.warned[name] {
		l.warned[name] = true
		fmt.Fprintf(l.stderr, "%s: its chat template writes no %s, with which other text of this model begins: none is added, as in transformers (-bos add adds it)\n", name, t.Decode(bos))
	}
	return o, nil
}

// Chat returns how the flags let a model render chats, without trying whether it can.
func (l *Loader) Chat(m *logprob.Model, flag string) (*tokenize.ChatOptions, error) {
	o := l.texts.options(flag)
	var err error
	o.Template, err = l.texts.template(m.Tokenizer())
	return o, err
}
