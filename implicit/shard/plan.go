package shard

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/implicit/words"
	"github.com/implicitreward/implicitreward/internal/strictjson"
	"github.com/implicitreward/implicitreward/logprob"
)

// Files of a folder.
const (
	PlanFile     = "plan.json"     // the Spec, and what was found in the input
	ShardsFile   = "shards.jsonl"  // a Shard a line
	ManifestFile = "manifest.json" // see Merge
)

// planFormat names the layout of the files and of keys.
const planFormat = "plan 1"

// Spec is what is to be scored: every line of the input after every prompt by every model.
type Spec struct {
	Models  []Model          `json:"models"`  // pairs, or reward models
	Prompts []lexicon.Prompt `json:"prompts"` // after each of which a line is scored
	Input   string           `json:"input"`   // JSON Lines file of replies: see New
	// Preferences says that lines are preferences, each with its own conversation, as package
	// preference reads them; there are no prompts then, and no forms and measures.
	Preferences bool           `json:"preferences,omitempty"`
	Corpus      string         `json:"corpus,omitempty"`   // SHA-256, hex, of the corpus that the input was made of; "" for none
	WordList    string         `json:"wordlist,omitempty"` // SHA-256, hex, of the list by which its wildcards were replaced
	Beta        float64        `json:"beta,omitempty"`     // of pairs; 0 means 1
	Forms       []lexicon.Form `json:"forms,omitempty"`    // in which a reply is scored; nil means {}, as it stands
	Measures    []string       `json:"measures,omitempty"` // words.Measure of pairs, words.ScoreMeasure of reward models; nil means exact
	// Items and Bytes bound a shard: replies times prompts, and bytes of the input. 0 means
	// DefaultItems and DefaultBytes.
	Items int   `json:"items,omitempty"`
	Bytes int64 `json:"bytes,omitempty"`
	// AnyProcessor lets processors of several kinds score parts, which then may differ in their
	// last bits. Otherwise a worker on another kind of processor than the plan's is an error.
	AnyProcessor bool     `json:"any_processor,omitempty"`
	Args         []string `json:"args,omitempty"` // how a program loads the models: its own, in no key
}

// Bounds of a shard.
const (
	DefaultItems = 20_000
	DefaultBytes = 16 << 20
)

// Model says how the numbers of one pair or one reward model are made. It is what their Meta
// methods return, with the name by which a worker finds them (logprob.Meta.Model).
type Model struct {
	Tuned *logprob.Meta     `json:"tuned,omitempty"`
	Base  *logprob.Meta     `json:"base,omitempty"`
	RM    *rewardmodel.Meta `json:"rm,omitempty"` // instead of a pair
}

// Name is the tuned or the reward model's.
func (m Model) Name() string {
	switch {
	case m.RM != nil:
		return m.RM.Model
	case m.Tuned != nil:
		return m.Tuned.Model
	}
	return ""
}

// Plan is a Spec, cut.
type Plan struct {
	Format  string `json:"implicitreward"` // "plan 1"
	Version string `json:"version"`        // of the library that made it, which alone scores it
	Spec
	Lines     int     `json:"lines"`      // of the input, without empty ones
	InputHash string  `json:"input_hash"` // SHA-256, hex
	Count     int     `json:"shards"`     // number of shards
	Shards    []Shard `json:"-"`          // in ShardsFile
}

// Shard is a piece of work: a model, some prompts, and some lines of the input. As JSON it has
// less than 1 KB.
type Shard struct {
	Index   int      `json:"index"`   // in Plan.Shards
	Key     string   `json:"key"`     // SHA-256, hex, of all that decides its numbers
	Model   int      `json:"model"`   // in Plan.Models
	Prompts [2]int   `json:"prompts"` // half-open range of Plan.Prompts
	Lines   [2]int   `json:"lines"`   // half-open range of the input's lines that are not empty, from 0
	Bytes   [2]int64 `json:"bytes"`   // where they stand
	Hash    string   `json:"hash"`    // SHA-256, hex, of these bytes
}

