package preference

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/stats"
)

// Measure is a value of a reply by which chosen and rejected replies are compared.
type Measure struct {
	Name  string
	of    func(Models) bool // whether there are the models that it needs
	value func(s *Scored, side, reply int) float64
}

func (m Models) pair() bool { return m.Pair.Tuned != nil }
func (m Models) base() bool { return m.pair() && m.Pair.Base != nil }
func (m Models) rm() bool   { return m.RM != nil }

// measuresOfAll are the measures of all models.
var measuresOfAll = []Measure{
	{"reward", Models.base, ofReward(implicit.Reward.LogRatio)},
	{"reward_per_token", Models.base, ofReward(implicit.Reward.MeanLogRatio)},
	{"reward_per_byte", Models.base, ofReward(implicit.Reward.PerByte)},
	{"tuned", Models.pair, ofReward(func(r implicit.Reward) float64 { return r.Tuned.Sum() })},
	{"tuned_per_token", Models.pair, ofReward(func(r implicit.Reward) float64 { return r.Tuned.Mean() })},
	{"tuned_per_byte", Models.pair, ofReward(func(r implicit.Reward) float64 { return r.Tuned.Sum() / float64(len(r.Reply)) })},
	{"explicit_reward", Models.rm, func(s *Scored, side, reply int) float64 { return s.Explicit[side][reply].Reward }},
}

func ofReward(f func(implicit.Reward) float64) func(*Scored, int, int) float64 {
	return func(s *Scored, side, reply int) float64 { return f(s.Rewards[side][reply]) }
}

// Measures returns reward, reward_per_token and reward_per_byte, those of the implicit
// reward, if there is a base model; tuned, tuned_per_token and tuned_per_byte, those of ln
// p_tuned, if there is a pair; and explicit_reward if there is a reward model.
func (m Models) Measures() []Measure {
	return slices.DeleteFunc(slices.Clone(measuresOfAll), func(x Measure) bool { return !x.of(m) })
}

// replies is how many scored replies a side has.
func (s *Scored) replies(side int) int { return max(len(s.Rewards[side]), len(s.Explicit[side])) }

// values returns a measure of the chosen and of the rejected replies.
func (s *Scored) values(m Measure) (values [2][]float64) {
	for side := range sides {
		for i := range s.replies(side) {
			values[side] = append(values[side], m.value(s, side, i))
		}
	}
	return values
}

// Margin returns the best chosen reply's value minus the best rejected one's; 0 if both are
// the same infinity. s must have been scored.
func (s *Scored) Margin(m Measure) float64 {
	v := s.values(m)
	return minus(slices.Max(v[0]), slices.Max(v[1]))
}

// credit is 1 if the best reply is a chosen one and 0 if it is a rejected one; if several
// tie for best, it is the share of chosen ones among them: half for a pair, 1/k for one
// chosen among k, as in RewardBench 2.
func (s *Scored) credit(m Measure) float64 {
	v := s.values(m)
	best := max(slices.Max(v[0]), slices.Max(v[1]))
	var at [2]float64
	for side := range v {
		for _, x := range v[side] {
			if x == best {
				at[side]++
			}
		}
	}
	return at[0] / (at[0] + at[1])
}

// minus is a - b, and 0 if both are the same infinity.
func minus(a, b float64) float64 {
	if a == b {
		return 0
	}
	return a - b
}

// Number is a float64 that is written in JSON as null unless finite.
type Number float64

// MarshalJSON writes a number, or null.
func (x Number) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(x), 0) || math.IsNaN(float64(x)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(x))
}

// Summary is the accuracy on all rows and on the rows of each subset.
type Summary struct {
	All     Subset   `json:"all"`
	Subsets []Subset `json:"subsets"` // in file order
}

// Subset is the accuracy on the rows of a subset.
type Subset struct {
	Subset   string     `json:"subset"`  // "" for rows that name none, and for all rows
	Pairs    int        `json:"pairs"`   // rows scored
	Refused  int        `json:"refused"` // rows that could not be scored
	Measures []Accuracy `json:"measures"`
}

// Accuracy is the share of rows whose best reply by a measure is a chosen one.
type Accuracy struct {
	Measure    string  `json:"measure"`
	Accuracy   Number  `json:"accuracy"` // a row with ties for best counts the share of chosen ones among them
	Lower      Number  `json:"lower"`    // Wilson's interval, lower bound
	Upper      Number  `json:"upper"`
	Level      float64 `json:"level"` // of the interval
	Wins       int     `json:"wins"`  // rows with a margin above 0
	Ties       int     `json:"ties"`  // with a margin of 0
	MeanMargin Number  `json:"mean_margin"`
	// Score is RewardBench 2's score of its subset Ties; nil elsewhere.
	Score *TiesScore `json:"ties_score,omitempty"`
}

// level is the confidence level of the intervals.
const level = 0.95

// Summarize computes the accuracy by every measure of the models.
func Summarize(rows []Scored, m Models) Summary {
	measures := m.Measures()
	s := Summary{All: summarize("", rows, measures), Subsets: []Subset{}}
	var names []string
	of := map[string][]Scored{}
	for _, row := range rows {
		if _, ok := of[row.Subset]; !ok {
			names = append(names, row.Subset)
		}
		of[row.Subset] = append(of[row.Subset], row)
	}
	for _, name := range names {
		s.Subsets = append(s.Subsets, summarize(name, of[name], measures))
	}
	return s
}

func summarize(name string, rows []Scored, measures []Measure) Subset {
	s := Subset{Subset: name}
	for i := range rows {
		if rows[i].Err == nil {
			s.Pairs++
		}
	}
	s.Refused = len(rows) - s.Pairs
	for _, m := range measures {
		a := Accuracy{Measure: m.Name, Level: level}
		margins, credits := 0.0, 0.0
		for i := range rows {
			if rows[i].Err != nil {
				continue
			}
			margin := rows[i].Margin(m)
			margins += margin
			credits += rows[i].credit(m)
			switch {
			case margin > 0:
				a.Wins++
			case margin == 0:
				a.Ties++
			}
		}
		a.MeanMargin = Number(margins / float64(s.Pairs))
		share, err := stats.Wilson(credits, s.Pairs, &stats.TestOptions{Level: level})
		if err != nil { // no rows
			share = stats.ProportionResult{Estimate: math.NaN(), Interval: stats.Interval{Lower: math.NaN(), Upper: math.NaN()}}
		}
		a.Accuracy, a.Lower, a.Upper = Number(share.Estimate), Number(share.Interval.Lower), Number(share.Interval.Upper)
		a.Score = tiesOf(name, rows, m)
		s.Measures = append(s.Measures, a)
	}
	return s
}
