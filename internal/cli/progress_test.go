package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// clock is a time that a test moves, with what is to be called when it comes.
type clock struct {
	t     time.Time
	calls map[time.Time]func()
}

func newClock() *clock { return &clock{time.Unix(0, 0), map[time.Time]func(){}} }

func (c *clock) now() time.Time { return c.t }

func (c *clock) after(d time.Duration, f func()) { c.calls[c.t.Add(d)] = f }

func (c *clock) forward(d time.Duration) {
	c.t = c.t.Add(d)
	for at, f := range c.calls {
		if !at.After(c.t) {
			delete(c.calls, at)
			f()
		}
	}
}

// TestProgressLines: elsewhere than on a terminal a line is written after ten seconds and
// then every thirty, with rate and time left of the last whole batch.
func TestProgressLines(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	p := newProgress(&b, "scoring", false, false, c.now, c.after)
	for batch := range int64(21) {
		c.forward(5 * time.Second)
		for i := range int64(50) { // in no time
			p.Set(50*batch+i+1, 1050)
		}
	}
	p.Done()
	c.forward(time.Hour)
	p.Set(1, 1000)
	const want = `scoring: 50 of 1050 items (4%), 10.0 items/s, 1m40s left
scoring: 350 of 1050 items (33%), 10.0 items/s, 1m10s left
scoring: 650 of 1050 items (61%), 10.0 items/s, 40s left
scoring: 950 of 1050 items (90%), 10.0 items/s, 10s left
`
	if b.String() != want {
		t.Errorf("wrote\n%swanted\n%s", b.String(), want)
	}
}

// TestProgressReused: what took no time is not in the rate.
func TestProgressReused(t *testing.T) {
	var b bytes.Buffer
	c := newClock()
	p := newProgress(&b, "scoring", false, false, c.now, c.after)
	c.forward(time.Minute) // to load the models
	p.Reused(600)
	p.Set(300, 1000)
	p.Set(600, 1000)
	for i := range int64(5) {
		c.forward(10 * time.Second)
		p.Set(600+10*(i+1), 1000)
	}
	const want = `scoring: 300 of 1000 items (30%)
scoring: 620 of 1000 items (62%), 1.00 items/s, 6m20s left
`
	if b.String() != want {
		t.Errorf("wrote\n%swanted\n%s", b.String(), want)
	}
}

func TestProgressText(t *testing.T) {
	for _, test := range []struct {
		bytes             bool
		done, total, free int64
		seconds           float64
		want              string
	}{
		{false, 0, 10, 0, 5, "x: 0 of 10 items (0%)"},
		{false, 1, 3, 0, 60, "x: 1 of 3 items (33%), 1.0 items/min, 2m0s left"},
		{false, 1, 3, 0, 7, "x: 1 of 3 items (33%), 0.14 items/s, 14s left"},
		{false, 999, 1000, 0, 3, "x: 999 of 1000 items (99%), 333 items/s, 0s left"},
		{false, 1, 721, 0, 60, "x: 1 of 721 items (0%), 1.0 items/min, 12h0m left"},
		{false, 5, 0, 0, 1, "x: 5 items, 5.00 items/s"},
		{false, 5, 10, 5, 1, "x: 5 of 10 items (50%)"},
		{false, 5, 10, 0, 0, "x: 5 of 10 items (50%)"},
		{true, 3_000_000, 6_000_000_000, 0, 2, "x: 3.0 MB of 6.0 GB (0%), 1.5 MB/s, 1h7m left"},
	} {
		start := time.Unix(0, 0)
		p := newProgress(nil, "x", test.bytes, false, func() time.Time { return start }, nil)
		p.done, p.total, p.reused, p.last = test.done, test.total, test.free, start.Add(time.Duration(test.seconds*float64(time.Second)))
		if got := p.text(); got != test.want {
			t.Errorf("%+v gave %q", test, got)
		}
	}
}

// TestProgressBar: on a terminal there is a bar after a second, drawn a moment after the
// items of a batch, and it is cleared away.
func TestProgressBar(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	written := func() string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	c := newClock()
	p := newProgress(f, "scoring", false, true, c.now, c.after)
	c.forward(barAfter / 2)
	p.Set(1, 100)
	c.forward(barAfter)
	if s := written(); s != "" {
		t.Errorf("drawn too early: %q", s)
	}
	p.Set(2, 100)
	p.Set(30, 100)
	if s := written(); s != "" {
		t.Errorf("drawn within a batch: %q", s)
	}
	c.forward(drawAfter)
	s := written()
	if !strings.Contains(s, " 30% |███") || !strings.Contains(s, "scoring: 30 of 100 items (30%), 20.0 items/s, 4s left") || strings.Contains(s, "scoring: 2 of") {
		t.Errorf("drawn: %q", s)
	}
	p.Set(31, 100)
	p.Done()
	s = written()
	if last := s[strings.LastIndex(s, "items/s"):]; !strings.Contains(last, "\r") || strings.HasSuffix(strings.TrimRight(s, " "), "left") {
		t.Errorf("not cleared away: %q", last)
	}
	c.forward(time.Hour)
	p.Set(50, 100)
	c.forward(time.Hour)
	if again := written(); again != s {
		t.Errorf("drawn after its end: %q", again[len(s):])
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{
		"1GiB": 1 << 30, "512MiB": 512 << 20, "1.5GB": 1_500_000_000, "1000": 1000, "2 TiB": 2 << 40, "7B": 7, "0.5KiB": 512, "3kB": 3000, "3KB": 3000, "1TB": 1e12, "2MB": 2e6,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: %d, %v, wanted %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "GiB", "x", "-1GiB", "0", "1e9", "Inf", "NaN", "0x10", "1gib", "1 G", "+5", "8388608TiB", "0.1", "1_000", "1GiBGiB", "1.2.3"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q: %d, wanted an error", s, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB", 3_100_000: "3.1 MB", 6e9: "6.0 GB", 5e12: "5.0 TB"} {
		if got := formatSize(n); got != want {
			t.Errorf("%d: %q, wanted %q", n, got, want)
		}
	}
}
