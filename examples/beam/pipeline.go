package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/implicitreward/implicitreward/implicit/shard"
)

func init() {
	register.DoFn3x1[context.Context, string, func(string), error](&describe{})
	register.DoFn3x1[context.Context, string, func(int), error](&score{})
	register.DoFn3x1[context.Context, int, func(*int) bool, error](&merge{})
	register.Emitter1[string]()
	register.Emitter1[int]()
	register.Iter1[int]()
}

// pipeline scores the plan in a folder:
//
//	Create(folder) -> shards -> Reshuffle -> score -> one key -> merge
//
// What passes between machines are lines of shards.jsonl, below 1 KB, and numbers of shards:
// runners keep elements in memory. Texts and rows are read and written where they lie.
func pipeline(out string, args []string) *beam.Pipeline {
	p, s := beam.NewPipelineWithRoot()
	lines := beam.ParDo(s.Scope("plan"), &describe{}, beam.Create(s, out))
	lines = beam.Reshuffle(s, lines) // else what made them would be fused with what scores them, on one machine
	done := beam.ParDo(s.Scope("score"), &score{Out: out, Args: args}, lines)
	all := beam.GroupByKey(s, beam.AddFixedKey(s, done))
	beam.ParDo0(s.Scope("merge"), &merge{Out: out}, all)
	return p
}

// describe makes shards of a folder, each as JSON.
type describe struct{}

// ProcessElement reads the plan of a folder.
func (*describe) ProcessElement(ctx context.Context, out string, emit func(string)) error {
	plan, err := shard.ReadPlan(ctx, folder(out))
	if err != nil {
		return err
	}
	for _, s := range plan.Shards {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		emit(string(line))
	}
	return nil
}

// score scores shards. What is wrong with a reply is counted in its part and in the manifest;
// what is wrong with a machine, a model or a filesystem fails the bundle, which the runner starts
// again, elsewhere where it can.
type score struct {
	Out  string
	Args []string // flags of the models over those of the plan

	plan *shard.Plan
}

// Counters of Beam. A part that was there counts in shards, reused, rows and refused alone.
var counters = struct{ shards, reused, rows, refused, items, tokens, milliseconds, loads beam.Counter }{
	count("shards"), count("reused"), count("rows"), count("refused"), count("items"), count("tokens"), count("milliseconds"), count("loads"),
}

const namespace = "implicitreward"

func count(name string) beam.Counter { return beam.NewCounter(namespace, name) }

// Setup reads the plan.
func (s *score) Setup(ctx context.Context) (err error) {
	s.plan, err = shard.ReadPlan(ctx, folder(s.Out))
	return err
}

// ProcessElement scores a shard.
func (s *score) ProcessElement(ctx context.Context, line string, emit func(int)) error {
	var one shard.Shard
	if err := json.Unmarshal([]byte(line), &one); err != nil {
		return fmt.Errorf("shard %q: %w", line, err)
	}
	r, err := process.score(ctx, folder(s.Out), s.plan, one, s.Args)
	if err != nil {
		return err
	}
	counters.shards.Inc(ctx, 1)
	counters.rows.Inc(ctx, int64(r.Rows))
	counters.refused.Inc(ctx, int64(r.Refused))
	if r.Reused {
		counters.reused.Inc(ctx, 1)
	} else {
		counters.items.Inc(ctx, int64(r.Items))
		counters.tokens.Inc(ctx, r.Tokens)
		counters.milliseconds.Inc(ctx, int64(r.Seconds*1000))
		counters.loads.Inc(ctx, int64(r.Loads))
	}
	emit(one.Index)
	return nil
}

// merge writes the manifest when all shards are done.
type merge struct{ Out string }

// ProcessElement gets the numbers of all shards, of which it needs to know that they are done.
func (m *merge) ProcessElement(ctx context.Context, _ int, _ func(*int) bool) error {
	plan, err := shard.ReadPlan(ctx, folder(m.Out))
	if err != nil {
		return err
	}
	_, err = shard.Merge(ctx, folder(m.Out), plan)
	return err
}
