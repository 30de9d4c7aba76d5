package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
)

func whole(name, data string, shape ...int) Tensor {
	return Tensor{Name: name, DType: dtypes.Int32, Shape: shape, Data: []byte(data)}
}

// integerTensors is a matrix [N K] = [32 96] of one group (GPTQ) or [8 4] of two (AWQ), with scales in float16.
func integerTensors(awq bool, bits int) []Tensor {
	if awq {
		return []Tensor{
			whole("a.qweight", strings.Repeat("\x12\x34\x56\xf8", 4), 4, 1), whole("a.qzeros", "\x00\x11\x22\x33\x44\x55\x66\xff", 2, 1),
			{Name: "a.scales", DType: dtypes.Float16, Shape: []int{2, 8}, Data: []byte(strings.Repeat("\x00\x3c\x01\x2c", 8))},
		}
	}
	words := 96 * bits / 32
	return []Tensor{
		whole("a.qweight", strings.Repeat("\x12\x34\x56\xf8", words*32), words, 32), whole("a.qzeros", strings.Repeat("\x71\x55\x66\xff", bits), 1, bits),
		{Name: "a.scales", DType: dtypes.Float16, Shape: []int{1, 32}, Data: []byte(strings.Repeat("\x00\x3c\x01\x2c", 16))},
		whole("a.g_idx", strings.Repeat("\x00\x00\x00\x00", 96), 96),
	}
}

// TestAWQOrder: of eight outputs in a word the first has the lowest bits, the second those of the
// fifth, and so on.
func TestAWQOrder(t *testing.T) {
	_, a, values := decoded(t, `{"quant_method":"awq","group_size":-1}`, "a.weight", whole("a.qweight", "\x20\x64\x31\x75", 1, 1), whole("a.qzeros", "\x00\x00\x00\x00", 1, 1),
		Tensor{Name: "a.scales", DType: dtypes.Float16, Shape: []int{1, 8}, Data: []byte(strings.Repeat("\x00\x3c", 8))})
	if want := []float32{0, 1, 2, 3, 4, 5, 6, 7}; !slices.Equal(values, want) || !slices.Equal(a.Shape, []int{8, 1}) {
		t.Errorf("%v of shape %v, wanted %v", values, a.Shape, want)
	}
}

