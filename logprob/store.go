package logprob

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/implicitreward/implicitreward/internal/engine"
)

// Store keeps what a Model has computed, batch by batch, so that a run that was killed
// can be started again and redoes no more than the batch that was in flight. Its methods
// may be called from several goroutines. An error of either ends the work.
//
// Keys are SHA-256 sums over everything that decides the numbers: the weights, the
// tokenizer, the dtype, the backend, its plugin's file, the kind of processor (another
// rounds differently), this library's version, and of every text of the
// batch its ids, where its reply begins and what is wanted of it. Values are exact. So
// one Store may serve several models and runs, and what it answers is what would have
// been computed.
type Store interface {
	// Get returns what was put under the key; ok is false where nothing was.
	Get(key [sha256.Size]byte) (value []byte, ok bool, err error)
	// Put keeps the value under the key. It does not hold on to it.
	Put(key [sha256.Size]byte, value []byte) error
}

// compute runs one window through the engine, unless the store has it.
func (m *Model) compute(ctx context.Context, texts []engine.Text, ends []bool) ([]engine.Result, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	var key [sha256.Size]byte
	if m.store != nil {
		var err error
		if key, err = m.key(ctx, texts, ends); err != nil {
			return nil, err
		}
		value, ok, err := m.store.Get(key)
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil { // the engine looks at it, the store does not
			return nil, fmt.Errorf("logprob: %s: %w", m.dir, err)
		}
		if ok {
			if results, ok := decode(value, texts, m.arch.V); ok {
				m.told(len(texts), true)
				return results, nil
			}
		}
	}
	results, err := m.engine.Run(ctx, texts, ends)
	if err != nil {
		return nil, fmt.Errorf("logprob: %s: %w", m.dir, err)
	}
	if m.store != nil {
		if err := m.store.Put(key, encode(results)); err != nil {
			return nil, err
		}
	}
	m.told(len(texts), false)
	return results, nil
}

func (m *Model) told(texts int, stored bool) {
	if m.batch != nil {
		m.batch(texts, stored)
	}
}

// key is what the results of a window are kept under.
func (m *Model) key(ctx context.Context, texts []engine.Text, ends []bool) (key [sha256.Size]byte, err error) {
	meta, err := m.Meta(ctx)
	if err != nil {
		return key, err
	}
	h := sha256.New()
	// Another processor, plugin or build may round differently.
	fmt.Fprintf(h, "logprob.Store 2\n%q %q %q %q %q %q %q %q %q %d %d %d\n", meta.WeightsHash, meta.TokenizerHash, meta.DType, meta.Backend,
		meta.Description, meta.Plugin, meta.PluginHash, meta.Processor, meta.Version, m.arch.V, len(texts), len(ends))
	var b []byte
	for _, end := range ends {
		b = append(b, bit(end))
	}
	h.Write(b)
	for _, t := range texts {
		b = binary.LittleEndian.AppendUint64(b[:0], uint64(len(t.IDs)))
		b = binary.LittleEndian.AppendUint64(b, uint64(t.From))
		b = append(b, bit(t.Row), bit(t.Ends))
		b = binary.LittleEndian.AppendUint64(b, uint64(t.Top))
		for _, id := range t.IDs {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
		h.Write(b)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func bit(on bool) byte {
	if on {
		return 1
	}
	return 0
}

// encode lays the results of a window end to end: of each, Greedy, LogProb, Row, Ends and Top.
func encode(results []engine.Result) []byte {
	n := 0
	for _, r := range results {
		n += 1 + 4*(len(r.LogProb)+len(r.Row)+1)
		for _, top := range r.Top {
			n += 8 * len(top)
		}
	}
	b := make([]byte, 0, n)
	for _, r := range results {
		b = append(b, bit(r.Greedy))
		b = appendFloats(b, r.LogProb)
		b = appendFloats(b, r.Row)
		b = appendFloats(b, []float32{r.Ends})
		for _, top := range r.Top {
			for _, t := range top {
				b = binary.LittleEndian.AppendUint32(b, uint32(t.ID))
				b = appendFloats(b, []float32{t.LogProb})
			}
		}
	}
	return b
}

func appendFloats(b []byte, values []float32) []byte {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// decode reads back what encode wrote of these texts; ok is false where it cannot be
// that. A row has v values.
func decode(b []byte, texts []engine.Text, v int) (results []engine.Result, ok bool) {
	n := 0
	for _, t := range texts {
		n += 1 + 4*(len(t.IDs)-t.From+1)
		if t.Row {
			n += 4 * v
		}
		if t.Top > 0 {
			n += 8 * min(t.Top, v) * (len(t.IDs) - t.From + 1)
		}
	}
	if len(b) != n {
		return nil, false
	}
	floats := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		b = b[4*n:]
		return values
	}
	results = make([]engine.Result, len(texts))
	for i, t := range texts {
		results[i].Greedy = b[0] == 1
		b = b[1:]
		results[i].LogProb = floats(len(t.IDs) - t.From)
		if t.Row {
			results[i].Row = floats(v)
		}
		results[i].Ends = floats(1)[0]
		if t.Top > 0 {
			results[i].Top = make([][]TokenLogProb, len(t.IDs)-t.From+1)
		}
		for j := range results[i].Top {
			for range min(t.Top, v) {
				id := int32(binary.LittleEndian.Uint32(b))
				b = b[4:]
				results[i].Top[j] = append(results[i].Top[j], TokenLogProb{ID: id, LogProb: floats(1)[0]})
			}
		}
	}
	return results, true
}
