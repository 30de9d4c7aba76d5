"""Converts the GGUF file of SmolLM2-135M-Instruct to a Hugging Face folder.

    python real.py MODEL.gguf FOLDER

FOLDER gets config.json, model.safetensors, tokenizer.json and tokenizer_config.json. The same input gives the same
bytes. It knows GGUF's "llama" architecture with the "smollm" tokenizer, and refuses anything else.

The weights are four-bit blocks (Q4_1: q * d + m with d and m in float16; the embedding is Q8_0). Dequantised they
need more than the eight significant bits of bfloat16, so the weights written here are the dequantised ones rounded
to nearest even: a relative change of at most 2^-8 beside the much larger one of the quantisation. The result is a
model of its own, close to the published SmolLM2; what is expected of it (real_reference.py) is computed from these
very files.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
from gguf import GGUFReader, dequantize
from safetensors import TensorSpec, serialize_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CONTROL = 3  # the token type of special tokens in GGUF


def main(source, folder):
    reader = GGUFReader(source)
    meta = {name: field.contents() for name, field in reader.fields.items()}
    for key, want in {"general.architecture": "llama", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm"}.items():
        if meta.get(key) != want:
            sys.exit(f"real: {source}: {key} is {meta.get(key)!r}, wanted {want!r}")
    folder.mkdir(parents=True)
    config = model_config(meta)
    write_json(folder / "config.json", config)
    write_weights(folder / "model.safetensors", reader, config)
    write_tokenizer(folder, meta)
    print("real: sha256 of model.safetensors:", hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())


def model_config(meta):
    hidden, heads = meta["llama.embedding_length"], meta["llama.attention.head_count"]
    if meta["llama.rope.dimension_count"] * heads != hidden or any(key.startswith("llama.rope.scaling") for key in meta):
        sys.exit("real: a rotary embedding that this converter does not know")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": meta["tokenizer.ggml.bos_token_id"],
        "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": meta["llama.feed_forward_length"],
        "max_position_embeddings": meta["llama.context_length"],
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": meta["llama.block_count"],
        "num_key_value_heads": meta["llama.attention.head_count_kv"],
        "pad_token_id": meta["tokenizer.ggml.padding_token_id"],
        "rms_norm_eps": shortest(meta["llama.attention.layer_norm_rms_epsilon"]),
        "rope_scaling": None,
        "rope_theta": shortest(meta["llama.rope.freq_base"]),
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": meta["llama.vocab_size"],
    }


def shortest(float32):
    """The decimal that was meant: GGUF stores 1e-5 as the float32 0.0000099999997."""
    return float(str(np.float32(float32)))


def write_weights(file, reader, config):
    names = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    for i in range(config["num_hidden_layers"]):
        for old, new in {
            "attn_norm": "input_layernorm",
            "attn_q": "self_attn.q_proj",
            "attn_k": "self_attn.k_proj",
            "attn_v": "self_attn.v_proj",
            "attn_output": "self_attn.o_proj",
            "ffn_norm": "post_attention_layernorm",
            "ffn_gate": "mlp.gate_proj",
            "ffn_up": "mlp.up_proj",
            "ffn_down": "mlp.down_proj",
        }.items():
            names[f"blk.{i}.{old}.weight"] = f"model.layers.{i}.{new}.weight"
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    if set(tensors) != set(names):
        sys.exit(f"real: tensors that do not match: {sorted(set(tensors) ^ set(names))}")

    arrays = {}
    for old, new in names.items():
        weight = dequantize(tensors[old].data, tensors[old].tensor_type).astype(np.float32)
        heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}.get(new.split(".")[-2])
        if heads:
            weight = unpermute(weight, heads)
        arrays[new] = bfloat16(weight)
    specs = {
        name: TensorSpec(dtype="bfloat16", shape=list(array.shape), data_ptr=array.ctypes.data, data_len=array.nbytes)
        for name, array in arrays.items()
    }
    serialize_file(specs, file, {"format": "pt"})
    file.chmod(0o644)


def unpermute(weight, heads):
    """GGUF pairs the rotated rows of a head as (0, 1), (2, 3) ..., Hugging Face as (0, n/2), (1, n/2 + 1) ..."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def bfloat16(array):
    """The upper halves of the float32 values, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_tokenizer(folder, meta):
    tokens, types = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    merges = [tuple(pair.split(" ")) for pair in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    # "smollm" in GGUF: each digit by itself, then GPT-2's pattern.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, types) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    if tokenizer.get_vocab_size() != len(tokens):
        sys.exit(f"real: the tokenizer has {tokenizer.get_vocab_size()} tokens, the file {len(tokens)}")
    # No post-processor: tokenizer.ggml.add_bos_token is false, and the chat template begins each turn itself.
    if meta["tokenizer.ggml.add_bos_token"]:
        sys.exit("real: a tokenizer that adds a BOS, which this converter does not know")
    tokenizer.save(str(folder / "tokenizer.json"))

    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    write_json(folder / "tokenizer_config.json", {
        **{f"{name}_token": tokens[meta[f"tokenizer.ggml.{key}_token_id"]] for name, key in names.items()},
        "added_tokens_decoder": {
            str(tokens.index(token)): {
                "content": token, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True,
            }
            for token in special
        },
        "chat_template": meta["tokenizer.chat_template"],
        "clean_up_tokenization_spaces": False,
        "model_max_length": meta["llama.context_length"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    })


def write_json(file, value):
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1].strip())
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
