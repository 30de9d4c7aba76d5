#!/usr/bin/env python3
"""Makes the tiny quantised checkpoints under quantised/, with what their formats' own readers decode and compute.

    pip install torch==2.11.0 transformers==5.23.0 accelerate==1.15.0 compressed-tensors==0.20.1 gguf==0.19.0 bitsandbytes==0.50.2
    REFERENCES=FOLDER python quantised.py [CASE ...]

FOLDER, which the cases awq and gptq need, has packing_utils.py of AutoAWQ 0.2.9 (awq/utils) and model_dequant.py of GPTQModel 7.3.4
(gptqmodel/utils, commit f4c327a), of which the decoders are run; the packages themselves need a GPU to install.

The output is committed; nothing in the build or in the tests runs this program. A case is a folder quantised/<case>/ with the
checkpoint and golden.json: texts, logprobs and next as make.py describes them, of the model that the reference reads out of
the files, in float32; and decoded, the SHA-256 of every tensor of that model as float32 numbers, little endian, in the order
of memory. bites is how far the log-probabilities of the model before it was quantised are.
"""

import ast
import copy
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True
import gguf
import numpy as np
import torch
import make
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils.quantization_config import CompressedTensorsConfig, FineGrainedFP8Config, GgufConfig, Mxfp4Config

OUT = Path(__file__).parent / "quantised"
TOKENIZER = Path(__file__).parents[2] / "tokenize" / "testdata" / "qwen2"
CASES = {}

SMALL = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
             vocab_size=96, max_position_embeddings=128, tie_word_embeddings=False)
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj")


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


def decoded(tensors, block):
    """The tensors of blocks() as DeepSeek's own weight_dequant decodes them."""
    out = {}
    for name, w in tensors.items():
        if name.endswith("_scale_inv"):
            continue
        out[name] = w.float()
        if (scales := tensors.get(name + "_scale_inv")) is not None:
            wide = scales.float().repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
            out[name] = w.float() * wide[: w.shape[0], : w.shape[1]]
    return out


@case("fp8-deepseek_v3")
def fp8_deepseek_v3(folder):
    """DeepSeek-V3 as published: every linear layer but the router's in blocks of 128 x 128, of which those of kv_a_proj_with_mqa end in smaller
    ones, scales and the correction in float32, and a layer behind the others in FP8 too. Held to transformers on the decoded weights."""
    model = first_model("fp8-deepseek_v3", "deepseek_v3", hidden_size=160, num_key_value_heads=4, q_lora_rank=96, kv_lora_rank=128, qk_nope_head_dim=16,
                        qk_rope_head_dim=16, v_head_dim=16, n_routed_experts=4, n_shared_experts=1, moe_intermediate_size=24, num_experts_per_tok=2, n_group=2,
                        topk_group=1, first_k_dense_replace=1, num_mtp_layers=1)
    with torch.no_grad():
        for n, b in model.named_buffers():
            if n.endswith("e_score_correction_bias"):
                b.copy_(make.random_tensor(SimpleNamespace(name="fp8-deepseek_v3", family="deepseek_v3", config=model.config.to_dict()), n, b))
    with tempfile.TemporaryDirectory() as tmp:
        model.save_pretrained(tmp)
        tensors = load_file(Path(tmp) / "model.safetensors")
        tensors = {n: t.float() if n.endswith("correction_bias") else t.bfloat16() for n, t in tensors.items()}
        tensors = blocks(tensors, (128, 128), torch.float32)
        save_file(decoded(tensors, (128, 128)), Path(tmp) / "model.safetensors", metadata={"format": "pt"})
        after = AutoModelForCausalLM.from_pretrained(tmp, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager")
    later = {n.replace("model.layers.1.", "model.layers.2."): t.clone() for n, t in tensors.items() if n.startswith("model.layers.1.self_attn.")}
    save(folder, model.config, tensors | later, {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]})
    return model, after, decoded(tensors | later, (128, 128))


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


