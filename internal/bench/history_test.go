package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHistory: each run adds its comparisons to a file and says which ratios have fallen since the
// latest run before on such a processor.
func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	run := func(date string, ours, theirs float64) string {
		t.Helper()
		b := &bench{}
		for _, contest := range []string{"next bf16", "long f32"} {
			b.compared(contest, &timing{side: side{name: oursName, items: 2}, seconds: []float64{9, ours}}, &timing{side: side{name: "lm-eval", items: 1}, seconds: []float64{theirs}, others: 0.25})
			theirs *= 2 // of the other contest
		}
		before, err := readHistory(path)
		if err == nil {
			err = b.remember(before, path, date)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.text.String()
	}
	if got := run("2026-01-01", 4, 8); got != "" {
		t.Errorf("the first run says %q, wanted nothing", got)
	}
	for _, c := range []struct {
		ours, theirs float64
		want         string
	}{
		{4, 7.3, "| next bf16 | lm-eval | 3.65 | 4.00 | 2026-01-01 |  |"},
		{5, 7.3, "| long f32 | lm-eval | 5.84 | 7.30 | 2026-01-02 | SLID |"},
		{2, 7.3, "| next bf16 | lm-eval | 7.30 | 2.92 | 2026-01-03 | better |"},
	} {
		date := map[float64]string{4: "2026-01-02", 5: "2026-01-03", 2: "2026-01-04"}[c.ours]
		if got := run(date, c.ours, c.theirs); !strings.Contains(got, c.want) {
			t.Errorf("%s, wanted a line %s", got, c.want)
		}
	}
	all, err := readHistory(path)
	if err != nil || len(all) != 8 || all[7].Contest != "long f32" || all[7].Date != "2026-01-04" || all[7].Ours != 1 || all[7].Others != 0.25 || all[7].Processor != processor() {
		t.Errorf("%d results, %v, the last %+v", len(all), err, all[len(all)-1])
	}
	other := all[7]
	other.Processors++
	if got := since([]result{other}, all[7:]); got != "" {
		t.Errorf("another machine's run is compared: %s", got)
	}
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readHistory(path); err == nil || !strings.Contains(err.Error(), "line 1 is no result of bench") {
		t.Errorf("error %v of a line without seconds", err)
	}
}
