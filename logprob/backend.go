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

// goBackend is the pure-Go backend as it can be used here. By default it runs
// operations of one graph in parallel, from the same pool of workers that an
// operation then waits for: with as many products under way as there are workers it
// waits for ever (compute v0.1.6, workerspool.Pool.Saturate). One operation after the
// other, each on all cores, does not.
const goBackend = "go:ops_sequential"

// BackendError says that a backend computes wrong numbers on this machine, or none.
type BackendError struct {
	Backend   string // as BackendName has it
	DType     string // as DTypeName has it
	Processor string // as Processor has it
	Err       error  // what is wrong, and by how much
}

// Error names what is wrong and the ways out.
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

// CheckBackend computes products, attention and what else models are made of on the
// backend, as they are computed in the dtype, and compares them with float64: what differs
// by more than rounding is a BackendError. A process tries a kind of backend once for each
// dtype, in some 10 ms, or 0.3 s where XLA compiles. Load calls it.
func CheckBackend(b compute.Backend, dtype dtypes.DType) error {
	if err := engine.SelfTest(b, dtype); err != nil {
		return &BackendError{BackendName(b), DTypeName(dtype), Processor(), err}
	}
	return nil
}

// chooseBackend is b if it can be used, and the process's own where b is nil.
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

// newDefault makes the backend that compute chooses among those registered, with the
// settings that we need: one operation after the other, and no TF32. The pure-Go backend
// stands in for an XLA without its plugin, but for nothing that was asked for by name.
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
	// An error other than that of compute's own choice is that of what GOMLX_BACKEND names.
	_, own := made(func() (compute.Backend, error) { return named(compute.DefaultConfig) })
	if own != nil && own.Error() == err.Error() && slices.Contains(registered, "go") {
		return made(func() (compute.Backend, error) { return named(goBackend) })
	}
	slices.Sort(registered)
	return nil, fmt.Errorf("no backend: %w; wanted GOMLX_BACKEND unset, or one of %s that works here", err, strings.Join(registered, ", "))
}

// made turns a panic, which compute and plugins have for what they cannot find, into an
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

// sequential reads the setting, of a type that compute does not export.
func sequential(b compute.Backend) bool {
	f := fieldOf(reflect.ValueOf(b), "OpsExecutionType")
	return !f.IsValid() || !f.CanInt() || f.Int() == opsSequential // without it, another backend of that name: nothing is known against it
}

// opsSequential is compute's OpsExecutionSequential; a test holds it.
const opsSequential = 2

// withoutTF32 is the configuration of b with TF32 off; ok is false where it was asked for.
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

// BackendName is how results name a backend: "go", "xla:cpu", "xla:cuda".
func BackendName(b compute.Backend) string { return arch.BackendName(b) }
