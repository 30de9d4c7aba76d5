package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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

// trainerResponse has a value a query in each list, as OpenRLHF reads it.
type trainerResponse struct {
	Rewards []*float64            `json:"rewards"`
	Scores  []*float64            `json:"scores"`
	Logs    map[string][]*float64 `json:"extra_logs"`
}

// trainer is the pair as the reward model of a training run. A reply is what a query holds
// after its prompt, its end-of-text token included where the trainer sends it; a reply of
// nothing has the reward 0.
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
	as, beta, err := s.trainerOptions(c)
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
	pairs := make([]*implicit.Reward, len(queries))
	var toScore []*implicit.Reward
	for i, q := range queries {
		reply, ok := strings.CutPrefix(q, prompts[i])
		if !ok {
			return nil, refuse("query", "query %d does not begin with its prompt: was it cut?", i)
		}
		pairs[i] = &implicit.Reward{Item: implicit.Item{Prompt: prompts[i], Reply: reply}}
		if reply == "" { // ln 1 - ln 1
			continue
		}
		if err := s.encodeTrainer(pairs[i], as); err != nil {
			return nil, refuse("query", "query %d: %v", i, err)
		}
		toScore = append(toScore, pairs[i])
	}
	if err := s.scorePairs(ctx, c, "", toScore); err != nil {
		return nil, err
	}
	out := trainerResponse{Rewards: make([]*float64, len(pairs)), Logs: map[string][]*float64{"logp_tuned": make([]*float64, len(pairs)), "logp_base": make([]*float64, len(pairs))}}
	out.Scores = out.Rewards
	for i, p := range pairs {
		out.Rewards[i] = number(p.Value(beta))
		out.Logs["logp_tuned"][i], out.Logs["logp_base"][i] = number(p.Tuned.Sum()), number(p.Base.Sum())
	}
	return out, nil
}

// trainerOptions are those of the address.
func (s *Server) trainerOptions(c *call) (as rendering, beta float64, err error) {
	var given *float64
	for name, values := range c.URL.Query() {
		switch {
		case len(values) > 1 || values[0] == "":
			return as, 0, refuse(name, "%.40q: wanted one value", name)
		case name == "tuned":
			as.Tuned = values[0]
		case name == "base":
			as.Base = values[0]
		case name == "beta":
			if err := json.Unmarshal([]byte(values[0]), &given); err != nil || given == nil {
				return as, 0, refuse("beta", "beta: %.20q, wanted a number above 0", values[0])
			}
		default:
			return as, 0, refuse(name, "unrecognized parameter of the address: %.40q, wanted tuned, base or beta", name)
		}
	}
	if err := as.fill(s.models); err != nil {
		return as, 0, err
	}
	beta, err = s.betaOf(given)
	return as, beta, err
}

// encodeTrainer makes the texts of a query.
func (s *Server) encodeTrainer(p *implicit.Reward, as rendering) error {
	return s.encode(p, as, func(m *Model, as string) ([]tokenize.Message, error) {
		t, prompt := m.Tokenizer(), p.Prompt
		if as == "raw" {
			if bos, ok := t.Named("bos_token"); ok {
				if id, ok := t.BOS(); ok && t.Decode(id) == bos {
					prompt = strings.TrimPrefix(prompt, bos) // Plain puts it there
				}
			}
			return user(prompt), nil
		}
		ids, _, err := t.Encode(prompt)
		if err != nil {
			return nil, err
		}
		if at := slices.IndexFunc(ids, t.Special); at >= 0 {
			return nil, fmt.Errorf("the prompt holds %q, as a chat template writes it, and would be rendered by the template once more: post to /get_reward?tuned=raw&base=raw", t.Decode(ids[at]))
		}
		return user(prompt), nil
	})
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
