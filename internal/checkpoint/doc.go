// Package checkpoint finds and reads a model's checkpoint: the folder that
// Hugging Face's libraries write and read.
//
// Such a folder holds
//
//	config.json                                  what the model is
//	model.safetensors                            its weights, in one file, or
//	model.safetensors.index.json                 the tensor names and the shard that holds each,
//	model-00001-of-00003.safetensors ...         and those shards
//	tokenizer.json, tokenizer_config.json,
//	special_tokens_map.json, added_tokens.json,
//	chat_template.jinja, generation_config.json  the text side, read by package tokenize
//
// [Find] turns what a user typed into such a folder: a folder is itself;
// "org/name" and "org/name@revision" are a model of the hub, downloaded once
// into the cache that Hugging Face's own tools share
// (models--org--name/{blobs,refs,snapshots}); the folder is then
// snapshots/<commit>, whose files are links into blobs.
//
// [OpenWeights] maps the weights into memory, [Weights.Get] gives one tensor
// without a copy, and [Weights.Hash] names the whole: equal tensors, equal
// hash, however they were cut into shards. [ReadConfig] reads config.json.
// Other *.safetensors in the folder are not looked at, since they often are a
// second copy of the same weights (consolidated.safetensors). Where both
// model.safetensors and an index lie, the former counts, as in transformers.
//
// A file is believed in nothing. Its header may claim any size, place or
// shape; what does not agree with the file to the byte is an error that names
// file and tensor, found before anything is allocated for it. The reading is
// stricter than that of the safetensors library: a name that comes twice, a
// foreign key, or a tensor that the index does not list is refused as well.
//
// Weights stay mapped until [Weights.Close]. A file that another program cuts
// short while it is mapped ends this one with SIGBUS, as any mapped file does;
// writers that replace a file (write anew, then rename) do no harm.
package checkpoint
