package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/internal/output"
	"github.com/implicitreward/implicitreward/internal/replicate"
	"github.com/implicitreward/implicitreward/internal/strictjson"
)

// lab is the experiment in a folder.
type lab struct {
	o       options
	dir     string
	date    string
	args    []string
	workers int

	pretraining, backend compute.Backend

	stderr io.Writer
	mu     sync.Mutex // of stderr

	words, listed  *lexicon.Corpus  // of agency and communion; of all categories
	prompts        []lexicon.Prompt // of the paper
	bases          []*base
	runs           []*trained
	boosts         []*boosted
	done, expected int
	missing        string // what the page says of models that were not made
}

// random is the lean of weights that nothing was taught.
const random = replicate.Lean("random")

// base is a base model. A random one is the step 0 of the base of the same family and seed that leans
// to agency, from which that of communion began too.
type base struct {
	Family string
	Lean   replicate.Lean
	Seed   int

	Words lean // of the words' log-probabilities as the answer to a prompt
}

func (b *base) name() string { return fmt.Sprintf("%s-%s-%d", b.Family, b.Lean, b.Seed) }

// Kinds of runs.
const (
	reward = "reward"
	dpo    = "dpo"
)

// trained is a reward model or policy that is trained from a base, and what was measured of it.
type trained struct {
	Base     string
	Kind     string // reward or dpo
	Source   replicate.Source
	Shuffled bool
	Pairs    int
	Seed     int

	Accuracy float64 // on held-out pairs of the source
	Steps    []int
	Series   []lean // at each step after the prompt greatest_ever_one
	Words    lean   // at the last step after all prompts

	base *base
}

func (t *trained) name() string {
	labels := ""
	if t.Shuffled {
		labels = "-shuffled"
	}
	return fmt.Sprintf("%s-%s-%s%s-%d-%d", t.Kind, t.base.name(), t.Source, labels, t.Pairs, t.Seed)
}

// plan lists what is to be made.
func (l *lab) plan() {
	for seed := 1; seed <= l.o.Seeds; seed++ {
		for _, family := range replicate.Families {
			for _, of := range []replicate.Lean{replicate.Agency, replicate.Communion, replicate.Neutral, random} {
				b := &base{Family: family, Lean: of, Seed: seed}
				l.bases = append(l.bases, b)
				add := func(kind string, source replicate.Source, shuffled bool, pairs, repeats int) {
					for again := 1; again <= repeats; again++ {
						l.runs = append(l.runs, &trained{Base: b.name(), Kind: kind, Source: source, Shuffled: shuffled, Pairs: pairs, Seed: again, base: b})
					}
				}
				add(reward, replicate.Helpfulness, false, l.o.Pairs, l.o.Repeats)
				if of == replicate.Agency || of == replicate.Communion {
					add(reward, replicate.Correctness, false, l.o.Pairs, l.o.Repeats)
					for _, share := range []int{2, 4, 8} {
						add(reward, replicate.Helpfulness, false, l.o.Pairs/share, 1)
					}
					add(reward, replicate.Helpfulness, true, l.o.Pairs, 1)
					add(dpo, replicate.Helpfulness, false, l.o.Pairs, 1)
				}
				if of == replicate.Neutral {
					l.boosts = append(l.boosts, &boosted{Base: b.name(), base: b})
				}
			}
		}
	}
	l.expected = len(l.bases) + len(l.runs) + len(l.boosts)
}

// make makes everything but the page: bases first, then what is made of them.
func (l *lab) make(ctx context.Context) error {
	if err := l.world(); err != nil {
		return err
	}
	var pretraining, first, rest []func(context.Context) error
	for _, neutral := range []bool{false, true} { // what the question is about before its controls
		for _, b := range l.bases {
			if b.Lean != random && neutral == (b.Lean == replicate.Neutral) {
				pretraining = append(pretraining, func(ctx context.Context) error { return l.pretrain(ctx, b) })
			}
		}
	}
	for _, b := range l.bases {
		if b.Lean == random {
			first = append(first, func(ctx context.Context) error { return l.random(ctx, b) })
		}
	}
	if err := l.parallel(ctx, pretraining); err != nil {
		return err
	}
	if err := l.parallel(ctx, first); err != nil {
		return err
	}
	// Again and again all conditions, so that what was made at any time can be read as it is: -page.
	slices.SortStableFunc(l.runs, func(a, b *trained) int { return cmp.Or(a.Seed-b.Seed, b.Pairs-a.Pairs) })
	for _, t := range l.runs {
		rest = append(rest, func(ctx context.Context) error { return l.train(ctx, t) })
	}
	for _, b := range l.boosts {
		rest = append(rest, func(ctx context.Context) error { return l.boost(ctx, b) })
	}
	return l.parallel(ctx, rest)
}

