package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/logprob"
)

// result is one comparison of one run: a line of the history.
type result struct {
	Date       string  `json:"date"`
	Processor  string  `json:"processor"` // and its features, see processor
	Processors int     `json:"processors"`
	Go         string  `json:"go"`
	Version    string  `json:"implicitreward"`
	Contest    string  `json:"contest"`
	Peer       string  `json:"peer"`
	Ours       float64 `json:"ours"` // best seconds of one item
	Theirs     float64 `json:"theirs"`
	Others     float64 `json:"others"` // processors that others used at most
}

// ratio is how many times as fast as the peer ours is.
func (r result) ratio() float64 { return r.Theirs / r.Ours }

// slide is the part of a ratio from which on its loss is called one: rounds of one run differ by
// half of it on a machine that others share.
const slide = 0.1

// compared notes a comparison for the history.
func (b *bench) compared(contest string, ours, theirs *timing) {
	b.results = append(b.results, result{
		Processor: processor(), Processors: runtime.NumCPU(), Go: runtime.Version(), Version: logprob.Version,
		Contest: contest, Peer: theirs.name, Ours: ours.best(), Theirs: theirs.best(), Others: max(ours.others, theirs.others),
	})
}

// readHistory reads what earlier runs have added to a file; a file that is not there, or "", is an empty one.
func readHistory(path string) (all []result, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		var r result
		err := json.Unmarshal(lines.Bytes(), &r)
		if err == nil && !(r.Ours > 0 && r.Theirs > 0) {
			err = errors.New("no seconds of ours and theirs")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d is no result of bench: %w", path, n, err)
		}
		all = append(all, r)
	}
	return all, lines.Err()
}

// since is the table of this run's ratios beside those of the latest run before on such a
// processor, as many of them; "" where there was none.
func since(before, now []result) string {
	t := table{head: []string{"job", "against", "ratio", "before", "on", ""}}
	for _, r := range now {
		var last *result
		for i, old := range before {
			if old.Contest == r.Contest && old.Peer == r.Peer && old.Processor == r.Processor && old.Processors == r.Processors {
				last = &before[i]
			}
		}
		if last == nil {
			continue
		}
		verdict := ""
		switch part := r.ratio() / last.ratio(); {
		case part < 1-slide:
			verdict = "SLID"
		case part > 1/(1-slide):
			verdict = "better"
		}
		t.add(r.Contest, r.Peer, figure(r.ratio()), figure(last.ratio()), last.Date, verdict)
	}
	if len(t.rows) == 0 {
		return ""
	}
	return t.String()
}

// remember adds the run's comparisons to those before in the history at path, and to the results what
// has changed.
func (b *bench) remember(before []result, path, date string) error {
	for i := range b.results {
		b.results[i].Date = date
	}
	if t := since(before, b.results); t != "" {
		b.section("Since the run before", "How many times as fast as the peer, in this run and in the latest before it on such a processor; a tenth less is called a slide.")
		b.text.WriteString(t)
	}
	return output.WriteFile(path, func(w io.Writer) error {
		out := json.NewEncoder(w)
		for _, r := range append(before, b.results...) {
			if err := out.Encode(r); err != nil {
				return err
			}
		}
		return nil
	})
}
