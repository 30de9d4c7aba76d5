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
// does not read, say why there is none, and Reward and Rendering which rewards these are where
// the server has an explicit reward model.
type trainerResponse struct {
	Rewards   []*float64            `json:"rewards"`
	Scores    []*float64            `json:"scores"`
	Logs      map[string][]*float64 `json:"extra_logs"`
	Errors    []trainerError        `json:"errors,omitempty"`
	Reward    string                `json:"reward,omitempty"`    // explicit or implicit
	Rendering *rmRendering          `json:"rendering,omitempty"` // of explicit ones
}

type trainerError struct {
	Index   int    `json:"index"`
	Message string `json:"message"`
}

// trainer is the reward model of a training run: the explicit one where the server has one and
// the address does not ask for the pair (?reward=implicit), else the pair.
func (s *Server) trainer(ctx context.Context, c *call) (any, error) {
	var r trainerRequest
	if err := decode(c.body, &r); err != nil {
		return nil, err
	}
	kind := "implicit"
	if s.rm != nil {
		kind = "explicit"
	}
	if given, ok := c.URL.Query()["reward"]; ok {
		if len(given) > 1 || given[0] != "explicit" && given[0] != "implicit" {
			return nil, refuse("reward", "reward: %.40q, wanted one of explicit and implicit", given)
		}
		kind = given[0]
	}
	if kind == "explicit" {
		return s.trainerExplicit(ctx, c, r)
	}
	return s.trainerImplicit(ctx, c, r)
}

// trainerImplicit answers with the pair's rewards. A reply is what a query holds
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
func (s *Server) trainerImplicit(ctx context.Context, c *call, r trainerRequest) (any, error) {
	if err := s.needPair(); err != nil {
		return nil, err
	}
	o, err := s.trainerOptions(c)
	if err != nil {
		return nil, err
	}
	queries, prompts, err := s.queries(r)
	if err != nil {
		return nil, err
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
	if err := s.unscored(c, bad, len(queries)); err != nil {
		return nil, err
	}
	if err := s.scorePairs(ctx, c, "", toScore); err != nil {
		return nil, err
	}
	out := trainerResponse{Logs: map[string][]*float64{}, Errors: bad}
	if s.rm != nil {
		out.Reward = "implicit"
	}
	list := func(value func(p *implicit.Reward) float64) []*float64 { return listOf(pairs, value, o.missing) }
	out.Rewards = list(func(p *implicit.Reward) float64 { return p.Value() })
	out.Scores = out.Rewards
	out.Logs["logp_tuned"] = list(func(p *implicit.Reward) float64 { return p.Tuned.Sum() })
	out.Logs["logp_base"] = list(func(p *implicit.Reward) float64 { return p.Base.Sum() })
	return out, nil
}

// listOf are the values of what was scored, and missing, which may be null, in place of those
// that were not (nil) or that JSON has not.
func listOf[T any](scored []*T, value func(*T) float64, missing *float64) []*float64 {
	values := make([]*float64, len(scored))
	for i, x := range scored {
		if x != nil {
			values[i] = number(value(x))
		}
		if values[i] == nil {
			values[i] = missing
		}
	}
	return values
}

// queries reads a request's texts, and its prompts where it has them, one each.
func (s *Server) queries(r trainerRequest) (queries, prompts []string, err error) {
	if queries, err = s.strings(r.Query, "query"); err != nil {
		return nil, nil, err
	}
	if prompts, err = s.strings(r.Prompts, "prompts"); err != nil {
		return nil, nil, err
	}
	if len(queries) != len(prompts) {
		return nil, nil, refuse("prompts", "%d prompts for %d queries, wanted one each", len(prompts), len(queries))
	}
	return queries, prompts, nil
}

// unscored logs the queries without a reward. It is an error if these are all.
func (s *Server) unscored(c *call, bad []trainerError, queries int) error {
	if len(bad) == queries {
		return refuse("query", "query 0: %s", bad[0].Message)
	}
	for _, e := range bad {
		s.log.Warn("no reward", "path", c.URL.Path, "query", e.Index, "of", queries, "error", e.Message)
	}
	return nil
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
		case name == "beta":
			if beta, err = numberOf(name, values[0]); err != nil {
				return o, err
			}
		case name == "missing":
			if o.missing, err = numberOf(name, values[0]); err != nil {
				return o, err
			}
		case name == "reward":
		default:
			wanted := "tuned, base, bos, system, beta or missing"
			if s.rm != nil {
				wanted = "reward, " + wanted
			}
			return o, refuse(name, "unrecognized parameter of the address: %.40q, wanted %s", name, wanted)
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

// numberOf reads a number of the address.
func numberOf(name, value string) (*float64, error) {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, refuse(name, "%s: %.20q, wanted a number", name, value)
	}
	return &v, nil
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
		switch token, err := specialIn(t, it.Prompt); {
		case err != nil:
			return tokenize.Encoded{}, err
		case token != "":
			return tokenize.Encoded{}, fmt.Errorf("the prompt holds %q, as a chat template writes it, and would be rendered by the template once more: post to /get_reward?tuned=raw&base=raw", token)
		}
		return p.Encode(it)
	}
	return &q
}

// specialIn returns the first special token that a text spells out, "" for none.
func specialIn(t *tokenize.Tokenizer, text string) (string, error) {
	ids, _, err := t.Encode(text)
	if at := slices.IndexFunc(ids, t.IsSpecial); at >= 0 {
		return t.Decode(ids[at]), err
	}
	return "", err
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
