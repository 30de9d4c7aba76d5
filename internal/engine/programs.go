package engine

import (
	"fmt"
	"sync"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// programs are the executables of one or more engines, by name, each compiled once for
// each combination of shapes. Weights are inputs, so that the two models of a pair,
// or the checkpoints of a training run, compile once.
type programs struct {
	mu    sync.Mutex
	users int
	execs map[string]*Exec
	alike alike
}

// share returns the programs of like, if e can use them, or new ones.
func share(like, e *Engine) *programs {
	if like != nil && like.backend == e.backend && like.dtype == e.dtype && like.model.Signature == e.model.Signature {
		p := like.programs
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.users > 0 {
			p.users++
			return p
		}
	}
	return &programs{users: 1, execs: map[string]*Exec{}}
}

// release frees the executables with their last user.
func (p *programs) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	for _, x := range p.execs {
		x.Finalize()
	}
}

// exec returns the executable of that name, made from build at its first use: what build
// depends on must show in the name.
func (e *Engine) exec(name string, build func([]*Node) []*Node) (*Exec, error) {
	e.programs.mu.Lock()
	defer e.programs.mu.Unlock()
	exec := e.programs.execs[name]
	if exec == nil {
		var err error
		if exec, err = NewExec(e.backend, build); err != nil {
			return nil, err
		}
		exec.SetMaxCache(-1) // of shapes; by default the 33rd is an error
		e.programs.execs[name] = exec
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

// blockGraph is x, where, past, (cos, sin,) weights -> x (, keys, values of the next
// batch's path): see inputs.
func blockGraph(part *arch.Part, inOut []bool, s shape) func([]*Node) []*Node {
	return func(in []*Node) []*Node {
		next := func() *Node {
			n := in[0]
			in = in[1:]
			return n
		}
		x := next()
		b := &keys{shape: s, depth: next(), seen: next(), exit: next()}
		if s.Pool {
			b.base = next()
		}
		if s.gathers() {
			b.path = next()
		}
		if s.N > 0 {
			b.next = next()
		}
		if s.P > 0 {
			b.pastK, b.pastV = next(), next()
		}
		p := &arch.Pass{InOut: inOut, Attend: b.attend}
		if part.Rope >= 0 {
			p.Cos, p.Sin = next(), next()
		}
		p.Weights = in
		out := []*Node{part.Graph(p, x)}
		if s.N > 0 {
			out = append(out, b.nextK, b.nextV)
		}
		return out
	}
}
