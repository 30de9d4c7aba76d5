package rewardmodel

import (
	"context"
	"errors"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Options change how a reward model is loaded and how it reads a text. The zero value, or
// nil, is the model's own way.
type Options struct {
	Model logprob.Options     // of the transformer
	Hub   *logprob.HubOptions // for a model named by a hub id
	// Output names what is the reward. "" is the head's own reward, an error of a plain head
	// with several labels; else a name of Model.Outputs, "column=N" (its Nth output, from 0),
	// or "token=ID", the logit of a token after the text, for a causal checkpoint whose
	// lm_head row ID holds the head (Llama-3.1-Nemotron-70B-Reward: token=0).
	Output  string
	Pooling Pooling // which token is pooled; Last by default
	// Normalize makes the reward (r - mean) / std with mean and std of config.json, as
	// OpenRLHF does with normalize_reward. It is an error if config.json has none.
	Normalize bool
	// Raw reads prompt and reply as one plain text, without the chat template.
	Raw bool
	// Chat says how a conversation is rendered; its BOS also counts for raw text. BOSAuto is
	// the model's own way (see Model.Chosen).
	Chat *tokenize.ChatOptions
}

// Model is a reward model on a device. It is an RM.
type Model struct {
	lm *logprob.Model
	o  Options
}

var _ RM = (*Model)(nil)

// Load loads the reward model that name means: a folder, a hub id ("org/name",
// "org/name@revision"; see logprob.Find), or BASE+ADAPTER. Close frees it.
func Load(ctx context.Context, name string, o *Options) (*Model, error) {
	return nil, errNotYet
}

var errNotYet = errors.New("rewardmodel: loading is not landed yet")

// Encode renders the conversation with the reply as the assistant's message and without a
// generation prompt, or both as plain text (Options.Raw).
func (m *Model) Encode(it implicit.Item) (tokenize.Encoded, error) {
	return tokenize.Encoded{}, errNotYet
}

// MaxTokens returns the length of the longest text, in tokens.
func (m *Model) MaxTokens() int { return m.lm.MaxTokens() }

// Outputs names the head's outputs.
func (m *Model) Outputs() []string { return nil }

// Run yields a Result for every text, in input order; see RM.
func (m *Model) Run(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) { yield(Result{}, errNotYet) }
}

// Tokenizer returns the checkpoint's tokenizer.
func (m *Model) Tokenizer() *tokenize.Tokenizer { return m.lm.Tokenizer() }

// Chosen says in one line which head, output, pooled token, rendering and BOS were chosen.
func (m *Model) Chosen() string { return "" }

// Warnings are doubts about the checkpoint's files that do not prevent its use.
func (m *Model) Warnings() []error { return m.lm.Warnings() }

// Close frees the weights. The model must not be in use.
func (m *Model) Close() error { return m.lm.Close() }
