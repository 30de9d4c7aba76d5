package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/table"
	"github.com/implicitreward/implicitreward/internal/worker"
)

// process is what all bundles of this process share, which Beam's harness starts without a word
// to each other: the gate, the model behind it, and where progress is written.
var process station

type station struct {
	gate
	// Of whoever is inside the gate:
	loader *worker.Worker // nil before the first model
	args   string         // by which it loads
	loads  int            // of models

	lines  sync.Mutex
	stderr io.Writer // nil means that of the process
}

// Write writes a line, or a message of a loader.
func (s *station) Write(p []byte) (int, error) {
	s.lines.Lock()
	defer s.lines.Unlock()
	if s.stderr == nil {
		return os.Stderr.Write(p)
	}
	return s.stderr.Write(p)
}

// report is a line of progress: a shard that this process has scored or found.
type report struct {
	Part    string   `json:"part"`
	Reused  bool     `json:"reused,omitempty"` // it was there, and nothing was computed
	Rows    int      `json:"rows"`
	Refused int      `json:"refused,omitempty"` // replies to a prompt that could not be scored
	Reasons []string `json:"reasons,omitempty"` // of the first few
	Items   int      `json:"items"`             // lines of the input times prompts
	Tokens  int64    `json:"tokens,omitempty"`  // sum of the rows' n_tokens
	Seconds float64  `json:"seconds,omitempty"` // from the entry into the gate until the part was written
	Loads   int      `json:"loads,omitempty"`   // of models, for this shard: 0 or 1
}

// score scores a shard of a plan in a folder, and writes its report. The flags of args come after
// those of the plan.
func (s *station) score(ctx context.Context, f shard.Folder, plan *shard.Plan, one shard.Shard, args []string) (report, error) {
	r := report{Items: (one.Lines[1] - one.Lines[0]) * max(1, one.Prompts[1]-one.Prompts[0])}
	var inside bool
	var began time.Time
	defer func() {
		if inside { // what failed is not used again: a pool outlives the job, and its model may have been replaced
			s.drop()
			s.leave()
		}
	}()
	part, err := shard.Score(ctx, f, plan, one, func(ctx context.Context, m shard.Model) (shard.Scorer, error) {
		all := strings.Join(append(append([]string{}, plan.Args...), args...), "\x00")
		if err := s.enter(ctx, all+"\x00"+m.Name()); err != nil {
			return shard.Scorer{}, err
		}
		inside, began = true, time.Now()
		before := s.loads
		scorer, err := s.load(ctx, m, all)
		r.Loads = s.loads - before
		return scorer, err
	})
	if err != nil {
		return r, err
	}
	r.Part, r.Reused, r.Rows, r.Refused, r.Reasons = part.File, part.Reused, part.Rows, part.Refused, part.Reasons
	if inside {
		r.Seconds = time.Since(began).Seconds()
		s.leave() // others may compute while the tokens are counted
		inside = false
		if r.Tokens, err = tokens(ctx, f, part.File); err != nil {
			return r, err
		}
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = s.Write(append(line, '\n'))
	}
	return r, err
}

// load loads a model inside the gate.
func (s *station) load(ctx context.Context, m shard.Model, args string) (scorer shard.Scorer, err error) {
	if s.loader != nil && s.args != args {
		s.drop()
	}
	if s.loader == nil {
		flags := &worker.Flags{}
		f := cli.NewFlags("plan", "", "")
		flags.Register(f)
		if err := f.Parse(strings.FieldsFunc(args, func(r rune) bool { return r == 0 }), io.Discard); err != nil {
			return scorer, err
		}
		s.loader, s.args = worker.New(flags, s), args
	}
	before := s.loader.Loads
	scorer, err = s.loader.Load(ctx, m)
	s.loads += s.loader.Loads - before
	return scorer, err
}

func (s *station) drop() {
	if s.loader != nil {
		s.loader.Close()
	}
	s.loader = nil
}

// close frees the models when whoever is inside the gate has left.
func (s *station) close() {
	if s.enter(context.Background(), "") == nil {
		s.drop()
		s.leave()
	}
}

// tokens is the sum of a part's column n_tokens.
func tokens(ctx context.Context, f shard.Folder, name string) (sum int64, err error) {
	in, err := f.FS.OpenRead(ctx, f.Path+"/"+name)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		return 0, err
	}
	file, err := table.OpenParquet(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return 0, err
	}
	column := file.Root().Column("n_tokens")
	if column == nil {
		return 0, fmt.Errorf("%s: no column n_tokens", name)
	}
	err = table.ReadColumn(column, func(_ int, v parquet.Value) error {
		sum += int64(v.Int32())
		return nil
	})
	return sum, err
}
