package arch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// mixture computes what a mixture gives in float64, as its definition reads, and the gaps of its
// router.
func mixture(m experts, d, f int, x, router, gateUp, down, gateUpBias, downBias []float32) (y, gaps []float64) {
	dot := func(a, b []float32) (sum float64) {
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		return sum
	}
	for ; len(x) > 0; x = x[d:] {
		token := x[:d]
		logits, order := make([]float64, m.E), make([]int, m.E)
		for e := range m.E {
			logits[e], order[e] = dot(token, router[e*d:(e+1)*d]), e
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case logits[a] > logits[b]:
				return -1
			case logits[a] < logits[b]:
				return 1
			}
			return 0
		})
		total := 0.0
		for i, e := range order {
			if i < m.K || !m.shares {
				total += math.Exp(logits[e])
			}
		}
		out := make([]float64, d)
		for _, e := range order[:m.K] {
			h := make([]float32, f)
			for i := range h {
				row := func(n int) float64 {
					n += e * 2 * f
					return dot(token, gateUp[n*d:(n+1)*d]) + float64(gateUpBias[n])
				}
				if m.clamped == (clampedGate{}) {
					gate, up := row(i), row(f+i)
					h[i] = float32(gate / (1 + math.Exp(-gate)) * up)
					continue
				}
				gate, up := min(row(2*i), m.clamped.limit), max(min(row(2*i+1), m.clamped.limit), -m.clamped.limit)
				h[i] = float32(gate / (1 + math.Exp(-m.clamped.alpha*gate)) * (up + 1))
			}
			for i := range out {
				n := e*d + i
				out[i] += math.Exp(logits[e]) / total * (dot(h, down[n*f:(n+1)*f]) + float64(downBias[n]))
			}
		}
		y = append(y, out...)
		if m.K < m.E {
			gaps = append(gaps, logits[order[m.K-1]]-logits[order[m.K]])
		}
	}
	return y, gaps
}

// TestExperts: tokens that are sorted by expert, in tiles and in rounds, and all tokens through all experts, give what
// the definition gives, for every number of tokens, whatever they choose: evenly, all the same
// ones, and where logits are equal those with the lower numbers.
func TestExperts(t *testing.T) {
	const d, f = 6, 5
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []Experts{{4, 2}, {7, 3}, {3, 3}, {5, 1}, {64, 8}} {
		for _, tokens := range []int{1, 3, 33, 70} {
			for _, kind := range []string{"even", "the same", "ties", "clamped"} {
				for _, shares := range []bool{false, true} {
					r := rand.New(rand.NewPCG(uint64(size.E), uint64(tokens)))
					draw := func(n int) []float32 {
						x := make([]float32, n)
						for i := range x {
							x[i] = float32(r.NormFloat64())
						}
						return x
					}
					x, router := draw(tokens*d), draw(size.E*d)
					gateUp, down := draw(size.E*2*f*d), draw(size.E*d*f)
					gateUpBias, downBias := make([]float32, size.E*2*f), make([]float32, size.E*d)
					m := experts{router: linear{weight: 1}, gateUp: 2, down: 3, Experts: size, choice: choice{shares: shares}}
					switch kind {
					case "the same":
						for i := range x {
							x[i] = x[i%d]
						}
					case "ties":
						for i := range router {
							router[i] = router[i%(2*d)] // two kinds of experts
						}
					case "clamped":
						gateUpBias, downBias = draw(len(gateUpBias)), draw(len(downBias))
						m.gateUpBias, m.downBias, m.clamped = 4, 5, clampedGate{alpha: 1.7, limit: 1.5}
					}
					want, gaps := mixture(m, d, f, x, router, gateUp, down, gateUpBias, downBias)
					for _, way := range []string{"tiles", "rounds", "all"} {
						name := fmt.Sprintf("%+v, %d tokens, %s, shares %v, %s", size, tokens, kind, shares, way)
						out, err := MustNewExec(backend, func(in []*Node) []*Node {
							s := &Scope{Weights: in[1:], InOut: make([]bool, 5), Sort: way != "all", Rounds: way == "rounds"}
							all := []*Node{nil}
							s.Routed = func(gap *Node) { all = append(all, gap) }
							all[0] = m.apply(s, in[0])
							return all
						}).Call(tensors.FromFlatDataAndDimensions(x, tokens, d), tensors.FromFlatDataAndDimensions(router, size.E, d),
							tensors.FromFlatDataAndDimensions(gateUp, size.E, 2*f, d), tensors.FromFlatDataAndDimensions(down, size.E, d, f),
							tensors.FromFlatDataAndDimensions(gateUpBias, size.E, 2*f), tensors.FromFlatDataAndDimensions(downBias, size.E, d))
						if err != nil {
							t.Fatal(name, err)
						}
						near(t, name, tensors.MustCopyFlatData[float32](out[0]), want, 1e-4)
						if len(out) > 1 {
							near(t, name+", gaps", tensors.MustCopyFlatData[float32](out[1]), gaps, 1e-5)
						} else if size.K < size.E {
							t.Errorf("%s: no gap", name)
						}
					}
				}
			}
		}
	}
}

// near holds numbers to wanted ones, relative to the larger of 1 and the largest of them.
func near(t *testing.T, name string, got []float32, want []float64, bound float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, wanted %d", name, len(got), len(want))
	}
	largest := 1.0
	for _, x := range want {
		largest = max(largest, math.Abs(x))
	}
	for i, x := range got {
		if !(math.Abs(float64(x)-want[i]) <= bound*largest) {
			t.Errorf("%s: number %d is %g, wanted %g", name, i, x, want[i])
			return
		}
	}
}
