package arch

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// experts is a mixture of experts: of E gated MLPs a token passes the K whose logits in the
// router are the highest, of equal ones those with the lower numbers, and what they give is
// added up, each times its probability: see choice.
//
// The choice is the one place where a model is not continuous: where the last logit that is
// chosen and the first that is not are nearly equal, rounding decides. Therefore the router is
// float32 in every mode, and the gap between the two goes to Scope.Routed.
//
// The activation is silu, as in most that are published, but where plain, gelu or clamped says another.
type experts struct {
	router               linear
	gateUp               param // [E 2F D], of each expert gate over up; plain has up alone [E F D]
	down                 param // [E D F]
	gateUpBias, downBias param // [E 2F] and [E D]; 0 for none
	Experts
	choice
	factors param        // [E]: what each gives is multiplied by its own (Gemma 4); 0 for none
	jitter  float64      // probabilities are sparsemixer's (Phi-MoE); 0 for none
	plain   bool         // relu^2 of up, without a gate (Nemotron 3)
	gelu    bool         // gelu_pytorch_tanh(gate) * up
	clamped clampedGate  // zero for silu(gate) * up
	shared  sharedExpert // zero for none
}

// clampedGate is what makes of gate and up, whose values come in pairs, the input of down (GPT-OSS):
//
//	gate sigmoid(alpha gate) (up + 1), with gate at most limit and up within -limit and limit
type clampedGate struct{ alpha, limit float64 }

// numbers are the constants of each expert's gate [E 4], nil without. gomlx v0.28.8 would keep a
// constant that is made in a closure for the next one, where XLA refuses it, and XLA takes none
// from outside but through Gather; so each expert has them as it has its matrices.
func (m experts) numbers(x *Node) *Node {
	c := m.clamped
	all := []float64{c.alpha, c.limit, -c.limit, 1}
	switch {
	case m.plain:
		all = []float64{0}
	case m.gelu:
		all = []float64{0.5, 0.044715, math.Sqrt(2 / math.Pi), 1}
	case c == clampedGate{}:
		return nil
	}
	return BroadcastToDims(InsertAxes(ConvertDType(Const(x.Graph(), all), x.DType()), 0), m.E, len(all))
}

// gate makes [.. F] of gate and up [.. 2F] and an expert's numbers [4].
func (m experts) gate(h, numbers *Node) *Node {
	rows, f := h.Shape().Dimensions[0], h.Shape().Dimensions[1]/2
	if numbers == nil {
		return Mul(silu(columns(h, 0, f)), columns(h, f, 2*f))
	}
	numbers = InsertAxes(numbers, 0)
	if m.plain {
		return Square(Max(h, numbers))
	}
	if m.gelu { // as geluTanh
		half, cubic, root, one := columns(numbers, 0, 1), columns(numbers, 1, 2), columns(numbers, 2, 3), columns(numbers, 3, 4)
		gate := columns(h, 0, f)
		inner := Mul(Add(gate, Mul(Mul(Mul(gate, gate), gate), cubic)), root)
		return Mul(Mul(Mul(gate, half), Add(Tanh(inner), one)), columns(h, f, 2*f))
	}
	alpha, limit, least, one := columns(numbers, 0, 1), columns(numbers, 1, 2), columns(numbers, 2, 3), columns(numbers, 3, 4)
	h = Reshape(h, rows, f, 2)
	part := func(i int) *Node { return Reshape(SliceAxis(h, 2, AxisElem(i)), rows, f) }
	gate, up := Min(part(0), limit), Max(Min(part(1), limit), least)
	return Mul(Mul(gate, Sigmoid(Mul(gate, alpha))), Add(up, one))
}

// sharedExpert is one that all tokens pass beside those that they choose, times
// sigmoid(gate x) (Qwen2-MoE) or as it is (DeepSeek).
type sharedExpert struct {
	mlp  gatedMLP
	gate linear // [1 D]; zero for none
}

func (m sharedExpert) apply(s *Scope, x *Node) *Node {
	if m.gate == (linear{}) {
		return m.mlp.apply(s, x)
	}
	return Mul(Sigmoid(m.gate.apply(s, x)), m.mlp.apply(s, x))
}

// Experts are the sizes of a layer's mixture: K of E.
type Experts struct{ E, K int }

// Chooses tells of a mixture some of whose experts are not chosen; m may be nil, for none.
func (m *Experts) Chooses() bool { return m != nil && m.K < m.E }

// apply maps x [T D] to [T D].
func (m experts) apply(s *Scope, x *Node) *Node {
	x = s.float(x)
	y := m.chosen(s, x, m.router.apply(s, x))
	if m.shared != (sharedExpert{}) {
		y = Add(y, m.shared.apply(s, x))
	}
	return y
}