// TestIntegersRefused: what does not fit together is one line that names it.
func TestIntegersRefused(t *testing.T) {
	const gptq, awq = `{"quant_method":"gptq","group_size":-1,"bits":4}`, `{"quant_method":"awq","group_size":2}`
	with := func(config, key string) string { return strings.Replace(config, `{`, `{`+key+`,`, 1) }
	half := func(shape ...int) Tensor {
		return Tensor{Name: "a.scales", DType: dtypes.Float16, Shape: shape, Data: make([]byte, 2*shape[0]*shape[1])}
	}
	for i, test := range []struct {
		config string
		bits   int    // 0 for AWQ
		leave  string // out
		with   Tensor // in the place of that of its name
		want   string
	}{
		{strings.Replace(gptq, "4", "5", 1), 4, "", Tensor{}, `bits=5, wanted 2, 3, 4 or 8`},
		{strings.Replace(gptq, "-1", "0", 1), 4, "", Tensor{}, `group_size=0, wanted a size from 1, or -1`},
		{strings.Replace(gptq, "-1", "-2", 1), 4, "", Tensor{}, `group_size=-2, wanted a size from 1, or -1`},
		{with(gptq, `"checkpoint_format":"marlin"`), 4, "", Tensor{}, `checkpoint_format="marlin", wanted gptq or gptq_v2`},
		{with(gptq, `"is_marlin_format":true`), 4, "", Tensor{}, `is_marlin_format=true, wanted false`},
		{with(gptq, `"dynamic":{"-:y":{},"+:x":{"bits":8}}`), 4, "", Tensor{}, `dynamic={"-:y":{},"+:x":{"bits":8}}, wanted none but modules that are excluded (-:)`},
		{with(gptq, `"pack_dtype":"int16"`), 4, "", Tensor{}, `pack_dtype="int16", wanted int32`},
		{with(gptq, `"colour":1`), 4, "", Tensor{}, `quant_method "gptq": not supported: colour=1`},
		{gptq, 4, "a.qweight", Tensor{}, `tensor "a.g_idx": no tensor "a.qweight" beside it`},
		{gptq, 4, "a.qzeros", Tensor{}, `tensor "a.qweight": no tensor "a.qzeros" beside it`},
		{gptq, 4, "a.scales", Tensor{}, `tensor "a.qweight": no tensor "a.scales" beside it`},
		{gptq, 4, "", bf16("a.weight", 2), `tensor "a.qweight": beside a tensor "a.weight", wanted one of them`},
		{gptq, 4, "", letters("a.qweight", "abcd"), `tensor "a.qweight": dtype U8 of shape [4], wanted I32 with two axes`},
		{gptq, 4, "", whole("a.qweight", "", 0, 8), `tensor "a.qweight": dtype I32 of shape [0 8]`},
		{strings.Replace(gptq, "4", "3", 1), 3, "", whole("a.qweight", strings.Repeat("abcd", 64), 2, 32), `of shape [2 32], wanted I32 with two axes, of whole numbers of 3 bits`},
		{gptq, 4, "", whole("a.qweight", strings.Repeat("abcd", 12), 12, 1), `1 outputs, wanted a multiple of what words of 32 bits hold`},
		{gptq, 4, "", whole("a.qzeros", "abcdabcd", 1, 2), `tensor "a.qzeros": shape [1 2], wanted [1 4]: 1 groups of 96 inputs`},
		{gptq, 4, "", half(2, 16), `tensor "a.scales": shape [2 16], wanted [1 32]`},
		{strings.Replace(gptq, "-1", "32", 1), 4, "", Tensor{}, `tensor "a.qzeros": shape [1 4], wanted [3 4]: 3 groups of 32 inputs`},
		{gptq, 4, "", whole("a.scales", strings.Repeat("abcd", 32), 1, 32), `tensor "a.scales": dtype I32, wanted F32, F16 or BF16`},
		{gptq, 4, "", whole("a.g_idx", strings.Repeat("\x00\x00\x00\x00", 95)+"\x01\x00\x00\x00", 96), `tensor "a.g_idx": group 1 of input 95, wanted one of 1`},
		{gptq, 4, "", whole("a.g_idx", strings.Repeat("\xff\xff\xff\xff", 96), 96), `tensor "a.g_idx": group -1 of input 0, wanted one of 1`},
		{gptq, 4, "", whole("a.g_idx", strings.Repeat("\x00\x00\x00\x00", 95), 95), `tensor "a.g_idx": shape [95], wanted [96]`},
		{gptq, 4, "", Float32("a.g_idx", make([]float32, 96), 96), `tensor "a.g_idx": dtype F32, wanted I32`},
		{with(awq, `"bits":8`), 0, "", Tensor{}, `bits=8, wanted 4`},
		{with(awq, `"zero_point":false`), 0, "", Tensor{}, `zero_point=false, wanted true`},
		{with(awq, `"version":"GEMV"`), 0, "", Tensor{}, `version="GEMV", wanted gemm`},
		{with(awq, `"backend":"llm-awq"`), 0, "", Tensor{}, `backend="llm-awq", wanted another`},
		{awq, 0, "a.qzeros", Tensor{}, `no tensor "a.qzeros" beside it`},
		{strings.Replace(awq, "2", "4", 1), 0, "", Tensor{}, `tensor "a.qzeros": shape [2 1], wanted [1 1]: 1 groups of 4 inputs`},
		{awq, 0, "", Float32("a.qzeros", []float32{1, 2}, 2, 1), `tensor "a.qzeros": dtype F32, wanted I32`},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var tensors []Tensor
			for _, of := range integerTensors(test.bits == 0, test.bits) {
				if of.Name != test.leave && of.Name != test.with.Name {
					tensors = append(tensors, of)
				}
			}
			if test.with.Name != "" {
				tensors = append(tensors, test.with)
			}
			refused(t, test.config, tensors, test.want)
		})
	}
}
