// Package checkpoint finds and reads a model's checkpoint, the folder that Hugging Face's
// libraries write and read:
//
//	config.json                                  the model's type and sizes
//	model.safetensors                            the weights in one file, or
//	model.safetensors.index.json                 the tensor names and the shard of each,
//	model-00001-of-00003.safetensors ...         and the shards
//	tokenizer.json, tokenizer_config.json,
//	special_tokens_map.json, added_tokens.json,
//	chat_template.jinja, generation_config.json  text files, read by package tokenize
//
// [Find] resolves a name to such a folder: a folder is itself; "org/name" and
// "org/name@revision" are a model of the hub, downloaded once into the cache of Hugging
// Face's own tools (models--org--name/{blobs,refs,snapshots}); its folder is
// snapshots/<commit>, with links into blobs.
//
// [OpenWeights] maps the weights into memory, [Weights.Get] returns a tensor without
// copying, and [Weights.Hash] is a hash of all tensors, independent of sharding.
// [ReadConfig] reads config.json, and [Open] both, and decodes quantised weights. Other *.safetensors of the folder are ignored, since they
// often are a second copy of the weights (consolidated.safetensors). If there are both
// model.safetensors and an index, the former is used, as in transformers.
//
// A GGUF file of llama.cpp stands for a folder: see [Open].
//
// Files are not trusted. A header may claim any size, offset or shape; any disagreement with
// the file is an error that names file and tensor, before memory is allocated. Reading is
// stricter than in the safetensors library: a repeated name, an unknown key, or a tensor
// that the index does not list is an error too.
//
// Weights stay mapped until [Weights.Close]. If another program truncates a mapped file,
// this one ends with SIGBUS, as with any mapped file; replacing a file (write a new one,
// then rename) is safe.
package checkpoint
