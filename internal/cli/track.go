package cli

import "sync"

// tracker counts the texts that models score, for a Progress.
type tracker struct {
	sync.Mutex
	progress      *Progress
	items, passes int64
	done, reused  int64 // texts
}

// Track shows on p what the loader's models score. An item is scored in passes: two with two
// models. If items is above 0, p shows how many of this number are done; otherwise p.Set does,
// and Track only says which were reused from an earlier run.
func (l *Loader) Track(p *Progress, items, passes int) {
	l.tracker.Lock()
	defer l.tracker.Unlock()
	l.tracker.progress, l.tracker.items, l.tracker.passes = p, int64(items), int64(passes)
}

// batch is logprob.Options.Batch.
func (t *tracker) batch(texts int, stored bool) {
	t.Lock()
	defer t.Unlock()
	if t.progress == nil {
		return
	}
	n := int64(texts)
	if t.done += n; stored {
		t.progress.Reused((t.reused+n)/t.passes - t.reused/t.passes)
		t.reused += n
	}
	if t.items > 0 {
		t.progress.Set(t.done/t.passes, t.items)
	}
}
