package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/preference"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Reply is a row of the parts of preferences: a chosen or a rejected reply to its conversation,
// or a preference that was refused.
type Reply struct {
	Row     int32     `parquet:"row"`          // of the preference among the lines that are not empty, from 0
	Side    string    `parquet:"side,dict"`    // "chosen" or "rejected"; "" if refused
	Reply   int32     `parquet:"reply"`        // among those of the side, from 0
	Tuned   []float32 `parquet:"tuned,list"`   // ln p of each token in the tuned model; none of a reward model
	Base    []float32 `parquet:"base,list"`    // and in the base model
	Reward  float64   `parquet:"reward"`       // beta times the log-ratio, or the reward model's
	Tokens  int32     `parquet:"n_tokens"`     // of all that the reward model read, of a pair those of Tuned
	Outputs []float64 `parquet:"outputs,list"` // of the reward model's head
	Flags   string    `parquet:"flags,dict"`   // of implicit.Reward.Flags or rewardmodel.Score.Flags, joined by ";"
	Refused string    `parquet:"refused"`      // why; "" for none
}

var repliesFile = table.Format[Reply]{Name: "shard: preferences", Version: logprob.Version}

// scorePreferences writes the rows of a shard of preferences.
func (p *Plan) scorePreferences(ctx context.Context, w io.Writer, s Shard, data []byte, model Scorer) error {
	models := preference.Models{RM: model.RM}
	if model.RM == nil {
		models.Pair = model.Pair
		models.Pair.Beta = p.beta()
	}
	footer := p.footer(s, model.Made.processor())
	var rows []Reply
	line := s.Lines[0]
	for scored, err := range preference.Score(ctx, models, preference.Read(ctx, bytes.NewReader(data))) {
		if err != nil {
			return err
		}
		footer.refuse(scored.Err)
		if scored.Err != nil {
			rows = append(rows, Reply{Row: int32(line), Refused: scored.Err.Error()})
		}
		for side, name := range []string{"chosen", "rejected"} {
			for i, r := range scored.Rewards[side] {
				rows = append(rows, Reply{Row: int32(line), Side: name, Reply: int32(i), Tuned: r.Tuned.LogProbs, Base: r.Base.LogProbs,
					Reward: r.Value(), Tokens: int32(len(r.Tuned.LogProbs)), Flags: strings.Join(r.Flags(), ";")})
			}
			for i, r := range scored.Explicit[side] {
				rows = append(rows, Reply{Row: int32(line), Side: name, Reply: int32(i), Reward: r.Reward, Tokens: int32(len(r.Text.IDs)),
					Outputs: r.Outputs, Flags: strings.Join(r.Flags(), ";")})
			}
		}
		line++
	}
	if line != s.Lines[1] {
		return fmt.Errorf("%d preferences, wanted the %d lines of the plan", line-s.Lines[0], s.Lines[1]-s.Lines[0])
	}
	footer.Rows = len(rows)
	if model.RM != nil {
		made := p.scoreProvenance(s.Model, p.InputHash)
		made.Forms, made.Measures, made.Part = nil, nil, footer
		return repliesFile.WriteParquet(w, each(rows), made)
	}
	made := p.provenance(s.Model, p.InputHash)
	made.Forms, made.Part = nil, footer
	return repliesFile.WriteParquet(w, each(rows), made)
}

// processor is the kind on which the numbers are made.
func (m Model) processor() string {
	switch {
	case m.RM != nil:
		return m.RM.Processor
	case m.Tuned != nil:
		return m.Tuned.Processor
	}
	return ""
}

// Replies yields the rows of a model's preferences, as Records does of words.
func (m *Manifest) Replies(ctx context.Context, model int) iter.Seq2[Reply, error] {
	return ofModel(m, model, m.repliesOf(ctx))
}

