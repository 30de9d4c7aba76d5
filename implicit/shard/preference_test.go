package shard_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/preference"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/logprob"
)

// TestPreferences: preferences that were scored in shards have the numbers, flags and refusals
// of preference.Score, to the last digit.
func TestPreferences(t *testing.T) {
	var b strings.Builder
	for i := range 12 {
		switch i {
		case 3:
			b.WriteString("{\"prompt\": \"x\", \"chosen\": \"only\"}\n")
		case 5:
			b.WriteString("\n{\"prompt\": \"x\", \"chosen\": [\"a\", \"b\"], \"rejected\": [\"c\", \"d\", \"e\"], \"subset\": \"s\", \"id\": \"five\"}\n")
		case 7:
			fmt.Fprintf(&b, "{\"prompt\": \"x\", \"chosen\": \"good\", \"rejected\": %q}\n", strings.Repeat("long ", 300))
		default:
			fmt.Fprintf(&b, "{\"prompt\": \"Question %d?\", \"chosen\": \"yes %d\", \"rejected\": \"no\"}\n", i, i)
		}
	}
	models := fakes(2)
	models = append(models[:0:0], models[1])
	rms := []shard.Model{{RM: &rewardmodel.Meta{Meta: logprob.Meta{Model: "rm-5", WeightsHash: "5"}}}}
	for _, of := range [][]shard.Model{models, rms} {
		f := shard.Folder{Path: t.TempDir()}
		if err := os.WriteFile(filepath.Join(f.Path, "in.jsonl"), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := shard.New(t.Context(), f, shard.Spec{Models: of, Preferences: true, Input: "in.jsonl", Items: 5, Beta: 0.25})
		if err != nil || len(p.Shards) != 3 {
			t.Fatalf("%+v, %v", p, err)
		}
		whole(t, p, f, load)
		m, err := shard.ReadManifest(t.Context(), f)
		if err != nil || m.Refused != 2 {
			t.Fatalf("%+v, %v, wanted 2 refused", m, err)
		}
		rows := func() []preference.Row {
			var all []preference.Row
			for r, err := range preference.Read(t.Context(), strings.NewReader(b.String())) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
			return all
		}()
		each := func(yield func(preference.Row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}
		scorer, err := load(t.Context(), of[0])
		if err != nil {
			t.Fatal(err)
		}
		scorer.Pair.Beta = 0.25
		real := preference.Models{Pair: scorer.Pair, RM: scorer.RM}
		var want, got []preference.Scored
		for s, err := range preference.Score(t.Context(), real, each) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, s)
		}
		for s, err := range m.ScoredPreferences(t.Context(), 0, each) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, s)
		}
		for name, write := range map[string]func(*bytes.Buffer, []preference.Scored, preference.Models) error{
			"csv": func(b *bytes.Buffer, s []preference.Scored, m preference.Models) error {
				return preference.WriteCSV(b, s, m)
			},
			"jsonl": func(b *bytes.Buffer, s []preference.Scored, m preference.Models) error {
				return preference.WriteJSONL(b, s, m)
			},
			"summary": func(b *bytes.Buffer, s []preference.Scored, m preference.Models) error {
				_, err := fmt.Fprintf(b, "%+v", preference.Summarize(s, m))
				return err
			},
		} {
			var x, y bytes.Buffer
			if err := write(&x, want, real); err != nil {
				t.Fatal(err)
			}
			if err := write(&y, got, m.PreferenceModels(0)); err != nil {
				t.Fatal(err)
			}
			if x.Len() == 0 || x.String() != y.String() {
				t.Errorf("%s:\n%s\nwanted\n%s", name, y.String(), x.String())
			}
		}
		var one bytes.Buffer
		if err := m.WriteOne(t.Context(), &one); err != nil || one.Len() == 0 {
			t.Error(err)
		}
		for name, change := range map[string]func(){
			"a row less":    func() { rows = rows[:11] },
			"another reply": func() { rows[0].Chosen = append(rows[0].Chosen, "more") },
		} {
			keep := rows
			rows = append(rows[:0:0], rows...)
			change()
			var last error
			for _, err := range m.ScoredPreferences(t.Context(), 0, each) {
				last = err
			}
			if last == nil {
				t.Errorf("%s: no error", name)
			}
			rows = keep
		}
	}
	for want, spec := range map[string]shard.Spec{
		"preferences with prompts": {Models: models, Preferences: true, Prompts: prompts},
	} {
		f := shard.Folder{Path: t.TempDir()}
		spec.Input = "in.jsonl"
		if _, err := shard.New(t.Context(), f, spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, wanted %q", err, want)
		}
	}
}
