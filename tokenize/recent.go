package tokenize

import "sync"

// recent remembers values by their keys, until they cost more than maxRecent together: then
// all are forgotten. The zero value remembers nothing yet.
type recent[K comparable, V any] struct {
	mu    sync.Mutex
	byKey map[K]V
	cost  int
}

const maxRecent = 4 << 20 // bytes

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	value, ok = r.byKey[key]
	return value, ok
}

// put remembers a value of about cost bytes, its key included.
func (r *recent[K, V]) put(key K, value V, cost int) {
	if cost > maxRecent {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cost += cost; r.byKey == nil || r.cost > maxRecent {
		r.byKey, r.cost = map[K]V{}, cost
	}
	r.byKey[key] = value
}
