package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// RM is an explicit reward model as the server offers it.
type RM struct {
	rewardmodel.RM
	Name      string                // by which requests name it, and which /v1/models shows
	Chat      *tokenize.ChatOptions // how it renders chats, and the BOS of raw text; nil is the checkpoint's own way
	Tokenizer *tokenize.Tokenizer   // nil: requests hold no text but prompt and reply
	VocabSize int                   // ids are below it
	Facts     rewardmodel.Meta      // head, outputs, pooling, and how it reads prompt and reply where a request does not say

	// Reading is the model with another rendering, and what that is; nil: requests cannot
	// choose theirs.
	Reading func(raw bool, chat *tokenize.ChatOptions) (rewardmodel.RM, rewardmodel.Meta, error)
	// Check says why the head cannot read a text of these ids, as a gate cannot that looks for
	// the end of the user's turn; nil: it can read all.
	Check func(ids []int32) error
	// Problem is problem_type of config.json, by which vLLM chooses the activation of
	// /classify; "" where there is none.
	Problem string
}

// NewRM is a model to serve under this name.
func NewRM(m *rewardmodel.Model, name string) *RM {
	chat := m.ChatOptions()
	return &RM{RM: m, Name: name, Chat: &chat, Tokenizer: m.Tokenizer(), VocabSize: m.VocabSize(), Facts: m.Facts(), Check: m.Check, Problem: m.ProblemType(),
		Reading: func(raw bool, chat *tokenize.ChatOptions) (rewardmodel.RM, rewardmodel.Meta, error) {
			other, err := m.Reading(raw, chat)
			if err != nil {
				return nil, rewardmodel.Meta{}, err
			}
			return other, other.Facts(), nil
		}}
}

// as is how prompt and reply are read where a request does not say: raw or chat.
func (m *RM) as() string { return cmp.Or(m.Facts.Rendering, "chat") }

// reader is the reward model as a Model of which everything but log-probabilities is asked.
func (m *RM) reader() *Model {
	return &Model{LM: readerLM{m}, Name: m.Name, As: m.as(), Chat: m.Chat}
}

type readerLM struct{ rm *RM }

func (l readerLM) Tokenizer() *tokenize.Tokenizer { return l.rm.Tokenizer }
func (l readerLM) MaxTokens() int                 { return l.rm.MaxTokens() }
func (l readerLM) VocabSize() int                 { return l.rm.VocabSize }

func (l readerLM) Run(context.Context, iter.Seq[logprob.Request]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		yield(logprob.Result{}, errors.New("serve: a reward model has no log-probabilities"))
	}
}

// needRM finds the reward model for an endpoint of its own; name is the request's.
func (s *Server) needRM(name string) error {
	switch {
	case s.rm == nil:
		return fail(http.StatusNotFound, "invalid_request_error", "", "no_rm", "the server has no explicit reward model: start it with -rm")
	case name != "" && name != s.rm.Name && name != "rm":
		return fail(http.StatusNotFound, "invalid_request_error", "model", "model_not_found", "model %q is not the reward model that is served, wanted %s", name, s.rm.Name)
	}
	return nil
}

// rmReading is the reward model as a request reads texts.
type rmReading struct {
	rewardmodel.RM
	model *Model // its tokenizer, and the BOS that was asked for
	how   rmRendering
	check func(ids []int32) error
}

// rmRendering is how a reward model's texts were read.
type rmRendering struct {
	As  string `json:"as"`  // raw or chat
	BOS string `json:"bos"` // what the choice came to: auto, add, none or extra, or removed, where the template's is left out
}

// rmAs is the reward model as it reads text for a request; as is "raw", "chat", or "" for the
// server's choice.
func (s *Server) rmAs(r *reading, as string) (m rmReading, err error) {
	if as == "" {
		as = s.rm.as()
	}
	if as != "raw" && as != "chat" {
		return m, refuse("rendering", "rendering: %.20q, wanted raw or chat", as)
	}
	facts := s.rm.Facts
	m = rmReading{RM: s.rm.RM, check: s.rm.Check}
	if m.model, err = r.of(s.reader, as == "chat"); err != nil {
		return m, err
	}
	if m.model != s.reader || as != s.rm.as() {
		if s.rm.Reading == nil {
			return m, refuse("rendering", "the reward model reads text as it was loaded, %s: wanted no rendering, system, chat_template_kwargs or bos", s.rm.as())
		}
		if m.RM, facts, err = s.rm.Reading(as == "raw", m.model.Chat); err != nil {
			return m, refuse("rendering", "as %s: %v", as, withChoice(err))
		}
	}
	m.how = rmRendering{as, facts.BOS}
	return m, nil
}

// encode makes the text of an item, or says why there is none, in the words for a client.
func (m rmReading) encode(it implicit.Item) (tokenize.Encoded, error) {
	if it.Reply == "" {
		return tokenize.Encoded{}, errors.New("empty, wanted text")
	}
	if messages := it.Conversation(); m.how.As == "raw" && len(messages[0].Extra) > 0 {
		return tokenize.Encoded{}, fmt.Errorf("the message's %.40q has no place in raw text: wanted rendering chat, or a message without it", messages[0].Extra[0].Name)
	}
	text, err := m.Encode(it)
	if err != nil {
		return text, withChoice(err)
	}
	return text, m.fits(text.IDs)
}

// fits says why the model cannot score these ids.
func (m rmReading) fits(ids []int32) error {
	if len(ids) == 0 {
		return errors.New("no tokens, wanted at least one")
	}
	if err := checkIDs(ids, m.model); err != nil {
		return err
	}
	if m.check != nil {
		return m.check(ids)
	}
	return nil
}

// scoreRM scores texts with the reward model; each is given the results, in any order.
func (s *Server) scoreRM(ctx context.Context, c *call, user string, texts []tokenize.Encoded, each func(i int, r rewardmodel.Result)) error {
	w := &work{client: c.client + " " + user, model: len(s.models), each: func(i int, a answer) { each(i, a.reward) }}
	for _, t := range texts {
		w.queries = append(w.queries, logprob.RequestOf(t))
	}
	return s.run(ctx, c, w)
}
