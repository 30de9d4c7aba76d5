package rewardmodel

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/implicitreward/implicitreward/logprob"
)

// Meta says how a reward model's numbers were made.
type Meta struct {
	logprob.Meta          // of the transformer; WeightsHash covers the head
	Head         string   `json:"head,omitempty"`      // its kind and tensors: "linear: score.weight [1 2304]"
	Output       string   `json:"output,omitempty"`    // what is the reward, if it was chosen
	Outputs      []string `json:"outputs,omitempty"`   // names of the head's outputs
	Pooling      string   `json:"pooling,omitempty"`   // a Pooling: "last", "hf" or "hf-old"
	Normalize    bool     `json:"normalize,omitempty"` // whether the reward is (r - mean) / std
	Mean         *float64 `json:"mean,omitempty"`      // of config.json, as OpenRLHF writes it
	Std          *float64 `json:"std,omitempty"`
}

// WriteJSON writes m as indented JSON with a fixed order of keys.
func (m Meta) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return fmt.Errorf("rewardmodel: meta: %w", err)
	}
	return nil
}

// Meta says how this model's numbers are made, with the rendering. The first call reads all
// weights to hash them.
func (m *Model) Meta(ctx context.Context) (Meta, error) {
	return Meta{}, errNotYet
}