// Name is the file name of the shard's part: part-00042-KEY.parquet, with 12 digits of the key.
func (s Shard) Name() string { return fmt.Sprintf("part-%05d-%.12s.parquet", s.Index, s.Key) }

// New reads the input once and cuts the work. A line is an object with "reply", and optionally
// "categories", a list of texts, "wildcard": true, and "from", the wildcard that the reply was
// made of, as in lexicon.Entry; others of its members are not read, but those of a conversation
// are an error, as is a line that is no such object. Empty lines are skipped. Preferences are
// read as package preference does, but from JSON Lines alone.
//
// The input is cut after Items lines or Bytes bytes, and each piece is put after as many
// prompts as Items allows, at least one. If the input is one piece, ranks among the replies to a
// prompt are known; otherwise Rank is 0.
func New(ctx context.Context, f Folder, spec Spec) (*Plan, error) {
	p := &Plan{Format: planFormat, Version: logprob.Version, Spec: spec}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("shard: plan: %w", err)
	}
	pieces, err := p.cut(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("shard: plan: %w", err)
	}
	items := p.items()
	for m := range p.Models {
		for _, piece := range pieces {
			if p.Preferences {
				if err := p.append(piece, m, [2]int{}); err != nil {
					return nil, err
				}
				continue
			}
			step := max(1, items/(piece.Lines[1]-piece.Lines[0]))
			for from := 0; from < len(p.Prompts); from += step {
				if err := p.append(piece, m, [2]int{from, min(from+step, len(p.Prompts))}); err != nil {
					return nil, err
				}
			}
		}
	}
	p.Count = len(p.Shards)
	return p, nil
}

// append adds the shard of a piece, a model and prompts.
func (p *Plan) append(s Shard, model int, prompts [2]int) (err error) {
	s.Index, s.Model, s.Prompts = len(p.Shards), model, prompts
	if s.Key, err = p.key(s); err != nil {
		return fmt.Errorf("shard: plan: %w", err)
	}
	p.Shards = append(p.Shards, s)
	return nil
}

func (p *Plan) items() int {
	if p.Items == 0 {
		return DefaultItems
	}
	return p.Items
}

func (p *Plan) bytes() int64 {
	if p.Bytes == 0 {
		return DefaultBytes
	}
	return p.Bytes
}

// check refuses a Spec that cannot be scored.
func (p *Plan) check() error {
	switch {
	case len(p.Models) == 0:
		return errors.New("no models, wanted one or more")
	case p.Preferences && len(p.Prompts)+len(p.Forms)+len(p.Measures) > 0:
		return errors.New("preferences with prompts, forms or measures, wanted none of them")
	case len(p.Prompts) == 0 && !p.Preferences:
		return errors.New("no prompts, wanted one or more")
	case p.Items < 0 || p.Bytes < 0:
		return fmt.Errorf("shards of %d items and %d bytes, wanted 0 or more", p.Items, p.Bytes)
	case p.Beta < 0:
		return fmt.Errorf("beta %g, wanted above 0", p.Beta)
	}
	for i, m := range p.Models {
		pair := m.Tuned != nil && m.Base != nil
		if pair == (m.RM != nil) || (m.RM != nil) != (p.Models[0].RM != nil) {
			return fmt.Errorf("model %d, %s, wanted pairs of a tuned and a base model, or reward models, alone", i, m.Name())
		}
	}
	if err := lexicon.CheckForms(p.forms()); err != nil {
		return err
	}
	var err error
	if p.Models[0].RM != nil {
		_, err = words.ParseScoreMeasures(strings.Join(p.measures(), ","))
	} else {
		_, err = words.ParseMeasures(strings.Join(p.measures(), ","))
	}
	return err
}

func (s *Spec) forms() []lexicon.Form {
	if s.Forms == nil {
		return []lexicon.Form{"{}"}
	}
	return s.Forms
}

func (s *Spec) measures() []string {
	if s.Measures == nil {
		return []string{string(words.Exact)}
	}
	return s.Measures
}

