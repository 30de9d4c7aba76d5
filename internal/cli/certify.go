package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/implicitreward/implicitreward/logprob"
)

// Certify compares a model's numbers with a computation in float64, says on w in plain
// words whether what is promised holds here, and answers so. name is the model's for the
// reader.
func Certify(ctx context.Context, w io.Writer, name string, m *logprob.Model) (holds bool, err error) {
	c, err := m.Certify(ctx, nil)
	if err != nil {
		return false, err
	}
	meta, err := m.Meta(ctx)
	if err != nil {
		return false, err
	}
	_, err = io.WriteString(w, certificate(name, c, meta))
	return c.Holds, err
}

// certificate is c in words.
func certificate(name string, c logprob.Certificate, meta logprob.Meta) string {
	verdict := "the promised bounds hold here"
	if !c.Holds {
		verdict = "THE PROMISED BOUNDS DO NOT HOLD HERE"
	}
	plugin := ""
	if meta.Plugin != "" {
		plugin = fmt.Sprintf(" (plugin %s, sha256 %s)", meta.Plugin, meta.PluginHash)
	}
	return fmt.Sprintf(`certificate of %s: %s
  %d log-probabilities of %d texts lie within %.2g nats of a computation in float64 (promised: %.2g), %.2g in the mean (promised: %.2g)
  computed in %s on %s%s, processor %s
`, name, verdict, c.Values, c.Texts, c.Found.Largest, c.Promised.Largest, c.Found.Mean, c.Promised.Mean, meta.DType, meta.Backend, plugin, meta.Processor)
}
