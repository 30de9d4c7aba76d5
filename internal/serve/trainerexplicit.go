package serve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/tokenize"
)

// trainerExplicit answers with the explicit reward model's rewards, in place of OpenRLHF's own
// server of reward models (openrlhf/cli/serve_rm.py). The address says how queries are read:
//
//	http://127.0.0.1:8000/get_reward?rm=raw
//
// With rm=raw a query is read whole as it stands, what its trainer's template wrote: special
// tokens that it spells out become these, and no BOS is added unless the address says so (bos
// add or auto: one in front where the text does not begin with it; extra: one in front of any
// text). Prompts are then of no account. With rm=chat the reply is what a query holds after its
// prompt, without special tokens at its end, and both are rendered by the model's template.
//
// Where the address does not say, a query whose prompt spells out a special token, as templates
// do, is read raw, and so are all where the model was started with -rm-as raw; others are
// refused, as both readings are possible.
func (s *Server) trainerExplicit(ctx context.Context, c *call, r trainerRequest) (any, error) {
	if err := s.needRM(""); err != nil {
		return nil, err
	}
	o, err := s.explicitOptions(c)
	if err != nil {
		return nil, err
	}
	if s.rm.Tokenizer == nil {
		return nil, refuse("query", "query: the reward model has no tokenizer")
	}
	var queries, prompts []string
	if o.as != "" && strictjson.Null(r.Prompts) && o.as == "raw" { // OpenRLHF sent none before 0.5
		queries, err = s.strings(r.Query, "query")
	} else {
		queries, prompts, err = s.queries(r)
	}
	if err != nil {
		return nil, err
	}
	results := make([]*rewardmodel.Result, len(queries)) // nil for one without a reward
	var texts []tokenize.Encoded
	var at []int // of results, for each of texts
	var bad []trainerError
	out := trainerResponse{Logs: map[string][]*float64{}, Reward: "explicit", Rendering: &o.how}
	for i, query := range queries {
		prompt := ""
		if prompts != nil {
			prompt = prompts[i]
		}
		text, err := o.read(query, prompt)
		if err != nil {
			bad = append(bad, trainerError{i, err.Error()})
			continue
		}
		texts, at = append(texts, text), append(at, i)
	}
	if err := s.unscored(c, bad, len(queries)); err != nil {
		return nil, err
	}
	err = s.scoreRM(ctx, c, "", texts, func(i int, a rewardmodel.Result) { results[at[i]] = &a })
	if err != nil {
		return nil, err
	}
	out.Errors = bad
	out.Rewards = listOf(results, func(a *rewardmodel.Result) float64 { return a.Reward }, o.missing)
	out.Scores = out.Rewards
	if names := s.rm.Outputs(); len(names) > 1 {
		for n, name := range names {
			out.Logs[name] = listOf(results, func(a *rewardmodel.Result) float64 { return a.Outputs[n] }, o.missing)
		}
	}
	return out, nil
}

// explicitOptions are those of the address.
type explicitOptions struct {
	as      string       // raw or chat; "" where it depends on the prompt, raw or an error
	how     rmRendering  // as the answer has it
	bos     tokenize.BOS // of raw queries
	rm      rmReading    // of chats
	missing *float64     // in place of null
}

func (s *Server) explicitOptions(c *call) (o explicitOptions, err error) {
	var how reading
	o.bos = tokenize.BOSNone
	for name, values := range c.URL.Query() {
		switch {
		case len(values) > 1 || values[0] == "":
			return o, refuse(name, "%.40q: wanted one value", name)
		case name == "rm":
			if o.as = values[0]; o.as != "raw" && o.as != "chat" {
				return o, refuse(name, "rm: %.20q, wanted raw or chat", o.as)
			}
		case name == "bos":
			how.BOS = &values[0]
		case name == "system":
			how.System = &values[0]
		case name == "missing":
			if o.missing, err = numberOf(name, values[0]); err != nil {
				return o, err
			}
		case name == "reward":
		default:
			return o, refuse(name, "unrecognized parameter of the address: %.40q, wanted rm, bos, system or missing with the explicit reward, which this is", name)
		}
	}
	if o.as == "" && s.rm.as() == "raw" {
		o.as = "raw"
	}
	switch {
	case o.as == "chat":
		o.rm, err = s.rmAs(&how, "chat")
		o.how = o.rm.how
		return o, err
	case how.System != nil:
		return o, refuse("system", "system: nothing is rendered as a chat, wanted rm=chat")
	case how.BOS != nil:
		if o.bos, err = tokenize.ParseBOS(*how.BOS); err != nil {
			return o, refuse("bos", "bos: %.20q, wanted auto, add, none or extra", *how.BOS)
		}
	}
	o.rm = rmReading{RM: s.rm.RM, model: s.reader, check: s.rm.Check}
	o.how = rmRendering{"raw", o.bos.String()}
	return o, nil
}

// read makes the text of a query, or says why there is none.
func (o *explicitOptions) read(query, prompt string) (text tokenize.Encoded, err error) {
	t := o.rm.model.Tokenizer()
	if o.as == "chat" {
		reply, err := replyOf(query, prompt, t)
		if err != nil {
			return text, err
		}
		switch token, err := specialIn(t, prompt); {
		case err != nil:
			return text, err
		case token != "":
			return text, fmt.Errorf("the prompt holds %q, as a chat template writes it, and would be rendered by the template once more: wanted rm=raw", token)
		}
		if reply, err = withoutEnd(t, reply); err != nil {
			return text, err
		}
		return o.rm.encode(implicit.Item{Prompt: prompt, Reply: reply})
	}
	bos, _ := t.SpecialToken("bos_token")
	if o.as == "" {
		switch token, err := specialIn(t, strings.TrimPrefix(prompt, bos)); {
		case err != nil:
			return text, err
		case token == "":
			return text, errors.New("its prompt spells out no special token, as a chat template does: wanted rm=raw in the address, to read it as it stands, or rm=chat, to render prompt and reply")
		}
	}
	if o.bos == tokenize.BOSAuto || o.bos == tokenize.BOSAdd {
		query = strings.TrimPrefix(query, bos) // whole puts it there
	}
	ids, err := o.rm.model.whole(query, o.bos)
	if err != nil {
		return text, err
	}
	return tokenize.Encoded{IDs: ids, Reply: 1}, o.rm.fits(ids)
}

// withoutEnd is a reply without the special tokens that it ends with: those of a generation's
// end, which a template writes itself.
func withoutEnd(t *tokenize.Tokenizer, reply string) (string, error) {
	ids, spans, err := t.Encode(reply)
	if err != nil {
		return "", err
	}
	end := len(reply)
	for i := len(ids) - 1; i >= 0 && t.IsSpecial(ids[i]); i-- {
		end = spans[i][0]
	}
	return reply[:end], nil
}
