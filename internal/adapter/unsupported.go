package adapter

import (
	"fmt"
	"strings"
)

// unsupported says why a path beside a module is not computed.
func (p *application) unsupported(name, path, module, param string, known bool) error {
	switch {
	case strings.Contains(path, ".lora_embedding_"):
		return fmt.Errorf("tensor %q: LoRA on an embedding is not supported (merge the adapter with peft: merge_and_unload)", brief(name))
	case !known && ofExpert.MatchString(module):
		return fmt.Errorf("tensor %q: LoRA on an expert of a mixture is not supported (merge the adapter with peft: merge_and_unload)", brief(name))
	case !known:
		return fmt.Errorf("tensor %q: the model has no linear layer %s%s", brief(name), brief(module), p.headless(param))
	}
	return fmt.Errorf("tensor %q: LoRA on %s, which is no linear layer, is not supported", brief(name), module)
}

// headless says why a tensor of a head is not used.
func (p *application) headless(param string) string {
	switch {
	case p.m.Head.Layer == nil && p.m.Names.OfHead(param):
		return ": it is loaded without its vocabulary head"
	case p.m.Head.Layer != nil && param == "score.weight":
		return ": a classifier's head, wanted the adapter of a causal model"
	}
	return ""
}
