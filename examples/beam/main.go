// Beam scores a plan of examples/scale with Apache Beam: in this process, or on Flink, Spark or
// Dataflow.
//
//	scale -plan -models pairs.jsonl -replies replies.jsonl -prompts prompts.csv -out work
//	beam -out work
//
// It is a module of its own, so that the library does not need Beam's dependencies.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/metrics"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/core/runtime/exec/optimized" // callers without reflection
	beamlog "github.com/apache/beam/sdks/v2/go/pkg/beam/log"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/dataflow"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/universal"

	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
)

func main() { cli.Main("beam", run) }

// runners are Beam's, by the names of the flag: a job server makes the difference between Flink
// and Spark.
var runners = map[string]string{"prism": "prism", "flink": "universal", "spark": "universal", "universal": "universal", "dataflow": "dataflow"}

type flags struct {
	plan, out, runner, log   string
	pool                     int
	backend, memory, devices string
}

func run(ctx context.Context, _ io.Reader, stdout, stderr io.Writer, args []string) error {
	process.lines.Lock()
	process.stderr = stderr
	process.lines.Unlock()
	defer process.close()
	if named(args, "worker") { // Dataflow's containers start the program so
		if err := parseBeam(args); err != nil {
			return err
		}
		beam.Init() // is the worker, and does not come back
		return nil
	}
	if named(before(args), "id", "provision_endpoint") {
		initBeam("warn")
		return boot(ctx, args)
	}
	o, f := &flags{}, cli.NewFlags("beam", purpose, examples)
	if err := o.parse(f, args, stdout); err != nil {
		return err
	}
	initBeam(o.log)
	if o.pool != 0 {
		return pool(ctx, o.pool, stderr)
	}
	if o.plan != "" {
		if err := publish(ctx, folder(o.plan), folder(o.out)); err != nil {
			return err
		}
	}
	return o.work(ctx, f, stdout, stderr)
}

// before are the arguments of the program's own, after that of Beam's.
func before(args []string) []string {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[:i]
	}
	return args
}

// parse reads the flags, and Beam's, and refuses those that do not go together.
func (o *flags) parse(f *cli.Flags, args []string, stdout io.Writer) error {
	f.StringVar(&o.plan, "plan", "", "`folder` of a plan that is copied to -out, with its input, unless it is there")
	f.StringVar(&o.out, "out", "", "`folder` of the plan, its parts and the manifest, which all machines see: a path, s3://bucket/path or gs://bucket/path")
	f.StringVar(&o.runner, "runner", "prism", "`runner` of Beam: prism (this process), flink, spark, universal or dataflow")
	f.IntVar(&o.pool, "pool", 0, "be the worker pool of this machine, for EXTERNAL workers, at `port`")
	f.StringVar(&o.log, "log", "warn", "`level` of Beam's own messages: debug, info, warn or error")
	f.StringVar(&o.backend, "backend", "", "`backend` of the workers, as of scale; default: the plan's")
	f.StringVar(&o.memory, "memory", "", "`size` that a model may take, as of scale; default: the plan's")
	f.StringVar(&o.devices, "devices", "", "`numbers` of the workers' devices, as of scale; default: 0")
	own := before(args)
	if err := f.Parse(own, stdout); err != nil {
		return err
	}
	var beams []string
	if len(args) > len(own) {
		beams = args[len(own)+1:]
	}
	if err := parseBeam(beams); err != nil {
		return err
	}
	switch {
	case o.pool < 0 || o.pool > 65535:
		return cli.Usagef("-pool %d, wanted a port", o.pool)
	case !slices.Contains([]string{"debug", "info", "warn", "error"}, o.log):
		return cli.Usagef("-log %q, wanted debug, info, warn or error", o.log)
	case o.pool != 0 && f.Given("out", "plan", "runner", "backend", "memory", "devices") != "":
		return cli.Usagef("-%s with -pool, wanted it with the job", f.Given("out", "plan", "runner", "backend", "memory", "devices"))
	case o.pool != 0:
		return nil
	case runners[o.runner] == "":
		return cli.Usagef("-runner %q, wanted prism, flink, spark, universal or dataflow", o.runner)
	case runners[o.runner] == "universal" && *jobopts.Endpoint == "":
		return cli.Usagef("-runner %s without -- --endpoint=HOST:PORT, wanted that of its Beam job server", o.runner)
	case runners[o.runner] != "prism" && !remote(o.out) && !strings.HasPrefix(o.out, "/") && o.out != "":
		return cli.Usagef("-out %q with -runner %s, wanted a path that begins with / or a scheme: workers have folders of their own", o.out, o.runner)
	}
	return f.Need("out")
}

