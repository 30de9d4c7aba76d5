package logprob

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/internal/engine"
)

// Store saves what a Model has computed, batch by batch, so that a run that was killed can
// be restarted and repeats only the batch in progress. Its methods may be called from
// several goroutines. An error of either ends the computation.
//
// Keys are SHA-256 sums of everything that decides the numbers: the weights, the tokenizer,
// the dtype, the backend, its plugin's file, the kind of processor (others round
// differently), this library's version, and for every text of the batch its ids, where its
// reply begins and what is requested; not the number of the device, which decides none. Values are exact. So one Store may serve several
// models and runs, and returns what would have been computed.
type Store interface {
	// Get returns the value stored under the key; ok is false if there is none.
	Get(key [sha256.Size]byte) (value []byte, ok bool, err error)
	// Put stores the value under the key. It must not retain the slice.
	Put(key [sha256.Size]byte, value []byte) error
}

// windows is a Store as the engine's cache: the results of a window are one value.
type windows struct {
	model *Model
	store Store
}

// Get returns the stored results of a window, all or none.
func (w *windows) Get(ctx context.Context, requests []engine.Request) ([]engine.Known, error) {
	known := make([]engine.Known, len(requests))
	key, err := w.model.key(ctx, requests)
	if err != nil {
		return nil, err
	}
	value, ok, err := w.store.Get(key)
	if err != nil || !ok {
		return known, err
	}
	if results, ok := decode(value, requests, w.model.arch.V, w.model.arch.D); ok {
		for i, r := range results {
			known[i] = engine.Known{Result: r, All: true}
		}
	}
	return known, nil
}

// Put stores the results of a window.
func (w *windows) Put(ctx context.Context, requests []engine.Request, results []engine.Result) error {
	key, err := w.model.key(ctx, requests)
	if err != nil {
		return err
	}
	return w.store.Put(key, encode(results))
}

// key returns the key of a window.
func (m *Model) key(ctx context.Context, requests []engine.Request) (key [sha256.Size]byte, err error) {
	meta, err := m.meta(ctx)
	if err != nil {
		return key, err
	}
	// Each distinct set of Within is one slice.
	var ends []bool
	var sets []*bool
	for _, r := range requests {
		if r.Within != nil && !slices.Contains(sets, &r.Within[0]) {
			sets = append(sets, &r.Within[0])
			ends = append(ends, r.Within...)
		}
	}
	version := 2
	if slices.ContainsFunc(requests, func(r engine.Request) bool { return r.States != nil }) {
		version = 3 // keys of windows without states stay as they were before
	}
	h := sha256.New()
	// Another processor, plugin or build may round differently.
	fmt.Fprintf(h, "logprob.Store %d\n%q %q %q %q %q %q %q %q %q %d %d %d\n", version, meta.WeightsHash, meta.TokenizerHash, meta.DType, meta.Backend,
		meta.Description, meta.Plugin, meta.PluginHash, meta.Processor, meta.Version, m.arch.V, len(requests), len(ends))
	var b []byte
	for _, end := range ends {
		b = append(b, bit(end))
	}
	h.Write(b)
	for _, r := range requests {
		b = binary.LittleEndian.AppendUint64(b[:0], uint64(len(r.IDs)))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.From))
		b = append(b, bit(r.Distribution), bit(r.Within != nil))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.TopK))
		if len(sets) > 1 && r.Within != nil { // keys of windows with one set stay as they were before
			b = binary.LittleEndian.AppendUint64(b, uint64(slices.Index(sets, &r.Within[0])))
		}
		if version > 2 {
			b = binary.LittleEndian.AppendUint64(b, uint64(len(r.States)))
			for _, i := range r.States {
				b = binary.LittleEndian.AppendUint64(b, uint64(i))
			}
		}
		for _, id := range r.IDs {
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

// encode concatenates the results of a window: Greedy, LogProbs, Distribution, Within, Top
// and States of each.
func encode(results []engine.Result) []byte {
	n := 0
	for _, r := range results {
		n += 1 + 4*(len(r.LogProbs)+len(r.Distribution)+1)
		for _, top := range r.Top {
			n += 8 * len(top)
		}
		for _, state := range r.States {
			n += 4 * len(state)
		}
	}
	b := make([]byte, 0, n)
	for _, r := range results {
		b = append(b, bit(r.Greedy))
		b = appendFloats(b, r.LogProbs)
		b = appendFloats(b, r.Distribution)
		b = appendFloats(b, []float32{r.Within})
		for _, top := range r.Top {
			for _, t := range top {
				b = binary.LittleEndian.AppendUint32(b, uint32(t.ID))
				b = appendFloats(b, []float32{t.LogProb})
			}
		}
		for _, state := range r.States {
			b = appendFloats(b, state)
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

// decode reads what encode wrote for these requests; ok is false if b cannot be that. A
// distribution has v values, a state d.
func decode(b []byte, requests []engine.Request, v, d int) (results []engine.Result, ok bool) {
	n := 0
	for _, t := range requests {
		n += 1 + 4*(len(t.IDs)-t.From+1) + 4*d*len(t.States)
		if t.Distribution {
			n += 4 * v
		}
		if t.TopK > 0 {
			n += 8 * min(t.TopK, v) * (len(t.IDs) - t.From + 1)
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
	results = make([]engine.Result, len(requests))
	for i, t := range requests {
		results[i].Greedy = b[0] == 1
		b = b[1:]
		results[i].LogProbs = floats(len(t.IDs) - t.From)
		if t.Distribution {
			results[i].Distribution = floats(v)
		}
		results[i].Within = floats(1)[0]
		if t.TopK > 0 {
			results[i].Top = make([][]engine.TokenLogProb, len(t.IDs)-t.From+1)
		}
		for j := range results[i].Top {
			for range min(t.TopK, v) {
				id := int32(binary.LittleEndian.Uint32(b))
				b = b[4:]
				results[i].Top[j] = append(results[i].Top[j], engine.TokenLogProb{ID: id, LogProb: floats(1)[0]})
			}
		}
		for range t.States {
			results[i].States = append(results[i].States, floats(d))
		}
	}
	return results, true
}
