package train

import (
	"fmt"
	"math"
	"strings"

	"github.com/implicitreward/implicitreward/logprob"
)

// unlearnt are doubts about parameters after a run: an adapter's B that is zero still, so that
// nothing was trained, and updates that are lost once rounded to bfloat16.
func unlearnt(params []*logprob.Param, initial func(name string) ([]float32, error)) ([]error, error) {
	var zero, all int
	var same, changed int
	for _, p := range params {
		if strings.HasSuffix(p.Name, ".lora_B.weight") {
			all++
			if isZero(p.Value) {
				zero++
			}
			continue
		}
		if strings.HasSuffix(p.Name, ".lora_A.weight") {
			continue // its digits are float32 in any dtype of the model
		}
		before, err := initial(p.Name)
		if err != nil {
			return nil, err
		}
		for i, x := range p.Value {
			if x != before[i] {
				changed++
				if bfloat16(x) == bfloat16(before[i]) {
					same++
				}
			}
		}
	}
	var doubts []error
	if zero > 0 {
		doubts = append(doubts, fmt.Errorf("train: %d of the adapter's %d matrices B are zero still: beside those nothing was trained", zero, all))
	}
	if 2*same > changed {
		doubts = append(doubts, fmt.Errorf("train: of %d weights that training has changed %d are what they were once rounded to bfloat16: load and save them in float32", changed, same))
	}
	return doubts, nil
}

func isZero(values []float32) bool {
	for _, x := range values {
		if x != 0 {
			return false
		}
	}
	return true
}

// bfloat16 rounds to the nearest bfloat16, ties to even, and returns its bits.
func bfloat16(x float32) uint16 {
	bits := math.Float32bits(x)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
