package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// sample tells which sample of an evaluation a pair is.
type sample struct {
	ID    json.RawMessage // a string or a whole number
	Epoch json.RawMessage // a whole number; nil for every epoch
}

// samples are those of the pairs read so far.
type samples struct {
	n     int            // lines, also those that were refused
	begun bool           // a pair has said whether they are named
	named bool           // they have ids
	seen  map[string]int // the line of each id and epoch
}

var whole = regexp.MustCompile(`^-?[0-9]{1,18}$`)

// add takes the "id" and "epoch" of a pair. As in inspect_ai, ids are the same when their
// texts are, 7 and "7".
func (s *samples) add(line cli.Line) (of sample, err error) {
	members, err := cli.Object(line.Text, "{\"id\": ..., \"prompt\": ..., \"reply\": ...}", "id", "epoch")
	if err != nil {
		return of, err
	}
	of.ID, of.Epoch = members["id"], members["epoch"]
	named := !strictjson.Null(of.ID)
	switch {
	case s.begun && named != s.named:
		return sample{}, errors.New("some pairs have an \"id\" and some have none, wanted all or none")
	case named:
		text, ok, err := cli.String(of.ID, "id")
		if err != nil {
			return of, err
		}
		if !ok {
			if text = string(of.ID); !whole.MatchString(text) {
				return of, fmt.Errorf("\"id\" is %s, wanted a string or a whole number", text)
			}
		}
		of.ID = appendJSON(nil, text)
	default:
		of.ID = strconv.AppendInt(nil, int64(s.n), 10)
	}
	s.begun, s.named = true, named
	if string(of.Epoch) == "null" {
		of.Epoch = nil
	}
	if of.Epoch != nil && !whole.Match(of.Epoch) {
		return of, fmt.Errorf("\"epoch\" is %s, wanted a whole number", of.Epoch)
	}
	key := string(of.ID) + " " + string(of.Epoch)
	if first, ok := s.seen[key]; ok {
		return of, fmt.Errorf("the \"id\" %s stands in line %d already, wanted one pair a sample (and \"epoch\")", of.ID, first)
	}
	s.seen[key] = line.Number
	return of, nil
}

// record is a line of the file that inspect_ai's scorer precomputed_scores reads (0.3.285,
// inspect_ai/scorer/_precomputed.py).
type record[M any] struct {
	ID       json.RawMessage `json:"id"`
	Epoch    json.RawMessage `json:"epoch,omitempty"`
	Value    float64         `json:"value"` // the reward; of a pair beta * (tuned - base)
	Answer   string          `json:"answer"`
	Metadata M               `json:"metadata"`
}

type metadata struct {
	Beta        float64  `json:"beta"`
	Tuned       float64  `json:"logp_tuned"`
	Base        float64  `json:"logp_base"`
	TunedTokens int      `json:"tokens_tuned"`
	BaseTokens  int      `json:"tokens_base"`
	PerToken    float64  `json:"reward_per_token"` // beta * the difference of the models' means
	PerByte     float64  `json:"reward_per_byte"`
	Flags       []string `json:"flags"`
}

// record writes a reward as a score, or says why there is none: JSON has no infinity.
func (s sample) record(r implicit.Reward) (line []byte, reason string) {
	m := metadata{
		Beta: r.Beta, Tuned: r.Tuned.Sum(), Base: r.Base.Sum(), TunedTokens: len(r.Tuned.LogProbs), BaseTokens: len(r.Base.LogProbs),
		PerToken: r.Beta * r.MeanLogRatio(), PerByte: r.Beta * r.PerByte(), Flags: r.Flags(),
	}
	if m.Flags == nil {
		m.Flags = []string{}
	}
	if math.IsInf(m.Tuned, 0) || math.IsInf(m.Base, 0) {
		return nil, "a model gives the reply probability 0, whose logarithm is no JSON number"
	}
	return appendJSON(nil, record[metadata]{s.ID, s.Epoch, r.Value(), r.Reply, m}), ""
}
