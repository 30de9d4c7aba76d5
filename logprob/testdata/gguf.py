#!/usr/bin/env python3
"""Makes the tiny GGUF files under gguf/ by llama.cpp's own converter, of checkpoints under families/ and quantised/.

    pip install torch==2.11.0 transformers==5.23.0
    LLAMA_CPP=FOLDER python gguf.py [CASE ...]

FOLDER is a clone of github.com/ggml-org/llama.cpp at 0c1e57098, or the folder vendor/llama.cpp of the source package of
llama-cpp-python 0.3.36; its package conversion writes the files, whose vocabulary alone is left out.

The output is committed; nothing in the build or in the tests runs this program. A case is a folder gguf/<case>/ with model.gguf, and
golden.json as quantised.py's, with the log-probabilities that transformers computes in float32 of the checkpoint that was converted. What the files
of an architecture cannot say its config has as the published models have it.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True
LLAMA_CPP = Path(os.environ["LLAMA_CPP"])
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]
import gguf
import torch
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
from safetensors.torch import load_file

import make

HERE = Path(__file__).parent
OUT = HERE / "gguf"


def merged(config, changes):
    """A config with these keys: a dict is merged, None takes a key away."""
    out = dict(config)
    for key, value in changes.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


# By case: the checkpoint, what of its config is otherwise, and of layers that are added the one that each has the weights of.
CASES = {
    "olmo": ("families/olmo-clip", {}),
    "olmo2": ("families/olmo2-gqa-bias", {}),
    "olmo3": ("families/olmo3-yarn", {"rope_parameters": {"sliding_attention": {"rope_theta": 10000.0}}}),
    "granite": ("families/granite-bias-tied", {}),
    "smollm3": ("families/smollm3-nope", {"no_rope_layer_interval": 4, "no_rope_layers": [1, 1, 1, 0]}),
    "glm4": ("families/glm4-partial", {}),
    "exaone4": ("families/exaone4-hybrid", {}),
    "exaone4-full": ("families/exaone4-full", {}),
    "seed_oss": ("families/seed_oss-out", {}),
    "ernie4_5": ("families/ernie4_5-bias", {}),
    "apertus": ("families/apertus-xielu", {}),
    "arcee": ("families/arcee-bias", {"hidden_act": "relu2"}),
    "starcoder2": ("families/starcoder2-window", {"sliding_window": 4096}),
    "stablelm": ("families/stablelm-bias", {}),
    "stablelm-parallel": ("families/stablelm-parallel", {"rope_parameters": {"rope_theta": 10000.0}}),
    "nemotron": ("families/nemotron-bias-tied", {"hidden_act": "relu2"}),
    "command-r": ("families/cohere-norm", {}),
    "cohere2": ("families/cohere2-hybrid", {"rotary_pct": 1.0, "num_hidden_layers": 4, "layer_types": None}, {3: 0}),
    "hunyuan-dense": ("families/hunyuan_v1_dense-bias", {}),
    "mistral3": ("families/mistral3-hub", {}),
    "ministral3": ("families/ministral3-yarn", {}),
    "gemma3n": ("families/gemma3n_text-default", {}),
    "gemma4-shared": ("families/gemma4_text-shared", {}),
    "gemma4-dense": ("families/gemma4_text-dense", {}),
    "gemma4-moe": ("families/gemma4_text-moe", {}),
    "olmoe": ("families/olmoe-clip", {"clip_qkv": None, "norm_topk_prob": False, "rms_norm_eps": 1e-5}),
    "granitemoe": ("families/granitemoe-factors", {}),
    "gpt2": ("families/gpt2-plain", {"n_ctx": 80}),
    "gptneox": ("families/gpt_neox-parallel", {"rotary_pct": 0.25}),
    "gptneox-serial": ("families/gpt_neox-serial", {"rotary_pct": 1.0, "hidden_act": "gelu", "rope_parameters": {"rope_theta": 10000.0}}),
    "qwen35": ("families/qwen3_5-hub", {}),
    "qwen35moe": ("families/qwen3_5_moe-hub", {}),
    "qwen2moe": ("families/qwen2_moe-shared", {"norm_topk_prob": False}),
    "granite4": ("families/granitemoehybrid-attention", {"position_embedding_type": "rope"}),
    "granitehybrid": ("families/granitemoehybrid-dense", {"position_embedding_type": "nope"}),
    "granitehybrid-moe": ("families/granitemoehybrid-experts", {"position_embedding_type": "nope", "time_step_limit": [0.0, {"__float__": "Infinity"}]}),
    "gemma4-unified": ("families/gemma4_unified_text-dense", {"architectures": ["Gemma4ForCausalLM"], "model_type": "gemma4_text", "hidden_size_per_layer_input": 0}),
    "gpt-oss": ("families/gpt_oss-sinks", {"swiglu_alpha": None, "swiglu_limit": None}),
    "gpt-oss-mxfp4": ("quantised/mxfp4-gpt_oss", {"swiglu_limit": None, "architectures": ["GptOssForCausalLM"]}),
}


def convert(folder, out, config):
    hparams = ModelBase.load_hparams(folder, False)
    kind = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    for k in (kind, getattr(kind, "Ministral3Model", kind)):
        k.set_vocab = lambda self: self.gguf_writer.add_tokenizer_model("none")
    if hasattr(kind, "get_attn_layers"):  # which looks for the names of before transformers 5
        kind.get_attn_layers = lambda self: [i for i, t in enumerate(self.hparams["layer_types"]) if t == "full_attention"]
    if hasattr(kind, "_stack_qk_norm"):  # which this version returns from a generator, and so loses
        modify = kind.modify_tensors

        def kept(*args):
            rest = yield from modify(*args)
            yield from rest or ()
        kind.modify_tensors = kept
    with torch.inference_mode():
        wide = any(t.dtype == torch.float32 and t.dim() > 1 for t in load_file(folder / "model.safetensors").values())
        model = kind(folder, gguf.LlamaFileType.ALL_F32 if wide else gguf.LlamaFileType.GUESSED, out, eager=True)
        model.hparams |= {k: config[k] for k in ("rotary_pct", "n_ctx") if k in config}  # which transformers 5 has otherwise
        model.write()


def write(name, source, changes, layers={}):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        config = merged(json.loads((HERE / source / "config.json").read_text()), changes)
        make.put_json(tmp / "config.json", config)
        tensors = {}
        for f in (HERE / source).glob("*.safetensors"):
            tensors |= load_file(f)
        if "qwen3_5" in source or "granitemoehybrid" in source:  # of which the converter would change norms and decays in float16
            tensors = {n: t.bfloat16() for n, t in tensors.items()}
        for layer, like in layers.items():
            tensors |= {n.replace(f".layers.{like}.", f".layers.{layer}."): t.clone() for n, t in tensors.items() if f".layers.{like}." in n}
        make.save_file(tensors, tmp / "model.safetensors", metadata={"format": "pt"})
        make.put_json(tmp / "tokenizer.json", {"model": {"vocab": {str(i): i for i in range(config["vocab_size"])}}, "added_tokens": []} if "vocab_size" in config else {})  # counted for Gemma
        convert(tmp, folder / "model.gguf", config)
        case = SimpleNamespace(name="gguf " + name, family=config["model_type"], attention="eager", lengths=(20, 1, 40, 60))
        if "quantization_config" in config:
            from transformers.utils.quantization_config import Mxfp4Config
            model = make.AutoModelForCausalLM.from_pretrained(tmp, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", quantization_config=Mxfp4Config(dequantize=True)).float().eval()
        else:
            model = make.load(tmp, case)
    texts, _ = make.clear_texts(case, model)
    got = make.score(model, texts)
    make.put_json(folder / "golden.json", {
        "note": f"torch {torch.__version__}, transformers {make.transformers.__version__}, float32, eager, of {source}",
        "texts": [{"ids": t, "logprobs": [make.number(x) for x in p]} for t, p in zip(texts, got[0])], "next": [make.number(x) for x in got[1]]})
    print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir()) // 1000} kB")


for name in sys.argv[1:] or CASES:
    write(name, *CASES[name])
