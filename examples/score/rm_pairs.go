package main

import (
	"context"
	"io"
	"iter"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// openRM loads the reward model that scores pairs, and returns how the output's provenance is
// written.
func (r *pairsRun) openRM(ctx context.Context, o *flags) (*cli.Loader, func(io.Writer) error, error) {
	loader, rm, meta, err := o.openRM(ctx, r.stderr)
	if err != nil {
		return nil, nil, err
	}
	r.added = []string{"reward", "ids", "outputs", "flags", "error"}
	r.answers = func(ctx context.Context, items iter.Seq[implicit.Item], take func(int) question) iter.Seq2[outcome, error] {
		return func(yield func(outcome, error) bool) {
			for s, err := range rewardmodel.Scores(ctx, rm, items) {
				if err != nil {
					yield(outcome{}, err)
					return
				}
				u := outcome{question: take(s.Index)}
				switch {
				case s.Err != nil:
					u.refuse(s.Item, s.Err)
				case r.inspect:
					u.answer = u.sample.recordRM(s, rm.Outputs())
				default:
					u.answer = answerRM(u.object, s, rm.Outputs())
				}
				if !yield(u, nil) {
					return
				}
			}
		}
	}
	return loader, meta.WriteJSON, nil
}

// answerRM adds a reward model's results to an object.
func answerRM(object []byte, s rewardmodel.Score, outputs []string) []byte {
	object = appendField(object, "reward", strictjson.Float64(s.Reward))
	object = appendField(object, "ids", s.Text.IDs)
	object = appendField(object, "outputs", strictjson.Numbers{Names: outputs, Values: s.Outputs})
	object = appendField(object, "flags", append([]string{}, s.Flags()...))
	return append(object, '}')
}

// recordRM writes a reward model's reward as a score of inspect_ai.
func (of sample) recordRM(s rewardmodel.Score, outputs []string) []byte {
	m := rmMetadata{len(s.Text.IDs), strictjson.Numbers{Names: outputs, Values: s.Outputs}, append([]string{}, s.Flags()...)}
	return appendJSON(nil, record[rmMetadata]{of.ID, of.Epoch, s.Reward, s.Reply, m})
}

type rmMetadata struct {
	Tokens  int                `json:"tokens"` // of all that the model read
	Outputs strictjson.Numbers `json:"outputs"`
	Flags   []string           `json:"flags"`
}
