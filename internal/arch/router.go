package arch

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// choice says which experts a token passes, and what of each is taken. An expert's probability is
// that in the softmax of all logits or, if shares is set, of the K alone. (It makes no difference
// whether probabilities of all are divided by the sum of the K, or the softmax is taken of the K.)
type choice struct {
	shares bool
	// sigmoid: in place of exp(logit) an expert has sigmoid(logit), and a sum of its own alone
	// where shares is set; what is compared is that and its correction (DeepSeek-V3).
	sigmoid bool
	// correction [E] is what is added to what is compared: to sigmoids, and else to the probabilities
	// of the softmax, which are compared in the place of logits then (ERNIE 4.5). 0 for none.
	correction param
	// Only the experts of the kept groups are compared, of so many of the same size: of those
	// whose best, this many of them, have the largest sum. groups is 0 for none.
	groups, kept, best int
	scale              float64 // of the probabilities; 0 for 1
}

// weights are what probabilities are shares of [T E]: exp(logit - top) or, of DeepSeek-V3,
// sigmoid(logit); and what they are divided by where it is not the sum of those chosen [T 1], nil
// for nothing. top [T 1] is the highest number that was compared.
func (m choice) weights(logits, top *Node) (weights, total *Node) {
	if m.sigmoid {
		return Sigmoid(logits), nil
	}
	if m.correction != 0 {
		top = StopGradient(ReduceAndKeep(logits, ReduceMax, -1))
	}
	weights = Exp(Sub(logits, top))
	return weights, ReduceAndKeep(weights, ReduceSum, -1)
}

// scaled are probabilities.
func (m choice) scaled(p, total *Node) *Node {
	if total != nil && m.sigmoid {
		total = AddScalar(total, 1e-20) // as in transformers
	}
	if total != nil {
		p = Div(p, total)
	}
	if m.scale != 0 {
		p = MulScalar(p, m.scale)
	}
	return p
}

// compared are the numbers by which experts are chosen [T E], -Inf for one of a group that is not:
// logits or, of DeepSeek-V3, sigmoids and a correction. gap is that between the last group that was
// chosen and the first that was not [T 1], nil where all are.
func (m choice) compared(s *Scope, logits *Node) (compared, gap *Node) {
	compared = StopGradient(logits)
	switch {
	case m.sigmoid:
		compared = Sigmoid(compared)
	case m.correction != 0:
		compared = Softmax(compared, -1)
	}
	if m.correction != 0 {
		compared = StopGradient(Add(compared, s.vector(m.correction, logits)))
	}
	if m.kept == m.groups {
		return compared, nil
	}
	tokens, all := logits.Shape().Dimensions[0], logits.Shape().Dimensions[1]
	compared = Reshape(compared, tokens, m.groups, all/m.groups)
	best, _ := TopK(compared, m.best, -1)
	highest, order := TopK(ReduceSum(best, -1), m.kept+1, -1) // [T kept+1]
	gap = Sub(columns(highest, m.kept-1, m.kept), columns(highest, m.kept, m.kept+1))
	chosen := chosenOf(columns(order, 0, m.kept), m.groups, dtypes.Int32) // [T groups]
	chosen = BroadcastToShape(InsertAxes(chosen, 2), compared.Shape())
	none := Infinity(logits.Graph(), compared.DType(), -1)
	return Reshape(Where(Equal(chosen, OnesLike(chosen)), compared, none), tokens, all), gap
}

// checkGroups holds the sizes of groups together.
func (m *choice) checkGroups(c *config, all Experts) {
	if m.groups == 0 {
		return
	}
	size := all.E / m.groups
	if all.E%m.groups != 0 || m.kept > m.groups || m.kept*size < all.K || size < m.best {
		c.fail("n_group is %d and topk_group %d, wanted groups of the %d experts, and %d or more in those chosen", m.groups, m.kept, all.E, all.K)
		m.groups, m.kept = 0, 0
	}
}

// oneHots are 1 at each of the numbers order [T K] and 0 elsewhere, [T K E].
func oneHots(order *Node, e int, dtype dtypes.DType) *Node {
	d := order.Shape().Dimensions
	number := Iota(order.Graph(), shapes.Make(dtypes.Int32, d[0], d[1], e), 2)
	return ConvertDType(Equal(number, BroadcastToShape(InsertAxes(order, 2), number.Shape())), dtype)
}

// chosenOf is 1 for the numbers that are among order [T K] and 0 for others, [T E].
func chosenOf(order *Node, e int, dtype dtypes.DType) *Node {
	return ReduceMax(oneHots(order, e, dtype), 1)
}