@case("mxfp4-gpt_oss")
def mxfp4_gpt_oss(folder):
    """The experts of GPT-OSS: 4-bit floats with any bits, and exponents near those of the weights."""
    model = first_model("mxfp4-gpt_oss", "gpt_oss", hidden_size=64, intermediate_size=32, num_local_experts=4, num_experts_per_tok=2, sliding_window=8, swiglu_limit=2.0,
                        rope_parameters={"rope_type": "yarn", "rope_theta": 150000.0, "factor": 4.0, "truncate": False, "original_max_position_embeddings": 32})
    g = torch.Generator().manual_seed(4)
    tensors = {}
    for name, w in tensors_of(model).items():
        if not name.endswith(("gate_up_proj", "down_proj")):
            tensors[name] = w
            continue
        e, inputs, outputs = w.shape
        tensors[name + "_blocks"] = torch.randint(0, 256, (e, outputs, inputs // 32, 16), generator=g, dtype=torch.uint8)
        tensors[name + "_scales"] = torch.randint(120, 124, (e, outputs, inputs // 32), generator=g, dtype=torch.uint8)
    quantisation = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}
    save(folder, model.config, tensors, quantisation)
    return model, AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", quantization_config=Mxfp4Config(dequantize=True))


def with_decoded(config, decoded):
    """The model of these tensors, in float32."""
    config = copy.deepcopy(config)
    config.dtype = torch.float32  # or buffers are rounded
    after = make.build(config).float()
    missing = after.load_state_dict({n: t.float() for n, t in decoded.items()}, strict=False)
    assert not missing.unexpected_keys and set(missing.missing_keys) <= {"lm_head.weight"}, missing
    after.tie_weights()
    return after


def bnb(folder, name, kind, nested, made_of, block, compute, **config):
    """What a model of transformers that bitsandbytes has quantised saves, and what both decode of it: by the portable kernel, which does
    what CUDA's does. The one for processors alone takes each row for blocks of its own and decodes garbage of a width that is no multiple."""
    import bitsandbytes.functional as F
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
    model = first_model(name, "llama", num_hidden_layers=1, **config)
    tensors, decoded = {}, {}
    for n, w in tensors_of(model).items():
        tensors[n] = decoded[n] = w
        if linear(n):
            tensors[n], state = F.quantize_4bit(w.to(made_of), blocksize=block, compress_statistics=nested, quant_type=kind)
            for part, value in state.as_dict(packed=True).items():
                tensors[f"{n}.{part}"] = value
            absmax = F.dequantize_blockwise(state.absmax, state.state2) + state.offset if nested else state.absmax
            decoded[n] = _dequantize_4bit_compute(tensors[n].reshape(-1), absmax, F.get_4bit_type(kind, device="cpu"), block, w.shape, made_of)
            assert decoded[n].dtype == made_of and (decoded[n].float() - w.float()).abs().max() < 0.2 * w.abs().max(), n
    quantisation = {
        "_load_in_4bit": True, "_load_in_8bit": False, "bnb_4bit_compute_dtype": compute, "bnb_4bit_quant_storage": "uint8", "bnb_4bit_quant_type": kind,
        "bnb_4bit_use_double_quant": nested, "llm_int8_enable_fp32_cpu_offload": False, "llm_int8_has_fp16_weight": False, "llm_int8_skip_modules": ["lm_head"],
        "llm_int8_threshold": 6.0, "load_in_4bit": True, "load_in_8bit": False, "quant_method": "bitsandbytes"}
    save(folder, model.config, tensors, quantisation)
    theirs = AutoModelForCausalLM.from_pretrained(folder, device_map="cpu")
    for n, p in theirs.named_parameters():
        if linear(n) and decoded[n].shape[1] % block == 0:
            assert torch.equal(F.dequantize_4bit(p.data, p.quant_state), decoded[n]), n
    return model, with_decoded(model.config, decoded)


@case("bnb-nf4")
def bnb_nf4(folder):
    return bnb(folder, "bnb-nf4", "nf4", True, torch.bfloat16, 64, "bfloat16")


@case("bnb-fp4")
def bnb_fp4(folder):
    return bnb(folder, "bnb-fp4", "fp4", False, torch.float16, 128, "float16")


def halves(model):
    """A model's tensors in float16, as those of AWQ and GPTQ are published."""
    model.config.dtype = "float16"
    return {n: t.half() for n, t in tensors_of(model).items()}


def whole_numbers(w, groups, bits, symmetric):
    """The numbers [K N], zero points [G N] and scales [G N] of a matrix [N K] whose inputs are in these groups."""
    w, most = w.float().t(), 2**bits - 1
    q, zeros, scales = torch.empty(w.shape, dtype=torch.int32), [], []
    for g in range(int(groups.max()) + 1):
        x = w[groups == g]
        low, high = x.amin(0).clamp(max=0), x.amax(0).clamp(min=0)
        if symmetric:
            high = torch.maximum(high, -low)
            low = -high
        scale = ((high - low) / most).half()
        zero = torch.full_like(low, (most + 1) // 2) if symmetric else (-low / scale.float()).round()
        q[groups == g] = ((x / scale.float()).round() + zero).clamp(0, most).int()
        zeros.append(zero.int())
        scales.append(scale)
    return q, torch.stack(zeros), torch.stack(scales)


def words(fields, bits):
    """Rows of whole numbers as rows of 32-bit words, the first numbers in the lowest bits."""
    rows, n = fields.shape
    bit = np.unpackbits(fields.numpy().astype(np.uint32).view(np.uint8).reshape(rows, n, 4), axis=2, bitorder="little")[:, :, :bits]
    return torch.tensor(np.packbits(bit.reshape(rows, -1), axis=1, bitorder="little").view(np.int32))


@case("awq")
def awq(folder):
    model = first_model("awq", "qwen2", num_hidden_layers=1)
    reference = {}
    exec(Path(os.environ["REFERENCES"], "packing_utils.py").read_text(), reference)
    tensors, decoded = {}, {}
    for n, w in halves(model).items():
        tensors[n] = decoded[n] = w
        if linear(n) and n.endswith("weight"):
            del tensors[n]
            module = n.removesuffix("weight")
            q, zeros, scales = whole_numbers(w, torch.arange(w.shape[1]) // 32, 4, False)
            mixed = torch.arange(w.shape[0]).view(-1, 8)[:, reference["AWQ_ORDER"]].flatten()
            tensors[module + "qweight"], tensors[module + "qzeros"], tensors[module + "scales"] = words(q[:, mixed], 4), words(zeros[:, mixed], 4), scales
            decoded[n] = reference["dequantize_gemm"](tensors[module + "qweight"], tensors[module + "qzeros"], scales, 4, 32).t().contiguous()
            assert decoded[n].dtype == torch.float16 and (decoded[n] - w).abs().max() < scales.max()
    save(folder, model.config, tensors, {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm", "modules_to_not_convert": None})
    return model, with_decoded(model.config, decoded)


def gptq_reference(file, quantisation):
    """What GPTQModel's decoder of files makes of one."""
    wanted = {"convert_gptq_file", "finalize_for_save", "_handle_ignored_tensor", "_tensor_key_matches_ignored_layer", "_uses_gptq_v1_qzeros", "_correct_gptq_v1_qzeros", "_shift_gptq_qzeros",
              "unpack_cols", "unpack_rows", "pack_cols", "_unpack_cols_3bit", "_unpack_rows_3bit", "_pack_cols_3bit", "_require_int32_words_for_3bit"}
    tree = ast.parse(Path(os.environ["REFERENCES"], "model_dequant.py").read_text())
    tree.body = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.level == 0 or isinstance(n, ast.FunctionDef) and n.name in wanted]
    import logging
    reference = {"torch": torch, "LOG": logging.getLogger("reference"), "PLANAR_BITS": ()}
    exec(compile(tree, "model_dequant.py", "exec"), reference)
    return reference["convert_gptq_file"](file, torch.float16, quantisation, "cpu")


def gptq(folder, bits, size, order, symmetric, form, **more):
    name = folder.name
    model = first_model(name, "llama", num_hidden_layers=1)
    g = torch.Generator().manual_seed(bits)
    tensors = {}
    for n, w in halves(model).items():
        tensors[n] = w
        if not linear(n):
            continue
        del tensors[n]
        module, k = n.removesuffix("weight"), w.shape[1]
        groups = torch.arange(k) // (k if size == -1 else size)
        if order:
            groups = groups[torch.randperm(k, generator=g)]
        q, zeros, scales = whole_numbers(w, groups, bits, symmetric)
        if form == "gptq":
            zeros = (zeros - 1) & (2**bits - 1)
        tensors[module + "qweight"], tensors[module + "qzeros"] = words(q.t().contiguous(), bits).t().contiguous(), words(zeros, bits)
        tensors[module + "scales"], tensors[module + "g_idx"] = scales, groups.int()
    quantisation = {"quant_method": "gptq", "bits": bits, "group_size": size, "desc_act": order, "sym": symmetric, "checkpoint_format": form, "damp_percent": 0.01,
                    "true_sequential": True, "static_groups": False, "lm_head": False, "model_name_or_path": None, **more}
    save(folder, model.config, tensors, quantisation)
    decoded = gptq_reference(folder / "model.safetensors", quantisation)
    for n, w in halves(model).items():
        assert decoded[n].dtype == torch.float16 and (decoded[n].float() - w.float()).abs().max() < 1.2, n
    return model, with_decoded(model.config, decoded)


@case("gptq-4")
def gptq_4(folder):
    return gptq(folder, 4, 32, True, False, "gptq", dynamic=None)


@case("gptq-3")
def gptq_3(folder):
    return gptq(folder, 3, 32, False, True, "gptq")


@case("gptq-2")
def gptq_2(folder):
    return gptq(folder, 2, 32, False, False, "gptq_v2", pack_dtype="int32", meta={"quantizer": ["gptqmodel:7.3.4"]})


@case("gptq-8")
def gptq_8(folder):
    return gptq(folder, 8, -1, False, True, "gptq_v2")


def first_names(kind, layers):
    """transformers' names by llama.cpp's (gguf.TensorNameMap knows the same)."""
    out = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    modules = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
               "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "self_attn.q_norm": "attn_q_norm",
               "self_attn.k_norm": "attn_k_norm", "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up", "mlp.gate": "ffn_gate_inp", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
               "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp", "mlp.shared_expert.down_proj": "ffn_down_shexp",
               "mlp.experts.gate_proj": "ffn_gate_exps", "mlp.experts.up_proj": "ffn_up_exps", "mlp.experts.down_proj": "ffn_down_exps"}
    if kind in ("gemma2", "gemma3_text"):
        modules |= {"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm"}
    if kind == "phi":
        out |= {"model.final_layernorm.weight": "output_norm.weight", "model.final_layernorm.bias": "output_norm.bias", "lm_head.bias": "output.bias"}
        modules |= {"self_attn.dense": "attn_output", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"}
    if kind.startswith("qwen3_5"):
        modules |= {"post_attention_layernorm": "post_attention_norm", "linear_attn.in_proj_qkv": "attn_qkv", "linear_attn.in_proj_z": "attn_gate", "linear_attn.in_proj_a": "ssm_alpha",
                    "linear_attn.in_proj_b": "ssm_beta", "linear_attn.conv1d": "ssm_conv1d", "linear_attn.norm": "ssm_norm", "linear_attn.out_proj": "ssm_out"}
        for i in range(layers):
            out |= {f"model.layers.{i}.linear_attn.A_log": f"blk.{i}.ssm_a", f"model.layers.{i}.linear_attn.dt_bias": f"blk.{i}.ssm_dt.bias"}
    for i in range(layers):
        for module, name in modules.items():
            for part in ("weight", "bias"):
                out[f"model.layers.{i}.{module}.{part}"] = f"blk.{i}.{name}.{part}"
    return out


def random_blocks(shape, kind, std, seed):
    """Blocks of a K type with any bits, scaled so that the numbers have about this deviation."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    g = np.random.default_rng(seed)
    n = int(np.prod(shape)) // elements
    b = g.integers(0, 256, (n, size), dtype=np.uint8)
    halves = {"Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}[kind.name]
    for at in halves:
        b[:, at:at + 2] = g.uniform(0.5, 1, (n, 1)).astype(np.float16).view(np.uint8)
    if len(halves) > 1:  # an offset near the middle of what the factor reaches
        d = b[:, 0:2].copy().view(np.float16).astype(np.float32)
        b[:, 2:4] = (d * (7.5 if kind.name == "Q4_K" else 15.5)).astype(np.float16).view(np.uint8)
    have = gguf.dequantize(b, kind).std()
    for at in halves:
        b[:, at:at + 2] = (b[:, at:at + 2].copy().view(np.float16).astype(np.float32) * (std / have)).astype(np.float16).view(np.uint8)
    return b.reshape(*shape[:-1], -1)


def apart(tensors):
    """Gates and matrices up of all experts as two tensors, where the model in memory has one."""
    out = {}
    for n, t in tensors.items():
        if n.endswith("mlp.experts.gate_up_proj"):
            gate, up = t.chunk(2, 1)
            out |= {n.replace("gate_up_proj", "gate_proj.weight"): gate, n.replace("gate_up_proj", "up_proj.weight"): up}
        else:
            out[n + ".weight" if n.endswith("mlp.experts.down_proj") else n] = t
    return out


def together(tensors):
    """What apart has taken apart."""
    out = {n.removesuffix(".weight") if n.endswith("mlp.experts.down_proj.weight") else n: t for n, t in tensors.items()}
    for n in [n for n in out if n.endswith("mlp.experts.gate_proj.weight")]:
        out[n.replace("gate_proj.weight", "gate_up_proj")] = torch.cat([out.pop(n), out.pop(n.replace("gate_proj", "up_proj"))], 1)
    return out


def in_files(tensors, kind):
    """The names of published files: those of each expert."""
    names = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}
    out = {}
    for n, t in tensors.items():
        if kind == "mixtral":
            n = n.replace(".mlp.", ".block_sparse_moe.")
        if ".experts." not in n:
            out[n] = t
            continue
        module, matrix = n.removesuffix(".weight").rsplit(".", 1)
        for e in range(len(t)):
            out[f"{module}.{e}.{names[matrix] if kind == 'mixtral' else matrix}.weight"] = t[e]
    return out


def delta(config, name, x, back):
    """What the converter does to a part of a delta net, and undone (back): heads of values by their place in their group before their group, and the
    decay's rate in the place of its logarithm."""
    part = name.split("linear_attn.")[-1].removesuffix(".weight")
    groups, each, width = config.linear_num_key_heads, config.linear_num_value_heads // config.linear_num_key_heads, config.linear_value_head_dim
    before = 2 * groups * config.linear_key_head_dim
    if part == "A_log" and not back:
        x = -np.exp(x)
    tile = {"in_proj_qkv": (0, width, before), "conv1d": (0, width, before), "in_proj_z": (0, width, 0), "in_proj_a": (0, 1, 0), "in_proj_b": (0, 1, 0), "A_log": (0, 1, 0),
            "dt_bias": (0, 1, 0), "out_proj": (1, width, 0)}.get(part)
    if tile:
        axis, size, first = tile
        kept, x = np.split(np.moveaxis(x, axis, 0), [first])
        split = (each, groups) if back else (groups, each)
        x = np.concatenate([kept, x.reshape(*split, size, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)])
        x = np.moveaxis(x, 0, axis)
    if part == "A_log" and back:
        x = np.log(-x.astype(np.float64)).astype(np.float32)
    return np.ascontiguousarray(x)


def write_gguf(folder, arch, model, kind_of, more, freqs=None, tokenizer=False):
    """What convert_hf_to_gguf.py writes, quantised as kind_of(name) says; returns the model that gguf's own decoder makes of it."""
    config, kind = model.config, model.config.model_type
    w = gguf.GGUFWriter(folder / "model.gguf", arch)
    heads, kv = config.num_attention_heads, config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    w.add_block_count(config.num_hidden_layers)
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(config.hidden_size)
    if getattr(config, "intermediate_size", None) is not None:
        w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    if kind == "phi":
        w.add_layer_norm_eps(config.layer_norm_eps)
    else:
        w.add_layer_norm_rms_eps(config.rms_norm_eps)
    if not tokenizer:
        w.add_token_list([f"t{i}" for i in range(config.vocab_size)])
    w.add_file_type(15)
    w.add_quantization_version(2)
    more(w)
    names = first_names(kind, config.num_hidden_layers)
    decoded = {}
    for i, (name, t) in enumerate(apart(tensors_of(model)).items()):
        x = t.float().numpy()
        if name.endswith("shared_expert_gate.weight"):
            x = x[0]
        if name.endswith("conv1d.weight"):
            x = x[:, 0]
        if "linear_attn" in name:
            x = delta(config, name, x, False)
        permuted = arch == "llama" and ("q_proj" in name or "k_proj" in name)
        n = heads if "q_proj" in name else kv
        if permuted:
            x = x.reshape(n, 2, x.shape[0] // n // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)
        plus = arch.startswith(("gemma", "qwen35")) and name.endswith("norm.weight") and "linear_attn" not in name
        if plus:
            x = x + np.float32(1)
        q = kind_of(name) if x.ndim > 1 and not name.endswith(("mlp.gate.weight", "conv1d.weight")) else gguf.GGMLQuantizationType.F32
        if q.name in ("Q4_K", "Q5_K", "Q6_K"):
            data = random_blocks(x.shape, q, 0.6 * float(x.std()), i)
        else:
            data = gguf.quantize(x, q)
        w.add_tensor(names[name], data, raw_dtype=q)
        x = gguf.dequantize(data, q).astype(np.float32).reshape(x.shape)
        if permuted:
            x = x.reshape(n, x.shape[0] // n // 2, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)
        if plus:
            x = x - np.float32(1)
        if "linear_attn" in name:
            x = delta(config, name, x, True)
        decoded[name] = torch.tensor(np.ascontiguousarray(x)).reshape(t.shape)
    if freqs is not None:
        w.add_tensor("rope_freqs.weight", freqs)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    after = with_decoded(config, together(decoded))
    if kind not in ("gemma", "mixtral", "phi"):  # which transformers does not read
        more = {"quantization_config": GgufConfig(dequantize=True)} if kind.startswith("qwen3_5") else {}
        theirs = AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32, config=model.config, **more).state_dict()
        for name, t in together(decoded).items():
            same = torch.allclose(theirs[name], t, rtol=1e-6) if name.endswith("A_log") else torch.equal(theirs[name], t)  # torch's logarithm is off by an ulp
            assert same, f"transformers reads {name} otherwise"
    return model, after, in_files(decoded, kind)


Q = gguf.GGMLQuantizationType


@case("gguf-llama-k")
def gguf_llama_k(folder):
    """Types as of Q4_K_M, with the frequencies' factors that Llama 3.1 and its kin have."""
    scaling = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    model = first_model("gguf-llama-k", "llama", hidden_size=256, intermediate_size=256, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, head_dim=64, rope_parameters=scaling)
    plain = 1 / 10000.0 ** (torch.arange(0, 64, 2, dtype=torch.float32) / 64)
    freqs = (plain / model.model.rotary_emb.inv_freq).numpy().astype(np.float32)
    kinds = {"v_proj": Q.Q6_K, "down_proj": Q.Q5_K, "embed_tokens": Q.Q4_K, "lm_head": Q.Q6_K}
    return write_gguf(folder, "llama", model, lambda n: kinds.get(n.split(".")[-2], Q.Q4_K), lambda w: (w.add_rope_dimension_count(64), w.add_rope_freq_base(10000.0), w.add_vocab_size(96)), freqs)


@case("gguf-qwen2")
def gguf_qwen2(folder):
    """With the tokenizer of tokenize/testdata/qwen2 in the file, as the converter writes it."""
    tokenizer = json.loads((TOKENIZER / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"] | {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    size = 672
    tokens, types = [f"[PAD{i}]" for i in range(size)], [int(gguf.TokenType.UNUSED)] * size
    for word, i in words.items():
        tokens[i], types[i] = word, int(gguf.TokenType.NORMAL)
    for t in tokenizer["added_tokens"]:
        types[t["id"]] = int(gguf.TokenType.CONTROL)

    def more(w):
        w.add_rope_freq_base(1000000.0)
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre("qwen2")
        w.add_token_list(tokens)
        w.add_token_types(types)
        w.add_token_merges([" ".join(m) for m in tokenizer["model"]["merges"]])
        w.add_eos_token_id(words["<|im_end|>"])
        w.add_pad_token_id(words["<|endoftext|>"])
        w.add_add_bos_token(False)
        w.add_chat_template((TOKENIZER / "chat_template.jinja").read_text())

    model = first_model("gguf-qwen2", "qwen2", vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})
    return write_gguf(folder, "qwen2", model, lambda n: Q.Q8_0, more, tokenizer=True)


@case("gguf-qwen3")
def gguf_qwen3(folder):
    model = first_model("gguf-qwen3", "qwen3", head_dim=32)
    return write_gguf(folder, "qwen3", model, lambda n: Q.Q4_1 if "up" in n or "lm_head" in n else Q.Q4_0, lambda w: (w.add_key_length(32), w.add_value_length(32), w.add_rope_freq_base(10000.0)))


MIXTURE = dict(hidden_size=32, num_attention_heads=2, num_key_value_heads=1, num_experts_per_tok=2)
HALF = dict(hidden_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=1)


@case("gguf-qwen3moe")
def gguf_qwen3moe(folder):
    """Types that stand in for K types where a width is no multiple of 256."""
    model = first_model("gguf-qwen3moe", "qwen3_moe", **MIXTURE, num_experts=5, moe_intermediate_size=64, norm_topk_prob=True)
    return write_gguf(folder, "qwen3moe", model, lambda n: Q.Q5_1 if "down" in n else Q.Q5_0 if "gate" in n else Q.Q8_0, lambda w: (
        w.add_key_length(16), w.add_value_length(16), w.add_rope_freq_base(10000.0), w.add_expert_count(5), w.add_expert_used_count(2), w.add_expert_feed_forward_length(64)))


@case("gguf-qwen2moe")
def gguf_qwen2moe(folder):
    """With an expert that all tokens pass, whose gate is a vector in the file."""
    model = first_model("gguf-qwen2moe", "qwen2_moe", **MIXTURE, num_hidden_layers=1, num_experts=4, moe_intermediate_size=64, shared_expert_intermediate_size=96, norm_topk_prob=False)
    return write_gguf(folder, "qwen2moe", model, lambda n: Q.Q4_0 if "experts" in n else Q.Q8_0, lambda w: (
        w.add_rope_freq_base(10000.0), w.add_expert_count(4), w.add_expert_used_count(2), w.add_expert_feed_forward_length(64), w.add_expert_shared_feed_forward_length(96)))


@case("gguf-mixtral")
def gguf_mixtral(folder):
    """Whose architecture is llama in the file, and q and k are permuted as llama's."""
    model = first_model("gguf-mixtral", "mixtral", **MIXTURE, num_hidden_layers=1, num_local_experts=4, sliding_window=None)
    return write_gguf(folder, "llama", model, lambda n: Q.Q4_1 if "down" in n else Q.F16 if "up" in n else Q.Q8_0, lambda w: (
        w.add_rope_dimension_count(16), w.add_rope_freq_base(model.config.rope_parameters["rope_theta"]), w.add_expert_count(4), w.add_expert_used_count(2)))


HYBRID = dict(hidden_size=32, intermediate_size=64, num_attention_heads=2, num_key_value_heads=1, head_dim=32, num_hidden_layers=2, full_attention_interval=2,
              layer_types=["linear_attention", "full_attention"], linear_key_head_dim=16, linear_num_key_heads=2, linear_num_value_heads=6, linear_value_head_dim=32,
              rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25, "mrope_section": [2, 1, 1], "mrope_interleaved": True})


def hybrid(w):
    w.add_key_length(32), w.add_value_length(32), w.add_rope_freq_base(10000.0), w.add_rope_dimension_count(8), w.add_rope_dimension_sections([2, 1, 1, 0])
    w.add_full_attention_interval(2), w.add_ssm_conv_kernel(4), w.add_ssm_state_size(16), w.add_ssm_group_count(2), w.add_ssm_time_step_rank(6), w.add_ssm_inner_size(192)


@case("gguf-qwen35")
def gguf_qwen35(folder):
    """Three heads of values for each of two groups of keys: no permutation that is its own inverse."""
    model = first_model("gguf-qwen35", "qwen3_5_text", **HYBRID)
    return write_gguf(folder, "qwen35", model, lambda n: Q.Q4_1 if "out_proj" in n else Q.Q8_0, hybrid)


@case("gguf-qwen35moe")
def gguf_qwen35moe(folder):
    model = first_model("gguf-qwen35moe", "qwen3_5_moe_text", **HYBRID | dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32))
    return write_gguf(folder, "qwen35moe", model, lambda n: Q.Q4_0 if "experts" in n else Q.Q8_0, lambda w: (
        hybrid(w), w.add_expert_count(4), w.add_expert_used_count(2), w.add_expert_feed_forward_length(32), w.add_expert_shared_feed_forward_length(32)))


@case("gguf-gemma")
def gguf_gemma(folder):
    model = first_model("gguf-gemma", "gemma", head_dim=32, tie_word_embeddings=True)
    return write_gguf(folder, "gemma", model, lambda n: Q.Q8_0 if "down" in n else Q.F16, lambda w: (w.add_key_length(32), w.add_value_length(32)))


@case("gguf-gemma2")
def gguf_gemma2(folder):
    model = first_model("gguf-gemma2", "gemma2", head_dim=32, tie_word_embeddings=True, query_pre_attn_scalar=32, sliding_window=8, attn_logit_softcapping=5.0, final_logit_softcapping=3.0)
    return write_gguf(folder, "gemma2", model, lambda n: Q.Q8_0, lambda w: (
        w.add_key_length(32), w.add_value_length(32), w.add_attn_logit_softcapping(5.0), w.add_final_logit_softcapping(3.0), w.add_sliding_window(8)))


@case("gguf-gemma3")
def gguf_gemma3(folder):
    model = first_model("gguf-gemma3", "gemma3_text", hidden_size=32, intermediate_size=64, num_hidden_layers=6, head_dim=32, tie_word_embeddings=True, query_pre_attn_scalar=32, sliding_window=8,
                        rope_parameters={"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})
    return write_gguf(folder, "gemma3", model, lambda n: Q.Q8_0 if "q_proj" in n else Q.BF16, lambda w: (
        w.add_key_length(32), w.add_value_length(32), w.add_sliding_window(8), w.add_rope_freq_base(1000000.0), w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR), w.add_rope_scaling_factor(8.0)))


@case("gguf-phi2")
def gguf_phi2(folder):
    """Whose heads are rotated in part, with biases everywhere."""
    model = first_model("gguf-phi2", "phi", **HALF, num_key_value_heads=2, partial_rotary_factor=0.5, hidden_act="gelu_new")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.PHI2, 1)
    for n in tensors_of(model):
        assert first_names("phi", 1)[n].removesuffix(".weight").removesuffix(".bias") == names.get_name(n.removesuffix(".weight").removesuffix(".bias")), n
    return write_gguf(folder, "phi2", model, lambda n: Q.Q4_0 if "fc" in n else Q.Q8_0, lambda w: w.add_rope_dimension_count(8))


@case("gguf-phi3")
def gguf_phi3(folder):
    model = first_model("gguf-phi3", "phi3", sliding_window=8, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    return write_gguf(folder, "phi3", model, lambda n: Q.Q8_0, lambda w: (w.add_rope_dimension_count(16), w.add_rope_freq_base(10000.0), w.add_sliding_window(8), w.add_rope_scaling_orig_ctx_len(128)))


def golden(name, folder, before, model, tensors=None):
    """tensors are the decoded ones by the names of the files, where the model has others in memory."""
    model = model.float().eval()
    for n, p in model.named_parameters():
        assert p.dtype == torch.float32, n
    like = SimpleNamespace(name=name, lengths=(20, 1, 40, 60))
    texts, _ = make.clear_texts(like, model)
    got = make.score(model, texts)
    bites = make.distance(got, make.score(before.float().eval(), texts))
    exact = make.distance(got, make.score(model.double(), texts))
    model = model.float()
    if bites < 1e-3 or exact > 5e-6:
        raise SystemExit(f"{name}: before it was quantised {bites}, in float64 {exact}")
    skip = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    decoded = {n: hashlib.sha256(t.detach().float().contiguous().numpy().tobytes()).hexdigest() for n, t in (tensors or model.state_dict()).items() if n not in skip}
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
