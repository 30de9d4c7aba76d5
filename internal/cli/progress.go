package cli

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress shows how far something has come, on a terminal, once it has taken longer
// than a second. Elsewhere it shows nothing. Its methods may be called from several
// goroutines.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	what  string
	bytes bool
	start time.Time
	bar   *progressbar.ProgressBar
}

// NewProgress starts one; bytes says that it counts bytes.
func NewProgress(w io.Writer, what string, bytes bool) *Progress {
	p := &Progress{what: what, bytes: bytes, start: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = w
	}
	return p
}

// Set tells that done of total have been done.
func (p *Progress) Set(done, total int64) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		if time.Since(p.start) < time.Second {
			return
		}
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(p.what),
			progressbar.OptionShowBytes(p.bytes), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	p.bar.ChangeMax64(total)
	p.bar.Set64(done) // an error can only be the terminal's
}

// Done clears the bar away.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Finish()
	}
}
