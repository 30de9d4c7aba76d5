// Package adapter reads and writes LoRA adapters as peft does, adapter_config.json and
// adapter_model.safetensors, and says what they change of a model:
//
//	folder -> Open -> Adapter       the config read strictly, the tensors mapped
//	Adapter, model -> Apply         arch.Model with sides, and the tensors it needs
//	Applied -> Merged               the weights of a checkpoint that needs no adapter
//	Fresh, model -> Write           the adapter that training begins with
//	Adapter, tensors -> Write       the same adapter with other values
//
// It computes what peft 0.21 does for task CAUSAL_LM and SEQ_CLS: LoRA on any linear layer, the
// vocabulary head among them, DoRA, rslora, patterns of ranks and alphas, biases, and whole
// modules (modules_to_save). What else a config asks for is refused by name. Nothing is ignored:
// every tensor of the file has its place, every module that the config says is adapted has its
// tensors, and their shapes are those of its rank.
//
// # Names
//
// peft names a module by its path in transformers' model, such as model.layers.0.mlp.up_proj,
// and the tensors base_model.model.PATH.lora_A.weight [r in] and so on. The path's beginning
// differs from a checkpoint's names in some families (arch.Names): it is the one under which the
// file's tensors are of modules that the model has.
//
// # Patterns
//
// Patterns of a config are Python regular expressions. They are matched by Go's, in linear time;
// what these cannot parse, or would read otherwise, is refused.
package adapter
