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
	m.hashing.Lock()
	defer m.hashing.Unlock()
	if m.hash == "" {
		hash, err := m.weights.Hash(ctx)
		if err != nil {
			return Meta{}, err
		}
		m.hash = hash
	}
	meta := Meta{
		Model:       m.dir,
		ModelType:   m.arch.Type,
		WeightsHash: m.hash,
		DType:       DTypeName(m.engine.DType()),
		Backend:     BackendName(m.backend),
		Description: describe(m.backend),
		Processor:   Processor(),
		Version:     Version,
		VocabRows:   m.arch.V,
		Certificate: m.certificate,
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
