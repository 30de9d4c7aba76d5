package preference

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/tokenize"
)

func scoreAll(t *testing.T, m Models, data string) (rows []Scored) {
	t.Helper()
	for s, err := range Score(t.Context(), m, Read(t.Context(), strings.NewReader(data))) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, s)
	}
	return rows
}

// TestScoreExplicit: the rewards are rewardmodel.Scores', with and without a pair, whose own
// do not change; a row that one of the models refuses has none of either.
func TestScoreExplicit(t *testing.T) {
	data := `nothing
{"prompt": "Hi", "chosen": ["love", "rain"], "rejected": "power"}
{"prompt": "Hi", "chosen": "love", "rejected": "` + strings.Repeat("x", 60) + `"}
{"prompt": "Hi", "chosen": "` + strings.Repeat("x", 120) + `", "rejected": "love"}
{"prompt": "Hi", "chosen": "", "rejected": "love"}
{"prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": "Hu"}], "chosen": "love", "rejected": "rain"}
`
	pair := implicit.Pair{Tuned: (&implicittest.Fake{Seed: 1, Limit: 100}).Chat(), Base: (&implicittest.Fake{Seed: 2}).Chat()}
	rm := &implicittest.FakeRM{Seed: 3, Limit: 60, Names: []string{"help", "harm"}}
	both, alone, implicitly := scoreAll(t, Models{pair, rm}, data), scoreAll(t, Models{RM: rm}, data), scoreAll(t, Models{Pair: pair}, data)
	errs := func(rows []Scored) (all []string) {
		for _, s := range rows {
			if s.Err != nil {
				if all = append(all, s.Err.Error()); s.Rewards[0] != nil || s.Explicit[0] != nil || s.Rewards[1] != nil || s.Explicit[1] != nil {
					t.Errorf("%v: rewards of a row that is refused", s.Err)
				}
			}
		}
		return all[1:]
	}
	if got := errs(both); !slices.Equal(got, []string{"rejected: reward model: 82 tokens, wanted at most 60", "chosen: tuned model: 141 tokens, wanted at most 100", "chosen: empty, wanted text"}) {
		t.Errorf("refused by both %q", got)
	}
	if got := errs(alone); !slices.Equal(got, []string{"rejected: 82 tokens, wanted at most 60", "chosen: 142 tokens, wanted at most 60", "chosen: empty, wanted text"}) {
		t.Errorf("refused by the reward model %q", got)
	}
	if got := errs(implicitly); len(got) != 2 {
		t.Errorf("refused by the pair %q", got)
	}
	for _, i := range []int{1, 5} {
		var items []implicit.Item
		for _, reply := range slices.Concat(both[i].Chosen, both[i].Rejected) {
			items = append(items, implicit.Item{Messages: both[i].Messages, Reply: reply})
		}
		var want []float64
		for s, err := range rewardmodel.Scores(t.Context(), rm, slices.Values(items)) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, s.Reward)
		}
		for name, rows := range map[string][]Scored{"both": both, "alone": alone} {
			var got []float64
			for _, s := range slices.Concat(rows[i].Explicit[0], rows[i].Explicit[1]) {
				got = append(got, s.Reward)
			}
			if !slices.Equal(got, want) || len(rows[i].Explicit[0]) != len(rows[i].Chosen) {
				t.Errorf("%s: row %d: %v, wanted %v", name, i+1, got, want)
			}
			if margin := rows[i].Margin((Models{RM: rm}).Measures()[0]); margin != slices.Max(want[:len(rows[i].Chosen)])-want[len(want)-1] {
				t.Errorf("%s: row %d: margin %v of %v", name, i+1, margin, want)
			}
		}
		for k, r := range slices.Concat(both[i].Rewards[0], both[i].Rewards[1]) {
			if other := slices.Concat(implicitly[i].Rewards[0], implicitly[i].Rewards[1])[k]; r.LogRatio() != other.LogRatio() || r.LogRatio() == want[k] {
				t.Errorf("row %d: reward %v beside a reward model, %v without", i+1, r.LogRatio(), other.LogRatio())
			}
		}
	}
	if alone[1].Rewards[0] != nil || implicitly[1].Explicit[0] != nil {
		t.Error("rewards of models that are not there")
	}
	var names []string
	for _, a := range Summarize(both, Models{pair, rm}).All.Measures {
		names = append(names, a.Measure)
	}
	if got := strings.Join(names, " "); got != "reward reward_per_token reward_per_byte tuned tuned_per_token tuned_per_byte explicit_reward" {
		t.Errorf("measures %s", got)
	}
	broken := errors.New("broken")
	failing := &implicittest.FakeRM{Fail: func(tokenize.Encoded) error { return broken }}
	for m, want := range map[string]Models{"preference: no models, wanted a pair, a reward model or both": {}, "broken": {RM: failing}} {
		var last error
		for _, err := range Score(t.Context(), want, Read(t.Context(), strings.NewReader(data))) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), m) {
			t.Errorf("error %v, wanted %s", last, m)
		}
	}
	for range Score(t.Context(), Models{pair, rm}, Read(t.Context(), strings.NewReader(data))) {
		break
	}
}

