package checkpoint

import (
	"maps"
	"slices"
	"strings"
)

// Kind is a way in which a checkpoint's files hold weights, described in Markdown.
type Kind struct {
	Format  string
	Writers string // programs and models that are published in it
	Decoder string // whose bits the weights have when they are decoded
}

// method decodes what one quant_method of config.json says is quantised.
type method struct {
	unpack func(*Weights, *settings) error
	Kind
}

// methods are those that are decoded, by the quant_method of config.json.
var methods = map[string]method{
	"fp8": {(*Weights).fp8, Kind{
		"FP8 (E4M3) with a scale for each block or matrix", "DeepSeek, Qwen3-FP8, Ministral 3", "transformers (`dequantize=True`)"}},
	"mxfp4": {(*Weights).mxfp4, Kind{
		"MXFP4, matrices of experts", "GPT-OSS", "transformers (`dequantize=True`)"}},
	"bitsandbytes": {(*Weights).bitsandbytes, Kind{
		"NF4 or FP4 blocks, with scales in float32 or 8 bits", "QLoRA, unsloth (-bnb-4bit)", "bitsandbytes"}},
	"awq": {(*Weights).awq, Kind{
		"4-bit integers with zero points (gemm)", "AutoAWQ", "AutoAWQ, GPTQModel"}},
	"gptq": {(*Weights).gptq, Kind{
		"2, 3, 4 or 8-bit integers with zero points (gptq, gptq_v2)", "GPTQModel, AutoGPTQ, optimum", "GPTQModel"}},
	"compressed-tensors": {(*Weights).compressedTensors, Kind{
		"FP8 with a scale for each tensor, output or block", "llm-compressor (FP8, FP8-dynamic, FP8-block)", "compressed-tensors"}},
}

// Kinds are the kinds of files that [Open] reads.
func Kinds() []Kind {
	all := []Kind{{"safetensors in float32, float16 or bfloat16, in one file or sharded", "transformers, peft and most others", ""}}
	for _, name := range sortedKeys(methods) {
		k := methods[name].Kind
		k.Format += ", `quant_method` " + name
		all = append(all, k)
	}
	return append(all, Kind{"GGUF: " + strings.Join(blockKinds(), ", ") + "; of " + strings.Join(sortedKeys(ggufFamilies), ", "), "llama.cpp", "the package gguf"})
}

// blockKinds are the GGUF types that are decoded, plain floats first.
func blockKinds() []string {
	var all []string
	for _, plain := range []bool{true, false} {
		for _, number := range slices.Sorted(maps.Keys(blocks)) {
			if b := blocks[number]; plain == (b.decode == nil) {
				all = append(all, b.kind)
			}
		}
	}
	return all
}
