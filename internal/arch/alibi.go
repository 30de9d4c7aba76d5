package arch

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// ALiBi is a bias of scores in the place of positions ("Train Short, Test Long", Press et al. 2021):
//
//	slope (depth of the key - depth of the query)
//
// with a slope of each head, of which the ith of n, a power of 2, is 2^(-Max i/n). Of other numbers of
// heads the first have the slopes of the power of 2 below, and the others every second of the next one
// (modeling_bloom.py, _get_alibi_slopes; modeling_mpt.py has the same in another way). Its zero value is none.
type ALiBi struct {
	Max float64
	// Power: slopes are powers of the first one, which is rounded to float32 (BLOOM, Falcon).
	Power bool
	// Half: a score has what slope times depth is for the key less what it is for the query, slope, depth and
	// product each rounded to bfloat16, as transformers computes Falcon's in every type.
	Half bool
	// Factor is what the bias is multiplied by; 0 for 1.
	Factor float64
}

// slopes are those of n heads.
func (a ALiBi) slopes(n int) []float32 {
	power := 1
	for 2*power <= n {
		power *= 2
	}
	var all []float32
	add := func(of, i int) {
		slope := math.Exp2(-a.Max * float64(i) / float64(of))
		if a.Power {
			slope = math.Pow(float64(float32(math.Exp2(-a.Max/float64(of)))), float64(i))
		}
		all = append(all, float32(slope))
	}
	for i := range power {
		add(power, i+1)
	}
	for i := 1; len(all) < n; i += 2 {
		add(2*power, i)
	}
	return all
}

// Bias is what the scores of n heads have more, [B N C J], by the depths of queries and keys, [B C J] both.
func (a ALiBi) Bias(query, key *Node, n int, dtype dtypes.DType) *Node {
	slopes := InsertAxes(Const(key.Graph(), a.slopes(n)), 0, -1, -1) // [1 N 1 1]
	wide := func(x *Node) *Node { return ConvertDType(InsertAxes(x, 1), dtypes.Float32) }
	var bias *Node
	if a.Half {
		at := func(depth *Node) *Node {
			return roundedToBFloat16(Mul(roundedToBFloat16(slopes), roundedToBFloat16(wide(depth))))
		}
		bias = Sub(at(key), at(query))
	} else {
		bias = Mul(ConvertDType(slopes, dtype), ConvertDType(wide(Sub(key, query)), dtype))
	}
	bias = ConvertDType(bias, dtype)
	if a.Factor != 0 {
		bias = MulScalar(bias, a.Factor)
	}
	return bias
}

// roundedToBFloat16 is x >= 0, float32, rounded to bfloat16, to even ones of two: by its bits, since XLA takes
// a conversion there and back for none.
func roundedToBFloat16(x *Node) *Node {
	bits := Bitcast(x, dtypes.Int32)
	odd := BitwiseAnd(BitwiseShiftRightArithmeticScalar(bits, 16), OnesLike(bits))
	bits = Add(bits, AddScalar(odd, 0x7fff))
	return Bitcast(BitwiseAnd(bits, AddScalar(ZerosLike(bits), -0x10000)), dtypes.Float32)
}
