package shard

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/words"
)

// Scorer is a loaded Model.
type Scorer struct {
	Pair implicit.Pair  // its Beta is the plan's
	RM   rewardmodel.RM // instead of a pair
	Made Model          // how its numbers are made, as New was told
	// Progress, if not nil, is called with the number of replies scored and the total.
	Progress func(done, total int)
}

// Load loads a model of a plan, or returns it if it is loaded: shards that follow each other
// often share one.
type Load func(ctx context.Context, m Model) (Scorer, error)

// Score writes the part of a shard, unless it is there: then it returns it as Reused and loads
// nothing. A part that does not fit the plan, such as one that a broken disk has cut, is written
// anew.
//
// A reply that cannot be scored has no rows; the part says how many there are and why. Errors
// are a shard or an input that is not as planned, a model that is another or makes numbers in
// another way than at planning, and those of the model.
func Score(ctx context.Context, f Folder, p *Plan, s Shard, load Load) (Part, error) {
	part, err := score(ctx, f, p, s, load)
	if err != nil {
		return Part{}, fmt.Errorf("shard: %s: %w", s.Name(), err)
	}
	return part, nil
}

func score(ctx context.Context, f Folder, p *Plan, s Shard, load Load) (Part, error) {
	if err := p.planned(s); err != nil {
		return Part{}, err
	}
	if _, err := f.fs().Size(ctx, f.name(s.Name())); err == nil {
		if part, err := check(ctx, f, p, s); err == nil {
			part.Reused = true
			return part, nil
		}
	}
	data, err := p.piece(ctx, f, s)
	if err != nil {
		return Part{}, err
	}
	model, err := load(ctx, p.Models[s.Model])
	if err != nil {
		return Part{}, err
	}
	if err := p.same(p.Models[s.Model], model.Made); err != nil {
		return Part{}, err
	}
	var file bytes.Buffer
	if p.Preferences {
		err = p.scorePreferences(ctx, &file, s, data, model)
	} else {
		err = p.scoreReplies(ctx, &file, f, s, data, model)
	}
	if err != nil {
		return Part{}, err
	}
	if err := f.write(ctx, s.Name(), file.Bytes()); err != nil {
		return Part{}, err
	}
	return partOf(p, s, file.Bytes())
}

// planned refuses a shard that is not of the plan, or of one that was changed since.
func (p *Plan) planned(s Shard) error {
	if s.Model < 0 || s.Model >= len(p.Models) || s.Prompts[0] < 0 || s.Prompts[0] > s.Prompts[1] || s.Prompts[1] > len(p.Prompts) {
		return fmt.Errorf("model %d and prompts %d, wanted those of a plan of %d models and %d prompts", s.Model, s.Prompts, len(p.Models), len(p.Prompts))
	}
	key, err := p.key(s)
	if err == nil && key != s.Key {
		err = fmt.Errorf("key %.12s, wanted %.12s by the plan: was one of them changed?", s.Key, key)
	}
	return err
}

// same refuses a model whose numbers are not made as those of the plan.
func (p *Plan) same(planned, made Model) error {
	for _, side := range []struct {
		name      string
		plan, now any
	}{{"tuned", planned.Tuned, made.Tuned}, {"base", planned.Base, made.Base}, {"reward", planned.RM, made.RM}} {
		plan, err := p.facts(side.plan)
		if err != nil {
			return err
		}
		now, err := p.facts(side.now)
		if err != nil {
			return err
		}
		names := maps.Clone(plan)
		maps.Copy(names, now)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			was, is := fmt.Sprint(plan[name]), fmt.Sprint(now[name])
			if was == is {
				continue
			}
			advice := ""
			if name == "processor" {
				advice = " (AnyProcessor lets them differ, and with them the last bits)"
			}
			return fmt.Errorf("%s model %s: %s is %s here, wanted %s as planned%s", side.name, planned.Name(), name, is, was, advice)
		}
	}
	return nil
}

// scoreReplies writes the rows of a shard of replies.
func (p *Plan) scoreReplies(ctx context.Context, w io.Writer, f Folder, s Shard, data []byte, model Scorer) error {
	entries, err := p.entries(f, s, data)
	switch {
	case err != nil:
		return err
	case model.RM != nil:
		return p.scoreRM(ctx, w, s, entries, model)
	}
	return p.scorePair(ctx, w, s, entries, model)
}

// scorePair writes the rows of a pair.
func (p *Plan) scorePair(ctx context.Context, w io.Writer, s Shard, entries []lexicon.Entry, model Scorer) error {
	pair := model.Pair
	pair.Beta = p.beta()
	measures := make([]words.Measure, len(p.measures()))
	for i, m := range p.measures() {
		measures[i] = words.Measure(m)
	}
	o := &words.Options{Forms: p.forms(), Measures: measures, Progress: model.Progress}
	footer := p.footer(s, model.Made.processor())
	var rows []words.Record
	for word, err := range words.Rewards(ctx, pair, &lexicon.Corpus{Entries: entries}, p.Prompts[s.Prompts[0]:s.Prompts[1]], o) {
		if err != nil {
			return err
		}
		footer.refuse(word.Err)
		for _, r := range word.Records(pair.Beta) {
			if !p.whole(s) {
				r.Rank = 0
			}
			rows = append(rows, r)
		}
	}
	footer.Rows = len(rows)
	made := p.provenance(s.Model, p.InputHash)
	made.Part = footer
	return words.WriteParquet(w, each(rows), made)
}

