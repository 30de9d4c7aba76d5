package engine

import (
	"fmt"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// executables are those of all engines of a process whose models are alike, by name, each
// compiled once for each combination of shapes. Weights are inputs, so that the two models of
// a pair, or the checkpoints of a training run, compile once.
type executables struct {
	likeness
	engines int // that use them; under shared.mu

	mu    sync.Mutex
	execs map[string]*Exec
	alike alike
}

// likeness is what engines have in common that share executables.
type likeness struct {
	backend   compute.Backend
	dtype     dtypes.DType
	signature string // of the model, without what adapters add
}

var shared = struct {
	mu  sync.Mutex
	all map[likeness]*executables
}{all: map[likeness]*executables{}}

// share returns the executables of all engines that are alike. The last of them to release
// them frees them.
func share(l likeness) *executables {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	x := shared.all[l]
	if x == nil {
		x = &executables{likeness: l, execs: map[string]*Exec{}}
		shared.all[l] = x
	}
	x.engines++
	return x
}

// again returns x for another engine.
func (x *executables) again() *executables {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	x.engines++
	return x
}

func (x *executables) release() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if x.engines--; x.engines > 0 {
		return
	}
	delete(shared.all, x.likeness)
	for _, exec := range x.execs {
		exec.Finalize()
	}
}

// exec returns the executable of that name, made from build at its first use: what build
// depends on must show in the name.
func (e *Engine) exec(name string, build func([]*Node) []*Node) (*Exec, error) {
	e.executables.mu.Lock()
	defer e.executables.mu.Unlock()
	exec := e.executables.execs[name]
	if exec == nil {
		var err error
		if exec, err = NewExec(e.backend, build); err != nil {
			return nil, err
		}
		exec.SetMaxCache(-1) // of shapes; by default the 33rd is an error
		e.executables.execs[name] = exec
	}
	return exec, nil
}

// call runs the executable of that name.
func (e *Engine) call(name string, build func([]*Node) []*Node, in []*tensors.Tensor) ([]*tensors.Tensor, error) {
	exec, err := e.exec(name, build)
	if err != nil {
		return nil, fmt.Errorf("engine: %s: %w", name, err)
	}
	args := make([]any, len(in))
	for i, t := range in {
		args[i] = t
	}
	out, err := exec.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("engine: %s: %w", name, err)
	}
	return out, nil
}

// blockGraph is x, where, past, (cos, sin,) weights -> x (, keys and values before the next
// batch) (, those of the batch): see inputs.
func blockGraph(layer *arch.Layer, inOut []bool, s shape, scoreBytes int) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		next := func() *Node {
			n := in[0]
			in = in[1:]
			return n
		}
		x := next()
		b := &keys{shape: s, scoreBytes: scoreBytes, depth: next(), base: next(), seen: next(), exit: next()}
		if s.Gathers {
			b.path = next()
		}
		if s.N > 0 {
			b.next = next()
		}
		if s.Q > 0 {
			b.pastK, b.pastV = next(), next()
		}
		scope := &arch.Scope{InOut: inOut, Attend: b.attend}
		if layer.Rope >= 0 {
			scope.Cos, scope.Sin = next(), next()
		}
		scope.Weights = in
		out := []*Node{layer.Apply(scope, x)}
		if s.N > 0 {
			out = append(out, b.nextK, b.nextV)
		}
		if s.Saves {
			out = append(out, b.ownK, b.ownV)
		}
		return out
	}
}