// measured leaves of the plan what has been measured, and reads that.
func (l *lab) measured() error {
	has := func(name string) bool {
		_, err := os.Stat(l.path("measured", name+".json"))
		return err == nil
	}
	l.bases = slices.DeleteFunc(l.bases, func(b *base) bool { return !has("base-" + b.name()) })
	l.runs = slices.DeleteFunc(l.runs, func(t *trained) bool { return !has(t.name()) })
	l.boosts = slices.DeleteFunc(l.boosts, func(b *boosted) bool { return !has("boost-" + b.base.name()) })
	missing := l.expected - len(l.bases) - len(l.runs) - len(l.boosts)
	never := func() error { return errors.New("not measured") }
	for _, b := range l.bases {
		if err := l.once("base-"+b.name(), b, never); err != nil {
			return err
		}
	}
	for _, t := range l.runs {
		if err := l.once(t.name(), t, never); err != nil {
			return err
		}
	}
	for _, b := range l.boosts {
		if err := l.once("boost-"+b.base.name(), b, never); err != nil {
			return err
		}
	}
	if missing > 0 {
		l.missing = fmt.Sprintf("%d of %d models of the plan were not made when this page was written. ", missing, l.expected)
	}
	return l.lists()
}

// parallel does jobs, in order, as many at a time as there are workers. The first error ends them.
func (l *lab) parallel(ctx context.Context, jobs []func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan func(context.Context) error)
	var group sync.WaitGroup
	for range l.workers {
		group.Go(func() {
			for job := range next {
				if ctx.Err() != nil {
					continue
				}
				if err := job(ctx); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, job := range jobs {
		next <- job
	}
	close(next)
	group.Wait()
	return context.Cause(ctx)
}

// once reads what a job has measured from a file, or measures it.
func (l *lab) once(name string, measured any, measure func() error) error {
	path := l.path("measured", name+".json")
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		err = json.Unmarshal(data, measured)
	case errors.Is(err, fs.ErrNotExist):
		if err = measure(); err == nil {
			err = output.WriteFile(path, func(w io.Writer) error { return strictjson.Write(w, measured, "  ") })
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	fmt.Fprintf(l.stderr, "%d of %d: %s\n", l.done, l.expected, name)
	return nil
}

// command is the command line, without where it writes.
func (l *lab) command() string {
	words := []string{"replicate"}
	for i := 0; i < len(l.args); i++ {
		switch name := strings.TrimLeft(l.args[i], "-"); name {
		case "out", "date":
			i++
		case "resume", "page":
		default:
			words = append(words, l.args[i])
		}
	}
	return strings.Join(words, " ")
}

func (l *lab) path(name ...string) string { return filepath.Join(append([]string{l.dir}, name...)...) }

// world writes texts, preferences, word lists and the base models' files.
func (l *lab) world() error {
	files := map[string][]byte{
		"words.csv":         []byte(replicate.WordList()),
		"preferences.jsonl": replicate.Preferences(l.o.Pairs, false, 1),
		"shuffled.jsonl":    replicate.Preferences(l.o.Pairs, true, 1),
		"held-out.jsonl":    replicate.Preferences(32, false, 2),
		"boost.jsonl":       replicate.Boost(1),
	}
	for seed := 1; seed <= l.o.Seeds; seed++ {
		for _, of := range []replicate.Lean{replicate.Agency, replicate.Communion, replicate.Neutral} {
			files[fmt.Sprintf("pretraining/%s-%d.jsonl", of, seed)] = replicate.Corpus(of, uint64(seed))
		}
	}
	for _, family := range replicate.Families {
		of, err := replicate.Files(family)
		if err != nil {
			return err
		}
		for name, data := range of {
			files["families/"+family+"/"+name] = data
		}
	}
	for name, data := range files {
		path := l.path(filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			return err
		}
	}
	for _, name := range []string{"measured", "series", "scores", "runs", "bases", "initial"} {
		if err := os.MkdirAll(l.path(name), 0o777); err != nil {
			return err
		}
	}
	return l.lists()
}
