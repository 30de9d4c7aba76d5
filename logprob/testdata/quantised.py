#!/usr/bin/env python3
"""Makes the tiny quantised checkpoints under quantised/, with what their formats' own readers decode and compute.

    pip install torch==2.11.0 transformers==5.23.0 accelerate==1.15.0 compressed-tensors==0.20.1
    python quantised.py [CASE ...]

The output is committed; nothing in the build or in the tests runs this program. A case is a folder quantised/<case>/ with the
checkpoint and golden.json: texts, logprobs and next as make.py describes them, of the model that the reference reads out of
the files, in float32; and decoded, the SHA-256 of every tensor of that model as float32 numbers, little endian, in the order
of memory. bites is how far the log-probabilities of the model before it was quantised are.
"""

import hashlib
import json
import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True
import torch
import make
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.quantization_config import CompressedTensorsConfig, FineGrainedFP8Config

OUT = Path(__file__).parent / "quantised"
CASES = {}

SMALL = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
             vocab_size=96, max_position_embeddings=128, tie_word_embeddings=False)
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def case(name):
    return lambda f: CASES.setdefault(name, f)


def first_model(name, model_type, **config):
    """A model with random weights, in bfloat16 numbers."""
    config = AutoConfig.for_model(model_type, **(SMALL | dict(dtype="bfloat16") | config))
    like = SimpleNamespace(name=name, family=model_type, config=config.to_dict())
    model = make.build(config)
    with torch.no_grad():
        for n, p in model.named_parameters():
            p.copy_(make.random_tensor(like, n, p).bfloat16())
    return model


def tensors_of(model):
    skip = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    return {n: t.bfloat16().clone() for n, t in model.state_dict().items() if n not in skip}


def save(folder, config, tensors, quantisation):
    d = config.to_dict()
    d = {k: v for k, v in d.items() if v is not None or k in ("rope_scaling",)}
    d["quantization_config"] = quantisation
    make.put_json(folder / "config.json", d)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def linear(name):
    return name.rsplit(".", 2)[-2] in LINEAR


def blocks(tensors, block, scale_type):
    """FP8 with a scale for each block, which need not divide the matrix."""
    out = {}
    for name, w in tensors.items():
        if not linear(name):
            out[name] = w
            continue
        w = w.float()
        down, across = (math.ceil(n / b) for n, b in zip(w.shape, block))
        scales, q = torch.empty(down, across), torch.empty(w.shape, dtype=torch.float8_e4m3fn)
        for i in range(down):
            for j in range(across):
                at = (slice(i * block[0], (i + 1) * block[0]), slice(j * block[1], (j + 1) * block[1]))
                scales[i, j] = (w[at].abs().max() / 448).to(scale_type).float()
                q[at] = (w[at] / scales[i, j]).clamp(-448, 448).to(torch.float8_e4m3fn)
        out[name], out[name + "_scale_inv"] = q, scales.to(scale_type)
    return out


@case("fp8-blocks")
def fp8_blocks(folder):
    model = first_model("fp8-blocks", "qwen3")
    save(folder, model.config, blocks(tensors_of(model), (32, 32), torch.bfloat16),
         {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [32, 32], "modules_to_not_convert": ["lm_head"]})
    return model, transformers_fp8(folder)


@case("fp8-default")
def fp8_default(folder):
    """No weight_block_size: 128 x 128. Scales in float32, as DeepSeek's."""
    model = first_model("fp8-default", "llama", hidden_size=128, intermediate_size=256, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=4, head_dim=32)
    save(folder, model.config, blocks(tensors_of(model), (128, 128), torch.float32), {"quant_method": "fp8", "activation_scheme": "dynamic"})
    return model, transformers_fp8(folder)


@case("fp8-tensor")
def fp8_tensor(folder):
    """One scale for a matrix and one for its activations, as Ministral 3 has."""
    model = first_model("fp8-tensor", "mistral")
    tensors = {}
    for name, w in tensors_of(model).items():
        tensors[name] = w
        if linear(name):
            scale = (w.float().abs().max() / 448).bfloat16()
            tensors[name] = (w.float() / scale.float()).clamp(-448, 448).to(torch.float8_e4m3fn)
            tensors[name + "_scale_inv"] = scale
            tensors[name.removesuffix("weight") + "activation_scale"] = torch.tensor(0.02).bfloat16()
    save(folder, model.config, tensors, {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None, "dequantize": False,
                                         "modules_to_not_convert": ["lm_head", "model.vision_tower"]})
    return model, transformers_fp8(folder)