// chosen is what the experts give of x that are chosen by the logits of the router [T E]: [T D].
func (m experts) chosen(s *Scope, x, logits *Node) *Node {
	compared, gap := m.compared(s, logits)                              // [T E] [T 1]
	highest, order := TopK(StopGradient(compared), min(m.K+1, m.E), -1) // [T K+1]
	var mixed *Node                                                     // [T K]
	if m.jitter != 0 {
		mixed, gap = sparsemixer(logits, columns(order, 0, m.K), m.jitter)
	}
	if s.Routed != nil && m.Chooses() {
		last := Sub(columns(highest, m.K-1, m.K), columns(highest, m.K, m.K+1))
		if gap != nil {
			last = Min(last, gap)
		}
		s.Routed(last)
	}
	highest, order = columns(highest, 0, m.K), columns(order, 0, m.K) // [T K]
	if mixed != nil && s.Sort {
		return m.weighed(s, x, order, mixed)
	}
	if mixed != nil {
		return m.all(s, x, ReduceSum(Mul(InsertAxes(mixed, -1), oneHots(order, m.E, mixed.DType())), 1))
	}
	weights, total := m.weights(logits, columns(highest, 0, 1)) // [T E] [T 1]
	if !s.Sort {
		p := Mul(weights, chosenOf(order, m.E, weights.DType()))
		if m.shares {
			total = ReduceAndKeep(p, ReduceSum, -1)
		}
		p = m.scaled(p, total)
		if m.factors != 0 {
			p = Mul(p, s.vector(m.factors, p))
		}
		return m.all(s, x, p)
	}
	p := Exp(Sub(highest, columns(highest, 0, 1))) // [T K]
	if m.correction != 0 {                         // another number was compared
		p = ReduceSum(Mul(InsertAxes(weights, 1), oneHots(order, m.E, weights.DType())), -1)
	}
	if m.shares {
		total = ReduceAndKeep(p, ReduceSum, -1)
	}
	p = m.scaled(p, total)
	if m.factors != 0 {
		p = Mul(p, Gather(s.float(s.Weights[m.factors-1]), InsertAxes(order, -1)))
	}
	return m.weighed(s, x, order, p)
}

// weighed is the sum of what the experts order [T K] give of x, each times its p [T K].
func (m experts) weighed(s *Scope, x, order, p *Node) *Node {
	given := m.sorted
	if s.Rounds {
		given = m.rounds
	}
	return ReduceSum(Mul(given(s, x, order), InsertAxes(p, -1)), 1)
}

// columns are those of a matrix from one number to another.
func columns(x *Node, from, to int) *Node { return SliceAxis(x, 1, AxisRange(from, to)) }

// all takes all tokens x [T D] through all experts, weighed by p [T E]: as the definition reads,
// and with a gradient.
func (m experts) all(s *Scope, x, p *Node) *Node {
	var sum *Node
	numbers := m.numbers(x)
	for e := range m.E {
		one := func(of *Node) *Node { return Squeeze(SliceAxis(of, 0, AxisElem(e)), 0) }
		y := Mul(m.expert(s, x, one, numbers), columns(p, e, e+1))
		if sum == nil {
			sum = y
			continue
		}
		sum = Add(sum, y)
	}
	return sum
}

// expert is the MLP of one expert, [.. D] to [.. D]: down(silu(gate x) * up x), or what m.gate has
// made of gate and up. one gives the expert's part of what all have; where it gives all, each has
// its rows of x [E .. D].
func (m experts) expert(s *Scope, x *Node, one func(of *Node) *Node, numbers *Node) *Node {
	layer := func(x *Node, weight, bias param) *Node {
		w := one(s.Weights[weight-1])
		axis := w.Rank() - 1
		if w.DType() == dtypes.Uint16 {
			w = Bitcast(w, dtypes.BFloat16) // see Bits
		}
		if s.DType == dtypes.Float64 || s.Wide {
			w = s.float(w)
		}
		if s.InOut[weight-1] {
			axis--
		}
		y := Product(x, w, axis)
		if bias != 0 {
			b := s.float(one(s.Weights[bias-1]))
			y = Add(y, InsertAxes(b, b.Rank()-1))
		}
		return y
	}
	if numbers != nil {
		numbers = one(numbers)
		if numbers.Rank() == 2 { // all have the same
			numbers = Reshape(SliceAxis(numbers, 0, AxisElem(0)), -1)
		}
	}
	h := layer(x, m.gateUp, m.gateUpBias)
	dims := h.Shape().Dimensions
	h = m.gate(Reshape(h, -1, dims[len(dims)-1]), numbers)
	return layer(Reshape(h, append(slices.Clone(dims[:len(dims)-1]), -1)...), m.down, m.downBias)
}

// mixtureBlock is llama's block with a mixture of experts in the place of the MLP.
type mixtureBlock = normedBlock[selfAttention, experts]

