package rewardmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Options change how a reward model is loaded and how it reads a text. The zero value, or
// nil, is the model's own way.
type Options struct {
	Model logprob.Options     // of the transformer
	Hub   *logprob.HubOptions // for a model named by a hub id
	// Base, if not nil, is the base model of the name or Model.Adapter, which has one: it is
	// not loaded again, but shared (logprob.Model.WithAdapter).
	Base *logprob.Model
	// Output names what is the reward. "" is the head's own reward, an error of a plain head
	// with several labels; else a name of Model.Outputs, "column=N" (its Nth output, from 0),
	// or "token=ID", the logit of a token after the text, for a causal checkpoint whose
	// lm_head row ID holds the head (Llama-3.1-Nemotron-70B-Reward: token=0).
	Output  string
	Pooling Pooling // which token is pooled; Last by default
	// Normalize makes the reward (r - mean) / std with mean and std of config.json, as
	// OpenRLHF does with normalize_reward. It is an error if config.json has none.
	Normalize bool
	// Raw reads prompt and reply as one plain text, without the chat template. With Ended the
	// tokenizer's EOS ends it, as TRL and package train read rows of text.
	Raw, Ended bool
	// Chat says how a conversation is rendered; its BOS also counts for raw text. BOSAuto is
	// the model's own way (see Model.Chosen).
	Chat *tokenize.ChatOptions
	// Template, if not nil, chooses the template of chats, as ChatOptions.Template has it, when
	// the tokenizer is known.
	Template func(*tokenize.Tokenizer) (string, error)
}

// Model is a reward model on a device. It is an RM.
type Model struct {
	lm      *logprob.Model
	head    head
	column  int // of the outputs, the reward; -1: the head's own reward
	norm    normalization
	o       Options
	known   known   // by its name
	trained *way    // as its folder says that it was trained; nil if it does not
	way     way     // how it renders
	pad     int32   // pad_token_id, -1 for none
	turn    []int32 // what the template writes between the user's message and the reply; only of gated heads
	doubts  []error
}

var _ RM = (*Model)(nil)

// Load loads the reward model that name means: a folder, a hub id ("org/name",
// "org/name@revision"; see logprob.Find), or BASE+ADAPTER. Close frees it.
//
// The head is told by the tensors beside the transformer, whatever config.json calls its
// class: linear heads and MLPs (score, v_head, value_head, regression_head, score_head, or
// what value_head_prefix names), the gated heads of ArmoRM, QRM-Llama and QRM-Gemma, and
// URM's. Every tensor is used, or the error names it.
//
// A model that package train trained reads texts as it did then: see Trained.
//
// A folder without tokenizer.json loads too, unless its head has a gate, and scores token ids.
func Load(ctx context.Context, name string, o *Options) (*Model, error) {
	if o == nil {
		o = &Options{}
	}
	m := &Model{o: *o}
	m.o.Model.Trunk = true
	dir, err := m.open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	if err := m.load(name, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("rewardmodel: %s: %w", name, err), m.Close())
	}
	return m, nil
}

// open loads the transformer and returns the folder of the model, of the base model with an
// adapter.
func (m *Model) open(ctx context.Context, name string) (dir string, err error) {
	base, adapter := logprob.SplitAdapter(name)
	switch {
	case adapter != "" && m.o.Model.Adapter != "":
		return "", fmt.Errorf("%s, and the adapter %s: wanted one", name, m.o.Model.Adapter)
	case adapter != "":
		if m.o.Model.Adapter, err = logprob.FindAdapter(ctx, adapter, m.o.Hub); err != nil {
			return "", err
		}
	}
	if dir, err = logprob.Find(ctx, base, m.o.Hub); err != nil {
		return "", err
	}
	switch {
	case m.o.Base == nil:
		m.lm, err = logprob.Load(ctx, dir, &m.o.Model)
	case m.o.Model.Adapter == "":
		return "", fmt.Errorf("%s: a loaded base model and no adapter, wanted BASE+ADAPTER", name)
	default:
		m.lm, err = m.o.Base.WithAdapter(ctx, m.o.Model.Adapter, &m.o.Model)
	}
	return dir, err
}

func (m *Model) load(name, dir string) error {
	chosen := m.o.Chat != nil || m.o.Template != nil
	if err := m.options(); err != nil {
		return err
	}
	if m.o.Ended && !m.o.Raw {
		return errors.New("an EOS to end chats, which their template ends, wanted it with Raw")
	}
	if m.o.Pooling < Last || m.o.Pooling > HFOld {
		return fmt.Errorf("%v, wanted Last, HF or HFOld", m.o.Pooling)
	}
	var err error
	if m.head, err = find(m.lm, m.o.Output); err != nil {
		return err
	}
	if adapter := m.o.Model.Adapter; adapter != "" { // the adapter's authors made the reward model
		_, name = logprob.SplitAdapter(name)
		dir = adapter
	}
	trained, err := readTrained(dir)
	if err == nil && trained != nil {
		err = m.asTrained(trained, chosen)
	}
	if err != nil {
		return err
	}
	m.known = knownModel(name, dir)
	m.known.label(m.head.facts())
	if m.column, err = choose(m.head.facts(), m.o.Output); err != nil {
		return err
	}
	config := settings(m.lm.Config())
	if m.pad, err = config.pad(); err != nil {
		return err
	}
	if err := m.normalization(config); err != nil {
		return err
	}
	m.doubts = append(m.doubts, m.head.facts().doubts...)
	if doubt := m.padDoubt(config); doubt != nil {
		m.doubts = append(m.doubts, doubt)
	}
	return m.render()
}

