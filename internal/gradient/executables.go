package gradient

import (
	"fmt"
	"sync"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// executables are those of all models of a backend, by name, each compiled once for each
// combination of shapes: a series of runs compiles once.
type executables struct {
	likeness
	models int // that use them; under shared.mu

	mu    sync.Mutex
	execs map[string]*Exec
}

// likeness is what models have in common that share executables. What else a graph depends on
// is in its name.
type likeness struct {
	backend compute.Backend
	wide    bool
}

var shared = struct {
	mu  sync.Mutex
	all map[likeness]*executables
}{all: map[likeness]*executables{}}

// share returns the executables of all models that are alike. The last of them to release them
// frees them.
func share(l likeness) *executables {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	x := shared.all[l]
	if x == nil {
		x = &executables{likeness: l, execs: map[string]*Exec{}}
		shared.all[l] = x
	}
	x.models++
	return x
}

func (x *executables) release() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if x.models--; x.models > 0 {
		return
	}
	delete(shared.all, x.likeness)
	for _, exec := range x.execs {
		exec.Finalize()
	}
}

// exec returns the executable of that name, made from build at its first use: what build
// depends on must show in the name.
func (x *executables) exec(name string, build graph) (*Exec, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	exec := x.execs[name]
	if exec == nil {
		var err error
		if exec, err = NewExec(x.backend, build); err != nil {
			return nil, err
		}
		exec.SetMaxCache(-1) // of shapes; by default the 33rd is an error
		x.execs[name] = exec
	}
	return exec, nil
}

// call runs the executable of that name.
func (m *Model) call(name string, build graph, in []*tensors.Tensor) ([]*tensors.Tensor, error) {
	if m.executables == nil {
		m.executables = share(likeness{m.backend, m.wide})
	}
	exec, err := m.executables.exec(name, build)
	if err != nil {
		return nil, fmt.Errorf("gradient: %s: %w", name, err)
	}
	args := make([]any, len(in))
	for i, t := range in {
		args[i] = t
	}
	out, err := exec.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("gradient: %s: %w", name, err)
	}
	return out, nil
}
