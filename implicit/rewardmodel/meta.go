package rewardmodel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
)

// Meta says how a reward model's numbers were made.
type Meta struct {
	logprob.Meta          // of the transformer; WeightsHash covers the head, BOS is the choice that was made
	BOSReason    string   `json:"bos_reason,omitempty"` // why that BOS
	Head         string   `json:"head,omitempty"`       // its kind and tensors: "linear: score.weight [1 2304]"
	LeftOut      []string `json:"left_out,omitempty"`   // tensors of another head, which no number depends on
	Output       string   `json:"output,omitempty"`     // what is the reward, if it was chosen
	Outputs      []string `json:"outputs,omitempty"`    // names of the head's outputs
	Pooling      string   `json:"pooling,omitempty"`    // a Pooling: "last", "hf" or "hf-old"
	Normalize    bool     `json:"normalize,omitempty"`  // whether the reward is (r - mean) / std
	Mean         *float64 `json:"mean,omitempty"`       // of config.json, as OpenRLHF writes it
	Std          *float64 `json:"std,omitempty"`
}

// WriteJSON writes m as indented JSON with a fixed order of keys.
func (m Meta) WriteJSON(w io.Writer) error {
	if err := strictjson.Write(w, m, "  "); err != nil {
		return fmt.Errorf("rewardmodel: meta: %w", err)
	}
	return nil
}

// Meta says how this model's numbers are made, with the rendering. The first call reads all
// weights to hash them.
func (m *Model) Meta(ctx context.Context) (Meta, error) {
	of, err := m.lm.Meta(ctx)
	if err != nil {
		return Meta{}, fmt.Errorf("rewardmodel: %w", err)
	}
	meta := m.Facts()
	of.Rendering, of.BOS, of.System, of.Vars, of.Date, of.Template = meta.Rendering, meta.BOS, meta.System, meta.Vars, meta.Date, meta.Template
	meta.Meta = of
	return meta, nil
}

// Facts is Meta without what is said of the transformer, so that no weights are read.
func (m *Model) Facts() Meta {
	a := m.head.facts()
	meta := Meta{
		BOSReason: m.way.why,
		Head:      a.kind + ": " + a.tensors, LeftOut: slices.Clone(a.leftOut),
		Output: m.o.Output, Outputs: m.Outputs(), Pooling: m.o.Pooling.String(),
		Normalize: m.o.Normalize, Mean: m.norm.mean, Std: m.norm.std,
	}
	if m.Tokenizer() == nil {
		return meta
	}
	meta.Rendering, meta.BOS = m.rendering(), m.way.String()
	if m.o.Raw {
		return meta
	}
	chat := m.o.Chat
	meta.System, meta.Vars = chat.System, chat.Vars
	if !chat.Date.IsZero() {
		meta.Date = chat.Date.Format(time.DateOnly)
	}
	if chat.Template != "" {
		sum := sha256.Sum256([]byte(chat.Template))
		meta.Template = hex.EncodeToString(sum[:])
	}
	return meta
}