// options makes the options of chats the model's own.
func (m *Model) options() error {
	chat := tokenize.ChatOptions{}
	if m.o.Chat != nil {
		chat = *m.o.Chat
	}
	m.o.Chat = &chat
	if m.o.Template == nil || m.o.Raw || m.lm.Tokenizer() == nil {
		return nil
	}
	var err error
	chat.Template, err = m.o.Template(m.lm.Tokenizer())
	return err
}

// choose returns the number of the output that is the reward, -1 for the head's own reward.
func choose(a *about, output string) (int, error) {
	listed := func() string {
		const most = 30
		var names []string
		for i, name := range a.labels[:min(len(a.labels), most)] {
			names = append(names, fmt.Sprintf("%q (column=%d)", name, i))
		}
		if len(a.labels) > most {
			names = append(names, fmt.Sprintf("and %d more", len(a.labels)-most))
		}
		return strings.Join(names, ", ")
	}
	if output == "" {
		if a.own || len(a.labels) == 1 {
			return -1, nil
		}
		return 0, fmt.Errorf("%w: the head has %d, wanted one of %s", ErrOutput, len(a.labels), listed())
	}
	if a.kind == "token" {
		return -1, nil
	}
	if number, ok := strings.CutPrefix(output, "column="); ok {
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 || i >= len(a.labels) {
			return 0, fmt.Errorf("output %q, wanted column=0 to column=%d: %s", output, len(a.labels)-1, listed())
		}
		return i, nil
	}
	i := slices.Index(a.labels, output)
	if i < 0 {
		return 0, fmt.Errorf("no output %q, wanted one of %s", output, listed())
	}
	if slices.Contains(a.labels[i+1:], output) {
		return 0, fmt.Errorf("two outputs %q, wanted one by its column: %s", output, listed())
	}
	return i, nil
}

func (m *Model) normalization(config settings) error {
	var err error
	if m.norm, err = config.normalization(); err != nil {
		return err
	}
	switch {
	case m.o.Normalize && !m.norm.has():
		return errors.New("the reward is to be normalised, and config.json has no mean and std")
	case m.o.Normalize && len(m.head.facts().labels) > 1:
		return fmt.Errorf("the reward is to be normalised, and mean and std of config.json are of one number, not of %d outputs", len(m.head.facts().labels))
	case m.norm.asked && m.norm.has() && !m.o.Normalize:
		m.doubts = append(m.doubts, fmt.Errorf("rewardmodel: config.json asks for normalised rewards, (r - %g) / %g, as OpenRLHF computes them: these are raw unless normalising is chosen", *m.norm.mean, *m.norm.std))
	}
	return nil
}

// padDoubt says where pooling by the pad token, which transformers does, can read another
// token than the last.
func (m *Model) padDoubt(config settings) error {
	if m.pad < 0 {
		return nil
	}
	ends := config.eos()
	t := m.lm.Tokenizer()
	if t != nil {
		if name, ok := t.SpecialToken("eos_token"); ok {
			if ids, _, err := t.Encode(name); err == nil && len(ids) == 1 {
				ends = append(ends, ids[0])
			}
		}
	}
	if !slices.Contains(ends, m.pad) {
		return nil
	}
	return fmt.Errorf("rewardmodel: pad_token_id is %d, which also ends texts: where the template writes it, transformers pools another token than the last (5: the last that is no pad, 4.43: the one before the first pad); such texts are flagged, and pooling %s is chosen here", m.pad, m.o.Pooling)
}

// Outputs names the head's outputs: the labels of id2label, a gate's objectives by their
// names where the model is known, else by number, or the token.
func (m *Model) Outputs() []string { return slices.Clone(m.head.facts().labels) }

// MaxTokens returns the length of the longest text, in tokens.
func (m *Model) MaxTokens() int { return m.lm.MaxTokens() }

// VocabSize returns the number of token ids that the model has embeddings for.
func (m *Model) VocabSize() int { return m.lm.VocabSize() }

// ProblemType is problem_type of config.json, "" where there is none: transformers trains by
// it, vLLM chooses an activation of the outputs by it, and no number here depends on it.
func (m *Model) ProblemType() (kind string) {
	if settings(m.lm.Config()).read("problem_type", &kind, "a string") != nil {
		return ""
	}
	return kind
}

// Tokenizer returns the checkpoint's tokenizer; nil if the folder has none.
func (m *Model) Tokenizer() *tokenize.Tokenizer { return m.lm.Tokenizer() }

// Warnings are doubts about the checkpoint's files that do not prevent its use.
func (m *Model) Warnings() []error { return append(m.lm.Warnings(), m.doubts...) }

// BatchInvariant reports whether a score has the same bits in any company; see
// logprob.Model.BatchInvariant.
func (m *Model) BatchInvariant() (bool, error) { return m.lm.BatchInvariant() }

// Close frees the weights. The model must not be in use.
func (m *Model) Close() error { return m.lm.Close() }