// experts reads the sizes of the mixtures of a model of so many layers: E under one of three keys,
// K, and what training alone needs. eDefault and kDefault are for absent keys.
func (c *config) experts(layers, eDefault, kDefault int) Experts {
	key := "num_experts"
	for _, other := range []string{"num_local_experts", "n_routed_experts"} {
		if !c.has(key) {
			key = other
		}
	}
	m := Experts{E: c.size(key, eDefault), K: c.size("num_experts_per_tok", kDefault)}
	only(c, "num_local_experts", m.E)
	only(c, "n_routed_experts", m.E)
	c.ignore("output_router_logits", "router_aux_loss_coef", "router_jitter_noise")
	only(c, "hidden_act", "silu")
	c.limit(key, "num_experts_per_tok", layers, &m)
	return m
}

// limit refuses more experts of a token than there are, and more in all than a model can have; m are
// the values of two keys.
func (c *config) limit(e, k string, layers int, m *Experts) {
	if m.K > m.E {
		c.fail("%s is %d, wanted at most %s %d", k, m.K, e, m.E)
		m.K = m.E
	}
	if most := 1 << 16; layers*m.E > most {
		c.fail("%s is %d in %d layers, wanted at most %d experts in all", e, m.E, layers, most)
		m.E, m.K = 1, 1
	}
}

// expertFiles are the names of a mixture's tensors in checkpoints, below the block's.
type expertFiles struct {
	router string
	// The matrices of all experts, gate over up [E 2F D] and down [E D F], or, with the number of
	// an expert in the place of %d, those of each, without ".weight".
	gateUp, gate, up, down string
	plain                  bool // there is no gate
}

// Names of mixtures. transformers 5 has the first in memory, and writes the others.
var (
	inMemory        = expertFiles{router: "mlp.gate", gateUp: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj"}
	ofQwen          = expertFiles{router: "mlp.gate", gate: "mlp.experts.%d.gate_proj", up: "mlp.experts.%d.up_proj", down: "mlp.experts.%d.down_proj"}
	ofMixtral       = expertFiles{router: "block_sparse_moe.gate", gate: "block_sparse_moe.experts.%d.w1", up: "block_sparse_moe.experts.%d.w3", down: "block_sparse_moe.experts.%d.w2"}
	ofGranite       = expertFiles{router: "block_sparse_moe.router.layer", gateUp: "block_sparse_moe.input_linear.weight", down: "block_sparse_moe.output_linear.weight"}
	ofGemma         = expertFiles{router: "router.proj", gateUp: "experts.gate_up_proj", down: "experts.down_proj"}
	ofNemotron      = expertFiles{router: "mixer.gate", up: "mixer.experts.%d.up_proj", down: "mixer.experts.%d.down_proj", plain: true}
	phimoeInMemory  = expertFiles{router: "mlp.router", gateUp: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj"}
	graniteInMemory = expertFiles{router: "block_sparse_moe.router", gateUp: "block_sparse_moe.experts.gate_up_proj", down: "block_sparse_moe.experts.down_proj"}
)

// experts declares a mixture under the first of the names that the checkpoint has.
func (b *builder) experts(exists func(string) bool, size Experts, d, f int, shares bool, names ...expertFiles) experts {
	n := names[0]
	for _, other := range names {
		if exists(b.prefix+other.router+".weight") && exists(b.prefix+other.first()) {
			n = other
			break
		}
	}
	m := experts{Experts: size, choice: choice{shares: shares}, router: b.router(n.router, size.E, d)}
	b.matrices(&m, n, d, f)
	return m
}

// router declares a router over E experts.
func (b *builder) router(name string, e, d int) linear {
	return linear{weight: b.param(Tensor{Name: name + ".weight", Shape: []int{e, d}, Linear: true, Float32: true})}
}

// matrices declares those of the experts of m, from d values through f.
func (b *builder) matrices(m *experts, n expertFiles, d, f int) {
	stack := func(shape []int, patterns ...string) param {
		t := Tensor{Name: patterns[0], Shape: shape, Linear: true}
		for e := range m.E {
			for _, p := range patterns {
				if n.gateUp == "" {
					t.Stack = append(t.Stack, b.prefix+fmt.Sprintf(p, e)+".weight")
				}
			}
		}
		return b.param(t)
	}
	rows, parts := 2*f, []string{n.gate, n.up}
	if n.plain {
		rows, parts = f, []string{n.up}
	}
	if n.gateUp != "" {
		parts = []string{n.gateUp}
	}
	m.gateUp, m.down = stack([]int{m.E, rows, d}, parts...), stack([]int{m.E, d, f}, n.down)
	b.routes = &Experts{E: m.E, K: m.K}
}

// first is the name of a tensor that tells these names from others.
func (n expertFiles) first() string {
	if n.gateUp != "" {
		return n.gateUp
	}
	return fmt.Sprintf(n.gate, 0) + ".weight"
}
