package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/tokenize"
)

// trainerRequest is what OpenRLHF posts to the address in its remote_rm_url: texts of prompt
// and reply together, the prompts with which they begin, and labels, which a reward model
// does not need.
type trainerRequest struct {
	Query   json.RawMessage `json:"query"`
	Prompts json.RawMessage `json:"prompts"`
	Labels  json.RawMessage `json:"labels"`
}

// trainerResponse has a value a query in each list, as OpenRLHF reads it, and null for a
// query without a reward, or what the address says in place of null. Errors, which OpenRLHF
// does not read, say why there is none.
type trainerResponse struct {
	Rewards []*float64            `json:"rewards"`
	Scores  []*float64            `json:"scores"`
	Logs    map[string][]*float64 `json:"extra_logs"`
	Errors  []trainerError        `json:"errors,omitempty"`
}

type trainerError struct {
	Index   int    `json:"index"`
	Message string `json:"message"`
}

// trainer is the pair as the reward model of a training run. A reply is what a query holds
// after its prompt, its end-of-text token included where the trainer sends it; a reply of
// nothing has the reward 0.
//
// A query whose reply cannot be found or scored does not keep the others from their rewards;
// where no query can be scored, the request is refused.
//
// A trainer that applies a chat template sends prompts that hold it. They are read as they
// stand, raw; to render them once more would be wrong, so that they are refused where the
// server would. The address says how prompts are read, and beta:
//
//	http://127.0.0.1:8000/get_reward?tuned=raw&base=raw&beta=0.1
func (s *Server) trainer(ctx context.Context, c *call) (any, error) {
	var r trainerRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	if err := s.needPair(); err != nil {
		return nil, err
	}
	o, err := s.trainerOptions(c)
	if err != nil {
		return nil, err
	}
	queries, err := s.strings(r.Query, "query")
	if err != nil {
		return nil, err
	}
	prompts, err := s.strings(r.Prompts, "prompts")
	if err != nil {
		return nil, err
	}
	if len(queries) != len(prompts) {
		return nil, refuse("prompts", "%d prompts for %d queries, wanted one each", len(prompts), len(queries))
	}
	pairs := make([]*implicit.Reward, len(queries)) // nil for one without a reward
	var toScore []*implicit.Reward
	var bad []trainerError
	for i, query := range queries {
		reply, err := replyOf(query, prompts[i], s.models[s.tuned].Tokenizer(), s.models[s.base].Tokenizer())
		p := &implicit.Reward{} // of no reply: ln 1 - ln 1
		if err == nil && reply != "" {
			if *p, err = encode(o.pair, implicit.Item{Prompt: prompts[i], Reply: reply}); err == nil {
				toScore = append(toScore, p)
			}
		}
		if err != nil {
			bad = append(bad, trainerError{i, err.Error()})
			continue
		}
		pairs[i] = p
	}
	if len(bad) == len(queries) {
		return nil, refuse("query", "query 0: %s", bad[0].Message)
	}
	for _, e := range bad {
		s.log.Warn("no reward", "path", c.URL.Path, "query", e.Index, "of", len(queries), "error", e.Message)
	}
	if err := s.scorePairs(ctx, c, "", toScore); err != nil {
		return nil, err
	}
	out := trainerResponse{Logs: map[string][]*float64{}, Errors: bad}
	list := func(value func(p *implicit.Reward) float64) []*float64 {
		values := make([]*float64, len(pairs))
		for i, p := range pairs {
			if p != nil {
				values[i] = number(value(p))
			}
			if values[i] == nil {
				values[i] = o.missing
			}
		}
		return values
	}
	out.Rewards = list(func(p *implicit.Reward) float64 { return p.Value() })
	out.Scores = out.Rewards
	out.Logs["logp_tuned"] = list(func(p *implicit.Reward) float64 { return p.Tuned.Sum() })
	out.Logs["logp_base"] = list(func(p *implicit.Reward) float64 { return p.Base.Sum() })
	return out, nil
}

// trainerOptions are those of the address.
type trainerOptions struct {
	as      rendering
	pair    implicit.Pair // as the address says that its models read text
	missing *float64      // in place of null
}

func (s *Server) trainerOptions(c *call) (o trainerOptions, err error) {
	var beta *float64
	var how reading
	for name, values := range c.URL.Query() {
		switch {
		case len(values) > 1 || values[0] == "":
			return o, refuse(name, "%.40q: wanted one value", name)
		case name == "tuned":
			o.as.Tuned = values[0]
		case name == "base":
			o.as.Base = values[0]
		case name == "bos":
			how.BOS = &values[0]
		case name == "system":
			how.System = &values[0]
		case name == "beta" || name == "missing":
			v, err := strconv.ParseFloat(values[0], 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return o, refuse(name, "%s: %.20q, wanted a number", name, values[0])
			}
			if name == "beta" {
				beta = &v
			} else {
				o.missing = &v
			}
		default:
			return o, refuse(name, "unrecognized parameter of the address: %.40q, wanted tuned, base, bos, system, beta or missing", name)
		}
	}
	if err := o.as.fill(s.models); err != nil {
		return o, err
	}
	if o.pair, err = s.pairAs(&how, o.as); err != nil {
		return o, err
	}
	o.pair.Tuned = s.models[s.tuned].ofTrainer(o.pair.Tuned, o.as.Tuned)
	o.pair.Base = s.models[s.base].ofTrainer(o.pair.Base, o.as.Base)
	o.pair.Beta, err = s.betaOf(beta)
	return o, err
}

// ofTrainer is a policy for prompts as a trainer sends them: with a BOS already in raw text,
// and never with a template's own tokens where the template would add them once more.
func (m *Model) ofTrainer(p *implicit.Policy, as string) *implicit.Policy {
	q := *p
	q.Encode = func(it implicit.Item) (tokenize.Encoded, error) {
		t := m.Tokenizer()
		if t == nil {
			return p.Encode(it)
		}
		if as == "raw" {
			if bos, ok := t.SpecialToken("bos_token"); ok {
				if id, ok := t.BOS(); ok && t.Decode(id) == bos {
					it.Prompt = strings.TrimPrefix(it.Prompt, bos) // RawBOS puts it there
				}
			}
			return p.Encode(it)
		}
		ids, _, err := t.Encode(it.Prompt)
		if err != nil {
			return tokenize.Encoded{}, err
		}
		if at := slices.IndexFunc(ids, t.IsSpecial); at >= 0 {
			return tokenize.Encoded{}, fmt.Errorf("the prompt holds %q, as a chat template writes it, and would be rendered by the template once more: post to /get_reward?tuned=raw&base=raw", t.Decode(ids[at]))
		}
		return p.Encode(it)
	}
	return &q
}

// strings reads a list of strings that must be there.
func (s *Server) strings(raw json.RawMessage, field string) ([]string, error) {
	if len(raw) == 0 || raw[0] != '[' {
		return nil, refuse(field, "%s: wanted a list of strings", field)
	}
	list, err := stringList(raw, s.limits)
	if err == nil && len(list) == 0 {
		return nil, refuse(field, "%s: an empty list, wanted at least one text", field)
	}
	if err != nil {
		return nil, refuse(field, "%s: %v", field, err)
	}
	return list, nil
}
