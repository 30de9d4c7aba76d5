package cli

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress shows how far something has come, how fast it goes and how long it will take:
// on a terminal as a bar, once it has taken longer than a second; elsewhere, as in a log
// file, in a line now and then, the first after ten seconds. Its methods may be called
// from several goroutines.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	what  string
	bytes bool // what is counted, otherwise items
	now   func() time.Time

	began       time.Time
	start       time.Time // of the work that took time
	done, total int64
	free        int64 // of those done, took no time
	terminal    bool
	bar         *progressbar.ProgressBar
	line        time.Time // when the next line, or change of the bar, is due
	over        bool
}

// When a bar appears and how often it changes; the same of lines.
const (
	barAfter  = time.Second
	drawEvery = 100 * time.Millisecond
	lineAfter = 10 * time.Second
	lineEvery = 30 * time.Second
)

// NewProgress starts one; bytes says that it counts bytes, not items.
func NewProgress(w io.Writer, what string, bytes bool) *Progress {
	return newProgress(w, what, bytes, isTerminal(w), time.Now)
}

func newProgress(w io.Writer, what string, bytes, terminal bool, now func() time.Time) *Progress {
	start := now()
	return &Progress{w: w, what: what, bytes: bytes, now: now, began: start, start: start, terminal: terminal, line: start.Add(lineAfter)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Set tells that done of total have been done.
func (p *Progress) Set(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.done, p.total = done, total
	now := p.now()
	if p.free >= done { // nothing yet that took time
		p.start = now
	}
	if !p.terminal {
		if now.Before(p.line) || done >= total {
			return
		}
		p.line = now.Add(lineEvery)
		fmt.Fprintln(p.w, p.text(now))
		return
	}
	if p.bar == nil {
		if now.Sub(p.began) < barAfter || total <= 0 {
			return
		}
		p.line = now
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionFullWidth(),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionClearOnFinish())
	}
	if now.Before(p.line) && done < total {
		return
	}
	p.line = now.Add(drawEvery)
	p.bar.Describe(p.text(now)) // rate and time left are ours: the bar's count what took no time
	if p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	p.bar.Set64(min(done, total)) // an error can only be the terminal's
}

// Free tells that n more of what is done took no time, as what an earlier run has computed:
// the rate, and the time left, are those of the rest.
func (p *Progress) Free(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += n
}

// text is "scoring: 1200 of 14202 items (8%), 35.1 items/s, 6m10s left".
func (p *Progress) text(now time.Time) string {
	count := func(n int64) string {
		if p.bytes {
			return Size(n)
		}
		return fmt.Sprint(n)
	}
	s := p.what + ": " + count(p.done)
	if p.total > 0 {
		s += " of " + count(p.total)
	}
	if !p.bytes {
		s += " items"
	}
	if p.total > 0 {
		s += fmt.Sprintf(" (%d%%)", 100*p.done/p.total)
	}
	rate := float64(p.done-p.free) / now.Sub(p.start).Seconds()
	if !(rate > 0) || math.IsInf(rate, 1) {
		return s
	}
	switch {
	case p.bytes:
		s += fmt.Sprintf(", %s/s", Size(int64(rate)))
	case rate < 0.095:
		s += fmt.Sprintf(", %.1f items/min", 60*rate)
	default:
		s += fmt.Sprintf(", %.*f items/s", decimals(rate), rate)
	}
	if left := float64(p.total-p.done) / rate; left >= 0 && left < 1e9 { // seconds
		d := time.Duration(left * float64(time.Second))
		if d < time.Hour {
			s += fmt.Sprintf(", %s left", d.Round(time.Second))
		} else {
			s += fmt.Sprintf(", %s left", strings.TrimSuffix(d.Round(time.Minute).String(), "0s"))
		}
	}
	return s
}

// decimals shows three digits of a rate.
func decimals(rate float64) int {
	switch {
	case rate < 9.95:
		return 2
	case rate < 99.5:
		return 1
	}
	return 0
}

// Done clears the bar away.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.bar != nil {
		p.bar.Finish()
		p.bar = nil
	}
}
