package logprob

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// goBackend is the pure-Go backend as it can be used here. By default it runs
// operations of one graph in parallel, from the same pool of workers that an
// operation then waits for: with as many products under way as there are workers it
// waits for ever (compute v0.1.6, workerspool.Pool.Saturate). One operation after the
// other, each on all cores, does not.
const goBackend = "go:ops_sequential"

func chooseBackend(b compute.Backend) (compute.Backend, error) {
	if b == nil {
		var err error
		b, err = compute.New()
		switch imported := slices.Contains(compute.List(), "go"); {
		case err != nil && !imported:
			return nil, fmt.Errorf("no backend: %w", err)
		case err != nil, b.String() == "go" && !sequential(b): // XLA without its plugin, or go as it is by default
			return compute.NewWithConfig(goBackend)
		}
	}
	if b.String() == "go" && !sequential(b) {
		return nil, fmt.Errorf("backend go would run operations in parallel, which can block for ever, wanted compute.NewWithConfig(%q)", goBackend)
	}
	return b, nil
}

// sequential reads the setting, of a type that compute does not export.
func sequential(b compute.Backend) bool {
	f := fieldOf(reflect.ValueOf(b), "OpsExecutionType")
	return !f.IsValid() || !f.CanInt() || f.Int() == opsSequential // without it, another backend of that name: nothing is known against it
}

// opsSequential is compute's OpsExecutionSequential; a test holds it.
const opsSequential = 2

// BackendName is how results name a backend: "go", "xla:cpu", "xla:cuda".
func BackendName(b compute.Backend) string { return arch.BackendName(b) }
