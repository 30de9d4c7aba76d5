package logprob

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
	"github.com/implicitreward/implicitreward/internal/engine"
)

// goBackend is the configuration of the pure-Go backend: operations of a graph run one after
// the other, each on all cores. The default, in parallel, can deadlock: operations take
// workers from the pool that they then wait for (compute v0.1.6, workerspool.Pool.Saturate).
const goBackend = "go:ops_sequential"

// BackendError is a backend that computes wrong numbers on this machine, or none.
type BackendError struct {
	Backend   string // as BackendName has it
	DType     string // as DTypeName has it
	Processor string // as Processor has it
	Err       error  // what is wrong, and by how much
}

// Error says what is wrong and what to do.
func (e *BackendError) Error() string {
	other := `compute.NewWithConfig("` + goBackend + `")`
	if e.Backend == "go" {
		other = `compute.NewWithConfig("xla:cpu")`
	}
	text := fmt.Sprintf("backend %s fails its test in %s on this machine (%s): %v; wanted another Backend, such as %s, or another DType",
		e.Backend, e.DType, e.Processor, e.Err, other)
	if e.Backend == "go" {
		text += ", or a program started with GOMLX_SIMD_AVX512=0 and GOMLX_SIMD_AVX2=0, which take the vector code out"
	}
	return text
}

func (e *BackendError) Unwrap() error { return e.Err }

// CheckBackend computes matrix products, attention and the other operations of models on the
// backend, in the dtype, and compares them with float64: a difference beyond rounding is a
// BackendError. The result is cached by kind of backend and dtype; a first check takes about
// 10 ms, or 0.3 s if XLA compiles. Load calls it.
func CheckBackend(b compute.Backend, dtype dtypes.DType) error {
	if err := engine.SelfTest(b, dtype); err != nil {
		return &BackendError{BackendName(b), DTypeName(dtype), Processor(), err}
	}
	return nil
}

// chooseBackend returns b if it can be used, and the process's default if b is nil.
func chooseBackend(b compute.Backend) (compute.Backend, error) {
	if b == nil {
		return defaultBackend()
	}
	if b.String() == "go" && !sequential(b) {
		return nil, fmt.Errorf("backend go would run operations in parallel, which can block for ever, wanted compute.NewWithConfig(%q)", goBackend)
	}
	if engine.UsesTF32(b) {
		return nil, fmt.Errorf("backend %s would round float32 to the 10 bits of TF32, wanted it made with tf32=false, such as compute.NewWithConfig(\"xla:cuda,tf32=false\")", BackendName(b))
	}
	return b, nil
}

// defaultBackend is one for the whole process, so that models can share executables.
var defaultBackend = sync.OnceValues(func() (compute.Backend, error) {
	return newDefault(compute.List(), compute.New, compute.NewWithConfig)
})

// newDefault makes the backend that compute chooses among those registered, with operations
// one after the other and without TF32. If XLA has no plugin, the pure-Go backend replaces
// it, unless XLA was named explicitly.
func newDefault(registered []string, usual func() (compute.Backend, error), named func(config string) (compute.Backend, error)) (compute.Backend, error) {
	if len(registered) == 0 {
		return nil, fmt.Errorf("no backend in this program, wanted an import of github.com/gomlx/compute/gobackend (\"go\") or github.com/gomlx/go-xla/compute/xla (\"xla\")")
	}
	b, err := made(usual)
	switch {
	case err == nil && b.String() == "go" && !sequential(b):
		return made(func() (compute.Backend, error) { return named(goBackend) })
	case err == nil && engine.UsesTF32(b):
		config, ok := withoutTF32(b)
		if !ok {
			return nil, fmt.Errorf("GOMLX_BACKEND asks for TF32, which would round float32 to 10 bits, wanted tf32=false in it")
		}
		b.Finalize()
		return made(func() (compute.Backend, error) { return named(config) })
	case err == nil:
		return b, nil
	}
	// If its error is another than usual's, it is about what GOMLX_BACKEND names.
	_, own := made(func() (compute.Backend, error) { return named(compute.DefaultConfig) })
	if own != nil && own.Error() == err.Error() && slices.Contains(registered, "go") {
		return made(func() (compute.Backend, error) { return named(goBackend) })
	}
	slices.Sort(registered)
	return nil, fmt.Errorf("no backend: %w; wanted GOMLX_BACKEND unset, or one of %s that works here", err, strings.Join(registered, ", "))
}

// made turns a panic, by which compute and plugins report what they cannot find, into an
// error.
func made(create func() (compute.Backend, error)) (b compute.Backend, err error) {
	defer func() {
		if r := recover(); r != nil {
			line, _, _ := strings.Cut(fmt.Sprint(r), "\n")
			b, err = nil, fmt.Errorf("%s", line)
		}
	}()
	return create()
}

// sequential reports whether b runs operations one after the other, a setting in a type that
// compute does not export.
func sequential(b compute.Backend) bool {
	f := fieldOf(reflect.ValueOf(b), "OpsExecutionType")
	return !f.IsValid() || !f.CanInt() || f.Int() == opsSequential // another backend of that name, not known to deadlock
}

// opsSequential is compute's OpsExecutionSequential, as a test checks.
const opsSequential = 2

// withoutTF32 returns the configuration of b with TF32 off; ok is false if TF32 was asked
// for.
func withoutTF32(b compute.Backend) (config string, ok bool) {
	plugin, rest := "", ""
	if c, is := b.(interface{ Config() string }); is {
		plugin, rest, _ = strings.Cut(c.Config(), ",")
	}
	if p, is := b.(interface{ PluginName() string }); is && plugin == "" {
		plugin = p.PluginName()
	}
	if rest != "" {
		rest = "," + rest
	}
	return b.String() + ":" + plugin + rest + ",tf32=false", !strings.Contains(rest, "tf32")
}

// BackendName names a backend as in results: "go", "xla:cpu", "xla:cuda".
func BackendName(b compute.Backend) string { return arch.BackendName(b) }
