package checkpoint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// compressedTensors decodes 8-bit floats as compressed-tensors 0.20 stores them (format
// float-quantized; _dequantize in quantization/lifecycle/forward_helpers.py): a scale for the
// tensor, for each output (channel) or for each block, weight_scale beside weight,
//
//	weight[i, j] = stored[i, j] * weight_scale
//
// rounded to the scale's type.
func (w *Weights) compressedTensors(s *settings) error {
	s.one("format", "float-quantized", "naive-quantized")
	s.ignore("ignore", "quantization_status", "global_compression_ratio", "version", "run_compressed", "dequantize")
	for _, key := range []string{"kv_cache_scheme", "sparsity_config", "transform_config"} {
		if v := s.raw(key); v != nil && string(v) != "{}" && !dense(v) {
			s.refuse(key, "none")
		}
	}
	groups := s.object("config_groups")
	if groups == nil || len(groups.keys) == 0 {
		return s.errorf("no config_groups")
	}
	block, strategy, activations := groups.schemes()
	s.leftover(groups)
	if err := s.err(); err != nil {
		return err
	}
	for _, name := range sortedKeys(w.tensors) {
		module, ok := strings.CutSuffix(name, ".weight_scale")
		if !ok {
			continue
		}
		others := []string{name}
		for _, other := range []string{".input_scale", ".output_scale"} {
			if _, ok := w.tensors[module+other]; ok {
				others = append(others, module+other)
			}
		}
		if err := w.scaled(module+".weight", name, block, s.dtype, w.tensors[name].DType, others); err != nil {
			return err
		}
	}
	w.format = "fp8 " + strategy
	if strategy == "block" {
		w.format = fmt.Sprintf("fp8 %dx%d", block[0], block[1])
	}
	return w.fp8Done(s, activations)
}

// schemes reads the groups of modules, whose weights must all be quantised in one way.
// activations is the key that says that others than weights are; "" for none.
func (s *settings) schemes() (block [2]int, strategy, activations string) {
	var all []*settings
	for i, name := range sortedKeys(s.keys) {
		group := s.object(name)
		if group == nil {
			continue
		}
		all = append(all, group)
		group.ignore("targets")
		group.one("format", "float-quantized", "naive-quantized")
		for _, key := range []string{"input_activations", "output_activations"} {
			if group.raw(key) != nil {
				activations = key
			}
		}
		weights := group.object("weights")
		if weights == nil {
			group.refuse("weights", "an object")
			continue
		}
		b, by := weights.weightScheme()
		if i > 0 && (b != block || by != strategy) {
			weights.refuse("strategy", "that of the other groups")
		}
		block, strategy = b, by
		group.leftover(weights)
	}
	s.leftover(all...)
	return block, strategy, activations
}

// weightScheme reads how a group's weights are quantised, and returns the block that has a
// scale.
func (s *settings) weightScheme() (block [2]int, strategy string) {
	if s.number("num_bits", 8) != 8 {
		s.refuse("num_bits", "8")
	}
	s.one("type", "float")
	for key, want := range map[string]bool{"symmetric": true, "dynamic": false} {
		if s.truth(key, want) != want {
			s.refuse(key, fmt.Sprint(want))
		}
	}
	s.ignore("observer", "observer_kwargs", "scale_dtype", "zp_dtype")
	for _, key := range []string{"group_size", "actorder"} {
		if s.raw(key) != nil {
			s.refuse(key, "none")
		}
	}
	sizes := s.raw("block_structure")
	switch strategy = s.one("strategy", "tensor", "channel", "block"); strategy {
	case "channel":
		block = [2]int{1, 0}
	case "block":
		var b []int
		if json.Unmarshal(sizes, &b) != nil || len(b) != 2 || slices.Min(b) < 1 {
			s.refuse("block_structure", "two sizes")
			break
		}
		block = [2]int(b)
	}
	s.leftover()
	return block, strategy
}

// dense tells of a sparsity_config that says that nothing is sparse.
func dense(raw json.RawMessage) bool {
	var c struct {
		Format string `json:"format"`
	}
	return json.Unmarshal(raw, &c) == nil && c.Format == "dense"
}
