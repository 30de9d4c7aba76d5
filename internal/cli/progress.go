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

	after func(time.Duration, func())

	began       time.Time
	start, last time.Time // of the work that took time, and of what is known of it
	done, total int64
	reused      int64 // of those done, without computing
	over        bool

	line     time.Time // when the next one is due
	terminal bool
	bar      *progressbar.ProgressBar
	pending  bool // a change of the bar
}

// When a bar appears and how soon it shows a change; the same of lines.
const (
	barAfter  = time.Second
	drawAfter = 100 * time.Millisecond
	lineAfter = 10 * time.Second
	lineEvery = 30 * time.Second
)

// NewProgress starts one; bytes says that it counts bytes, not items.
func NewProgress(w io.Writer, what string, bytes bool) *Progress {
	return newProgress(w, what, bytes, isTerminal(w), time.Now, func(d time.Duration, f func()) { time.AfterFunc(d, f) })
}

func newProgress(w io.Writer, what string, bytes, terminal bool, now func() time.Time, after func(time.Duration, func())) *Progress {
	start := now()
	return &Progress{w: w, what: what, bytes: bytes, now: now, after: after, began: start, start: start, terminal: terminal, line: start.Add(lineAfter)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Set tells that done of total have been done.
//
// Items come batch by batch, thousands within a moment. So a line says what was before
// this call, when the last batch was over, and a bar is drawn a moment after it.
func (p *Progress) Set(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	now := p.now()
	if !p.terminal && p.done > 0 && !now.Before(p.line) {
		p.line = now.Add(lineEvery)
		fmt.Fprintln(p.w, p.text())
	}
	p.done, p.total, p.last = done, total, now
	if p.reused >= done { // nothing yet that took time
		p.start = now
	}
	if p.terminal && !p.pending && total > 0 && now.Sub(p.began) >= barAfter {
		p.pending = true
		p.after(drawAfter, p.draw)
	}
}

// SetItems is Set for numbers of items.
func (p *Progress) SetItems(done, total int) { p.Set(int64(done), int64(total)) }

func (p *Progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending = false; p.over {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(p.total, progressbar.OptionSetWriter(p.w), progressbar.OptionFullWidth(),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionClearOnFinish())
	}
	p.bar.Describe(p.text()) // rate and time left are ours: the bar's count what took no time
	if p.bar.GetMax64() != p.total {
		p.bar.ChangeMax64(p.total)
	}
	p.bar.Set64(min(p.done, p.total)) // an error can only be the terminal's
}

// Reused adds to the number of items done without computing, such as those of an earlier run:
// the rate, and the time left, are those of the rest.
func (p *Progress) Reused(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reused += n
}

// text is "scoring: 1200 of 14202 items (8%), 35.1 items/s, 6m10s left".
func (p *Progress) text() string {
	count := func(n int64) string {
		if p.bytes {
			return formatSize(n)
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
	rate := float64(p.done-p.reused) / p.last.Sub(p.start).Seconds()
	if !(rate > 0) || math.IsInf(rate, 1) {
		return s
	}
	switch {
	case p.bytes:
		s += fmt.Sprintf(", %s/s", formatSize(int64(rate)))
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