// explicitly is a row with these explicit rewards.
func explicitly(id, subset string, chosen, rejected []float64) Scored {
	s := Scored{Row: Row{ID: id, Subset: subset, Chosen: make([]string, len(chosen)), Rejected: make([]string, len(rejected))}}
	for side, values := range [][]float64{chosen, rejected} {
		for i, v := range values {
			text := tokenize.Encoded{IDs: make([]int32, 3), Trimmed: i == 1, Special: side}
			s.Explicit[side] = append(s.Explicit[side], rewardmodel.Score{Text: text, Result: rewardmodel.Result{Reward: v, Outputs: []float64{v, -v}, Flags: []string{rewardmodel.FlagPooling}}})
		}
	}
	return s
}

// TestExplicitMeasures: accuracy, ties and RewardBench 2's score are the same functions of
// explicit rewards as of the others.
func TestExplicitMeasures(t *testing.T) {
	rm := Models{RM: &implicittest.FakeRM{}}
	rows := []Scored{
		explicitly("", "a", []float64{1}, []float64{-2}), explicitly("", "a", []float64{-2}, []float64{1}), explicitly("", "a", []float64{1}, []float64{1}),
		explicitly("", "b", []float64{1}, []float64{1, -3, 1, 1}), explicitly("", "b", []float64{1, 1}, []float64{1}),
		explicitly("ref:1", "Ties", []float64{2}, []float64{1, -3}), explicitly("tied:1", "Ties", []float64{2, 1.5, 1.75}, []float64{0.25, -1}),
	}
	s := Summarize(rows, rm)
	a := s.All.Measures[0]
	if want := (1 + 0.5 + 0.25 + 2./3 + 2) / 7; len(s.All.Measures) != 1 || a.Measure != "explicit_reward" || math.Abs(float64(a.Accuracy)-want) > 1e-15 || a.Wins != 3 || a.Ties != 3 {
		t.Errorf("%+v, wanted an accuracy of %v", s.All, want)
	}
	var tuned []Scored
	for _, s := range rows {
		var v [2][]float32
		for side := range v {
			for _, e := range s.Explicit[side] {
				v[side] = append(v[side], float32(e.Reward))
			}
		}
		tuned = append(tuned, made(s.ID, s.Subset, v[0], v[1]))
	}
	other := Summarize(tuned, tunedAlone)
	for i, sub := range append(s.Subsets, s.All) {
		x, y := sub.Measures[0], append(other.Subsets, other.All)[i].Measures[0]
		if (x.Score == nil) != (y.Score == nil) || x.Score != nil && *x.Score != *y.Score || (x.Score == nil) == (sub.Subset == "Ties") {
			t.Errorf("%s: %+v, wanted %+v", sub.Subset, x.Score, y.Score)
		}
		if x.Measure, x.Score, y.Measure, y.Score = "", nil, "", nil; x != y {
			t.Errorf("%s: %+v, wanted %+v", sub.Subset, x, y)
		}
	}
}

