package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/logprob"
)

// finalized is a backend that is only asked for its name, and let go.
type finalized struct {
	compute.Backend
	done bool
}

func (f *finalized) String() string { return "xla" }
func (f *finalized) Finalize()      { f.done = true }

// TestFaultyBackend: a backend that fails its test is replaced, in one line, where it was not
// asked for; otherwise the error names the flags.
func TestFaultyBackend(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		auto, second bool // second: a model is loaded already
		faulty       string
		replaced     bool
		want         string // of the error
	}{
		{true, false, "xla:cpu", true, ""},
		{true, true, "xla:cpu", false, "backend xla:cpu fails its test in bf16 on this machine (amd64): 1, wanted 2: try -backend go, or -dtype f32"},
		{false, false, "xla:cpu", false, "backend xla:cpu fails its test in bf16 on this machine (amd64): 1, wanted 2: try -backend go, or -dtype f32"},
		{true, false, "go", false, "backend go fails its test in bf16 on this machine (amd64): 1, wanted 2: try -backend xla:cpu, or -dtype f32, or GOMLX_SIMD_AVX512=0 GOMLX_SIMD_AVX2=0 before the command, which take the vector code out"},
	} {
		var stderr bytes.Buffer
		first := &finalized{}
		l := &Loader{backend: first, auto: test.auto, stderr: &stderr, models: map[string]*logprob.Model{}}
		l.load = func(_ context.Context, _ string, o *logprob.Options) (*logprob.Model, error) {
			if o.Backend == compute.Backend(first) {
				return nil, &logprob.BackendError{Backend: test.faulty, DType: "bf16", Processor: "amd64", Err: errors.New("1, wanted 2")}
			}
			return &logprob.Model{}, nil
		}
		if test.second {
			l.models["another"] = &logprob.Model{}
		}
		_, err := l.Load(t.Context(), dir)
		if test.replaced {
			if err != nil || !first.done || l.backend.String() != "go" || strings.Count(stderr.String(), "fails its test on this machine (1, wanted 2): computing on the pure-Go backend") != 1 {
				t.Errorf("%+v: %v, stderr %q, wanted the pure-Go backend and a line that says so", test, err, stderr.String())
			}
			continue
		}
		if err == nil || err.Error() != test.want || first.done {
			t.Errorf("%+v: %v, wanted %s", test, err, test.want)
		}
	}
}

// TestNoCUDA: what CUDA lacks is told apart: the GPU, the plugin, neither.
func TestNoCUDA(t *testing.T) {
	for _, test := range []struct {
		config      string
		gpu, plugin bool
		want        string
	}{
		{"xla:cuda,tf32=false", false, false, "no NVIDIA GPU"},
		{"xla:cuda,tf32=false", true, false, "a GPU and no CUDA plugin of XLA: wanted make deps GPU=1"},
		{"xla:cuda", true, true, ""},
		{"xla:cpu", false, false, ""},
		{"xla:/opt/pjrt_c_api_cuda_plugin.so,tf32=false", false, false, ""},
	} {
		if got := noCUDA(test.config, func() bool { return test.gpu }, test.plugin); !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s, GPU %v, plugin %v: %q, wanted %q", test.config, test.gpu, test.plugin, got, test.want)
		}
	}
}

// TestNewest: of several versions of a plugin the highest is taken, whatever order they come in.
func TestNewest(t *testing.T) {
	for want, plugins := range map[string][]string{
		"cpu":        {"cpu_v0.115", "cpu", "cuda_v1"},
		"cpu_v0.115": {"cpu_v0.81", "cpu_v0.115", "cpu_v0.83.4", "cuda_v0.200"},
		"cpu_v1.0.1": {"cpu_v1.0.1", "cpu_v1.0", "cpu_v0.115"},
	} {
		for range 2 {
			if got := newest("cpu", plugins); got != want {
				t.Errorf("of %v: %s, wanted %s", plugins, got, want)
			}
			slices.Reverse(plugins)
		}
	}
	if got := newest("cpu", []string{"cuda_v1"}); got != "cpu" {
		t.Errorf("of none: %s, wanted cpu", got)
	}
}

// TestDeviceFlag: the devices of copies, and of what divides one.
func TestDeviceFlag(t *testing.T) {
	for _, test := range []struct {
		flag  string
		want  []int
		split int // -1 where it is refused
	}{
		{"", nil, 0},
		{"2", []int{2}, 1},
		{"0, 1", []int{0, 1}, 1},
		{"1+0", []int{1, 0}, 2},
		{"0+1,3+2", []int{0, 1, 3, 2}, 2},
		{"0+1,2", nil, -1},
		{"0,1+2", nil, -1},
		{"0+0", nil, -1},
		{"0+1,1+2", nil, -1},
		{"0+", nil, -1},
		{"+", nil, -1},
		{"-1", nil, -1},
	} {
		got, split, err := (&ModelFlags{Devices: test.flag}).devices()
		if (err != nil) != (test.split < 0) || err == nil && split != test.split || !slices.Equal(got, test.want) {
			t.Errorf("-devices %q: %v in parts of %d, error %v; wanted %v, %d", test.flag, got, split, err, test.want, test.split)
		}
	}
}
