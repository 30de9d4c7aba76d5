package logprob

import (
	"errors"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"

	"github.com/implicitreward/implicitreward/internal/engine"
)

// cuda is as much of go-xla's CUDA backend as choosing one looks at.
type cuda struct {
	compute.Backend
	config            string
	DotGeneralUseTF32 bool
	finalized         *bool
}

func (c *cuda) String() string     { return "xla" }
func (c *cuda) PluginName() string { return "cuda_v13" }
func (c *cuda) Config() string     { return c.config }
func (c *cuda) Finalize()          { *c.finalized = true }

// TestTF32: the library's own CUDA backend has TF32 off, one with TF32 on is refused.
func TestTF32(t *testing.T) {
	for config, want := range map[string]string{
		"":                           "xla:cuda_v13,tf32=false",
		"cuda":                       "xla:cuda,tf32=false",
		"cuda,memory_fraction=0.5":   "xla:cuda,memory_fraction=0.5,tf32=false",
		"cuda,tf32":                  "",
		"cuda,tf32=true,preallocate": "",
	} {
		finalized, made := false, ""
		b, err := newDefault([]string{"xla"},
			func() (compute.Backend, error) {
				return &cuda{config: config, DotGeneralUseTF32: true, finalized: &finalized}, nil
			},
			func(config string) (compute.Backend, error) {
				made = config
				return &cuda{config: config, finalized: &finalized}, nil
			})
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "wanted tf32=false")):
			t.Errorf("%q: %v, wanted TF32 refused", config, err)
		case want != "" && (err != nil || made != want || engine.UsesTF32(b) || !finalized):
			t.Errorf("%q: made %q (%v), wanted %q, and the first backend finalized", config, made, err, want)
		}
	}
	if _, err := chooseBackend(&cuda{DotGeneralUseTF32: true}); err == nil || !strings.Contains(err.Error(), "backend xla:cuda would round float32 to the 10 bits of TF32") {
		t.Errorf("a backend with TF32: %v, wanted it refused", err)
	}
	if _, err := chooseBackend(&cuda{}); err != nil {
		t.Errorf("a backend without TF32: %v", err)
	}
}

// TestDefaultBackend: no panic of compute reaches the caller, and what was asked for by
// name is not replaced.
func TestDefaultBackend(t *testing.T) {
	if _, err := newDefault(nil, compute.New, compute.NewWithConfig); err == nil || !strings.Contains(err.Error(), "wanted an import of github.com/gomlx/compute/gobackend") {
		t.Errorf("no backend: %v, wanted the imports named", err)
	}
	t.Setenv(compute.ConfigEnvVar, "typo")
	_, err := newDefault(compute.List(), compute.New, compute.NewWithConfig)
	if err == nil || !strings.Contains(err.Error(), `can't find backend "typo"`) || !strings.Contains(err.Error(), "wanted GOMLX_BACKEND unset, or one of go") {
		t.Errorf("GOMLX_BACKEND=typo: %v, wanted the names that are accepted", err)
	}
	t.Setenv(compute.ConfigEnvVar, "go")
	if b, err := newDefault(compute.List(), compute.New, compute.NewWithConfig); err != nil || !sequential(b) {
		t.Errorf("GOMLX_BACKEND=go: %v, wanted operations one after the other", err)
	}

	without := errors.New("no plugins found")
	for _, test := range []struct {
		name         string
		asked, plain error // of compute.New, and of compute's own choice
		fallback     bool
	}{
		{"XLA without its plugin", without, without, true},
		{"a plugin by name that is not there", errors.New(`plugin "cuda" not found`), without, false},
		{"a plugin by name that is not there, beside one that is", errors.New(`plugin "cuda" not found`), nil, false},
	} {
		b, err := newDefault([]string{"go", "xla"},
			func() (compute.Backend, error) { return nil, test.asked },
			func(config string) (compute.Backend, error) {
				if config == goBackend {
					return compute.NewWithConfig(config)
				}
				return nil, test.plain
			})
		if test.fallback != (err == nil) || test.fallback && b.String() != "go" {
			t.Errorf("%s: %v (%v), wanted the pure-Go backend: %t", test.name, b, err, test.fallback)
		}
	}

	a, err := chooseBackend(nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := chooseBackend(nil); a != b {
		t.Error("two default backends, wanted one for the process")
	}
}

// TestBackendErrors: a fault names the ways out.
func TestBackendErrors(t *testing.T) {
	fault := errors.New("product: 1, wanted 2")
	for backend, want := range map[string]string{
		"go":      `backend go fails its test in bf16 on this machine (amd64 avx2): product: 1, wanted 2; wanted another Backend, such as compute.NewWithConfig("xla:cpu"), or another DType, or a program started with GOMLX_SIMD_AVX512=0 and GOMLX_SIMD_AVX2=0, which take the vector code out`,
		"xla:cpu": `backend xla:cpu fails its test in bf16 on this machine (amd64 avx2): product: 1, wanted 2; wanted another Backend, such as compute.NewWithConfig("go:ops_sequential"), or another DType`,
	} {
		err := &BackendError{backend, "bf16", "amd64 avx2", fault}
		if err.Error() != want || !errors.Is(err, fault) {
			t.Errorf("%s, wanted %s", err, want)
		}
	}
}
