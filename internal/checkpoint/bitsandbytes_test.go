package checkpoint

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
)

const (
	nf4Config = `{"quant_method":"bitsandbytes","load_in_4bit":true,"bnb_4bit_quant_type":"nf4","bnb_4bit_compute_dtype":"bfloat16"}`
	nf4State  = `{"quant_type":"nf4","blocksize":64,"dtype":"bfloat16","shape":[3,50],"nested_blocksize":256,"nested_dtype":"float32","nested_offset":0.25}`
)

func letters(name, data string) Tensor {
	return Tensor{Name: name, DType: dtypes.Uint8, Shape: []int{len(data)}, Data: []byte(data)}
}

// nf4Tensors is a doubly quantised matrix [3 50] of blocks of 64: change may alter each tensor, or
// leave it out.
func nf4Tensors(change func(name string, t *Tensor) (keep bool)) []Tensor {
	code := fourBits["nf4"]
	table := make([]float32, 256)
	for i := range table {
		table[i] = float32(i) / 255
	}
	var kept []Tensor
	for _, t := range []Tensor{
		letters("a.weight", strings.Repeat("\x0f\x71\xe2", 25)), letters("a.weight.absmax", "\x00\x80\xff"), Float32("a.weight.quant_map", code[:], 16),
		Float32("a.weight.nested_absmax", []float32{2}, 1), Float32("a.weight.nested_quant_map", table, 256), letters("a.weight.quant_state.bitsandbytes__nf4", nf4State),
	} {
		if change == nil || change(t.Name, &t) {
			kept = append(kept, t)
		}
	}
	return kept
}

// TestNF4Blocks: blocks run on over the ends of rows, and their scales are rounded as they are
// computed.
func TestNF4Blocks(t *testing.T) {
	w, a, values := decoded(t, nf4Config, "a.weight", nf4Tensors(nil)...)
	if !slices.Equal(a.Shape, []int{3, 50}) || len(w.Names()) != 1 || a.Computes() != dtypes.BFloat16 {
		t.Fatalf("%v of shape %v in %v", w.Names(), a.Shape, a.Computes())
	}
	numbers := []int{0, 15, 7, 1, 14, 2}
	for i, v := range values {
		scale := float32(float32([]int{0, 128, 255}[i/64])/255)*2 + 0.25
		want := rounded(dtypes.BFloat16)(fourBits["nf4"][numbers[i%6]] * scale)
		if math.Float32bits(v) != math.Float32bits(want) {
			t.Fatalf("element %d is %g, wanted %g", i, v, want)
		}
	}
	if w.Format() != "bitsandbytes nf4 64 nested" {
		t.Errorf("format %q", w.Format())
	}
}

// TestBitsandbytesRefused: what does not fit together is one line that names it.
func TestBitsandbytesRefused(t *testing.T) {
	const state = "a.weight.quant_state.bitsandbytes__nf4"
	without := func(of string) func(string, *Tensor) bool {
		return func(name string, _ *Tensor) bool { return name != of }
	}
	as := func(of string, to Tensor) func(string, *Tensor) bool {
		return func(name string, t *Tensor) bool {
			if name == of {
				*t = to
			}
			return true
		}
	}
	stated := func(old, text string) func(string, *Tensor) bool {
		return as(state, letters(state, strings.Replace(nf4State, old, text, 1)))
	}
	for i, test := range []struct {
		config string
		change func(string, *Tensor) bool
		want   string
	}{
		{strings.Replace(nf4Config, `"load_in_4bit"`, `"load_in_8bit"`, 1), nil, `load_in_8bit=true, wanted false: LLM.int8() is not decoded`},
		{`{"load_in_4bit":false}`, nil, `quant_method "bitsandbytes": not supported: load_in_4bit=false, wanted true`},
		{strings.Replace(nf4Config, `"nf4"`, `"int4"`, 1), nil, `bnb_4bit_quant_type="int4", wanted fp4 or nf4`},
		{strings.Replace(nf4Config, `bfloat16`, `float64`, 1), nil, `bnb_4bit_compute_dtype="float64", wanted float32 or bfloat16 or float16`},
		{strings.Replace(nf4Config, `{`, `{"colour":1,`, 1), nil, `not supported: colour=1`},
		{nf4Config, func(name string, t *Tensor) bool { t.Name += "s"; return !strings.Contains(name, ".weight.") }, `no tensor is quantised`},
		{nf4Config, without(state), `tensor "a.weight.absmax": a part of no 4-bit matrix`},
		{nf4Config, without("a.weight"), `no tensor "a.weight" beside it`},
		{nf4Config, without("a.weight.absmax"), `tensor "a.weight": no tensor "a.weight.absmax" beside it`},
		{nf4Config, without("a.weight.quant_map"), `tensor "a.weight": no tensor "a.weight.quant_map" beside it`},
		{nf4Config, without("a.weight.nested_quant_map"), `no tensor "a.weight.nested_quant_map" beside it`},
		{nf4Config, without("a.weight.nested_absmax"), `tensor "a.weight.absmax": dtype U8 of shape [3], wanted 3 of Float32`},
		{nf4Config, as("a.weight.quant_map", Float32("a.weight.quant_map", make([]float32, 16), 16)), `tensor "a.weight.quant_map": 0 for 0, wanted -1`},
		{nf4Config, as("a.weight.absmax", letters("a.weight.absmax", "ab")), `tensor "a.weight.absmax": dtype U8 of shape [2], wanted 3 of Uint8`},
		{nf4Config, as("a.weight.nested_absmax", Float32("a.weight.nested_absmax", make([]float32, 2), 2)), `tensor "a.weight.nested_absmax": dtype F32 of shape [2], wanted 1 of Float32`},
		{nf4Config, as("a.weight", letters("a.weight", "abc")), `shape [3 50] of 3 bytes, wanted half as many as elements`},
		{nf4Config, as(state, letters(state, `{`)), `tensor "` + state + `": `},
		{nf4Config, stated(`"blocksize":64`, `"blocksize":0`), `no blocksize, wanted a power of two from 32 to 4096`},
		{nf4Config, stated(`"blocksize":64`, `"colour":64`), `"colour", wanted one of quant_type`},
		{nf4Config, stated(`bfloat16`, `float64`), `no dtype, wanted float32, bfloat16 or float16`},
		{nf4Config, stated(`"nf4"`, `"fp4"`), `quant_type differs from the name's "nf4"`},
		{nf4Config, stated(`[3,50]`, `[4294967296,4294967296,50]`), `wanted half as many as elements`},
		{nf4Config, stated(`[3,50]`, `[]`), `shape [], wanted sizes from 1`},
		{nf4Config, stated(`[3,50]`, `[-3,-50]`), `shape [-3 -50], wanted sizes from 1`},
		{nf4Config, stated(`"nested_blocksize":256`, `"nested_blocksize":0`), `nested_blocksize, nested_offset or nested_dtype`},
		{nf4Config, stated(`,"nested_offset":0.25`, ``), `nested_blocksize, nested_offset or nested_dtype`},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) { refused(t, test.config, nf4Tensors(test.change), test.want) })
	}
}
