package engine

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// Executables are those of all engines of a process whose models are alike, by name, each
// compiled once for each combination of shapes. Weights are inputs, so that the two models of
// a pair, or the checkpoints of a training run, compile once.
type Executables struct {
	likeness
	users int // under shared.mu

	compiled atomic.Int64 // graphs so far

	mu    sync.Mutex
	execs map[string]*Exec
	alike alike
}

// likeness is what those have in common that share executables.
type likeness struct {
	backend compute.Backend
	what    string // of an engine its dtype and its model's signature, without what adapters add

	products bool // arch.BF16Products
}

var shared = struct {
	mu  sync.Mutex
	all map[likeness]*Executables
}{all: map[likeness]*Executables{}}

// Share returns the executables of all on a backend that ask for the same. What else a graph
// depends on must show in an executable's name. The last to release them frees them.
func Share(backend compute.Backend, what string) *Executables {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	l := likeness{backend, what, arch.BF16Products}
	x := shared.all[l]
	if x == nil {
		x = &Executables{likeness: l, execs: map[string]*Exec{}}
		shared.all[l] = x
	}
	x.users++
	return x
}

// Again returns x for another user, who releases it.
func (x *Executables) Again() *Executables {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	x.users++
	return x
}

// Release ends one use.
func (x *Executables) Release() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if x.users--; x.users > 0 {
		return
	}
	delete(shared.all, x.likeness)
	for _, exec := range x.execs {
		exec.Finalize()
	}
}

// Compiled is the number of programs that were compiled so far.
func (x *Executables) Compiled() int { return int(x.compiled.Load()) }

// exec returns the executable of that name, made from build at its first use: what build
// depends on must show in the name.
func (x *Executables) exec(name string, build func([]*Node) []*Node) (*Exec, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	exec := x.execs[name]
	if exec == nil {
		var err error
		if exec, err = NewExec(x.backend, func(in []*Node) []*Node { // once for each combination of shapes
			x.compiled.Add(1)
			return build(in)
		}); err != nil {
			return nil, err
		}
		exec.SetMaxCache(-1) // of shapes; by default the 33rd is an error
		x.execs[name] = exec
	}
	return exec, nil
}

// Call runs the executable of that name on a device, made from build at its first use.
func (x *Executables) Call(device compute.DeviceNum, name string, build func([]*Node) []*Node, in []*tensors.Tensor) ([]*tensors.Tensor, error) {
	exec, err := x.exec(name, build)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	args := make([]any, len(in))
	for i, t := range in {
		args[i] = t
	}
	out, _, err := exec.CallWithGraphOnDevice(device, args...) // CallOnDevice of gomlx v0.28.8 computes on device 0
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// Executables are those that the engine runs.
func (e *Engine) Executables() *Executables { return e.executables }

// call runs the executable of that name on a device.
func (e *Engine) call(device compute.DeviceNum, name string, build func([]*Node) []*Node, in []*tensors.Tensor) ([]*tensors.Tensor, error) {
	out, err := e.executables.Call(device, name, build, in)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return out, nil
}

// blockGraph is x, where, past, (along,) (shared,) (given,) (cos, sin,) weights -> x (, what the block
// keeps before the next batch) (, what it keeps of the batch) (, gaps of a router [T 1]): see inputs.
// kept is how many parts that is. A block that attends to another's keys and values keeps none of the
// batch; what it sees before the batch is the other's.
func blockGraph(layer *arch.Layer, kept int, inOut []bool, s shape, z sizes) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		next := func() *Node {
			n := in[0]
			in = in[1:]
			return n
		}
		x := next()
		b := &keys{shape: s, scoreBytes: z.scoreBytes, narrow: z.accelerated, depth: next(), base: next(), seen: next(), exit: next()}
		if s.Gathers {
			b.path = next()
		}
		if s.N > 0 {
			b.next = next()
		}
		if s.Q > 0 {
			for range kept {
				b.past = append(b.past, next())
			}
		}
		if layer.Reach > 0 {
			b.sees, b.before = next(), next()
		}
		var gaps []*Node
		scope := &arch.Scope{InOut: inOut, Attend: b.attend, Before: b.rowsBefore, Recur: b.recur, Sort: true, Rounds: z.accelerated, Routed: func(gap *Node) { gaps = append(gaps, gap) }}
		if layer.Back > 0 {
			scope.Shared = []*Node{next(), next()}
		}
		if layer.Given {
			scope.Given = next()
		}
		if layer.Rope >= 0 {
			scope.Cos, scope.Sin = next(), next()
		}
		scope.Weights = in
		out := []*Node{layer.Apply(scope, x)}
		out = append(out, b.nextKept...)
		if hands(layer, s) {
			out = append(out, b.own...)
		}
		return append(out, gaps...)
	}
}

// hands tells whether a block hands out what it keeps of a batch: to be saved, or for blocks after it.
func hands(layer *arch.Layer, s shape) bool { return layer.Back == 0 && (s.Saves || layer.Lends) }

// perLayerGraph is x [T D], rows [T L*P], weights -> what each block is given [T P].
func perLayerGraph(e *arch.PerLayer, inOut []bool) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		return e.Parts(e.Apply(&arch.Scope{InOut: inOut, Given: in[1], Weights: in[2:]}, in[0]))
	}
}
