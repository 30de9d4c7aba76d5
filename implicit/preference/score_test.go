package preference

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/logprob"
)

func score(t *testing.T, base *implicit.Policy, data string) (rows []Scored) {
	t.Helper()
	tuned := (&implicittest.Fake{Seed: 1, Limit: 60}).Chat()
	for s, err := range Score(t.Context(), Models{Pair: implicit.Pair{Tuned: tuned, Base: base}}, Read(t.Context(), strings.NewReader(data))) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, s)
	}
	return rows
}

// TestScore: the rewards are implicit.Rewards' of the conversation and each reply, rows that
// cannot be used stand in their places, and without a base model the rewards are ln p_tuned.
func TestScore(t *testing.T) {
	data := `nothing
{"prompt": "Hi", "chosen": ["love", "rain"], "rejected": "power"}
{"prompt": "Hi"}
{"prompt": "Hi", "chosen": "love", "rejected": ["rain", "` + strings.Repeat("x", 60) + `"]}
{"prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": "Hu"}], "chosen": "love", "rejected": "rain"}
nothing`
	plain := (&implicittest.Fake{Seed: 2}).Raw()
	rows := score(t, plain, data)
	var told []string
	for i, s := range rows {
		if s.Number != i+1 {
			t.Errorf("row %d is number %d", i+1, s.Number)
		}
		if s.Err != nil {
			told = append(told, s.Err.Error())
			if s.Rewards[0] != nil || s.Rewards[1] != nil {
				t.Errorf("row %d: rewards of a row that is refused", i+1)
			}
		}
	}
	if len(rows) != 6 || len(told) != 4 || told[2] != "rejected: reply 2: tuned model: 81 tokens, wanted at most 60" {
		t.Fatalf("%d rows, refused %q", len(rows), told)
	}
	var want []implicit.Reward
	items := []implicit.Item{{Prompt: "Hi", Reply: "love"}, {Prompt: "Hi", Reply: "rain"}, {Prompt: "Hi", Reply: "power"}}
	for r, err := range implicit.Rewards(t.Context(), implicit.Pair{Tuned: (&implicittest.Fake{Seed: 1}).Chat(), Base: plain}, slices.Values(items)) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	got := slices.Concat(rows[1].Rewards[0], rows[1].Rewards[1])
	if len(got) != 3 {
		t.Fatalf("%d rewards", len(got))
	}
	best := math.Max(want[0].LogRatio(), want[1].LogRatio())
	for i := range got {
		if got[i].LogRatio() != want[i].LogRatio() || got[i].TunedText.Rendered != want[i].TunedText.Rendered {
			t.Errorf("reply %d: %v, wanted %v", i, got[i].LogRatio(), want[i].LogRatio())
		}
	}
	if m := rows[1].Margin(measuresOfAll[0]); m != best-want[2].LogRatio() {
		t.Errorf("margin %v, wanted that of the best reply", m)
	}
	if text := rows[4].Rewards[0][0].TunedText.Rendered; text != "User: Hi\nAssistant: Ho\nUser: Hu\nAssistant: love" {
		t.Errorf("several turns are read as %q", text)
	}
	alone := score(t, nil, data)
	if r := alone[1].Rewards[0][0]; r.LogRatio() != want[0].Tuned.Sum() || r.Base.Sum() != 0 {
		t.Errorf("without a base model %v", r.LogRatio())
	}
	// break, the end of the rows by an error, and that of a model.
	for range Score(t.Context(), Models{Pair: implicit.Pair{Tuned: plain}}, Read(t.Context(), strings.NewReader(data))) {
		break
	}
	broken := errors.New("broken")
	failing := (&implicittest.Fake{Fail: func(logprob.Request) error { return broken }}).Chat()
	for name, c := range map[string]struct {
		tuned *implicit.Policy
		rows  iter.Seq2[Row, error]
		n     int
	}{
		"rows": {plain, func(yield func(Row, error) bool) {
			for r := range Read(t.Context(), strings.NewReader(data)) {
				if !yield(r, nil) {
					return
				}
			}
			yield(Row{}, broken)
		}, 6},
		"model": {failing, Read(t.Context(), strings.NewReader(data)), 0},
	} {
		n := 0
		var last error
		for _, err := range Score(t.Context(), Models{Pair: implicit.Pair{Tuned: c.tuned}}, c.rows) {
			if last = err; err == nil {
				n++
			}
		}
		if !errors.Is(last, broken) || n != c.n {
			t.Errorf("%s: %d rows, %v", name, n, last)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range Score(ctx, Models{Pair: implicit.Pair{Tuned: plain}}, Read(t.Context(), strings.NewReader(data))) {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// tunedAlone are models without a reference.
var tunedAlone = Models{Pair: implicit.Pair{Tuned: &implicit.Policy{}}}

// made is a row with these values of ln p_tuned.
func made(id, subset string, chosen, rejected []float32) Scored {
	s := Scored{Row: Row{ID: id, Subset: subset}}
	for side, values := range [][]float32{chosen, rejected} {
		for _, v := range values {
			s.Rewards[side] = append(s.Rewards[side], implicit.Reward{Item: implicit.Item{Reply: "x"}, Tuned: logprob.Result{LogProbs: []float32{v}}})
		}
	}
	return s
}

// TestSummarize: a row is right when the best chosen reply beats all that were rejected; where
// several are the best it counts as RewardBench 2 counts it, 1/k for one chosen of k.
func TestSummarize(t *testing.T) {
	inf := float32(math.Inf(-1))
	refused := made("", "b", nil, nil)
	refused.Err = errors.New("x")
	rows := []Scored{
		made("", "a", []float32{-1}, []float32{-2}),             // 1
		made("", "a", []float32{-2}, []float32{-1}),             // 0
		made("", "a", []float32{-1}, []float32{-1}),             // 1/2
		made("", "b", []float32{-1}, []float32{-1, -3, -1, -1}), // 1/4
		made("", "b", []float32{-9, -1}, []float32{-2, -3}),     // 1
		made("", "b", []float32{-1, -1}, []float32{-1}),         // 2/3
		made("", "b", []float32{inf}, []float32{inf}), refused,  // 1/2
	}
	s := Summarize(rows, tunedAlone)
	a := s.All.Measures[0]
	if s.All.Pairs != 7 || s.All.Refused != 1 || len(s.Subsets) != 2 || a.Measure != "tuned" || a.Wins != 2 || a.Ties != 4 {
		t.Fatalf("%+v", s)
	}
	if want := (1 + 0.5 + 0.25 + 1 + 2./3 + 0.5) / 7; math.Abs(float64(a.Accuracy)-want) > 1e-15 {
		t.Errorf("accuracy %v, wanted %v", a.Accuracy, want)
	}
	if b := s.Subsets[0].Measures[0]; b.Accuracy != 0.5 || b.MeanMargin != 0 || s.Subsets[0].Subset != "a" || b.Score != nil {
		t.Errorf("%+v", s.Subsets[0])
	}
	none, err := json.Marshal(Summarize(rows[7:], tunedAlone))
	if err != nil || !strings.Contains(string(none), `"accuracy":null,"lower":null`) {
		t.Errorf("%s, %v", none, err)
	}
}

// TestTies: RewardBench 2's score of its subset Ties, as its formula gives it in numpy
// 2 (np.mean, np.tanh and np.nan_to_num as in process_single_model) for these values.
func TestTies(t *testing.T) {
	rows := []Scored{
		made("ref:1", "Ties", []float32{2}, []float32{1, -3}), made("ref:2", "Ties", []float32{0.5}, []float32{0.75, -1}), made("ref:3", "Ties", []float32{4}, []float32{-4}),
		made("ref:4", "Ties", []float32{1}, []float32{1}), made("ref:5", "Ties", []float32{3}, []float32{0}), made("ref:8", "Ties", []float32{1}, []float32{0}),
		made("tied:1", "Ties", []float32{2, 1.5, 1.75}, []float32{0.25, -1}), made("tied:2", "Ties", []float32{1, 1}, []float32{1, 0}), made("tied:3", "Ties", []float32{3, -2}, []float32{-5, -2.5}),
		made("tied:4", "Ties", []float32{2, 2}, []float32{0.5}), made("tied:5", "Ties", []float32{1, 2, 0}, []float32{0.5}), made("tied:9", "Ties", []float32{1, 2}, []float32{0}),
	}
	got := Summarize(rows, tunedAlone).Subsets[0].Measures[0].Score
	want := TiesScore{5, 2. / 3, 2. / 3, 0.4, 0.2, -0.36059747084015453, 0.5163940252915985}
	if got == nil || got.Questions != want.Questions {
		t.Fatalf("%+v", got)
	}
	for i, pair := range [][2]Number{{got.RefAccuracy, want.RefAccuracy}, {got.TiedAccuracy, want.TiedAccuracy}, {got.Preferred, want.Preferred}, {got.PreferredHard, want.PreferredHard}, {got.Margin, want.Margin}, {got.Score, want.Score}} {
		if math.Abs(float64(pair[0]-pair[1])) > 1e-14 {
			t.Errorf("number %d is %v, wanted %v", i, pair[0], pair[1])
		}
	}
	for name, more := range map[string][]Scored{
		"another name": {made("7", "Ties", []float32{1}, []float32{0})}, "one right answer of several": {made("tied:8", "Ties", []float32{1}, []float32{0})}, "a name twice": {rows[0]},
	} {
		if got := Summarize(slices.Concat(rows, more), tunedAlone).Subsets[0].Measures[0].Score; got != nil {
			t.Errorf("%s: %+v, wanted no score", name, got)
		}
	}
	if got := Summarize(rows[:6], tunedAlone).Subsets[0].Measures[0].Score; got != nil {
		t.Errorf("without tied rows: %+v", got)
	}
}

// TestWrite: every number of every reply is written, and every reason.
func TestWrite(t *testing.T) {
	refused := made("4", "a", nil, nil)
	refused.Number, refused.Err = 3, errors.New("chosen: empty, wanted text")
	rows := []Scored{made("a,b", "a", []float32{-1}, []float32{-2.5}), made("", "", []float32{-1, float32(math.Inf(-1))}, []float32{-3}), refused}
	for i := range rows {
		rows[i].Number = i + 1
		rows[i].Chosen, rows[i].Rejected = make([]string, len(rows[i].Rewards[0])), make([]string, len(rows[i].Rewards[1]))
	}
	var csv, lines strings.Builder
	for _, err := range []error{WriteCSV(&csv, rows, tunedAlone), WriteJSONL(&lines, rows, tunedAlone)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][2]string{{csv.String(), `row,id,subset,chosen_tokens,rejected_tokens,chosen_tuned,rejected_tuned,chosen_base,rejected_base,margin_reward,margin_reward_per_token,margin_reward_per_byte,margin_tuned,margin_tuned_per_token,margin_tuned_per_byte,flags,refused
1,"a,b",a,1,1,-1,-2.5,,,,,,1.5,1.5,1.5,,
2,,,1;1,1,-1;-inf,-3,,,,,,2,2,2,,
3,4,a,,,,,,,,,,,,,,"chosen: empty, wanted text"
`}, {lines.String(), `{"row":1,"id":"a,b","subset":"a","chosen":{"tokens":1,"tuned":-1},"rejected":{"tokens":1,"tuned":-2.5},"margins":{"tuned":1.5,"tuned_per_byte":1.5,"tuned_per_token":1.5}}
{"row":2,"chosen":[{"tokens":1,"tuned":-1},{"tokens":1,"tuned":null}],"rejected":[{"tokens":1,"tuned":-3}],"margins":{"tuned":2,"tuned_per_byte":2,"tuned_per_token":2}}
{"row":3,"id":"4","subset":"a","refused":"chosen: empty, wanted text"}
`}} {
		if c[0] != c[1] {
			t.Errorf("got\n%s\nwanted\n%s", c[0], c[1])
		}
	}
}