def transformers_fp8(folder):
    d = json.loads((folder / "config.json").read_text())["quantization_config"]
    d = {k: v for k, v in d.items() if k != "dequantize"}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", quantization_config=FineGrainedFP8Config(dequantize=True, **d))


def compressed(folder, name, strategy, structure, scale_type, **weights):
    model = first_model(name, "llama")
    tensors = {}
    for n, w in tensors_of(model).items():
        tensors[n] = w
        if not linear(n):
            continue
        module = n.removesuffix("weight")
        if strategy == "block":
            both = blocks({n: w}, structure, scale_type)
            tensors[n], tensors[module + "weight_scale"] = both[n], both[n + "_scale_inv"]
            continue
        most = w.float().abs().amax(dim=1, keepdim=True) if strategy == "channel" else w.float().abs().max().reshape(1)
        scale = (most / 448).to(scale_type)
        tensors[n] = (w.float() / scale.float()).clamp(-448, 448).to(torch.float8_e4m3fn)
        tensors[module + "weight_scale"] = scale
        if strategy == "tensor":
            tensors[module + "input_scale"] = torch.tensor([0.02]).to(scale_type)
    args = dict(num_bits=8, type="float", symmetric=True, strategy=strategy, group_size=None, block_structure=structure, dynamic=False, actorder=None, observer="minmax", observer_kwargs={})
    dynamic = strategy != "tensor"
    quantisation = {
        "quant_method": "compressed-tensors", "format": "float-quantized", "quantization_status": "compressed", "global_compression_ratio": None,
        "ignore": ["lm_head"], "kv_cache_scheme": None,
        "config_groups": {"group_0": {"targets": ["Linear"], "output_activations": None, "weights": args,
                                      "input_activations": args | {"dynamic": dynamic, "strategy": "token" if dynamic else "tensor", "block_structure": None, "observer": None if dynamic else "minmax"}}},
    }
    save(folder, model.config, tensors, quantisation)
    return model, AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", quantization_config=CompressedTensorsConfig(**(quantisation | {"dequantize": True})))


@case("fp8-channel")
def fp8_channel(folder):
    return compressed(folder, "fp8-channel", "channel", None, torch.bfloat16)


@case("fp8-compressed-tensor")
def fp8_compressed_tensor(folder):
    return compressed(folder, "fp8-compressed-tensor", "tensor", None, torch.bfloat16)


@case("fp8-compressed-block")
def fp8_compressed_block(folder):
    return compressed(folder, "fp8-compressed-block", "block", [32, 32], torch.float32)


def golden(name, folder, before, model):
    model = model.float().eval()
    for n, p in model.named_parameters():
        assert p.dtype == torch.float32, n
    like = SimpleNamespace(name=name, lengths=(20, 1, 40, 60))
    texts = make.make_texts(like, model.config.vocab_size)
    got = make.score(model, texts)
    bites = make.distance(got, make.score(before.float().eval(), texts))
    exact = make.distance(got, make.score(model.double(), texts))
    model = model.float()
    if bites < 1e-3 or exact > 5e-6:
        raise SystemExit(f"{name}: before it was quantised {bites}, in float64 {exact}")
    skip = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    decoded = {n: hashlib.sha256(t.detach().float().contiguous().numpy().tobytes()).hexdigest() for n, t in model.state_dict().items() if n not in skip}
    make.put_json(folder / "golden.json", {
        "note": f"torch {torch.__version__}, transformers {make.transformers.__version__}, float32, eager",
        "bites": make.number(bites), "decoded": decoded,
        "texts": [{"ids": t, "logprobs": [make.number(x) for x in p]} for t, p in zip(texts, got[0])], "next": [make.number(x) for x in got[1]]})
    print(f"{name}: quantising moved {bites:.2g} nats, float64 differs by {exact:.1e}, {sum(f.stat().st_size for f in folder.iterdir()) // 1000} kB")


for name in sys.argv[1:] or CASES:
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    golden(name, folder, *CASES[name](folder))