// scoreRM writes the rows of a reward model.
func (p *Plan) scoreRM(ctx context.Context, w io.Writer, s Shard, entries []lexicon.Entry, model Scorer) error {
	o := &words.ScoreOptions{Forms: p.forms(), Measures: p.scoreMeasures(), Progress: model.Progress}
	footer := p.footer(s, model.Made.processor())
	var rows []words.ScoreRecord
	for word, err := range words.Scores(ctx, model.RM, &lexicon.Corpus{Entries: entries}, p.Prompts[s.Prompts[0]:s.Prompts[1]], o) {
		if err != nil {
			return err
		}
		footer.refuse(word.Err)
		for _, r := range word.Records() {
			if !p.whole(s) {
				r.Rank = 0
			}
			rows = append(rows, r)
		}
	}
	footer.Rows = len(rows)
	made := p.scoreProvenance(s.Model, p.InputHash)
	made.Part = footer
	return words.WriteScoresParquet(w, each(rows), made)
}

// provenance says how a pair's rows are made.
func (s *Spec) provenance(model int, input string) words.Provenance {
	m := s.Models[model]
	return words.Provenance{Tuned: *m.Tuned, Base: *m.Base, Beta: s.beta(), Corpus: cmp.Or(s.Corpus, input), WordList: s.WordList, Forms: s.forms()}
}

// scoreProvenance says how a reward model's rows are made.
func (s *Spec) scoreProvenance(model int, input string) words.ScoreProvenance {
	return words.ScoreProvenance{RM: *s.Models[model].RM, Corpus: cmp.Or(s.Corpus, input), WordList: s.WordList, Forms: s.forms(), Measures: s.scoreMeasures()}
}

func (s *Spec) scoreMeasures() []words.ScoreMeasure {
	var all []words.ScoreMeasure
	for _, m := range s.measures() {
		all = append(all, words.ScoreMeasure(m))
	}
	return all
}

func each[T any](rows []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// footer is what the provenance of a part says of it, under "part".
type footer struct {
	Key       string   `json:"key"` // the shard's
	Rows      int      `json:"rows"`
	Refused   int      `json:"refused"`             // replies to a prompt that could not be scored
	Reasons   []string `json:"reasons,omitempty"`   // of the first few
	Processor string   `json:"processor,omitempty"` // on which it was scored, where the plan lets it be any
}

func (p *Plan) footer(s Shard, processor string) *footer {
	if !p.AnyProcessor {
		processor = "" // the plan's
	}
	return &footer{Key: s.Key, Processor: processor}
}

// maxReasons bounds the reasons in a footer.
const maxReasons = 5

// refuse counts a reply that could not be scored; nil is none.
func (f *footer) refuse(err error) {
	if err == nil {
		return
	}
	if f.Refused++; len(f.Reasons) < maxReasons {
		f.Reasons = append(f.Reasons, err.Error())
	}
}

// Part is a shard that has been scored.
type Part struct {
	File      string   `json:"file"`                // in the folder
	Model     int      `json:"model"`               // in Plan.Models
	Rows      int      `json:"rows"`                // of the table
	Refused   int      `json:"refused,omitempty"`   // replies to a prompt that could not be scored, which have no rows
	Reasons   []string `json:"reasons,omitempty"`   // of the first few
	Bytes     int64    `json:"bytes"`               // of the file
	Hash      string   `json:"sha256"`              // of the file, hex
	Processor string   `json:"processor,omitempty"` // on which it was scored, where the plan lets it be any
	Reused    bool     `json:"-"`                   // it was there already
}

// check reads the part of a shard, and refuses one that does not fit.
func check(ctx context.Context, f Folder, p *Plan, s Shard) (Part, error) {
	data, err := f.read(ctx, f.name(s.Name()))
	if err != nil {
		return Part{}, err
	}
	return partOf(p, s, data)
}

// partOf reads the footer of a part.
func partOf(p *Plan, s Shard, data []byte) (Part, error) {
	rows, meta, err := openPart(data)
	if err != nil {
		return Part{}, err
	}
	switch {
	case meta.Key != s.Key:
		return Part{}, fmt.Errorf("key %.12s, wanted %.12s: a part of another plan", meta.Key, s.Key)
	case int64(meta.Rows) != rows:
		return Part{}, fmt.Errorf("%d rows, wanted %d as its footer says", rows, meta.Rows)
	}
	return Part{File: s.Name(), Model: s.Model, Rows: meta.Rows, Refused: meta.Refused, Reasons: meta.Reasons,
		Bytes: int64(len(data)), Hash: sum(data), Processor: meta.Processor}, nil
}

// decodeFooter reads the footer in a provenance.
func decodeFooter(provenance []byte) (*footer, error) {
	var of struct {
		Part *footer `json:"part"`
	}
	if err := json.Unmarshal(provenance, &of); err != nil {
		return nil, err
	}
	if of.Part == nil {
		return nil, errors.New("no part in its provenance, wanted one that was scored by a plan")
	}
	return of.Part, nil
}