// columns names those of a part.
func (p *Plan) columns() []string {
	of := reflect.TypeFor[words.Record]()
	if p.Preferences {
		of = reflect.TypeFor[Reply]()
	} else if p.Models[0].RM != nil {
		of = reflect.TypeFor[words.ScoreRecord]()
	}
	var names []string
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("parquet"), ",")
		names = append(names, name)
	}
	return names
}

// key is the SHA-256 of all that decides a shard's rows.
func (p *Plan) key(s Shard) (string, error) {
	m := p.Models[s.Model]
	made := map[string]any{}
	for name, meta := range map[string]any{"tuned": m.Tuned, "base": m.Base, "rm": m.RM} {
		facts, err := p.facts(meta)
		if err != nil {
			return "", err
		}
		made[name] = facts
	}
	b, err := json.Marshal([]any{planFormat, p.Version, p.columns(), made, p.beta(), p.forms(), p.measures(),
		p.Prompts[s.Prompts[0]:s.Prompts[1]], s.Hash, p.whole(s)})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func (s *Spec) beta() float64 {
	if s.Beta == 0 {
		return 1
	}
	return s.Beta
}

// whole reports whether a shard has all replies to its prompts, so that ranks are known.
func (p *Plan) whole(s Shard) bool { return s.Lines == [2]int{0, p.Lines} }

// facts are the members of a meta that decide numbers: not the names of folders.
func (p *Plan) facts(meta any) (map[string]any, error) {
	b, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	var facts map[string]any
	if err := json.Unmarshal(b, &facts); err != nil {
		return nil, err
	}
	for _, name := range []string{"model", "adapter", "certificate", "rendered"} {
		delete(facts, name)
	}
	if p.AnyProcessor {
		delete(facts, "processor")
	}
	return facts, nil
}

// Write writes PlanFile and ShardsFile.
func (p *Plan) Write(ctx context.Context, f Folder) error {
	var shards, plan bytes.Buffer
	for _, s := range p.Shards {
		b, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("shard: plan: %w", err)
		}
		shards.Write(append(b, '\n'))
	}
	err := strictjson.Write(&plan, p, "  ")
	if err == nil {
		err = f.write(ctx, ShardsFile, shards.Bytes())
	}
	if err == nil {
		err = f.write(ctx, PlanFile, plan.Bytes())
	}
	if err != nil {
		return fmt.Errorf("shard: plan: %w", err)
	}
	return nil
}

// ReadPlan reads what Write wrote. A plan of another version of this library is an error.
func ReadPlan(ctx context.Context, f Folder) (*Plan, error) {
	p, err := readPlan(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("shard: plan: %w", err)
	}
	return p, nil
}

func readPlan(ctx context.Context, f Folder) (*Plan, error) {
	data, err := f.read(ctx, f.name(PlanFile))
	if err != nil {
		return nil, err
	}
	p := &Plan{}
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("%s: %w", f.name(PlanFile), err)
	}
	if p.Format != planFormat || p.Version != logprob.Version {
		return nil, fmt.Errorf("%s: %q of version %s, wanted %q of this program's version %s", f.name(PlanFile), p.Format, p.Version, planFormat, logprob.Version)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", f.name(PlanFile), err)
	}
	in, err := f.fs().OpenRead(ctx, f.name(ShardsFile))
	if err != nil {
		return nil, err
	}
	defer in.Close()
	lines := json.NewDecoder(bufio.NewReader(in))
	for {
		var s Shard
		if err := lines.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: shard %d: %w", f.name(ShardsFile), len(p.Shards), err)
		}
		p.Shards = append(p.Shards, s)
	}
	if len(p.Shards) != p.Count {
		return nil, fmt.Errorf("%s: %d shards, wanted %d as in %s", f.name(ShardsFile), len(p.Shards), p.Count, PlanFile)
	}
	return p, nil
}

// Of returns the i-th of n parts of the shards, neighbours together, so that a worker loads few
// models: those of worker i, from 0, of n.
func (p *Plan) Of(i, n int) []Shard {
	total := len(p.Shards)
	return p.Shards[total*i/n : total*(i+1)/n]
}
