package preference

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// TiesScore is RewardBench 2's score of its subset Ties (process_single_model of its code),
// whose questions have several equally right answers. Rows are named ref:N, a question with
// one right answer, and tied:N, one with several; rows with the same N belong together.
//
// A row's gap is its worst right answer's value minus its best wrong one's, and its spread
// is the range of the values of its right answers.
type TiesScore struct {
	Questions     int    `json:"questions"`      // of both kinds
	RefAccuracy   Number `json:"ref_accuracy"`   // share of ref rows with a gap above 0
	TiedAccuracy  Number `json:"tied_accuracy"`  // of tied rows
	Preferred     Number `json:"preferred"`      // share of questions with a tied gap above the spread
	PreferredHard Number `json:"preferred_hard"` // with both gaps above the spread
	Margin        Number `json:"margin"`         // mean of tanh(the smaller gap / spread - 1)
	Score         Number `json:"score"`          // 0.3 (RefAccuracy + TiedAccuracy) + 0.2 (Preferred + PreferredHard) + 0.01 Margin
}

// spreads are a row's gap and spread.
type spreads struct {
	gap, spread float64
	several     bool // has several right answers
}

// tiesOf scores a subset of that name. It is nil for other subsets, if a scored row has
// another kind of name or a tied row has only one right answer, and if no question has rows
// of both kinds.
func tiesOf(name string, rows []Scored, m Measure) *TiesScore {
	if !strings.EqualFold(name, "ties") {
		return nil
	}
	kinds := map[string]map[int]spreads{"ref": {}, "tied": {}}
	for i := range rows {
		if rows[i].Err != nil {
			continue
		}
		kind, number, _ := strings.Cut(rows[i].ID, ":")
		n, err := strconv.Atoi(number)
		of := kinds[kind]
		if _, twice := of[n]; err != nil || of == nil || twice {
			return nil
		}
		v := rows[i].values(m)
		right := v[0]
		of[n] = spreads{minus(slices.Min(right), slices.Max(v[1])), minus(slices.Max(right), slices.Min(right)), len(right) > 1}
	}
	s := &TiesScore{RefAccuracy: right(kinds["ref"]), TiedAccuracy: right(kinds["tied"])}
	var preferred, hard, margins float64
	for _, n := range slices.Sorted(maps.Keys(kinds["tied"])) { // a fixed order of summation
		tied := kinds["tied"][n]
		ref, ok := kinds["ref"][n]
		if !ok {
			continue
		}
		if !tied.several {
			return nil
		}
		s.Questions++
		smaller := min(ref.gap, tied.gap)
		if tied.gap > tied.spread {
			preferred++
		}
		if smaller > tied.spread {
			hard++
		}
		if margin := math.Tanh(smaller/tied.spread - 1); !math.IsNaN(margin) { // 0/0 counts as 0
			margins += margin
		}
	}
	if s.Questions == 0 {
		return nil
	}
	n := float64(s.Questions)
	s.Preferred, s.PreferredHard, s.Margin = Number(preferred/n), Number(hard/n), Number(margins/n)
	s.Score = 0.3*s.TiedAccuracy + 0.3*s.RefAccuracy + 0.2*s.Preferred + 0.2*s.PreferredHard + 0.01*s.Margin
	return s
}

// right returns the share of rows with a gap above 0.
func right(rows map[int]spreads) Number {
	n := 0
	for _, r := range rows {
		if r.gap > 0 {
			n++
		}
	}
	return Number(float64(n) / float64(len(rows)))
}