func (m *Manifest) repliesOf(ctx context.Context) func(Part) iter.Seq2[Reply, error] {
	return rowsOf(ctx, m, func(data []byte) (all []Reply, err error) {
		file, err := table.OpenParquet(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil, err
		}
		for r, err := range table.Rows[Reply](file) {
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		return all, nil
	})
}

// noRM stands for a reward model whose scores are read.
type noRM struct{ rewardmodel.RM }

// PreferenceModels stands for the models in preference.Summarize and its like: it scores
// nothing.
func (m *Manifest) PreferenceModels(model int) preference.Models {
	if m.Models[model].RM != nil {
		return preference.Models{RM: noRM{}}
	}
	return preference.Models{Pair: implicit.Pair{Tuned: &implicit.Policy{}, Base: &implicit.Policy{}, Beta: m.beta()}}
}

// ScoredPreferences joins the rows of the file that was planned with a model's parts: what
// preference.Score yields, but for the texts that the models read, of which flags and numbers of
// tokens alone are left. Rows that are not those of the parts are an error, the last thing.
func (m *Manifest) ScoredPreferences(ctx context.Context, model int, rows iter.Seq2[preference.Row, error]) iter.Seq2[preference.Scored, error] {
	return func(yield func(preference.Scored, error) bool) {
		next, stop := iter.Pull2(m.Replies(ctx, model))
		defer stop()
		reply, err, ok := next()
		n := int32(0)
		for row, bad := range rows {
			s := preference.Scored{Row: row}
			for ok && err == nil && bad == nil && reply.Row == n {
				if bad = m.add(&s, reply, m.Models[model].RM != nil); bad == nil {
					reply, err, ok = next()
				}
			}
			switch {
			case bad == nil && err != nil:
				bad = err
			case bad == nil && s.Err == nil && len(s.Rewards[0])+len(s.Explicit[0]) != len(s.Chosen) || bad == nil && s.Err == nil && len(s.Rewards[1])+len(s.Explicit[1]) != len(s.Rejected):
				bad = errors.New("other replies than in the parts, wanted the file that was planned")
			}
			if bad != nil {
				yield(preference.Scored{}, fmt.Errorf("shard: preference %d: %w", row.Number, bad))
				return
			}
			if !yield(s, nil) {
				return
			}
			n++
		}
		if ok && err == nil {
			err = fmt.Errorf("shard: rows of %d preferences and more, wanted those of the file, %d", reply.Row, n)
		}
		if err != nil {
			yield(preference.Scored{}, err)
		}
	}
}

// add adds a row of a part to its preference.
func (m *Manifest) add(s *preference.Scored, r Reply, rm bool) error {
	if r.Side == "" {
		s.Err = errors.New(r.Refused)
		return nil
	}
	side, replies := 0, s.Chosen
	if r.Side == "rejected" {
		side, replies = 1, s.Rejected
	}
	n := len(s.Rewards[side]) + len(s.Explicit[side])
	if s.Err != nil || n >= len(replies) || int(r.Reply) != n {
		return errors.New("other replies than in the parts, wanted the file that was planned")
	}
	it := implicit.Item{Messages: s.Messages, Reply: replies[n]}
	flags := strings.Split(r.Flags, ";")
	has := func(flag string) bool { return slices.Contains(flags, flag) }
	special := func(flag string) (n int) {
		if has(flag) {
			n = 1
		}
		return n
	}
	if rm {
		score := rewardmodel.Score{Item: it, Result: rewardmodel.Result{Reward: r.Reward, Outputs: r.Outputs},
			Text: tokenize.Encoded{IDs: make([]int32, r.Tokens), Trimmed: has(rewardmodel.FlagTrimmed), Special: special(rewardmodel.FlagSpecial)}}
		if has(rewardmodel.FlagPooling) {
			score.Result.Flags = []string{rewardmodel.FlagPooling}
		}
		s.Explicit[side] = append(s.Explicit[side], score)
		return nil
	}
	reward := implicit.Reward{Item: it, Beta: m.beta(), Tuned: logprob.Result{LogProbs: r.Tuned}, Base: logprob.Result{LogProbs: r.Base},
		TunedText: tokenize.Encoded{IDs: make([]int32, len(r.Tuned)), Straddle: has(implicit.FlagTunedStraddle), Trimmed: has(implicit.FlagTunedTrimmed), Special: special(implicit.FlagTunedSpecial)},
		BaseText:  tokenize.Encoded{IDs: make([]int32, len(r.Base)), Straddle: has(implicit.FlagBaseStraddle), Trimmed: has(implicit.FlagBaseTrimmed), Special: special(implicit.FlagBaseSpecial)}}
	if has(implicit.FlagCut) { // texts without spans are cut alike if their ids are the same
		reward.BaseText.IDs = append(reward.BaseText.IDs[:len(r.Base)-1:len(r.Base)-1], 1)
	}
	s.Rewards[side] = append(s.Rewards[side], reward)
	return nil
}