// parseBeam reads Beam's flags.
func parseBeam(args []string) error {
	flag.CommandLine.Init("beam", flag.ContinueOnError)
	flag.CommandLine.SetOutput(io.Discard)
	if err := flag.CommandLine.Parse(args); err != nil {
		return cli.Usagef("after --: %v", err)
	}
	if flag.NArg() > 0 {
		return cli.Usagef("after --: argument %q, wanted flags only", flag.Arg(0))
	}
	return nil
}

// initBeam is beam.Init, once.
func initBeam(level string) {
	beamlog.LogLevel = level
	if !beam.Initialized() {
		beam.Init()
	}
}

// work runs the job and tells what was done.
func (o *flags) work(ctx context.Context, f *cli.Flags, stdout, stderr io.Writer) error {
	if _, err := shard.ReadPlan(ctx, folder(o.out)); err != nil {
		return err // before a job is started
	}
	if err := o.environment(); err != nil {
		return err
	}
	var args []string
	for _, name := range []string{"backend", "memory", "devices"} {
		if f.Given(name) != "" {
			args = append(args, "-"+name+"="+f.Lookup(name).Value.String())
		}
	}
	result, err := beam.Run(ctx, runners[o.runner], pipeline(folder(o.out).Path, args))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return reason(err)
	case *jobopts.Async:
		fmt.Fprintf(stderr, "job %s was started\n", result.JobID())
		return nil
	}
	m, err := shard.ReadManifest(ctx, folder(o.out))
	if err != nil {
		return err
	}
	if err := summarise(stdout, folder(o.out).Path, result.Metrics()); err != nil {
		return err
	}
	if m.Refused > 0 {
		return cli.Incompletef("%s: %d replies to prompts refused", o.out, m.Refused)
	}
	return nil
}

// reason is the end of the error of a job: before it stands the plan of the bundle that failed, which
// Beam has logged.
func reason(err error) error {
	text := err.Error()
	if i := strings.LastIndex(text, "caused by:"); i >= 0 {
		return fmt.Errorf("job: %s", strings.TrimSpace(text[i+len("caused by:"):]))
	}
	return err
}

// environment gives Beam's flags the defaults of this program: it is the worker.
func (o *flags) environment() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if *jobopts.WorkerBinary == "" {
		*jobopts.WorkerBinary = exe // otherwise Beam would build one without cgo
	}
	if strings.EqualFold(*jobopts.EnvironmentType, "PROCESS") && *jobopts.EnvironmentConfig == "" {
		home, err := os.UserHomeDir() // where the XLA plugin and models of the hub are
		if err != nil {
			return err
		}
		config, err := json.Marshal(map[string]any{"command": exe, "env": map[string]string{"HOME": home}})
		*jobopts.EnvironmentConfig = string(config)
		return err
	}
	if strings.EqualFold(*jobopts.EnvironmentType, "EXTERNAL") && *jobopts.EnvironmentConfig == "" {
		return cli.Usagef("--environment_type=EXTERNAL without --environment_config=HOST:PORT, wanted that of -pool")
	}
	return nil
}

// summary is the line on stdout.
type summary struct {
	Manifest string  `json:"manifest"`
	Shards   int64   `json:"shards"`
	Reused   int64   `json:"reused"` // of the shards
	Rows     int64   `json:"rows"`
	Refused  int64   `json:"refused"`
	Items    int64   `json:"items"`  // lines times prompts, of shards that were not reused, as are the following
	Tokens   int64   `json:"tokens"` // sum of n_tokens
	Loads    int64   `json:"loads"`
	Seconds  float64 `json:"seconds"` // inside the gate, of all processes together
	Speed    float64 `json:"tokens_per_second,omitempty"`
}

// summarise writes Beam's counters.
func summarise(w io.Writer, out string, results metrics.Results) error {
	n := map[string]int64{}
	for _, c := range results.Query(func(r metrics.SingleResult) bool { return r.Namespace() == namespace }).Counters() {
		n[c.Name()] += c.Result()
	}
	s := summary{Manifest: out + "/" + shard.ManifestFile, Shards: n["shards"], Reused: n["reused"], Rows: n["rows"], Refused: n["refused"],
		Items: n["items"], Tokens: n["tokens"], Loads: n["loads"], Seconds: float64(n["milliseconds"]) / 1000}
	if s.Seconds > 0 {
		s.Speed = float64(s.Tokens) / s.Seconds
	}
	line, err := json.Marshal(s)
	if err == nil {
		_, err = w.Write(append(line, '\n'))
	}
	return err
}
