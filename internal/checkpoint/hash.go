package checkpoint

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// Hash returns the SHA-256, in hex, of the weights: of one line for each tensor, sorted by
// name, each a JSON list in UTF-8 and a newline,
//
//	["name","BF16",[2,3],"sha256 of the data, hex"]
//
// (in Python: json.dumps([name, dtype, shape, sha], separators=(",", ":"),
// ensure_ascii=False)). Quantised tensors are hashed as the files have them. So it does not depend on sharding or on the files' metadata. It
// reads all data once, on all processors, and stops when ctx ends.
func (w *Weights) Hash(ctx context.Context) (string, error) {
	tensors := w.tensors
	if w.stored != nil {
		tensors = w.stored
	}
	// Largest first, so that none runs alone at the end.
	names := sortedKeys(tensors)
	order := slices.Clone(names)
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Compare(len(tensors[b].raw), len(tensors[a].raw))
	})
	sums := make(map[string]string, len(order))
	var mu sync.Mutex
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(order) || ctx.Err() != nil {
					return
				}
				sum, ok := sha256Chunks(ctx, tensors[order[i]].raw)
				if !ok {
					return
				}
				mu.Lock()
				sums[order[i]] = sum
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("checkpoint: hash: %w", context.Cause(ctx))
	}
	h := sha256.New()
	for _, name := range names {
		t := tensors[name]
		line, err := strictjson.Marshal([]any{name, t.kind, t.Shape, sums[name]})
		if err != nil {
			return "", t.errorf("hash: %w", err)
		}
		h.Write(append(line, '\n'))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sha256Chunks hashes data; ok is false if ctx ended before.
func sha256Chunks(ctx context.Context, data []byte) (sum string, ok bool) {
	h := sha256.New()
	for len(data) > 0 {
		if ctx.Err() != nil {
			return "", false
		}
		n := min(len(data), 4<<20)
		h.Write(data[:n])
		forget(data[:n]) // hashed pages need not stay in memory
		data = data[n:]
	}
	return hex.EncodeToString(h.Sum(nil)), true
}
