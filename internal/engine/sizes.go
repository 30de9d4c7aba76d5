package engine

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/internal/arch"
)

// sizes are how much is computed at a time. They decide how texts are grouped, which can show in a
// number's last bits, so they depend on the kind of device and on the model alone, not on the machine.
type sizes struct {
	windowStates int // hidden states of a window, at most
	stepTokens   int // of a step, whose residual stream is held, 4*D bytes each; where weights are streamed, a larger one reads them less often
	batchTokens  int // of short branches: see longBatch
	savedKeys    int // before a step, unless one path has more
	scoreBytes   int // see keys
	headStates   int // that the head takes at a time
	sliceRows    int // of the vocabulary that it takes at a time
	// compiling is the number of operations that take about as long as compiling a block.
	compiling float64
	// accelerated: for a device that is slow where little is computed at a time and has memory of
	// its own. The head takes the whole vocabulary and hands out what is asked for alone, attention
	// adds nothing up in float64 (recurrences do: their decays, and small inverses), and there are few
	// shapes.
	accelerated bool
}

// defaultBatchTokens is the number of tokens of a batch of short branches on a CPU.
const defaultBatchTokens = 256

// accelerated tells of backends that are neither a CPU nor the pure-Go one.
func accelerated(backend compute.Backend) bool {
	name := arch.BackendName(backend)
	return name != "go" && name != "xla:cpu"
}

// sizesOf are those of a kind of device.
//
// Of a CPU they are measured: batches of 256 tokens are large enough that reading the weights
// counts little beside the products, and small enough for the cache, as are 8 MiB of scores and
// slices of 8,192 rows (4,096 and 16,384 are slower); a mixture of experts in bfloat16, of whose
// matrices a token passes few, takes 1,024.
//
// Of accelerators none has been measured yet: theirs are guesses. A product by a matrix of bfloat16 is bound by
// arithmetic, not by reading the matrix, from some 300 rows on on an H100 (989 Tflop/s, 3.35 TB/s), and
// a call of an executable costs some time of its own.
func sizesOf(accelerated bool, dtype dtypes.DType, m *arch.Model) sizes {
	if accelerated {
		const logits = 256 << 20 // bytes
		z := sizes{windowStates: 16384, stepTokens: 16384, batchTokens: 2048, savedKeys: 4096, scoreBytes: 256 << 20, headStates: 2048, sliceRows: m.V, compiling: 1e14, accelerated: true}
		for z.headStates > 64 && 4*z.headStates*m.V > logits {
			z.headStates /= 2
		}
		return z
	}
	z := sizes{windowStates: 4096, stepTokens: 4096, batchTokens: defaultBatchTokens, savedKeys: 1024, scoreBytes: 8 << 20, headStates: 256, sliceRows: 8192, compiling: 1e11}
	if dtype == dtypes.BFloat16 && slices.ContainsFunc(m.Blocks, func(l *arch.Layer) bool { return l.Experts.Chooses() }) {
		z.batchTokens = 1024
	}
	return z
}

// workBytes is about what a step needs beside the weights.
func (e *Engine) workBytes() int64 {
	step, each := e.workParts()
	return step + each
}

// workParts are what a step holds, and what each part that is being computed needs beside it.
func (e *Engine) workParts() (step, each int64) {
	m, batch := e.model, longBatch(e.batchTokens)
	widest, largest, chosen, heads := max(m.D, m.Inner, m.Embed.Width()), int64(0), 0, 0
	held := 0 // of each token of a step until the last block
	layers := m.Blocks
	if m.PerLayer != nil {
		held = m.PerLayer.Table.Shape[1]
		layers = append(slices.Clone(layers), m.PerLayer.Layer)
	}
	for _, p := range layers {
		if p.Lends {
			held += 2 * p.G * p.K
		}
		heads = max(heads, m.N*p.K)
		for _, t := range p.Tensors {
			matrix := t.Shape[max(len(t.Shape)-2, 0):] // of one expert
			for _, n := range matrix {
				widest = max(widest, n)
			}
			largest = max(largest, elements(matrix))
		}
		if p.Experts != nil && e.accelerated { // of a round what they take, have inside and give, and all in order
			chosen = max(chosen, p.Experts.E*p.Experts.Round(batch)*(2*m.D+expertWidth(p))+2*batch*p.Experts.K*m.D)
		} else if p.Experts != nil { // what they give, in tiles and in order
			chosen = max(chosen, (p.Experts.Tiles(batch)*p.Experts.Tile(batch)+batch*p.Experts.K)*m.D)
		}
	}
	converted := int64(0) // see arch.Product
	if e.dtype == dtypes.BFloat16 && arch.Widens(e.backend) {
		converted = 4 * max(largest, int64(m.D)*int64(min(m.V, e.sliceRows)))
	}
	stream := e.stepTokens * (2*max(m.D, m.Inner, m.Embed.Width()) + held) * 4 // residual stream, and what the head wants of it
	block := (batch*(4*widest+4*heads) + 2*chosen) * 4                         // one block's values
	logits := 3 * e.headStates * min(m.V, e.sliceRows) * 4
	if m.Head.Layer == nil {
		logits = 2 * e.headStates * m.D * 4
	}
	return int64(stream), int64(block+logits+3*e.scoreBytes) + converted
}

// expertWidth is the number of values that an expert of a layer has inside.
func expertWidth(p *arch.Layer) int {
	n := 0
	for _, t := range p.Tensors {
		if len(t.Shape) == 3 {
			n = max(n, t.Shape[1])
		}
	}
	return n
}
