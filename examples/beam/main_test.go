package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
	"github.com/implicitreward/implicitreward/implicit/shard"
	"github.com/implicitreward/implicitreward/internal/cli"
	"github.com/implicitreward/implicitreward/internal/cli/clitest"
	"github.com/implicitreward/implicitreward/internal/demo"
	"github.com/implicitreward/implicitreward/internal/worker"
	"github.com/implicitreward/implicitreward/tokenize"
)

// asProgram makes the test binary be the program, as runners start it.
const asProgram = "IMPLICITREWARD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main() // exits
	}
	tmp, err := os.MkdirTemp("", "beam") // where Beam leaves a file of each pipeline
	if err == nil {
		err = os.Setenv("TMPDIR", tmp)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(tmp)
	os.Exit(code)
}

// call runs the program.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs buffer
	err := run(t.Context(), strings.NewReader(""), &out, &errs, args)
	code = cli.Report("beam", err, &errs)
	return out.String(), errs.String(), code
}

// buffer is written by several bundles.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// loading are the flags of a plan.
var loading = []string{"-backend=go", "-tuned-as=raw", "-base-as=raw"}

// planned is a folder with a plan: two checkpoints of a tiny model, three prompts, six lines of
// which one cannot be scored, and so 2 x 3 x 3 shards; and the folder with what shard.Score and
// shard.Merge, one after the other, make of it.
func planned(t *testing.T) (dir, want string) {
	t.Helper()
	if !tokenize.Available {
		t.Skip("needs the Rust tokenizers")
	}
	models := t.TempDir()
	base, tuned, err := demo.Pair{Name: "llama"}.Extract(models)
	if err != nil {
		t.Fatal(err)
	}
	dir, want = filepath.Join(t.TempDir(), "work"), filepath.Join(t.TempDir(), "want")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	lines := "{\"reply\": \"power\"}\n{\"reply\": \"\"}\n{\"reply\": \" rain\"}\n{\"reply\": \"tenderness\"}\n{\"reply\": \"a longer phrase\"}\n{\"reply\": \"no\"}\n"
	if err := os.WriteFile(filepath.Join(dir, "replies.jsonl"), []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	w := loader(t)
	spec := shard.Spec{Input: "replies.jsonl", Items: 2, Args: loading}
	for i := range 3 {
		spec.Prompts = append(spec.Prompts, lexicon.Prompt{Name: fmt.Sprint(i), Text: fmt.Sprintf("%d times the best?", i)})
	}
	for _, name := range []string{base, tuned} {
		m, err := w.Open(t.Context(), worker.Names{Tuned: name, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		spec.Models = append(spec.Models, m.Made)
	}
	f := shard.Folder{Path: dir}
	plan, err := shard.New(t.Context(), f, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Write(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(want, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	f.Path = want
	for _, s := range plan.Shards {
		if _, err := shard.Score(t.Context(), f, plan, s, w.Load); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := shard.Merge(t.Context(), f, plan); err != nil {
		t.Fatal(err)
	}
	return dir, want
}

func loader(t *testing.T) *worker.Worker {
	t.Helper()
	flags := &worker.Flags{}
	f := cli.NewFlags("plan", "", "")
	flags.Register(f)
	if err := f.Parse(loading, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	w := worker.New(flags, &bytes.Buffer{})
	t.Cleanup(w.Close)
	return w
}

// same compares what was made with what was wanted, file by file.
func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is there, wanted no such file", name)
		}
	}
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s: %d bytes, wanted the %d of one worker without Beam", name, len(got[name]), len(content))
		}
	}
}

func last(t *testing.T, stdout string) (s summary) {
	t.Helper()
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Errorf("%q: %v", stdout, err)
	}
	return s
}

// TestPrism: the bytes are those of one worker without Beam; each model is loaded once, although
// bundles run at the same time; a second run reuses all and loads nothing; what cannot be scored
// is counted.
func TestPrism(t *testing.T) {
	dir, want := planned(t)
	stdout, stderr, code := call(t, "-out", dir)
	if code != 3 || !strings.Contains(stderr, "6 replies to prompts refused") || !strings.Contains(stderr, "empty, wanted text") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	same(t, clitest.Files(t, dir), clitest.Files(t, want))
	got := last(t, stdout)
	if got.Seconds <= 0 || got.Speed <= 0 || got.Tokens < 30 || got.Loads < 2 {
		t.Errorf("%+v", got)
	}
	t.Logf("%+v", got)
	shards := strings.Count(stderr, "{\"part\":")
	if zero := (summary{Manifest: dir + "/manifest.json", Shards: 18, Rows: 30, Refused: 6, Items: 36, Tokens: got.Tokens, Loads: got.Loads, Seconds: got.Seconds, Speed: got.Speed}); got != zero || shards != 18 {
		t.Errorf("%+v, %d lines of shards, wanted %+v", got, shards, zero)
	}
	if err := os.Remove(filepath.Join(dir, shard.ManifestFile)); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code = call(t, "-out", dir)
	if got := last(t, stdout); code != 3 || got.Reused != 18 || got.Loads != 0 || got.Items != 0 || got.Rows != 30 {
		t.Errorf("exit code %d, %+v: %s", code, got, stderr)
	}
	same(t, clitest.Files(t, dir), clitest.Files(t, want))
}

// TestMachine: a model that is gone, and a flag that makes other numbers, fail the job; there is
// no manifest.
func TestMachine(t *testing.T) {
	dir, _ := planned(t)
	plan, err := shard.ReadPlan(t.Context(), folder(dir))
	if err != nil {
		t.Fatal(err)
	}
	tuned := plan.Models[1].Tuned.Model
	if err := os.Rename(tuned, tuned+"-gone"); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := call(t, "-out", dir)
	if code != 1 || !strings.Contains(stderr, "beam: job: DoFn") || !strings.Contains(stderr, tuned) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, shard.ManifestFile)); err == nil {
		t.Error("there is a manifest")
	}
	if err := os.Rename(tuned+"-gone", tuned); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := call(t, "-out", dir); code != 3 {
		t.Errorf("again: exit code %d: %s", code, stderr)
	}
}

