package serve

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// poolingFields are the fields that all of vLLM's requests for pooling models have
// (vllm/entrypoints/pooling, 0.10 to 0.32). Those that would make it another number, or that
// ask for what is not done, are refused.
type poolingFields struct {
	Model      string `json:"model"`
	User       string `json:"user"`
	Activation *bool  `json:"use_activation"` // default: vLLM's for the head, see activation
	Activated  *bool  `json:"activation"`     // its name until 0.11

	Truncate  *int            `json:"truncate_prompt_tokens"` // texts that this would cut are refused
	Side      *string         `json:"truncation_side"`        // of no account, as nothing is cut
	Padding   *string         `json:"padding"`
	RequestID *string         `json:"request_id"` // in the answer's id
	Priority  int             `json:"priority"`
	MMKwargs  json.RawMessage `json:"mm_processor_kwargs"`
	CacheSalt *string         `json:"cache_salt"`
}

// check refuses what is not done, rather than ignore it.
func (r *poolingFields) check() error {
	switch {
	case r.Activation != nil && r.Activated != nil && *r.Activation != *r.Activated:
		return refuse("activation", "use_activation: %t and activation: %t, its old name, wanted one of them", *r.Activation, *r.Activated)
	case r.Truncate != nil && *r.Truncate < -1:
		return refuse("truncate_prompt_tokens", "truncate_prompt_tokens: %d, wanted -1 or more", *r.Truncate)
	case r.Side != nil && *r.Side != "left" && *r.Side != "right":
		return refuse("truncation_side", "truncation_side: %.20q, wanted left or right", *r.Side)
	case r.Padding != nil && *r.Padding != "do_not_pad":
		return refuse("padding", "padding: %.20q, wanted do_not_pad: texts are not padded", *r.Padding)
	case r.Priority != 0:
		return refuse("priority", "priority: %d, wanted 0: requests wait in turn", r.Priority)
	case !strictjson.Null(r.MMKwargs):
		return refuse("mm_processor_kwargs", "mm_processor_kwargs: not done, texts are all that is read")
	case r.CacheSalt != nil:
		return refuse("cache_salt", "cache_salt: not done, what is kept of prompts serves all clients")
	case r.Activation == nil:
		r.Activation = r.Activated
	}
	return nil
}

// cuts refuses a text that truncate_prompt_tokens would cut, which would be another number.
func (r *poolingFields) cuts(ids []int32) error {
	if r.Truncate != nil && *r.Truncate >= 0 && len(ids) > *r.Truncate {
		return fmt.Errorf("%d tokens, which truncate_prompt_tokens would cut to %d: that is another text, and not done", len(ids), *r.Truncate)
	}
	return nil
}

// id is the answer's, with the request's own where it has one.
func (r *poolingFields) id(kind string, s *Server) string {
	if r.RequestID != nil {
		return kind + "-" + *r.RequestID
	}
	return s.newID(kind)
}

// activation is what vLLM makes of a head's outputs (PoolerClassify in
// vllm/model_executor/layers/pooler/activations.py): the sigmoid of one output, the softmax of
// several, each one's sigmoid for a multi_label_classification, and the outputs themselves for
// a regression or where use_activation is false.
//
// Of heads that vLLM does not have, whose outputs are no classes, only these themselves can be
// asked for.
func (m *RM) activation(use *bool) (func([]float64) []float64, error) {
	raw := func(v []float64) []float64 { return v }
	switch kind := m.kind(); {
	case use != nil && !*use:
		return raw, nil
	case !slices.Contains([]string{"linear", "mlp", "token"}, kind):
		return nil, refuse("use_activation", "use_activation: the outputs of a head of the kind %q are no classes, and vLLM has no activation for them: wanted false, which gives the outputs themselves", kind)
	case m.Problem == "regression":
		return raw, nil
	case m.Problem == "multi_label_classification" || len(m.Outputs()) == 1:
		return sigmoids, nil
	}
	return softmax, nil
}

// kind is the head's: the first word of its description.
func (m *RM) kind() string {
	kind, _, _ := strings.Cut(m.Facts.Head, ":")
	return kind
}

func sigmoids(v []float64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		if out[i] = 1 / (1 + math.Exp(-math.Abs(x))); x < 0 { // exp of what is below 0 does not overflow
			e := math.Exp(x)
			out[i] = e / (1 + e)
		}
	}
	return out
}

func softmax(v []float64) []float64 {
	out, most, sum := make([]float64, len(v)), slices.Max(v), 0.0
	for i, x := range v {
		out[i] = math.Exp(x - most)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// outputs are a head's outputs as classes: of one output, the reward, which may be normalised.
func outputs(r rewardmodel.Result) []float64 {
	if len(r.Outputs) == 1 {
		return []float64{r.Reward}
	}
	return r.Outputs
}
