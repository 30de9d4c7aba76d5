package logprob

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute/dtypes"
)

// Meta says how this model's numbers are made. The first call reads all weights, and the
// first in a process XLA's plugin, to hash them.
func (m *Model) Meta(ctx context.Context) (Meta, error) {
	meta, err := m.meta(ctx)
	if err != nil {
		err = fmt.Errorf("logprob: %s: %w", m.dir, err)
	}
	return meta, err
}

func (m *Model) meta(ctx context.Context) (Meta, error) {
	of := m.weights
	if m.adapted != nil {
		of = m.adapted.base
	}
	hash, err := m.hash.of(ctx, of)
	if err != nil {
		return Meta{}, err
	}
	m.certifying.Lock()
	certificate := m.certificate
	m.certifying.Unlock()
	meta := Meta{
		Model:       m.dir,
		ModelType:   m.arch.Type,
		WeightsHash: hash,
		Quantised:   m.weights.Format(),
		DType:       DTypeName(m.engine.DType()),
		Backend:     BackendName(m.backend),
		Description: describe(m.backend),
		Processor:   Processor(),
		Version:     Version,
		VocabRows:   m.arch.V,
		Certificate: certificate,
	}
	if m.adapted != nil {
		m.adapted.describe(&meta)
	}
	if path := pluginPath(m.backend); path != "" {
		meta.Plugin = filepath.Base(path)
		var err error
		if meta.PluginHash, err = pluginHash(ctx, path); err != nil {
			return Meta{}, err
		}
	}
	if m.tok != nil {
		meta.TokenizerHash = m.tok.Hash()
		if m.adapted != nil && m.adapted.tokenizer != "" {
			meta.TokenizerHash = m.adapted.tokenizer
		}
	}
	return meta, nil
}

// DTypeName names a type as in results: "f32", "bf16".
func DTypeName(t dtypes.DType) string {
	switch t {
	case dtypes.Float32:
		return "f32"
	case dtypes.BFloat16:
		return "bf16"
	}
	return strings.ToLower(t.String())
}