// TestS3: a plan is copied to an object store, whose parts and manifest have the bytes of local
// ones; parts that are there are reused; a folder without a plan says so.
func TestS3(t *testing.T) {
	dir, want := planned(t)
	store := s3mem.New()
	server := httptest.NewServer(gofakes3.New(store).Server())
	t.Cleanup(server.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_S3": server.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"} {
		t.Setenv(name, value)
	}
	if err := store.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	const out = "s3://bucket/some/work"
	if _, stderr, code := call(t, "-out", out); code != 1 || !strings.Contains(stderr, out+"/plan.json: file does not exist") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for round, reused := range []int64{0, 18} {
		stdout, stderr, code := call(t, "-plan", dir, "-out", out+"/")
		if got := last(t, stdout); code != 3 || got.Reused != reused || got.Rows != 30 || got.Manifest != out+"/manifest.json" {
			t.Fatalf("round %d: exit code %d, %+v: %s", round, code, got, stderr)
		}
		names, err := folder(out).FS.List(t.Context(), out+"/*")
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, name := range names {
			var b bytes.Buffer
			in, err := files{}.OpenRead(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.ReadFrom(in); err != nil {
				t.Fatal(err)
			}
			in.Close()
			got[strings.TrimPrefix(name, out+"/")] = b.String()
		}
		same(t, got, clitest.Files(t, want))
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestWorkers: workers in other processes, as a cluster has them: started by the runner, and a
// pool that was there before, which does two jobs; the second is handed to a job server, as
// Flink's is (here it is prism).
func TestWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("long: several processes")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := func(args ...string) (*exec.Cmd, *buffer, *buffer) {
		c := exec.CommandContext(t.Context(), exe, args...)
		c.Env = append(os.Environ(), asProgram+"=1")
		var out, errs buffer
		c.Stdout, c.Stderr = &out, &errs
		return c, &out, &errs
	}
	dir, want := planned(t)
	port, jobs := freePort(t), freePort(t)
	if _, err := prism.CreateJobServer(t.Context(), prism.Options{Port: jobs}); err != nil {
		t.Fatal(err)
	}
	served, _, poolErrors := program("-pool", fmt.Sprint(port))
	if err := served.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- served.Wait() }()
	spawned := []string{"--environment_type=PROCESS", fmt.Sprintf("--environment_config={\"command\": %q, \"env\": {%q: \"1\", \"HOME\": %q}}", exe, asProgram, os.Getenv("HOME"))}
	external := []string{"--environment_type=EXTERNAL", fmt.Sprintf("--environment_config=localhost:%d", port)}
	for name, flags := range map[string][]string{
		"process": append([]string{"--"}, spawned...),
		"pool":    append([]string{"--"}, external...),
		"server":  append([]string{"-runner=flink", "--", fmt.Sprintf("--endpoint=localhost:%d", jobs)}, external...),
	} {
		to := filepath.Join(t.TempDir(), name)
		c, stdout, stderr := program(append([]string{"-plan", dir, "-out", to}, flags...)...)
		c.Run()
		if got := last(t, stdout.String()); c.ProcessState.ExitCode() != 3 || got.Shards != 18 || got.Items != 36 {
			t.Errorf("%s: exit code %d, %+v: %s%s", name, c.ProcessState.ExitCode(), got, stderr.String(), poolErrors.String())
			continue
		}
		same(t, clitest.Files(t, to), clitest.Files(t, want))
	}
	served.Process.Signal(os.Interrupt)
	<-ended
	if n := strings.Count(poolErrors.String(), "{\"part\":"); n != 2*18 || served.ProcessState.ExitCode() != 130 {
		t.Errorf("the pool did %d shards and ended with code %d: %s", n, served.ProcessState.ExitCode(), poolErrors.String())
	}
}

// TestBoot: the arguments of a worker, with the quotes that prism leaves around them.
func TestBoot(t *testing.T) {
	for _, c := range []struct {
		args []string
		want booted
		err  string
	}{
		{args: []string{"--id='1-2'", "--provision_endpoint='localhost:1'"}, want: booted{"1-2", "localhost:1"}},
		{args: []string{"--id=\"w\"", "--provision_endpoint=h:2", "--logging_endpoint=h:3", "--control_endpoint=h:4"}, want: booted{"w", "h:2"}},
		{args: []string{"-id", "w", "-provision_endpoint", "h:2"}, want: booted{"w", "h:2"}},
		{args: []string{"--id=w"}, err: "wanted --id and --provision_endpoint"},
		{args: []string{"--id=''", "--provision_endpoint=h:2"}, err: "wanted --id and --provision_endpoint"},
		{args: []string{"--id=w", "--what=2"}, err: "not defined"},
	} {
		got, err := parseBoot(c.args)
		if c.err == "" && (err != nil || got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: %+v, %v, wanted %+v %s", c.args, got, err, c.want, cmp.Or(c.err, "without an error"))
		}
		if !named(c.args, "id") {
			t.Errorf("%q is no worker", c.args)
		}
	}
	if named([]string{"-out", "id", "-runner=id"}, "id") {
		t.Error("-out id is a worker")
	}
}

// TestElements: what passes between machines is small, whatever the plan.
func TestElements(t *testing.T) {
	big := shard.Shard{Index: 1 << 40, Key: strings.Repeat("f", 64), Model: 1 << 40, Prompts: [2]int{1 << 40, 1 << 40},
		Lines: [2]int{1 << 50, 1 << 50}, Bytes: [2]int64{1 << 60, 1 << 60}, Hash: strings.Repeat("f", 64)}
	line, err := json.Marshal(big)
	if err != nil || len(line) >= 1024 {
		t.Errorf("%d bytes, %v, wanted less than 1,024", len(line), err)
	}
	dir, _ := planned(t)
	n := 0
	err = (&describe{}).ProcessElement(t.Context(), dir, func(line string) {
		if n++; len(line) >= 1024 {
			t.Errorf("%d bytes: %s", len(line), line)
		}
	})
	if err != nil || n != 18 {
		t.Errorf("%d elements, %v", n, err)
	}
}

// TestWrongUse: flags that do not fit together.
func TestWrongUse(t *testing.T) {
	*jobopts.Endpoint = "" // prism leaves its own for the next job
	for want, args := range map[string][]string{
		"flag -out is missing":                         {},
		"-runner \"ray\", wanted prism, flink":         {"-out", "/x", "-runner", "ray"},
		"-runner flink without -- --endpoint":          {"-out", "/x", "-runner", "flink"},
		"wanted a path that begins with / or a scheme": {"-out", "x", "-runner", "dataflow"},
		"after --: flag provided but not defined":      {"-out", "/x", "--", "--endpont=h:1"},
		"-out with -pool, wanted it with the job":      {"-out", "/x", "-pool", "1"},
		"-pool -1, wanted a port":                      {"-pool", "-1"},
		"x/plan.json: no such file or directory":       {"-out", "x"},
		"scheme \"hdfs\" not registered":               {"-out", "hdfs://x/y"},
	} {
		if _, stderr, code := call(t, args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d: %s, wanted %q", args, code, stderr, want)
		}
	}
}