// TestWriteExplicit: a reward model's columns stand beside a pair's, or alone.
func TestWriteExplicit(t *testing.T) {
	rm := Models{RM: &implicittest.FakeRM{}}
	refused := explicitly("4", "a", nil, nil)
	refused.Err = errors.New("chosen: empty, wanted text")
	rows := []Scored{explicitly("x", "a", []float64{1.5}, []float64{-2}), explicitly("y", "", []float64{1, 0.25}, []float64{3}), refused}
	for i := range rows {
		rows[i].Number = i + 1
	}
	var csv, lines, beside strings.Builder
	err := errors.Join(WriteCSV(&csv, rows, rm), WriteJSONL(&lines, rows, rm))
	pair := rows[0]
	pair.Rewards = made("", "", []float32{-1}, []float32{-2.5}).Rewards
	err = errors.Join(err, WriteCSV(&beside, []Scored{pair}, Models{tunedAlone.Pair, rm.RM}), WriteJSONL(&beside, []Scored{pair}, Models{tunedAlone.Pair, rm.RM}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{csv.String(), `row,id,subset,chosen_explicit_tokens,rejected_explicit_tokens,chosen_explicit,rejected_explicit,margin_explicit_reward,flags,refused
1,x,a,3,3,1.5,-2,3.5,chosen:explicit-pooling;rejected:explicit-pooling;rejected:explicit-special,
2,y,,3;3,3,1;0.25,3,-2,chosen:explicit-pooling;chosen:explicit-pooling;chosen:explicit-trimmed;rejected:explicit-pooling;rejected:explicit-special,
3,4,a,,,,,,,"chosen: empty, wanted text"
`}, {lines.String(), `{"row":1,"id":"x","subset":"a","chosen":{"explicit_tokens":3,"explicit":1.5,"outputs":[1.5,-1.5]},"rejected":{"explicit_tokens":3,"explicit":-2,"outputs":[-2,2]},"margins":{"explicit_reward":3.5},"flags":["chosen:explicit-pooling","rejected:explicit-pooling","rejected:explicit-special"]}
{"row":2,"id":"y","chosen":[{"explicit_tokens":3,"explicit":1,"outputs":[1,-1]},{"explicit_tokens":3,"explicit":0.25,"outputs":[0.25,-0.25]}],"rejected":[{"explicit_tokens":3,"explicit":3,"outputs":[3,-3]}],"margins":{"explicit_reward":-2},"flags":["chosen:explicit-pooling","chosen:explicit-pooling","chosen:explicit-trimmed","rejected:explicit-pooling","rejected:explicit-special"]}
{"row":3,"id":"4","subset":"a","refused":"chosen: empty, wanted text"}
`}, {beside.String(), `row,id,subset,chosen_tokens,rejected_tokens,chosen_tuned,rejected_tuned,chosen_base,rejected_base,chosen_explicit_tokens,rejected_explicit_tokens,chosen_explicit,rejected_explicit,margin_reward,margin_reward_per_token,margin_reward_per_byte,margin_tuned,margin_tuned_per_token,margin_tuned_per_byte,margin_explicit_reward,flags,refused
1,x,a,1,1,-1,-2.5,,,3,3,1.5,-2,,,,1.5,1.5,1.5,3.5,chosen:explicit-pooling;rejected:explicit-pooling;rejected:explicit-special,
{"row":1,"id":"x","subset":"a","chosen":{"tokens":1,"tuned":-1,"explicit_tokens":3,"explicit":1.5,"outputs":[1.5,-1.5]},"rejected":{"tokens":1,"tuned":-2.5,"explicit_tokens":3,"explicit":-2,"outputs":[-2,2]},"margins":{"explicit_reward":3.5,"tuned":1.5,"tuned_per_byte":1.5,"tuned_per_token":1.5},"flags":["chosen:explicit-pooling","rejected:explicit-pooling","rejected:explicit-special"]}
`}} {
		if c[0] != c[1] {
			t.Errorf("got\n%s\nwanted\n%s", c[0], c[1])
		}
	}
}
