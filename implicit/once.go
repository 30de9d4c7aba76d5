package implicit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// Once returns the policy with a scorer that computes each text once, however many
// calls of Rewards or Words ask for it: a model that takes part in several pairs, or whose
// words are scored in several sets of forms, runs over what they share one time. With
// ends, every text is scored with the end of its last word (see EndScorer), also where
// that is not asked for, so that all measures share too; without, the policy cannot do
// MeasureEnded.
//
// Scores are held in memory, some 100 bytes a text; the texts of a call are held as long
// as it lasts. Texts are told apart by their ids and by where the reply begins. The scorer
// is for one goroutine at a time. It fails with ends if the policy does not know them.
func Once(p Policy, ends bool) (Policy, error) {
	o := &once{from: p.Scorer, known: map[onceKey]onceScore{}}
	if !ends {
		return Policy{Scorer: o, Encode: p.Encode, Conversation: p.Conversation}, nil
	}
	var ok bool
	if o.withEnds, ok = p.Scorer.(EndScorer); ok && p.Ends != nil {
		o.ends = p.Ends()
	}
	if o.ends == nil {
		return Policy{}, errors.New("implicit: once: the model does not say where words end (EndScorer, Policy.Ends)")
	}
	return Policy{Scorer: onceEnds{o}, Encode: p.Encode, Conversation: p.Conversation, Ends: func() []bool { return o.ends }}, nil
}

// once is a scorer with a memory.
type once struct {
	from     Scorer
	withEnds EndScorer // if ends is not nil
	ends     []bool
	known    map[onceKey]onceScore
	values   []float32 // log-probabilities of all texts
}

// onceKey is the beginning of the hash of a text's ids and place of the reply.
type onceKey [16]byte

type onceScore struct {
	at, n  int // values[at:at+n]
	greedy bool
	end    float32
}

func keyOf(t tokenize.Encoded) onceKey {
	b := make([]byte, 0, 4*len(t.IDs)+8)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Reply))
	for _, id := range t.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	sum := sha256.Sum256(b)
	return onceKey(sum[:16])
}

// Score is the Scorer's, from memory where it can.
func (o *once) Score(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
	return func(yield func(logprob.Result, error) bool) {
		var keys []onceKey
		var fresh []tokenize.Encoded
		var places []onceKey // of the fresh ones
		asked := map[onceKey]bool{}
		for t := range texts {
			k := keyOf(t)
			keys = append(keys, k)
			if _, ok := o.known[k]; !ok && !asked[k] {
				asked[k] = true
				fresh, places = append(fresh, t), append(places, k)
			}
		}
		if err := o.compute(ctx, fresh, places); err != nil {
			yield(logprob.Result{}, err)
			return
		}
		for _, k := range keys {
			s := o.known[k]
			if !yield(logprob.Result{LogProbs: slices.Clone(o.values[s.at : s.at+s.n]), Greedy: s.greedy, Within: s.end}, nil) {
				return
			}
		}
	}
}

// compute scores texts that are not known.
func (o *once) compute(ctx context.Context, texts []tokenize.Encoded, keys []onceKey) error {
	if len(texts) == 0 {
		return ctx.Err()
	}
	score := o.from.Score
	if o.ends != nil {
		score = func(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[logprob.Result, error] {
			return o.withEnds.ScoreEnds(ctx, texts, o.ends)
		}
	}
	n := 0
	for s, err := range score(ctx, slices.Values(texts)) {
		if err != nil {
			return err
		}
		if n == len(texts) {
			return fmt.Errorf("more scores than the %d texts", n)
		}
		o.known[keys[n]] = onceScore{len(o.values), len(s.LogProbs), s.Greedy, s.Within}
		o.values = append(o.values, s.LogProbs...)
		n++
	}
	if n < len(texts) {
		return fmt.Errorf("%d scores for %d texts", n, len(texts))
	}
	return nil
}

// MaxTokens is the model's, or no limit where it has none.
func (o *once) MaxTokens() int {
	if limited, ok := o.from.(interface{ MaxTokens() int }); ok {
		return limited.MaxTokens()
	}
	return math.MaxInt
}

// onceEnds is once with the ends of words.
type onceEnds struct{ *once }

// ScoreEnds is Score, whose scores have the ends already, for the same ends.
func (o onceEnds) ScoreEnds(ctx context.Context, texts iter.Seq[tokenize.Encoded], ends []bool) iter.Seq2[logprob.Result, error] {
	if !slices.Equal(ends, o.ends) {
		return func(yield func(logprob.Result, error) bool) {
			yield(logprob.Result{}, errors.New("implicit: once: other ends of words than the policy's"))
		}
	}
	return o.Score(ctx, texts)
}
