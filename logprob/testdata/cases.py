"""The cases of make.py: what each tiny checkpoint is for, its config, and which perturbations of the config must show.

Values differ from the defaults of transformers' config classes wherever a default could hide a key that is not read.
"""

import copy
import math
import re
from unittest import mock
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

FULL, SLIDE, LINEAR = "full_attention", "sliding_attention", "linear_attention"


@dataclass
class Case:
    name: str
    purpose: str
    config: dict  # arguments of the config class, v5 names
    bites: dict[str, Callable] = field(default_factory=dict)  # label -> perturbation of the config
    lengths: tuple = (7, 1, 40, 70)
    dtype: torch.dtype = torch.float32  # of the stored weights
    shards: int = 1
    rename: Callable | None = None  # tensor names in the file: name -> name
    extra: Callable | None = None  # tensors added to the file: tensors -> tensors
    scaling_key: str = "rope_type"  # how the v4 file names the kind of rope scaling
    v4: dict = field(default_factory=dict)  # further keys of the v4 file
    minimal: bool = False
    attention: str = "eager"  # or "sdpa", where transformers' eager code is another
    alias: str = ""  # model_type of the files, whose models transformers has under another
    floor: dict[str, float] = field(default_factory=dict)  # label -> least effect, where 1e-3 is too much to ask
    xielu_eps: float = -1e-6  # xIELU jumps at 0 by about as much, which central differences of gradients do not bear

    @property
    def family(self):
        return self.config["model_type"]


# Perturbations.


def put(**kw):
    """Sets attributes of the (text) config."""

    def f(c):
        c = c.get_text_config()
        for k, v in kw.items():
            setattr(c, k, v)

    return f


def rope(layer_type=None, **kw):
    """Sets keys of rope_parameters, of one layer type where they are nested."""

    def f(c):
        c = c.get_text_config()
        c.rope_parameters = copy.deepcopy(c.rope_parameters)
        (c.rope_parameters[layer_type] if layer_type else c.rope_parameters).update(kw)

    return f


def unscaled(layer_type=None):
    """Takes the rope scaling away and keeps the rest."""

    def f(c):
        c = c.get_text_config()
        c.rope_parameters = copy.deepcopy(c.rope_parameters)
        d = c.rope_parameters[layer_type] if layer_type else c.rope_parameters
        for k in list(d):
            if k not in ("rope_theta", "partial_rotary_factor"):
                del d[k]
        d["rope_type"] = "default"

    return f


def keys_of(layer, last):
    """Lets layers attend to the keys and values of a layer in place of those of the last of its type that has some."""

    def f(c):
        c = c.get_text_config()
        modes = c.kv_sharing_modes
        modes[layer], modes[last] = "store", None
        return mock.patch.object(type(c), "kv_sharing_modes", property(lambda self: modes))

    return f


# Buffers that older checkpoints hold and that a loader must know by name and ignore.


def gpt2_buffers(t):
    n = next(v.shape[0] for k, v in t.items() if k.endswith("wpe.weight"))
    for k in list(t):
        if k.endswith("ln_1.weight"):
            t[k.replace("ln_1.weight", "attn.bias")] = torch.tril(torch.ones(n, n)).view(1, 1, n, n)
    t["h.0.attn.masked_bias"] = torch.tensor(-10000.0)
    return t


def neox_buffers(t):
    for k in list(t):
        if k.endswith("input_layernorm.weight"):
            p = k.removesuffix("input_layernorm.weight") + "attention."
            t[p + "bias"] = torch.tril(torch.ones(80, 80, dtype=torch.bool)).view(1, 1, 80, 80)
            t[p + "masked_bias"] = torch.tensor(-1e9)
            t[p + "rotary_emb.inv_freq"] = torch.tensor([1.0])
    return t


def neo_buffers(t):
    n = next(v.shape[0] for k, v in t.items() if k.endswith("wpe.weight"))
    for k in list(t):
        if k.endswith("ln_1.weight"):
            t[k.replace("ln_1.weight", "attn.attention.bias")] = torch.tril(torch.ones(n, n, dtype=torch.bool)).view(1, 1, n, n)
            t[k.replace("ln_1.weight", "attn.attention.masked_bias")] = torch.tensor(-1e9)
    return t


def llama_buffers(t):
    for k in list(t):
        if k.endswith("q_proj.weight"):
            t[k.replace("q_proj.weight", "rotary_emb.inv_freq")] = 10000.0 ** (-torch.arange(0, 8, 2) / 8)
    return t


def unused_keys(t):
    """What published Gemma 4 E models hold of keys and values in the layers that attend to those of others."""
    for k in list(t):
        if k.endswith("q_proj.weight") and (p := k.removesuffix("q_proj.weight")) + "k_proj.weight" not in t:
            t |= {p + n + ".weight": torch.ones(2) for n in ("k_proj", "v_proj", "k_norm")}
    return t


def head_copy(t):
    t["lm_head.weight"] = t["model.embed_tokens.weight"].clone()
    return t


def fused(t):
    """The tensors of experts as transformers 5 has them in memory, all of a layer in one, which trainers save that do not rename."""
    kinds = {"gate_proj": 0, "up_proj": 1, "down_proj": 2, "w1": 0, "w3": 1, "w2": 2}
    layers = {}
    for k in list(t):
        if m := re.match(r"(.*\.)(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)\.weight$", k):
            layers.setdefault(m[1], {})[kinds[m[3]], int(m[2])] = t.pop(k)
        elif k.endswith("block_sparse_moe.gate.weight"):
            t[k.replace("block_sparse_moe", "mlp")] = t.pop(k)
    for prefix, all in layers.items():
        n = len(all) // 3
        t[prefix + "mlp.experts.gate_up_proj"] = torch.stack([torch.cat([all[0, e], all[1, e]]) for e in range(n)])
        t[prefix + "mlp.experts.down_proj"] = torch.stack([all[2, e] for e in range(n)])
    return t


def inner_granite(name):
    """The names that granitemoe has in memory in transformers 5."""
    for hub, inner in {"input_linear.weight": "experts.gate_up_proj", "output_linear.weight": "experts.down_proj", "router.layer": "router"}.items():
        name = name.replace("block_sparse_moe." + hub, "block_sparse_moe." + inner)
    return name


def hub_gemma3(name):
    """The names of the published Gemma 3: 5.23 writes the vision tower without `vision_model.`."""
    return name.replace("vision_tower.", "vision_tower.vision_model.")


def inner_gemma3(name):
    """The names that the model has in memory since 4.52, as trainers save them that do not rename."""
    return "model." + name.replace("language_model.model.", "language_model.")


def hub_mistral3(name):
    """The names of the published Mistral Small 3.1, whichever 5.23 writes."""
    name = name.removeprefix("model.")
    if name == "lm_head.weight":
        return "language_model.lm_head.weight"
    if name.startswith("language_model.") and not name.startswith(("language_model.model.", "language_model.lm_head.")):
        return "language_model.model." + name.removeprefix("language_model.")
    return name


# The base configs.


def llama(**kw):
    d = dict(model_type="llama", vocab_size=101, hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=2e-3, tie_word_embeddings=False,
             rope_parameters={"rope_type": "default", "rope_theta": 5000.0}, initializer_range=0.02, eos_token_id=2)
    return d | kw


def gemma2(**kw):
    d = dict(model_type="gemma2", vocab_size=103, hidden_size=32, intermediate_size=28, num_hidden_layers=4, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=5, attn_logit_softcapping=2.5, final_logit_softcapping=3.0,
             sliding_window=9, max_position_embeddings=128, rms_norm_eps=3e-3,
             rope_parameters={"rope_type": "default", "rope_theta": 3000.0})
    return d | kw


def gemma3(**kw):
    d = dict(model_type="gemma3_text", vocab_size=107, hidden_size=32, intermediate_size=28, num_hidden_layers=4, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=3, sliding_window=9, max_position_embeddings=128,
             rms_norm_eps=3e-3, layer_types=[SLIDE, SLIDE, FULL, SLIDE],
             rope_parameters={FULL: {"rope_type": "default", "rope_theta": 40000.0}, SLIDE: {"rope_type": "default", "rope_theta": 300.0}})
    return d | kw


def gemma3_mm():
    return dict(model_type="gemma3", mm_tokens_per_image=4, image_token_index=100, boi_token_index=98, eoi_token_index=99,
                text_config=gemma3(hidden_size=24, num_attention_heads=3, num_key_value_heads=1,
                                   rope_parameters={FULL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 40000.0},
                                                    SLIDE: {"rope_type": "default", "rope_theta": 300.0}}),
                vision_config=dict(model_type="siglip_vision_model", hidden_size=8, image_size=4, patch_size=2, intermediate_size=8,
                                   num_attention_heads=1, num_hidden_layers=1, vision_use_head=False))


def gemma4(**kw):
    """Layers without a window have one key head in place of two, twice as wide, and its values are its keys."""
    d = dict(model_type="gemma4_text", vocab_size=106, hidden_size=32, intermediate_size=28, num_hidden_layers=4, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, global_head_dim=16, num_global_key_value_heads=1, attention_k_eq_v=True, sliding_window=9,
             max_position_embeddings=128, rms_norm_eps=3e-3, layer_types=[SLIDE, FULL, SLIDE, FULL], hidden_size_per_layer_input=0,
             vocab_size_per_layer_input=106, final_logit_softcapping=3.0, pad_token_id=3,
             rope_parameters={FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.5, "rope_theta": 40000.0},
                              SLIDE: {"rope_type": "default", "rope_theta": 300.0}})
    return d | kw


def gemma4_unified(**kw):
    d = gemma4(model_type="gemma4_unified_text", vocab_size=105) | kw
    return {k: v for k, v in d.items() if not k.endswith("per_layer_input")}


def gemma4_mm(text, vision, image, video, audio):
    return dict(model_type=text["model_type"].removesuffix("_text"), text_config=text, vision_config=vision, audio_config=None,
                image_token_id=image, video_token_id=video, audio_token_id=audio, boi_token_id=93, eoi_token_id=94)


def gemma3n(**kw):
    """Fewer rows of the embeddings of each layer than of the vocabulary, and the second of three streams is computed."""
    d = dict(model_type="gemma3n_text", vocab_size=106, hidden_size=32, intermediate_size=28, num_hidden_layers=5, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, sliding_window=9, max_position_embeddings=128, rms_norm_eps=1e-2,
             layer_types=[SLIDE, FULL, SLIDE, SLIDE, FULL], num_kv_shared_layers=2, hidden_size_per_layer_input=8, vocab_size_per_layer_input=98,
             final_logit_softcapping=3.0, pad_token_id=3, laurel_rank=4, altup_num_inputs=3, altup_active_idx=1,
             activation_sparsity_pattern=[0.6, 0.0, 0.3, 0.0, 0.8],
             rope_parameters={FULL: {"rope_type": "default", "rope_theta": 40000.0}, SLIDE: {"rope_type": "default", "rope_theta": 300.0}})
    return d | kw


def qwen2(**kw):
    d = llama(model_type="qwen2", vocab_size=109, use_sliding_window=False, max_window_layers=2,
              rope_parameters={"rope_type": "default", "rope_theta": 20000.0})
    return d | kw


def qwen3(**kw):
    d = llama(model_type="qwen3", vocab_size=109, head_dim=16, use_sliding_window=False, max_window_layers=2,
              rope_parameters={"rope_type": "default", "rope_theta": 20000.0}, intermediate_size=36)
    return d | kw


def mistral(**kw):
    return llama(model_type="mistral", vocab_size=97, sliding_window=None) | kw


def ministral(**kw):
    return mistral(model_type="ministral", head_dim=12, sliding_window=9) | kw


def ministral3(**kw):
    return mistral(model_type="ministral3", head_dim=12, max_position_embeddings=384,
                   rope_parameters=YARN | {"original_max_position_embeddings": 96, "beta_fast": 8.0, "beta_slow": 0.5, "mscale": 1.0, "mscale_all_dim": 1.0,
                                           "max_position_embeddings": 384, "llama_4_scaling_beta": 0.1}) | kw


def mistral3(text):
    return dict(model_type="mistral3", text_config=text, image_token_index=10, spatial_merge_size=1,
                tie_word_embeddings=text["tie_word_embeddings"],
                vision_config=dict(model_type="pixtral", hidden_size=8, image_size=4, patch_size=2, intermediate_size=8,
                                   num_attention_heads=1, num_hidden_layers=1, head_dim=8))


def phi3(**kw):
    return llama(model_type="phi3", vocab_size=99, num_key_value_heads=2, original_max_position_embeddings=128, pad_token_id=0,
                 rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 1.0}) | kw


def gpt2(**kw):
    d = dict(model_type="gpt2", vocab_size=113, n_embd=32, n_layer=2, n_head=4, n_positions=80, layer_norm_epsilon=2e-3,
             bos_token_id=0, eos_token_id=0, n_inner=80)
    return d | kw


def neox(**kw):
    d = dict(model_type="gpt_neox", vocab_size=96, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=128, layer_norm_eps=2e-3, use_parallel_residual=True, hidden_act="gelu",
             rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.25})
    return d | kw


def olmo2(**kw):
    return llama(model_type="olmo2", vocab_size=100, num_key_value_heads=4, pad_token_id=1) | kw


def gemma(**kw):
    return llama(model_type="gemma", vocab_size=103, head_dim=12, num_key_value_heads=1, hidden_act="gelu_pytorch_tanh", tie_word_embeddings=True) | kw


def olmo(**kw):
    d = llama(model_type="olmo", vocab_size=98, pad_token_id=1)
    del d["rms_norm_eps"]
    return d | kw


def olmo3(**kw):
    d = llama(model_type="olmo3", vocab_size=98, pad_token_id=1, num_hidden_layers=4, intermediate_size=28, sliding_window=9,
              layer_types=[SLIDE, SLIDE, SLIDE, FULL],
              rope_parameters={FULL: YARN | {"rope_theta": 500000.0}, SLIDE: {"rope_type": "default", "rope_theta": 500000.0}})
    return d | kw


def smollm3(**kw):
    return llama(model_type="smollm3", vocab_size=95, num_hidden_layers=4, intermediate_size=28, num_attention_heads=8, pad_token_id=1,
                 bos_token_id=0, no_rope_layers=[1, 1, 1, 0], no_rope_layer_interval=4, use_sliding_window=False,
                 tie_word_embeddings=True) | kw


def granite(**kw):
    return llama(model_type="granite", vocab_size=94, embedding_multiplier=3.0, attention_multiplier=0.21, residual_multiplier=0.4,
                 logits_scaling=1.7) | kw


def seed_oss(**kw):
    return llama(model_type="seed_oss", vocab_size=93, head_dim=12, attention_bias=True, attention_out_bias=False) | kw


def arcee(**kw):
    return llama(model_type="arcee", vocab_size=92, hidden_act="relu2") | kw


def olmoe(**kw):
    return llama(model_type="olmoe", vocab_size=91, intermediate_size=12, num_experts=8, num_experts_per_tok=3, norm_topk_prob=False,
                 clip_qkv=None, pad_token_id=1) | kw


def qwen3_moe(**kw):
    return llama(model_type="qwen3_moe", vocab_size=89, head_dim=12, intermediate_size=20, moe_intermediate_size=10, num_experts=8,
                 num_experts_per_tok=3, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[], use_sliding_window=False) | kw


def qwen2_moe(**kw):
    return llama(model_type="qwen2_moe", vocab_size=88, intermediate_size=20, moe_intermediate_size=10, shared_expert_intermediate_size=14,
                 num_experts=6, num_experts_per_tok=2, norm_topk_prob=False, decoder_sparse_step=1, mlp_only_layers=[],
                 use_sliding_window=False) | kw


def qwen3_5_text(**kw):
    return llama(model_type="qwen3_5_text", vocab_size=90, head_dim=16, rms_norm_eps=3e-2, intermediate_size=28, num_hidden_layers=3,
                 rope_parameters={"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.25, "mrope_interleaved": True,
                                  "mrope_section": [1, 1, 0]},
                 layer_types=[LINEAR, LINEAR, FULL], linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
                 linear_value_head_dim=12, linear_conv_kernel_dim=4) | kw


def qwen3_5(text):
    return dict(model_type="qwen3_5", text_config=text, image_token_id=80, video_token_id=81, vision_start_token_id=82, vision_end_token_id=83,
                tie_word_embeddings=text["tie_word_embeddings"],
                vision_config=dict(model_type=text["model_type"].replace("text", "vision"), depth=1, hidden_size=8, num_heads=1, intermediate_size=8, patch_size=2,
                                   temporal_patch_size=1, spatial_merge_size=1, out_hidden_size=text["hidden_size"], num_position_embeddings=4))


def qwen3_next(**kw):
    return qwen3_5_text(model_type="qwen3_next", intermediate_size=20, moe_intermediate_size=10, shared_expert_intermediate_size=14, num_experts=8,
                        num_experts_per_tok=3, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
                        rope_parameters={"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.25}) | kw


def qwen3_5_moe_text(**kw):
    d = qwen3_5_text(model_type="qwen3_5_moe_text", moe_intermediate_size=10, shared_expert_intermediate_size=14, num_experts=8,
                     num_experts_per_tok=3) | kw
    del d["intermediate_size"]
    return d


def mtp(t):
    """A layer that predicts one more token, beside the model, as Qwen 3.5 is published with."""
    like = next(v for k, v in t.items() if k.endswith("self_attn.o_proj.weight"))
    return t | {"mtp.fc.weight": torch.ones(2, 2, dtype=like.dtype), "mtp.layers.0.self_attn.o_proj.weight": like.clone()}


def mixtral(**kw):
    return llama(model_type="mixtral", vocab_size=87, intermediate_size=14, num_local_experts=6, num_experts_per_tok=2, sliding_window=None) | kw


def granitemoe(**kw):
    return granite(model_type="granitemoe", vocab_size=86, intermediate_size=12, num_local_experts=8, num_experts_per_tok=3) | kw


MAMBA = dict(mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8, mamba_n_groups=2)


def granitemoehybrid(**kw):
    return granite(model_type="granitemoehybrid", vocab_size=77, intermediate_size=10, shared_intermediate_size=14, num_local_experts=6,
                   num_experts_per_tok=2, num_hidden_layers=3, layer_types=[LINEAR, FULL, LINEAR], position_embedding_type=None,
                   attention_multiplier=0.3, **MAMBA) | kw


def falcon_h1(**kw):
    return llama(model_type="falcon_h1", vocab_size=76, intermediate_size=28, num_hidden_layers=2, mamba_d_ssm=48, mamba_n_heads=4,
                 mamba_d_head=12, mamba_d_state=8, mamba_n_groups=2, pad_token_id=0, lm_head_multiplier=0.6, embedding_multiplier=2.5,
                 mlp_multipliers=[1.3, 0.7], key_multiplier=0.7, attention_out_multiplier=0.8, attention_in_multiplier=1.1,
                 ssm_multipliers=[1.2, 0.9, 1.1, 0.8, 1.3], ssm_in_multiplier=1.2, ssm_out_multiplier=0.7) | kw


def bamba(**kw):
    return llama(model_type="bamba", vocab_size=75, intermediate_size=28, num_hidden_layers=3, attn_layer_indices=[1],
                 pad_token_id=0, **MAMBA) | kw


def gpt_oss(**kw):
    return llama(model_type="gpt_oss", vocab_size=85, head_dim=16, intermediate_size=12, num_local_experts=8, num_experts_per_tok=3,
                 sliding_window=9, layer_types=[SLIDE, FULL], swiglu_limit=0.8) | kw


def phimoe(**kw):
    return llama(model_type="phimoe", vocab_size=83, intermediate_size=12, num_local_experts=6, router_jitter_noise=0.2) | kw


def fused_phimoe(t):
    """The names that phimoe has in memory in transformers 5."""
    return {k.replace("mlp.gate.", "mlp.router."): v for k, v in fused(t).items()}


def llama4_text(**kw):
    return llama(model_type="llama4_text", vocab_size=82, head_dim=12, intermediate_size=10, intermediate_size_mlp=20, num_local_experts=6,
                 num_experts_per_tok=1) | kw


def llama4(text):
    return dict(model_type="llama4", text_config=text, image_token_index=70, boi_token_index=71, eoi_token_index=72, tie_word_embeddings=False,
                vision_config=dict(model_type="llama4_vision_model", hidden_size=8, image_size=4, patch_size=2, intermediate_size=8,
                                   num_attention_heads=1, num_hidden_layers=1, vision_output_dim=8, projector_input_dim=8, projector_output_dim=8,
                                   pixel_shuffle_ratio=0.5))


def deepseek(**kw):
    return llama(model_type="deepseek_v2", vocab_size=84, num_key_value_heads=4, intermediate_size=20, q_lora_rank=14, kv_lora_rank=12, qk_nope_head_dim=8,
                 qk_rope_head_dim=8, v_head_dim=10, n_routed_experts=8, n_shared_experts=2, moe_intermediate_size=8, num_experts_per_tok=3,
                 first_k_dense_replace=1) | kw


def layer_norm(key="layer_norm_eps", **kw):
    """A llama with the key that families with LayerNorm have for its eps."""
    d = llama(**kw)
    d[key] = d.pop("rms_norm_eps")
    return d


def phi(**kw):
    return layer_norm(model_type="phi", vocab_size=91, num_key_value_heads=4,
                      rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.75}) | kw


def apertus(**kw):
    return llama(model_type="apertus", vocab_size=90, num_attention_heads=2, num_key_value_heads=1, intermediate_size=36, pad_token_id=3,
                 rope_parameters=LLAMA3) | kw


def opt(**kw):
    return dict(model_type="opt", vocab_size=89, hidden_size=32, ffn_dim=44, num_hidden_layers=2, num_attention_heads=4,
                max_position_embeddings=80, pad_token_id=1) | kw


def starcoder2(**kw):
    return layer_norm("norm_epsilon", model_type="starcoder2", vocab_size=88, sliding_window=9, tie_word_embeddings=True) | kw


def stablelm(**kw):
    return layer_norm(model_type="stablelm", vocab_size=87, num_key_value_heads=4, use_qkv_bias=True,
                      rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.25}) | kw


def nemotron(**kw):
    return layer_norm("norm_eps", model_type="nemotron", vocab_size=86, head_dim=12, hidden_act="relu2",
                      rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.5}) | kw


def nemotron_h(pattern, **kw):
    kinds = {"M": LINEAR, "*": FULL, "-": "mlp", "E": "moe"}
    return dict(model_type="nemotron_h", vocab_size=74, hidden_size=32, layers_block_type=[kinds[k] for k in pattern], intermediate_size=20,
                num_attention_heads=4, num_key_value_heads=2, head_dim=12, max_position_embeddings=128, layer_norm_epsilon=2e-3,
                mamba_num_heads=4, mamba_head_dim=12, ssm_state_size=8, n_groups=2, n_routed_experts=8, num_experts_per_tok=3,
                moe_intermediate_size=10, moe_shared_expert_intermediate_size=14) | kw


def gpt_neo(**kw):
    return dict(model_type="gpt_neo", vocab_size=85, hidden_size=32, num_layers=2, num_heads=4, max_position_embeddings=80, window_size=9,
                attention_types=[[["global", "local"], 1]], layer_norm_epsilon=2e-3, intermediate_size=44, bos_token_id=0, eos_token_id=0) | kw


# Without rotary positions a bias of k adds the same to the scores of all keys.
SAME_FOR_ALL_KEYS = {"tensor model.decoder.layers.N.self_attn.k_proj.bias": 0.0}


def glm4(**kw):
    return llama(model_type="glm4", vocab_size=91, head_dim=8, pad_token_id=0, intermediate_size=28,
                 rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.5}) | kw


def glm4_moe(**kw):
    return llama(model_type="glm4_moe", vocab_size=81, head_dim=16, intermediate_size=20, n_routed_experts=8, n_shared_experts=2, moe_intermediate_size=8,
                 num_experts_per_tok=3, first_k_dense_replace=1, rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.5}) | kw


def later_layer(t):
    """A layer that predicts one more token, behind the others."""
    n = 1 + max(int(k.split(".")[2]) for k in t if k.startswith("model.layers."))
    return t | {f"model.layers.{n}.eh_proj.weight": torch.ones(2, 2), f"model.layers.{n}.input_layernorm.weight": torch.ones(2)}


def ernie4_5_moe(**kw):
    return llama(model_type="ernie4_5_moe", vocab_size=80, intermediate_size=20, moe_num_experts=8, moe_k=3, moe_intermediate_size=8,
                 moe_num_shared_experts=2, moe_layer_start_index=0, moe_layer_end_index=-1, moe_layer_interval=1, use_bias=False, pad_token_id=0) | kw


def hunyuan_moe(**kw):
    return llama(model_type="hunyuan_v1_moe", vocab_size=79, head_dim=8, pad_token_id=0, intermediate_size=10, num_experts=6, moe_topk=2) | kw


def exaone4(**kw):
    return llama(model_type="exaone4", vocab_size=90, head_dim=8, pad_token_id=0, intermediate_size=28, num_hidden_layers=4,
                 sliding_window=9, sliding_window_pattern=4, layer_types=[SLIDE, SLIDE, SLIDE, FULL]) | kw


def hunyuan(**kw):
    return llama(model_type="hunyuan_v1_dense", vocab_size=89, head_dim=8, pad_token_id=0) | kw


def ernie4_5(**kw):
    return llama(model_type="ernie4_5", vocab_size=88, head_dim=12, use_bias=False) | kw


def helium(**kw):
    return llama(model_type="helium", vocab_size=87, head_dim=8, pad_token_id=0) | kw


def cohere(**kw):
    d = llama(model_type="cohere", vocab_size=86, layer_norm_eps=2e-3, logit_scale=0.7, tie_word_embeddings=True, intermediate_size=28, pad_token_id=0) | kw
    del d["rms_norm_eps"]
    return d


def gptj(**kw):
    return dict(model_type="gptj", vocab_size=84, n_embd=32, n_layer=2, n_head=2, n_positions=128, rotary_dim=12, n_inner=44,
                layer_norm_epsilon=2e-3, bos_token_id=0, eos_token_id=0) | kw


def bloom(**kw):
    return dict(model_type="bloom", vocab_size=77, hidden_size=36, n_layer=2, n_head=6, layer_norm_epsilon=2e-3, pad_token_id=3) | kw


def mpt(attention={}, **kw):
    return dict(model_type="mpt", vocab_size=76, d_model=32, n_layers=2, n_heads=4, max_seq_len=80, layer_norm_epsilon=2e-3,
                attn_config=dict(attn_type="multihead_attention") | attention) | kw


def attn_config(**kw):
    """Sets attributes of MPT's attn_config."""

    def f(c):
        for k, v in kw.items():
            setattr(c.attn_config, k, v)

    return f


def falcon(**kw):
    return dict(model_type="falcon", vocab_size=75, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=128,
                layer_norm_epsilon=2e-3, ffn_hidden_size=44, rope_parameters={"rope_type": "default", "rope_theta": 5000.0}) | kw


EPSILON = {"layer_norm_epsilon": put(layer_norm_epsilon=1e-6)}
EPS = {"rms_norm_eps": put(rms_norm_eps=1e-6)}
PLACES = {f"{k} placeholder": lambda c, k=k: setattr(c, k + "_token_id", 1) for k in ("image", "video", "audio")}
LAYER_EPS = {"layer_norm_eps": put(layer_norm_eps=1e-6)}
THETA = {"rope_theta": rope(rope_theta=10000.0)}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
LONGROPE = {"rope_type": "longrope", "rope_theta": 5000.0, "partial_rotary_factor": 1.0,
            "short_factor": [1.0, 1.05, 1.2, 1.4], "long_factor": [1.1, 1.9, 4.0, 7.5]}
FACTORS = {"embedding": put(embedding_multiplier=1.0), "attention": put(attention_multiplier=0.5), "residual": put(residual_multiplier=1.0),
           "logits": put(logits_scaling=1.0)}
MULTIPLIERS = {k: put(**{k: 1.0}) for k in ("lm_head_multiplier", "embedding_multiplier", "key_multiplier", "attention_out_multiplier",
                                            "attention_in_multiplier", "ssm_in_multiplier", "ssm_out_multiplier")} | {
    f"{k} {i}": (lambda c, k=k, i=i: setattr(c, k, [1.0 if j == i else x for j, x in enumerate(getattr(c, k))]))
    for k, n in (("mlp_multipliers", 2), ("ssm_multipliers", 5)) for i in range(n)}
CHOICE = {"one expert less": lambda c: setattr(c, "num_experts_per_tok", c.num_experts_per_tok - 1)}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
# Turns within 32 tokens of the pairs at head_dim 16: 5.1, 1.6, 0.51 ...: betas of 4 and 0.3 make a ramp from the first pair to the third.
# Wavelengths of LLAMA3 at head_dim 16: 6.3 (kept), 20 (between), 63 and longer (divided).

CASES = [
    # llama: 2, 3, 3.1, 3.2, 3.3, SmolLM2.
    Case("llama-mha", "one key head a query head, separate output head; the minimal config leaves num_key_value_heads, the rope "
         "and the activation to the defaults", llama(num_key_value_heads=4, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
         EPS | {"rope_theta": rope(rope_theta=5000.0)}, minimal=True),
    Case("llama-gqa-tied", "two query heads a key head, head tied to the embedding; keys of SmolLM2's config",
         llama(tie_word_embeddings=True), EPS | THETA,
         v4={"is_llama_config": True, "rope_interleaved": False, "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}}}),
    Case("llama-tied-copy", "tied, and the file holds lm_head.weight all the same (equal to the embedding)",
         llama(tie_word_embeddings=True, num_attention_heads=2), EPS | THETA, extra=head_copy, dtype=torch.bfloat16),
    Case("llama-mqa", "one key head for all query heads", llama(num_key_value_heads=1), EPS | THETA, dtype=torch.bfloat16),
    Case("llama-headdim", "head_dim is not hidden_size / num_attention_heads (Llama 3.2 says it, Mistral Nemo needs it)",
         llama(head_dim=12, num_attention_heads=4, intermediate_size=40), EPS | THETA, dtype=torch.bfloat16),
    Case("llama-bias", "attention_bias (q, k, v and o) and mlp_bias; another activation",
         llama(attention_bias=True, mlp_bias=True, hidden_act="gelu"), EPS | THETA | {"hidden_act": put(hidden_act="silu")}, dtype=torch.bfloat16),
    Case("llama-llama3", "Llama 3.1's rope scaling, texts longer than its original context",
         llama(head_dim=16, num_key_value_heads=1, intermediate_size=36, rope_parameters=LLAMA3),
         EPS | {"scaling": unscaled(), "factor": rope(factor=4.0), "low_freq_factor": rope(low_freq_factor=2.0),
                "high_freq_factor": rope(high_freq_factor=2.0), "original": rope(original_max_position_embeddings=64)}, dtype=torch.bfloat16),
    Case("llama-linear", "linear rope scaling by a factor that is not whole; the v4 file says \"type\"",
         llama(rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 5000.0}),
         EPS | {"scaling": unscaled(), "factor": rope(factor=2.0)}, scaling_key="type", dtype=torch.bfloat16),
    Case("llama-yarn", "yarn with betas and without truncation, the scale of cos and sin from mscale and mscale_all_dim; texts longer than the "
         "original context; the v4 file says \"type\"",
         llama(head_dim=16, num_key_value_heads=1, intermediate_size=36,
               rope_parameters=YARN | {"beta_fast": 4.0, "beta_slow": 0.3, "truncate": False, "mscale": 2.0, "mscale_all_dim": 0.7}),
         EPS | {"scaling": unscaled(), "factor": rope(factor=8.0), "beta_fast": rope(beta_fast=32.0), "beta_slow": rope(beta_slow=1.0),
                "truncate": rope(truncate=True), "mscale": rope(mscale=1.0), "mscale_all_dim": rope(mscale_all_dim=1.0),
                "one mscale": rope(mscale_all_dim=0.0), "original": rope(original_max_position_embeddings=64)},
         scaling_key="type", dtype=torch.bfloat16),
    Case("llama-dynamic", "dynamic rope scaling, which within max_position_embeddings is none; its last text fills them; the v4 file says \"type\"",
         llama(rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 5000.0}),
         EPS | THETA | {"linear instead": rope(rope_type="linear")}, lengths=(7, 1, 40, 128), scaling_key="type", dtype=torch.bfloat16),
    Case("llama-sharded", "three files and an index, with the inv_freq buffers of Llama 2's time",
         llama(num_hidden_layers=3, intermediate_size=36), EPS | THETA, shards=3, extra=llama_buffers),
    Case("llama-bf16", "bfloat16 weights", llama(hidden_size=48, intermediate_size=64), EPS | THETA, dtype=torch.bfloat16),
    Case("llama-f16", "float16 weights", llama(hidden_size=48, intermediate_size=64), EPS | THETA, dtype=torch.float16),

    # gemma2.
    Case("gemma2-base", "soft-caps on scores and logits, query scale, window on layers 0 and 2, GQA, embedding scale, (1 + w) norms; the v4 "
         "file holds hidden_act beside hidden_activation", gemma2(),
         EPS | THETA | {"attn cap": put(attn_logit_softcapping=None), "final cap": put(final_logit_softcapping=None),
                        "query scale": put(query_pre_attn_scalar=8), "window": put(sliding_window=1000), "window-1": put(sliding_window=8),
                        "pattern": put(layer_types=[FULL, SLIDE, FULL, SLIDE]), "activation": put(hidden_activation="gelu")},
         floor={"activation": 2e-4}),
    Case("gemma2-layertypes", "layer_types of another pattern, attention_bias, no cap on the scores, linear rope, head_dim 12",
         gemma2(layer_types=[FULL, SLIDE, SLIDE, FULL], attention_bias=True, attn_logit_softcapping=None, head_dim=12,
                num_key_value_heads=1, intermediate_size=32, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 3000.0}),
         EPS | {"scaling": unscaled(), "pattern": put(layer_types=[SLIDE, FULL, SLIDE, FULL]), "window": put(sliding_window=1000),
                "attn cap": put(attn_logit_softcapping=50.0), "query scale": put(query_pre_attn_scalar=12)}, dtype=torch.bfloat16),
    Case("gemma2-bf16", "bfloat16 weights; sqrt(hidden_size) is not a bfloat16", gemma2(hidden_size=48, intermediate_size=48),
         EPS | {"window": put(sliding_window=1000)}, dtype=torch.bfloat16),

    Case("gemma2-yarn", "yarn beside soft-caps and windows", gemma2(num_hidden_layers=2, rope_parameters=YARN | {"rope_theta": 300.0}),
         EPS | {"scaling": unscaled(), "factor": rope(factor=8.0)}, dtype=torch.bfloat16),

    # gemma3n_text and gemma3n.
    Case("gemma3n_text-streams", "three streams, of which the second is computed; a residual of low rank; gates that count above a share of a layer's own; "
         "embeddings of each layer, those of the first token for tokens that have none; layers that attend to the keys and values of others, of both types; "
         "MLPs of several widths",
         gemma3n(intermediate_size=[28, 20, 28, 12, 16]),
         EPS | {"window": put(sliding_window=1000), "window-1": put(sliding_window=8), "stream": put(altup_active_idx=0), "factor": put(altup_correct_scale=False),
                "gates": put(activation_sparsity_pattern=[0.0] * 5), "share of gates": put(activation_sparsity_pattern=[0.6, 0.0, 0.35, 0.0, 0.8]),
                "theta": rope(FULL, rope_theta=1e6), "local theta": rope(SLIDE, rope_theta=10000.0), "final cap": put(final_logit_softcapping=1000.0),
                "activation": put(hidden_activation="gelu"), "keys of another layer": keys_of(0, 2)}, dtype=torch.bfloat16, extra=unused_keys,
         floor={"activation": 2e-4}),
    Case("gemma3n_text-default", "eleven layers with as much as can be left to the defaults in the minimal config: of four streams the first, few gates in ten "
         "layers, thetas 1e6 and 1e4, the pattern of five",
         gemma3n(num_hidden_layers=11, hidden_size=24, intermediate_size=40, layer_types=([SLIDE] * 4 + [FULL]) * 2 + [SLIDE], num_kv_shared_layers=4,
                 altup_num_inputs=4, altup_active_idx=0, activation_sparsity_pattern=None, vocab_size_per_layer_input=110, num_attention_heads=3,
                 num_key_value_heads=1, final_logit_softcapping=30.0, rms_norm_eps=1e-1,
                 rope_parameters={FULL: {"rope_type": "default", "rope_theta": 1e6}, SLIDE: {"rope_type": "default", "rope_theta": 1e4}}),
         EPS | {"gates": put(activation_sparsity_pattern=[0.0] * 11), "gates of ten": put(activation_sparsity_pattern=[0.95] * 11),
                "window": put(sliding_window=1000)}, dtype=torch.bfloat16, minimal=True, v4={"intermediate_size": 40}),
    Case("gemma3n_text-untied", "a separate output head, biases of attention, no factor of what is read of the stream, no cap, float32",
         gemma3n(tie_word_embeddings=False, attention_bias=True, altup_correct_scale=False, num_hidden_layers=3, layer_types=[FULL, SLIDE, FULL],
                 num_kv_shared_layers=1, hidden_size=24, activation_sparsity_pattern=[0.5, 0.0, 0.0]),
         EPS | {"factor": put(altup_correct_scale=True)}, floor={"tensor model.layers.N.altup.correct_output_scale": 0}),
    Case("gemma3n-hub", "the text part of a multimodal checkpoint, without tokens that its towers' modules embed; the image tower is none of timm's",
         dict(model_type="gemma3n", text_config=gemma3n(num_hidden_layers=3, layer_types=[SLIDE, FULL, FULL], num_kv_shared_layers=1, intermediate_size=20,
                                                        activation_sparsity_pattern=[0.6, 0.0, 0.0]),
              vision_config=dict(model_type="gemma3n_vision", hidden_size=8, vocab_size=4, vocab_offset=106),
              audio_config=dict(model_type="gemma3n_audio", hidden_size=8, vocab_size=4, vocab_offset=110, input_feat_size=8, conf_num_attention_heads=1,
                                conf_num_hidden_layers=1, sscp_conv_channel_size=[2, 2])),
         EPS | {"window": put(sliding_window=1000)}, dtype=torch.bfloat16, extra=unused_keys),

    # gemma4_text, gemma4 and gemma4_unified: 31B and 12B.
    Case("gemma4_text-dense", "heads of keys of two shapes, values that are keys in the layers without a window, the norm of values, a proportional "
         "rope, a factor of each layer, soft-cap of the logits; v4 is the config as published",
         gemma4(), EPS | {"window": put(sliding_window=1000), "window-1": put(sliding_window=8), "theta": rope(FULL, rope_theta=1e6),
                          "local theta": rope(SLIDE, rope_theta=10000.0), "rotated share": rope(FULL, partial_rotary_factor=0.25),
                          "proportional": rope(FULL, rope_type="default"), "final cap": put(final_logit_softcapping=None),
                          "activation": put(hidden_activation="gelu")}, floor={"activation": 2e-4}),
    Case("gemma4_text-bias", "attention_bias, values of their own, separate output head, head widths of both kinds alike, a factor of the proportional "
         "rope; the minimal config leaves the pattern, which ends in a layer without a window, to the default",
         gemma4(attention_k_eq_v=False, attention_bias=True, tie_word_embeddings=False, global_head_dim=8, num_global_key_value_heads=None,
                num_hidden_layers=7, intermediate_size=20, hidden_size=24, layer_types=[SLIDE] * 5 + [FULL, FULL], final_logit_softcapping=None,
                rope_parameters={FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.5, "rope_theta": 40000.0, "factor": 8.0},
                                 SLIDE: {"rope_type": "default", "rope_theta": 300.0}}),
         EPS | {"window": put(sliding_window=1000), "factor": rope(FULL, factor=1.0)}, dtype=torch.bfloat16, minimal=True),
    Case("gemma4_text-moe", "a mixture of experts beside the MLP, each with norms of its own; a router that norms and scales the stream, and a factor of "
         "each expert", gemma4(num_hidden_layers=2, layer_types=[SLIDE, FULL], enable_moe_block=True, num_experts=6, top_k_experts=2, moe_intermediate_size=12),
         EPS | {"window": put(sliding_window=1000), "one expert less": put(top_k_experts=1)}, dtype=torch.bfloat16),
    Case("gemma4_text-shared", "embeddings of each layer, with more rows than the vocabulary; layers that attend to the keys and values of others, of each "
         "type two to choose from, whose MLPs are twice as wide and whose own keys and values in the file are not used; the minimal config",
         gemma4(num_hidden_layers=7, layer_types=[SLIDE, FULL, SLIDE, FULL, SLIDE, SLIDE, FULL], num_kv_shared_layers=3, use_double_wide_mlp=True,
                hidden_size_per_layer_input=8, vocab_size_per_layer_input=110, attention_k_eq_v=False, num_global_key_value_heads=None,
                intermediate_size=14, rms_norm_eps=1e-2),
         EPS | {"window": put(sliding_window=1000), "window-1": put(sliding_window=8), "keys of the last layer": keys_of(1, 3),
                "keys of the last layer with a window": keys_of(0, 2)}, dtype=torch.bfloat16, extra=unused_keys, minimal=True),
    Case("gemma4-shared", "the text part of a multimodal checkpoint with embeddings of each layer, of placeholders too those of padding; shared keys that are "
         "values, MLPs of one width",
         gemma4_mm(gemma4(num_hidden_layers=4, num_kv_shared_layers=2, hidden_size_per_layer_input=8, intermediate_size=20),
                   dict(model_type="gemma4_vision", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
                        num_key_value_heads=1, head_dim=8, patch_size=2, position_embedding_size=4), 77, 82, 99),
         EPS | PLACES | {"window": put(sliding_window=1000)}, dtype=torch.bfloat16, extra=unused_keys),
    Case("gemma4-hub", "the text part of a multimodal checkpoint; placeholders of images and sounds are embedded as padding",
         gemma4_mm(gemma4(num_hidden_layers=2, layer_types=[SLIDE, FULL], use_bidirectional_attention="vision"),
                   dict(model_type="gemma4_vision", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
                        num_key_value_heads=1, head_dim=8, patch_size=2, position_embedding_size=4), 77, 82, 99),
         EPS | PLACES | {"window": put(sliding_window=1000)}, dtype=torch.bfloat16,
         v4={"vision_soft_tokens_per_image": 280, "eoa_token_id": 95}),
    Case("gemma4_unified_text-dense", "the text model of the checkpoints without towers", gemma4_unified(),
         EPS | {"window": put(sliding_window=1000)}, dtype=torch.bfloat16),
    Case("gemma4_unified-hub", "the text part of a multimodal checkpoint without towers",
         gemma4_mm(gemma4_unified(num_hidden_layers=2, layer_types=[SLIDE, FULL]),
                   dict(model_type="gemma4_unified_vision", patch_size=2, mm_embed_dim=8, mm_posemb_size=4, output_proj_dims=8), 60, 79, 98),
         EPS | PLACES | {"window": put(sliding_window=1000)}, dtype=torch.float16),

    # gemma3_text and gemma3.
    Case("gemma3_text-pattern", "pattern of three (sliding_window_pattern in v4, layer_types in v5), two rope thetas, linear scaling on the full "
         "layers only, query scale, QK norm, window",
         gemma3(rope_parameters={FULL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 40000.0},
                                 SLIDE: {"rope_type": "default", "rope_theta": 300.0}}),
         EPS | {"window": put(sliding_window=1000), "window-1": put(sliding_window=8), "pattern": put(layer_types=[SLIDE, FULL, SLIDE, SLIDE]),
                "query scale": put(query_pre_attn_scalar=8), "theta": rope(FULL, rope_theta=1e6), "local theta": rope(SLIDE, rope_theta=10000.0),
                "scaling": unscaled(FULL), "scaling everywhere": rope(SLIDE, rope_type="linear", factor=8.0),
                "activation": put(hidden_activation="gelu")}, floor={"activation": 2e-4}),
    Case("gemma3_text-default6", "seven layers with everything left to the defaults in the minimal config: pattern 6, thetas 1e6 and 1e4, eps 1e-6",
         gemma3(num_hidden_layers=7, layer_types=[SLIDE] * 5 + [FULL, SLIDE], rms_norm_eps=1e-6, num_key_value_heads=1, intermediate_size=32,
                rope_parameters={FULL: {"rope_type": "default", "rope_theta": 1e6}, SLIDE: {"rope_type": "default", "rope_theta": 1e4}}),
         {"pattern": put(layer_types=[SLIDE] * 7), "theta": rope(FULL, rope_theta=1e4), "local theta": rope(SLIDE, rope_theta=1e6)},
         dtype=torch.float16, minimal=True),
    Case("gemma3_text-softcap", "final soft-cap, attention_bias, layer_types that no pattern gives, head_dim 12, separate output head",
         gemma3(final_logit_softcapping=3.0, attention_bias=True, layer_types=[FULL, SLIDE, FULL], num_hidden_layers=3, head_dim=12,
                num_key_value_heads=1, intermediate_size=32, tie_word_embeddings=False),
         EPS | {"final cap": put(final_logit_softcapping=None), "pattern": put(layer_types=[SLIDE, SLIDE, FULL])}, dtype=torch.bfloat16),
    Case("gemma3_text-bf16", "bfloat16 weights", gemma3(hidden_size=48, intermediate_size=48), EPS, dtype=torch.bfloat16),
    Case("gemma3_text-yarn", "yarn on the full layers only",
         gemma3(num_hidden_layers=2, layer_types=[SLIDE, FULL],
                rope_parameters={FULL: YARN | {"rope_theta": 300.0}, SLIDE: {"rope_type": "default", "rope_theta": 100.0}}),
         EPS | {"scaling": unscaled(FULL), "factor": rope(FULL, factor=8.0), "attention factor": rope(FULL, attention_factor=1.0)},
         dtype=torch.bfloat16),
    Case("gemma3-hub", "the text part of a multimodal checkpoint with the names as published: language_model.model..., "
         "vision_tower.vision_model..., multi_modal_projector...", gemma3_mm(),
         EPS | {"window": put(sliding_window=1000), "scaling": unscaled(FULL)}, rename=hub_gemma3),
    Case("gemma3-written", "the same with the names that transformers 5.23 writes: vision_tower... without vision_model",
         gemma3_mm(), dtype=torch.float16),
    Case("gemma3-inner", "the same with the names that the model has in memory: model.language_model..., model.vision_tower...",
         gemma3_mm(), rename=inner_gemma3, dtype=torch.bfloat16),

    # qwen2: 2 and 2.5.
    Case("qwen2-untied", "biases on q, k and v only; use_sliding_window false with a sliding_window in the v4 file, as published", qwen2(),
         EPS | THETA, v4={"sliding_window": 8, "use_mrope": False}),
    Case("qwen2-tied", "tied head, one key head; minimal config", qwen2(tie_word_embeddings=True, num_key_value_heads=1, num_attention_heads=2),
         EPS | THETA, v4={"sliding_window": 8}, minimal=True, dtype=torch.float16),
    Case("qwen2-window", "use_sliding_window: the layers from max_window_layers on slide, those before it do not",
         qwen2(use_sliding_window=True, sliding_window=9, max_window_layers=1, num_hidden_layers=3, intermediate_size=36),
         EPS | THETA | {"window": put(layer_types=[FULL] * 3), "first layers slide": put(layer_types=[SLIDE, FULL, FULL]),
                        "all slide": put(layer_types=[SLIDE] * 3), "window-1": put(sliding_window=8)}, dtype=torch.bfloat16),

    # qwen3.
    Case("qwen3-headdim", "QK norm per head, head_dim twice hidden_size / heads", qwen3(num_attention_heads=4), EPS | THETA),
    Case("qwen3-bias-window", "attention_bias (o too) and windows from max_window_layers on",
         qwen3(attention_bias=True, head_dim=8, use_sliding_window=True, sliding_window=9, max_window_layers=1),
         EPS | THETA | {"window": put(layer_types=[FULL] * 2), "first layers slide": put(layer_types=[SLIDE, FULL])}, dtype=torch.bfloat16),
    Case("qwen3-tied-copy", "tied with a copy of the head in the file, as Qwen3-0.6B is published", qwen3(tie_word_embeddings=True, head_dim=8),
         EPS | THETA, extra=head_copy, dtype=torch.bfloat16),

    Case("qwen3-yarn", "yarn as Qwen's README has it: factor and original context alone, the scale of cos and sin from the factor",
         qwen3(rope_parameters=YARN | {"rope_theta": 100.0}), EPS | THETA | {"scaling": unscaled(), "factor": rope(factor=8.0),
                                                    "attention factor": rope(attention_factor=1.0), "truncate": rope(truncate=False)},
         dtype=torch.bfloat16),

    # mistral.
    Case("mistral-null", "sliding_window null and Nemo's head_dim that is not hidden_size / heads",
         mistral(head_dim=12, num_key_value_heads=1), EPS | THETA | {"window": put(sliding_window=8)}, dtype=torch.bfloat16),
    Case("mistral-window", "a window of 8 on every layer", mistral(sliding_window=8),
         EPS | THETA | {"window": put(sliding_window=None), "window-1": put(sliding_window=7)}),

    Case("mistral-yarn", "yarn with an attention_factor, which counts before mscale, and a whole original context",
         mistral(rope_parameters=YARN | {"rope_theta": 100.0, "original_max_position_embeddings": 128, "attention_factor": 1.3, "mscale": 1.0,
                                         "mscale_all_dim": 0.5}),
         EPS | {"scaling": unscaled(), "attention factor": rope(attention_factor=1.0)}, dtype=torch.bfloat16),

    # ministral: 8B of 2024. ministral3, and mistral3 around it and around mistral.
    Case("ministral-types", "windows where layer_types says so; by default a window on every layer", ministral(layer_types=[FULL, SLIDE]),
         EPS | THETA | {"pattern": put(layer_types=[SLIDE, FULL]), "window": put(sliding_window=1000), "window-1": put(sliding_window=8)},
         dtype=torch.bfloat16),
    Case("ministral3-yarn", "yarn whose scales of cos and sin cancel; queries are scaled from the original context on, which no text reaches",
         ministral3(), EPS | {"scaling": rope(factor=8.0), "mscale": rope(mscale=2.0), "window": put(sliding_window=8)}, dtype=torch.bfloat16),
    Case("mistral3-hub", "the text part of a multimodal checkpoint with the names as published: language_model.model..., a head of its own",
         mistral3(mistral(head_dim=12)), EPS | THETA, rename=hub_mistral3, dtype=torch.bfloat16),
    Case("mistral3-tied", "Ministral 3 3B: the text part is ministral3, its head tied; the names that transformers 5.23 writes",
         mistral3(ministral3(tie_word_embeddings=True, sliding_window=9)), EPS | {"window": put(sliding_window=1000)}, dtype=torch.bfloat16),

    # phi3: Phi-3, Phi-4, Phi-4-mini.
    Case("phi3-plain", "fused qkv with fewer key heads and fused gate_up", phi3(), EPS | THETA),
    Case("phi3-window", "sliding_window, as in Phi-3-mini-4k", phi3(sliding_window=9, num_key_value_heads=4),
         EPS | THETA | {"window": put(sliding_window=None)}, dtype=torch.bfloat16),
    Case("phi3-partial", "partial_rotary_factor 0.75 of head_dim 16 and a tied head, as in Phi-4-mini",
         phi3(num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True,
              rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.75}),
         EPS | THETA | {"partial": rope(partial_rotary_factor=1.0)},
         v4={"full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": False, "mlp_bias": False}, dtype=torch.bfloat16),
    Case("phi3-mini4", "all that Phi-4-mini has at once: longrope of three quarters of a head, a window wider than the texts, a tied head",
         phi3(num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True, sliding_window=512, max_position_embeddings=320,
              original_max_position_embeddings=80, rope_parameters=LONGROPE | {
                  "partial_rotary_factor": 0.75, "short_factor": [1.0, 1.05, 1.2, 1.4, 1.5, 1.7], "long_factor": [1.1, 1.9, 4.0, 7.5, 8.0, 9.0]}),
         EPS | {"scaling": unscaled(), "short": rope(short_factor=[1.0] * 6), "attention factor": rope(attention_factor=1.0)},
         lengths=(7, 1, 40, 80), v4={"full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": False, "mlp_bias": False}, scaling_key="type",
         dtype=torch.bfloat16),
    Case("phi3-longrope", "longrope: texts up to 32 tokens use short_factor, longer ones long_factor at ALL their positions, so the first 7 "
         "log-probabilities of the third text are not those of the first; cos and sin times sqrt(1 + ln 4 / ln 32) always",
         phi3(rope_parameters=LONGROPE, original_max_position_embeddings=32),
         EPS | {"scaling": unscaled(), "short": rope(short_factor=[1.0] * 4), "long": rope(long_factor=[1.0] * 4),
                "attention factor": rope(attention_factor=1.0)}, lengths=(7, 1, 40, 70, 32, 33), scaling_key="type", dtype=torch.bfloat16),

    # gpt2.
    Case("gpt2-plain", "names with transformer., n_inner null, Conv1D weights [in, out], learned positions",
         gpt2(n_inner=None), {"eps": put(layer_norm_epsilon=1e-5), "activation": put(activation_function="relu")}, dtype=torch.float16),
    Case("gpt2-hub", "names without transformer. and the mask buffers h.N.attn.bias, as the published gpt2; eps and activation by default in the "
         "minimal config", gpt2(n_positions=44, layer_norm_epsilon=1e-5), {"activation": put(activation_function="gelu")}, lengths=(7, 1, 40, 44),
         rename=lambda n: n.removeprefix("transformer."), extra=gpt2_buffers, minimal=True, floor={"activation": 2e-4}),
    Case("gpt2-inverse", "scale_attn_by_inverse_layer_idx, n_inner, reorder_and_upcast_attn (no effect in float32)",
         gpt2(n_layer=3, n_inner=56, scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True),
         {"inverse": put(scale_attn_by_inverse_layer_idx=False), "eps": put(layer_norm_epsilon=1e-5)}, dtype=torch.bfloat16),
    Case("gpt2-unscaled", "scale_attn_weights false, the erf gelu, separate output head",
         gpt2(scale_attn_weights=False, activation_function="gelu", tie_word_embeddings=False),
         {"scale": put(scale_attn_weights=True), "activation": put(activation_function="gelu_new")}, floor={"activation": 2e-4}, dtype=torch.bfloat16),

    # gpt_neox: Pythia, GPT-NeoX-20B, RedPajama.
    Case("gpt_neox-parallel", "parallel residual, a quarter of each head rotates, erf gelu; all by default in the minimal config",
         neox(rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}, num_attention_heads=2),
         {"serial": put(use_parallel_residual=False), "partial": rope(partial_rotary_factor=0.5), "eps": put(layer_norm_eps=1e-5),
          "theta": rope(rope_theta=100.0), "activation": put(hidden_act="gelu_new")}, minimal=True, floor={"activation": 2e-4}),
    Case("gpt_neox-serial", "serial residual, full rotation (RedPajama), gelu_fast (20B)",
         neox(use_parallel_residual=False, hidden_act="gelu_fast",
              rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 1.0}),
         {"parallel": put(use_parallel_residual=True), "partial": rope(partial_rotary_factor=0.25), "theta": rope(rope_theta=10000.0),
          "activation": put(hidden_act="gelu")}, floor={"activation": 2e-4}, dtype=torch.bfloat16),
    Case("gpt_neox-nobias-tied", "attention_bias false, tied head, linear rope scaling of the half that rotates",
         neox(attention_bias=False, tie_word_embeddings=True,
              rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0, "partial_rotary_factor": 0.5}),
         {"scaling": unscaled(), "partial": rope(partial_rotary_factor=1.0), "serial": put(use_parallel_residual=False)},
         scaling_key="type", dtype=torch.bfloat16),
    Case("gpt_neox-resaved", "the v4 file as transformers 4.47 to 4.57 write it, each rotary setting under two names",
         neox(num_attention_heads=2), {"partial": rope(partial_rotary_factor=0.5), "theta": rope(rope_theta=10000.0)},
         v4={"partial_rotary_factor": 0.25, "rope_theta": 5000}, dtype=torch.bfloat16),
    Case("gpt_neox-yarn", "yarn over the half of each head that rotates", neox(num_attention_heads=2,
         rope_parameters=YARN | {"rope_theta": 1000.0, "partial_rotary_factor": 0.5}),
         {"scaling": unscaled(), "partial": rope(partial_rotary_factor=1.0), "factor": rope(factor=8.0)}, dtype=torch.bfloat16),
    Case("gpt_neox-hub", "float16 with the buffers attention.bias (bool), masked_bias and rotary_emb.inv_freq, as older Pythias",
         neox(), {"serial": put(use_parallel_residual=False)}, dtype=torch.float16, extra=neox_buffers),

    # olmo2.
    Case("olmo2-mha", "norms after attention and MLP only, QK norm over the full width", olmo2(), EPS | THETA, minimal=True),
    Case("olmo2-gqa-bias", "fewer key heads (so k_norm is narrower than q_norm), attention_bias", olmo2(num_key_value_heads=2, attention_bias=True),
         EPS | THETA, dtype=torch.bfloat16),
    Case("olmo2-llama3-tied", "llama3 rope scaling, tied head", olmo2(num_key_value_heads=2, num_attention_heads=2, tie_word_embeddings=True,
                                                                    rope_parameters=LLAMA3),
         EPS | {"scaling": unscaled(), "factor": rope(factor=4.0)}, dtype=torch.bfloat16),
    Case("olmo2-yarn", "yarn without truncation", olmo2(rope_parameters=YARN | {"rope_theta": 100.0, "truncate": False}),
         EPS | {"scaling": unscaled(), "truncate": rope(truncate=True)}, dtype=torch.bfloat16),

    # olmo: 1, and its 0424 and 0724 releases.
    Case("olmo-clip", "LayerNorm without weights, clip_qkv, fewer key heads", olmo(clip_qkv=0.7),
         THETA | {"clip_qkv": put(clip_qkv=None)}, dtype=torch.bfloat16),
    Case("olmo-bias-tied", "no clip_qkv (null), attention_bias, tied head, linear rope scaling; minimal config",
         olmo(attention_bias=True, tie_word_embeddings=True, rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 5000.0}),
         {"scaling": unscaled()}, minimal=True, dtype=torch.bfloat16),

    # olmo3.
    Case("olmo3-yarn", "windows on three layers of four, yarn on the full one alone",
         olmo3(), EPS | {"scaling": unscaled(FULL), "window": put(sliding_window=1000), "window-1": put(sliding_window=8),
                         "pattern": put(layer_types=[SLIDE, FULL, SLIDE, SLIDE]), "scaling everywhere": rope(SLIDE, **YARN)}, dtype=torch.bfloat16),
    Case("olmo3-pattern", "another pattern, fewer key heads, attention_bias, no scaling, tied head",
         olmo3(num_hidden_layers=2, layer_types=[FULL, SLIDE], attention_bias=True, num_key_value_heads=1, tie_word_embeddings=True,
               rope_parameters={FULL: {"rope_type": "default", "rope_theta": 500000.0}, SLIDE: {"rope_type": "default", "rope_theta": 500000.0}}),
         EPS | {"pattern": put(layer_types=[SLIDE, FULL])}, dtype=torch.bfloat16),

    # gemma: 1.
    Case("gemma-hub", "the v4 file says hidden_act gelu and means the approximation, as published; head_dim that is not hidden_size / heads, "
         "one key head", gemma(), EPS | THETA | {"activation": put(hidden_act="gelu")}, floor={"activation": 2e-4},
         v4={"hidden_act": "gelu", "hidden_activation": None}, dtype=torch.bfloat16),
    Case("gemma-bias", "attention_bias, several key heads, separate output head", gemma(attention_bias=True, num_key_value_heads=2, tie_word_embeddings=False),
         EPS | THETA, dtype=torch.bfloat16),

    # smollm3.
    Case("smollm3-nope", "no rotary positions in the last of four layers, by the interval in the minimal config",
         smollm3(), EPS | THETA | {"all rotate": put(no_rope_layers=[1, 1, 1, 1]), "none rotates": put(no_rope_layers=[0, 0, 0, 0])},
         minimal=True, dtype=torch.bfloat16),
    Case("smollm3-window", "a list of its own, and windows in the layers that do not rotate",
         smollm3(num_hidden_layers=3, no_rope_layers=[0, 1, 0], use_sliding_window=True, sliding_window=9, layer_types=[SLIDE, FULL, SLIDE],
                 attention_bias=True, mlp_bias=True, tie_word_embeddings=False),
         EPS | THETA | {"window": put(layer_types=[FULL] * 3), "list": put(no_rope_layers=[1, 1, 0])}, dtype=torch.bfloat16),

    # granite: 3.0 to 3.3.
    Case("granite-factors", "the four factors", granite(),
         EPS | THETA | {"embedding": put(embedding_multiplier=1.0), "attention": put(attention_multiplier=0.35),
                        "residual": put(residual_multiplier=1.0), "logits": put(logits_scaling=1.0)}, dtype=torch.bfloat16),
    Case("granite-bias-tied", "attention_bias, mlp_bias and a tied head; factors left to their defaults in the minimal config",
         granite(attention_bias=True, mlp_bias=True, tie_word_embeddings=True, embedding_multiplier=1.0, attention_multiplier=1.0,
                 residual_multiplier=1.0, logits_scaling=1.0), EPS | THETA, minimal=True, dtype=torch.bfloat16),

    # seed_oss.
    Case("seed_oss-bias", "biases on q, k and v only", seed_oss(), EPS | THETA, dtype=torch.bfloat16),
    Case("seed_oss-out", "a bias on o and in the MLP, none on q, k and v", seed_oss(attention_bias=False, attention_out_bias=True, mlp_bias=True),
         EPS | THETA, dtype=torch.bfloat16),

    # arcee: AFM.
    Case("arcee-relu2", "an MLP without a gate, yarn", arcee(rope_parameters=YARN | {"rope_theta": 100.0}),
         EPS | {"scaling": unscaled(), "activation": put(hidden_act="relu")}, dtype=torch.bfloat16),
    Case("arcee-bias", "biases, another activation", arcee(attention_bias=True, mlp_bias=True, hidden_act="gelu", num_key_value_heads=1),
         EPS | THETA | {"activation": put(hidden_act="relu2")}, dtype=torch.bfloat16),

    # olmoe.
    Case("olmoe-clip", "experts file by file, whose probabilities are not shares of those chosen; clip_qkv after the norms of q and k, fewer key heads",
         olmoe(clip_qkv=0.9), EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=True), "clip_qkv": put(clip_qkv=None)}, dtype=torch.float16),
    Case("olmoe-fused", "all experts of a layer in one tensor, norm_topk_prob, attention_bias, a tied head; minimal config",
         olmoe(num_key_value_heads=4, norm_topk_prob=True, attention_bias=True, tie_word_embeddings=True), EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=False)},
         extra=fused, minimal=True, dtype=torch.float16),

    # qwen3_moe.
    Case("qwen3_moe-only", "an MLP in the layers of mlp_only_layers; head_dim that is not hidden_size / heads",
         qwen3_moe(mlp_only_layers=[0], num_hidden_layers=3), EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=False)}, dtype=torch.float16),
    Case("qwen3_moe-step", "an MLP in every other layer (decoder_sparse_step), a window in all, attention_bias, all experts in one tensor",
         qwen3_moe(head_dim=8, decoder_sparse_step=2, use_sliding_window=True, sliding_window=9, attention_bias=True, norm_topk_prob=False),
         EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=True), "window": put(sliding_window=None)}, extra=fused, minimal=True, dtype=torch.float16),

    # qwen3_5_text, and qwen3_5 around it.
    Case("qwen3_5_text-hybrid", "gated delta nets in two layers of three, two heads of values a head of keys; attention with gates, a quarter of each "
         "head turns; minimal config", qwen3_5_text(), EPS | THETA | {"partial": rope(partial_rotary_factor=1.0)}, minimal=True,
         v4={"attn_output_gate": True, "mamba_ssm_dtype": "float32", "mlp_only_layers": []}, dtype=torch.float16),
    Case("qwen3_5_text-bias-tied", "a delta net in every second layer by full_attention_interval, a convolution of three tokens, as many heads of keys as "
         "of values; attention_bias, a tied head",
         qwen3_5_text(num_hidden_layers=4, layer_types=[LINEAR, FULL, LINEAR, FULL], linear_num_key_heads=3, linear_num_value_heads=3,
                      linear_key_head_dim=12, linear_value_head_dim=8, linear_conv_kernel_dim=3, attention_bias=True, tie_word_embeddings=True),
         EPS | THETA | {"partial": rope(partial_rotary_factor=0.5)}, v4={"layer_types": None, "full_attention_interval": 2}),
    Case("qwen3_5-hub", "the text part of a multimodal checkpoint with the names as published, and a layer that predicts one more token beside it",
         qwen3_5(qwen3_5_text(layer_types=[LINEAR, FULL], num_hidden_layers=2)), EPS | THETA, extra=mtp, dtype=torch.bfloat16),

    # qwen3_next, and qwen3_5_moe_text with qwen3_5_moe around it.
    Case("qwen3_next-dense", "gated delta nets whose matrices come by head of keys; an MLP in the layers of mlp_only_layers, elsewhere experts and one "
         "that all tokens pass; minimal config",
         qwen3_next(mlp_only_layers=[1], num_hidden_layers=2, layer_types=[LINEAR, FULL]), EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=False), "partial": rope(partial_rotary_factor=1.0)},
         minimal=True, v4={"full_attention_interval": 2, "layer_types": None}, dtype=torch.float16),
    Case("qwen3_next-step", "probabilities that are not shared, an MLP in every other layer, all experts in one tensor, attention_bias",
         qwen3_next(norm_topk_prob=False, decoder_sparse_step=2, num_hidden_layers=2, layer_types=[FULL, LINEAR], attention_bias=True,
                    linear_num_key_heads=3, linear_num_value_heads=3),
         EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=True)}, extra=fused, dtype=torch.float16),
    Case("qwen3_5_moe_text-hybrid", "experts and one that all tokens pass in every layer", qwen3_5_moe_text(), EPS | THETA | CHOICE, dtype=torch.float16),
    Case("qwen3_5_moe-hub", "the text part of a multimodal checkpoint, all experts of a layer in one tensor as published, and a layer that predicts one "
         "more token beside it",
         qwen3_5(qwen3_5_moe_text(layer_types=[LINEAR, FULL], num_hidden_layers=2)) | {"model_type": "qwen3_5_moe"}, EPS | THETA,
         extra=lambda t: mtp(fused(t)), dtype=torch.float16),

    # qwen2_moe.
    Case("qwen2_moe-shared", "an expert that all tokens pass, with a gate; biases on q, k and v", qwen2_moe(),
         EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=True)}, v4={"sliding_window": 32768, "max_window_layers": 21}, dtype=torch.float16),
    Case("qwen2_moe-window", "a window in one layer of two, no biases, norm_topk_prob, an MLP in the layers that decoder_sparse_step leaves out, all "
         "experts in one tensor",
         qwen2_moe(qkv_bias=False, norm_topk_prob=True, decoder_sparse_step=2, use_sliding_window=True, sliding_window=9, max_window_layers=3,
                   num_hidden_layers=3, layer_types=[SLIDE, FULL, SLIDE]),
         EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=False), "window": put(layer_types=[FULL] * 3), "all slide": put(layer_types=[SLIDE] * 3)},
         extra=fused, minimal=True, dtype=torch.float16),

    # mixtral.
    Case("mixtral-null", "Mixtral's names: w1, w3 and w2 of each expert; minimal config with its own theta",
         mixtral(rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}), EPS | CHOICE | {"theta": rope(rope_theta=10000.0)}, minimal=True,
         dtype=torch.float16),
    Case("mixtral-window", "a window, head_dim that is not hidden_size / heads, the names that the model has in memory",
         mixtral(sliding_window=9, head_dim=12), EPS | THETA | CHOICE | {"window": put(sliding_window=None)}, extra=fused, dtype=torch.float16),

    # granitemoe.
    Case("granitemoe-factors", "granite's four factors, experts in one tensor as published", granitemoe(),
         EPS | THETA | CHOICE | {"embedding": put(embedding_multiplier=1.0), "attention": put(attention_multiplier=0.35),
                                 "residual": put(residual_multiplier=1.0), "logits": put(logits_scaling=1.0)}, dtype=torch.float16),
    Case("granitemoe-bias-tied", "attention_bias and a tied head; factors by default; the names that the model has in memory",
         granitemoe(attention_bias=True, tie_word_embeddings=True, embedding_multiplier=1.0, attention_multiplier=1.0,
                    residual_multiplier=1.0, logits_scaling=1.0), EPS | THETA | CHOICE, rename=inner_granite, minimal=True, dtype=torch.float16),

    # granitemoehybrid: Granite 4.
    Case("granitemoehybrid-experts", "Mamba 2 in two layers of three, groups that are normed each alone, limits of time steps; attention without positions; "
         "experts and an MLP that all tokens pass; granite's four factors", granitemoehybrid(time_step_limit=[0.3, 1.2]),
         EPS | CHOICE | FACTORS | {"positions": put(position_embedding_type="rope"), "limits": put(time_step_limit=(0.0, math.inf)),
                                   "least": put(time_step_limit=(0.0, 1.2)), "most": put(time_step_limit=(0.3, math.inf))},
         v4={"layer_types": ["mamba", "attention", "mamba"], "position_embedding_type": "nope", "mamba_d_head": "auto", "normalization_function": "rmsnorm",
             "init_method": "mup"}, dtype=torch.float16),
    Case("granitemoehybrid-dense", "no experts; Mamba 2 in every other layer with biases before and after, a convolution of three tokens without one; rotary "
         "positions, attention_bias, a tied head; minimal config",
         granitemoehybrid(num_local_experts=0, num_hidden_layers=2, layer_types=[FULL, LINEAR], position_embedding_type="rope", mamba_n_groups=1,
                          mamba_d_conv=3, mamba_conv_bias=False, mamba_proj_bias=True, attention_bias=True, tie_word_embeddings=True),
         EPS | THETA | FACTORS | {"positions": put(position_embedding_type=None)}, minimal=True, v4={"layer_types": ["attention", "mamba"]},
         dtype=torch.bfloat16),
    Case("granitemoehybrid-attention", "attention alone, with rotary positions, and no experts, as the micro, 1b and 350m models",
         granitemoehybrid(num_local_experts=0, num_experts_per_tok=0, num_hidden_layers=2, layer_types=[FULL] * 2, position_embedding_type="rope",
                          tie_word_embeddings=True), EPS | THETA | FACTORS | {"positions": put(position_embedding_type=None)},
         v4={"layer_types": ["attention"] * 2}, dtype=torch.bfloat16),
    Case("granitemoehybrid-attention-experts", "attention alone, without positions, and experts under the names that the model has in memory; factors "
         "by default", granitemoehybrid(num_hidden_layers=2, layer_types=[FULL] * 2, embedding_multiplier=1.0, attention_multiplier=1.0,
                                        residual_multiplier=1.0, logits_scaling=1.0), EPS | CHOICE, rename=inner_granite, dtype=torch.float16),

    # falcon_h1.
    Case("falcon_h1-gate", "Mamba 2 beside attention in every block, whose output has a gate and no norm; factors everywhere", falcon_h1(),
         EPS | THETA | MULTIPLIERS | {"limits": put(time_step_limit=(0.1, 0.4))},
         v4={"attn_layer_indices": None, "mamba_use_mlp": True, "mlp_expansion_factor": 8, "mamba_chunk_size": 128}, dtype=torch.bfloat16),
    Case("falcon_h1-norm", "a norm after the gate; mamba_proj_bias, projectors_bias, attention_bias, mlp_bias; d_ssm by expand; a tied head; limits of time steps",
         falcon_h1(mamba_rms_norm=True, mamba_norm_before_gate=False, mamba_d_ssm=None, mamba_d_head=16, mamba_proj_bias=True, projectors_bias=True,
                   attention_bias=True, mlp_bias=True, tie_word_embeddings=True, time_step_limit=[0.3, 1.2]),
         EPS | THETA | MULTIPLIERS | {"before the gate": put(mamba_norm_before_gate=True), "limits": put(time_step_limit=(0.0, math.inf))}, dtype=torch.bfloat16),
    Case("falcon_h1-first", "a norm before the gate, as many groups as one, no bias of the convolution; factors by default in the minimal config",
         falcon_h1(num_hidden_layers=1, mamba_rms_norm=True, mamba_n_groups=1, mamba_conv_bias=False, lm_head_multiplier=1.0, embedding_multiplier=1.0,
                   mlp_multipliers=None, key_multiplier=1.0, attention_out_multiplier=1.0, attention_in_multiplier=1.0, ssm_multipliers=None,
                   ssm_in_multiplier=1.0, ssm_out_multiplier=1.0),
         EPS | THETA | {"before the gate": put(mamba_norm_before_gate=False)}, minimal=True, dtype=torch.bfloat16),

    # bamba.
    Case("bamba-hybrid", "Mamba 2 in two layers of three; half of each head turns in the third", bamba(head_dim=16),
         EPS | THETA | {"partial": rope(partial_rotary_factor=1.0)}, dtype=torch.bfloat16),
    Case("bamba-bias", "biases everywhere, one group, a tied head; minimal config",
         bamba(num_hidden_layers=2, mamba_proj_bias=True, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, mamba_n_groups=1),
         EPS | THETA, minimal=True, dtype=torch.bfloat16),

    # nemotron_h: layers of one mixer each.
    Case("nemotron_h-experts", "Mamba 2 with groups that are normed each alone and a least time step, experts of relu^2 without gates of the groups with "
         "the best two, attention without positions, an MLP; a layer behind the others", nemotron_h(
             "ME*-", time_step_min=0.3, n_group=4, topk_group=2, routed_scaling_factor=1.7),
         EPSILON | CHOICE | {"least": put(time_step_min=0.001), "factor": put(routed_scaling_factor=1.0), "shares": put(norm_topk_prob=False),
                             "groups": put(topk_group=4)},
         extra=lambda t: t | {"mtp.layers.0.norm.weight": torch.ones(32)}, dtype=torch.float16),
    Case("nemotron_h-latent", "experts of latent values, whose probabilities are no shares; biases of the MLPs and of Mamba 2, whose convolution of three "
         "tokens has none; the names in memory", nemotron_h(
             "E-M*", moe_latent_size=18, norm_topk_prob=False, mlp_bias=True, use_bias=True, use_conv_bias=False, conv_kernel=3, time_step_min=0.2),
         EPSILON | CHOICE | {"shares": put(norm_topk_prob=True)}, rename=lambda n: n.replace("backbone.", "model."), dtype=torch.float16),
    Case("nemotron_h-plain", "no experts, as Nemotron-H, and one group; minimal config", nemotron_h("M-*M", n_groups=1), EPSILON, minimal=True,
         dtype=torch.bfloat16),

    # gpt_oss.
    Case("gpt_oss-sinks", "a sink in each head's softmax, windows on every second layer, experts with biases and a clamped gate, a router with "
         "a bias, yarn without truncation over texts longer than its original context; the keys of the published files in the v4 one",
         gpt_oss(swiglu_alpha=1.3, rope_parameters=YARN | {"beta_fast": 4.0, "beta_slow": 0.3, "truncate": False}),
         EPS | CHOICE | {"scaling": unscaled(), "factor": rope(factor=8.0), "truncate": rope(truncate=True), "beta_fast": rope(beta_fast=32.0),
                         "window": put(sliding_window=1000), "window-1": put(sliding_window=8), "pattern": put(layer_types=[FULL, SLIDE]),
                         "limit": put(swiglu_limit=7.0), "alpha": put(swiglu_alpha=1.702)},
         v4={"experts_per_token": 3, "initial_context_length": 32}, dtype=torch.float16),
    Case("gpt_oss-nobias-tied", "no biases in attention, the window on the second layer, a tied head, one key head; rope, limit and alpha "
         "by default in the minimal config",
         gpt_oss(attention_bias=False, layer_types=[FULL, SLIDE], num_key_value_heads=1, tie_word_embeddings=True,
                 swiglu_limit=7.0, intermediate_size=8, rope_parameters={"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "beta_fast": 32.0,
                 "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 4096}, max_position_embeddings=131072),
         EPS | CHOICE | THETA | {"scaling": unscaled(), "window": put(sliding_window=1000), "pattern": put(layer_types=[SLIDE, FULL]),
                                 "alpha": put(swiglu_alpha=1.3)}, minimal=True, dtype=torch.float16),

    # kimi_k2, which is deepseek_v3 under another name.
    Case("kimi_k2-yarn", "Kimi K2: DeepSeek-V3 of one group with a factor, without layers behind the others; held to deepseek_v3 of transformers",
         deepseek(model_type="deepseek_v3", n_group=1, topk_group=1, routed_scaling_factor=2.827, norm_topk_prob=True, n_shared_experts=1, vocab_size=78,
                  num_mtp_layers=0, rope_parameters=YARN | {"rope_theta": 100.0, "mscale": 1.0, "mscale_all_dim": 1.0}),
         EPS | CHOICE | {"factor": put(routed_scaling_factor=1.0)}, scaling_key="type", v4={"aux_loss_alpha": 0.001, "num_nextn_predict_layers": 0, "seq_aux": True},
         alias="kimi_k2", dtype=torch.float16),

    # phimoe: Phi-3.5-MoE, mini and tiny.
    Case("phimoe-longrope", "two experts by sparsemixer, LayerNorm with biases, longrope with its own factors of cos and sin",
         phimoe(max_position_embeddings=384, original_max_position_embeddings=96,
                rope_parameters={k: v for k, v in LONGROPE.items() if k != "partial_rotary_factor"} |
                {"original_max_position_embeddings": 96, "short_mscale": 1.2, "long_mscale": 1.5}),
         EPS | {"short_mscale": rope(short_mscale=1.0), "short factors": rope(short_factor=[1.0] * 4), "jitter": put(router_jitter_noise=0.01)},
         v4={"input_jitter_noise": 0.01}, dtype=torch.float16),
    Case("phimoe-bias", "biases of q, k, v and o and of the head, a window, the names that the model has in memory; jitter by default in the minimal config",
         phimoe(attention_bias=True, lm_head_bias=True, sliding_window=9, router_jitter_noise=0.01),
         EPS | THETA | {"window": put(sliding_window=None), "window-1": put(sliding_window=8), "jitter": put(router_jitter_noise=0.2)},
         extra=fused_phimoe, minimal=True, dtype=torch.float16),

    # llama4_text, and llama4 around it.
    Case("llama4_text-step", "an MLP in every other layer and else experts, each of which reads its token times the sigmoid of its logit, and one that all "
         "tokens pass; neighbouring values turn, but in the second layer; heads of q and k of one length; llama3 scaling",
         llama4_text(num_hidden_layers=4, interleave_moe_layer_step=2, no_rope_layers=[1, 0, 1, 1], rope_parameters=LLAMA3),
         EPS | {"scaling": unscaled(), "one length": put(use_qk_norm=False), "positions": put(no_rope_layers=[1, 1, 1, 1])}, dtype=torch.float16),
    Case("llama4_text-moe_layers", "experts in the layers of moe_layers, attention_bias, heads as they are, a tied head; rope by default in the minimal config",
         llama4_text(moe_layers=[0], attention_bias=True, use_qk_norm=False, tie_word_embeddings=True, no_rope_layers=[0, 1],
                     rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
         EPS | THETA | {"one length": put(use_qk_norm=True), "positions": put(no_rope_layers=[1, 0])}, minimal=True, dtype=torch.float16),
    Case("llama4-hub", "the text part of a multimodal checkpoint", llama4(llama4_text(no_rope_layer_interval=2)),
         EPS | THETA | {"positions": put(no_rope_layers=[1, 1])}, dtype=torch.float16),

    # deepseek_v2 and deepseek_v3.
    Case("deepseek_v2-lite", "attention through latent vectors, those of queries none; a layer with an MLP and one with experts and shared ones; yarn "
         "with a factor of the scores", deepseek(q_lora_rank=None, rope_parameters=YARN | {"rope_theta": 100.0, "mscale": 0.9, "mscale_all_dim": 0.7}),
         EPS | CHOICE | {"scaling": unscaled(), "factor": rope(factor=8.0), "mscale": rope(mscale=0.5), "mscale_all_dim": rope(mscale_all_dim=1.2),
                         "factor of experts": lambda c: setattr(c, "routed_scaling_factor", 1.5)}, scaling_key="type", dtype=torch.float16),
    Case("deepseek_v2-groups", "experts of the groups with the best ones, and a factor of their probabilities; queries of a latent vector, attention_bias, "
         "experts in every layer, a tied head",
         deepseek(topk_method="group_limited_greedy", n_group=4, topk_group=2, routed_scaling_factor=1.7, first_k_dense_replace=0, attention_bias=True,
                  tie_word_embeddings=True),
         EPS | THETA | CHOICE | {"groups": put(topk_method="greedy"), "one group more": put(topk_group=3), "factor": put(routed_scaling_factor=1.0)},
         dtype=torch.float16),
    Case("deepseek_v3-groups", "experts weighed by sigmoids and chosen by these and a correction, of the groups with the best two; yarn with a factor of "
         "the scores", deepseek(model_type="deepseek_v3", n_group=4, topk_group=2, routed_scaling_factor=1.7, norm_topk_prob=True, n_shared_experts=1,
                                rope_parameters=YARN | {"rope_theta": 100.0, "mscale": 1.0, "mscale_all_dim": 1.0}),
         EPS | CHOICE | {"scaling": unscaled(), "mscale_all_dim": rope(mscale_all_dim=0.0), "groups": put(topk_group=4), "one group more": put(topk_group=3),
                         "factor": put(routed_scaling_factor=1.0), "shares": put(norm_topk_prob=False), "pairs": put(rope_interleave=False)},
         scaling_key="type", dtype=torch.float16),
    Case("deepseek_v3-moonlight", "one group, queries without a latent vector, weights that are no shares, values wider than keys, halves of a head turned "
         "together", deepseek(model_type="deepseek_v3", n_group=1, topk_group=1, routed_scaling_factor=1.2, norm_topk_prob=False, q_lora_rank=None,
                              v_head_dim=20, rope_interleave=False, intermediate_size=14, moe_intermediate_size=6),
         EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=True), "pairs": put(rope_interleave=True)}, dtype=torch.float16),

    # phi: 1, 1.5 and 2.
    Case("phi-partial", "attention and MLP side by side after one norm, a bias of the head, three quarters of a head rotate", phi(),
         {"layer_norm_eps": put(layer_norm_eps=1e-6), "partial": rope(partial_rotary_factor=0.5), "activation": put(hidden_act="gelu")} | THETA,
         floor={"activation": 2e-4}, dtype=torch.float16),
    Case("phi-gqa-tied", "fewer key heads, another activation, a head tied but for its bias, linear rope scaling; half of a head rotates, by default "
         "in the minimal config", phi(num_key_value_heads=2, tie_word_embeddings=True, hidden_act="relu",
                                      rope_parameters={"rope_type": "linear", "factor": 2.5, "rope_theta": 5000.0, "partial_rotary_factor": 0.5}),
         {"scaling": unscaled(), "partial": rope(partial_rotary_factor=1.0), "activation": put(hidden_act="gelu_new")}, minimal=True,
         dtype=torch.bfloat16),

    # apertus.
    Case("apertus-xielu", "xIELU with its own numbers in each layer, llama3 rope scaling and texts longer than its original context", apertus(),
         EPS | {"scaling": unscaled(), "factor": rope(factor=4.0)}, floor={"tensor model.layers.N.mlp.act_fn.eps": 0.0}, dtype=torch.float16),
    Case("apertus-bias-tied", "attention_bias, several key heads, a tied head; the rope of the config class by default in the minimal config",
         apertus(attention_bias=True, num_key_value_heads=2, tie_word_embeddings=True,
                 rope_parameters={"rope_type": "llama3", "rope_theta": 12000000.0, "factor": 8.0, "original_max_position_embeddings": 8192,
                                  "low_freq_factor": 1.0, "high_freq_factor": 4.0}), EPS | THETA, xielu_eps=-0.3, minimal=True, dtype=torch.bfloat16),

    # opt, and galactica.
    Case("opt-relu", "learned positions from the third row of their table on; the last text fills them", opt(),
         {"activation": put(activation_function="gelu")}, lengths=(7, 1, 40, 80), dtype=torch.float16, floor=SAME_FOR_ALL_KEYS,
         v4={"activation_dropout": 0.0, "prefix": "</s>"}),
    Case("opt-galactica", "no biases, norms without weights, gelu, and the names of a checkpoint that was saved without its head",
         opt(enable_bias=False, layer_norm_elementwise_affine=False, activation_function="gelu"), {"activation": put(activation_function="relu")},
         minimal=True, rename=lambda name: name.removeprefix("model."), dtype=torch.bfloat16,
         v4={"learned_embeddings": True, "scale_embeddings": False}),
    Case("opt-untied", "a separate output head", opt(tie_word_embeddings=False, ffn_dim=32), floor=SAME_FOR_ALL_KEYS, dtype=torch.bfloat16),
    Case("opt-350m", "embeddings narrower than the blocks, with a matrix before these, to whose result positions are added, and one after them; norms after "
         "the sums, and none at the end", opt(word_embed_proj_dim=20, do_layer_norm_before=False),
         lengths=(7, 1, 40, 80), floor=SAME_FOR_ALL_KEYS, dtype=torch.float16, v4={"prefix": "</s>"}),
    Case("opt-narrow", "the same with norms before, and one at the end, before the last matrix, and a separate output head",
         opt(word_embed_proj_dim=20, tie_word_embeddings=False, ffn_dim=32), floor=SAME_FOR_ALL_KEYS, dtype=torch.bfloat16),
    Case("opt-after", "norms after the sums in blocks as wide as the embeddings, and none at the end", opt(do_layer_norm_before=False, ffn_dim=32),
         floor=SAME_FOR_ALL_KEYS, dtype=torch.bfloat16),
    Case("opt-removed", "norms before, and none at the end", opt(_remove_final_layer_norm=True, ffn_dim=32), floor=SAME_FOR_ALL_KEYS, dtype=torch.bfloat16),

    # starcoder2.
    Case("starcoder2-window", "a window in every layer, biases, fewer key heads, a tied head", starcoder2(),
         {"norm_epsilon": put(norm_epsilon=1e-6), "window": put(sliding_window=None), "window-1": put(sliding_window=8),
          "activation": put(hidden_act="gelu")} | THETA, floor={"activation": 2e-4}, dtype=torch.bfloat16),
    Case("starcoder2-nobias", "no biases and no window, another activation, a separate output head", starcoder2(
         use_bias=False, sliding_window=None, hidden_act="relu", tie_word_embeddings=False, num_key_value_heads=1),
         {"norm_epsilon": put(norm_epsilon=1e-6), "activation": put(hidden_act="gelu")} | THETA, minimal=True, dtype=torch.bfloat16),

    # stablelm: 3B 4E1T, Zephyr 3B, and 2.
    Case("stablelm-bias", "biases on q, k and v, a quarter of a head rotates; by default in the minimal config", stablelm(),
         {"layer_norm_eps": put(layer_norm_eps=1e-6), "partial": rope(partial_rotary_factor=0.5), },
         minimal=True, dtype=torch.bfloat16),
    Case("stablelm-parallel", "a norm for each head of q and k, attention and MLP side by side, fewer key heads, a tied head: StableLM 2 12B", stablelm(
         qk_layernorm=True, use_parallel_residual=True, use_qkv_bias=False, num_key_value_heads=2, tie_word_embeddings=True,
         rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.5}),
         {"layer_norm_eps": put(layer_norm_eps=1e-6), "partial": rope(partial_rotary_factor=1.0)} | THETA, dtype=torch.bfloat16),

    # nemotron: 3, 4 and Minitron.
    Case("nemotron-relu2", "norms whose weights are stored less 1, head_dim that is not hidden_size / heads, half of a head rotates", nemotron(),
         {"norm_eps": put(norm_eps=1e-6), "partial": rope(partial_rotary_factor=1.0), "activation": put(hidden_act="relu")} | THETA,
         dtype=torch.bfloat16),
    Case("nemotron-bias-tied", "attention_bias and mlp_bias, another activation, a tied head; defaults in the minimal config", nemotron(
         attention_bias=True, mlp_bias=True, hidden_act="gelu", tie_word_embeddings=True, head_dim=8, num_key_value_heads=4),
         {"norm_eps": put(norm_eps=1e-6), "activation": put(hidden_act="relu2")} | THETA, minimal=True, dtype=torch.bfloat16),

    # gpt_neo, and TinyStories.
    Case("gpt_neo-local", "scores that are not scaled, a window in the second layer, a tied head", gpt_neo(),
         {"layer_norm_epsilon": put(layer_norm_epsilon=1e-6), "window": put(window_size=1000), "window-1": put(window_size=8),
          "pattern": put(attention_layers=["local", "global"]), "activation": put(activation_function="gelu")}, floor={"activation": 2e-4}),
    Case("gpt_neo-hub", "another pattern, four times the width in the MLP by default, a separate output head, the buffers that published files hold",
         gpt_neo(hidden_size=24, num_layers=3, num_heads=2, attention_types=[[["local"], 1], [["global"], 2]], intermediate_size=None,
                 activation_function="gelu", tie_word_embeddings=False), {"pattern": put(attention_layers=["global"] * 3)}, extra=neo_buffers,
         lengths=(7, 1, 40, 80), minimal=True, dtype=torch.bfloat16),

    # glm4: GLM-4-0414.
    Case("glm4-partial", "norms on both sides of attention and MLP, biases of q, k and v, half of each head turns, value 2i with value 2i+1",
         glm4(), EPS | THETA | {"partial": rope(partial_rotary_factor=1.0)}, minimal=True, dtype=torch.bfloat16),
    Case("glm4-yarn-tied", "yarn over three quarters of each head, no biases, tied head, one key head",
         glm4(attention_bias=False, tie_word_embeddings=True, num_key_value_heads=1,
              rope_parameters=YARN | {"rope_theta": 100.0, "partial_rotary_factor": 0.75}),
         EPS | {"scaling": unscaled(), "partial": rope(partial_rotary_factor=0.5), "factor": rope(factor=8.0)}, dtype=torch.bfloat16),

    # glm: GLM-4-9B.
    Case("glm-partial", "glm4 without norms after attention and MLP: half of each head turns, value 2i with value 2i+1", glm4(model_type="glm"),
         EPS | THETA | {"partial": rope(partial_rotary_factor=1.0)}, minimal=True, dtype=torch.bfloat16),
    Case("glm-nobias-tied", "no biases, tied head, one key head", glm4(model_type="glm", attention_bias=False, tie_word_embeddings=True, num_key_value_heads=1),
         EPS | THETA, dtype=torch.bfloat16),

    # glm4_moe: GLM-4.5.
    Case("glm4_moe-norm", "DeepSeek-V3's experts above grouped attention with norms of q and k and biases, half of each head turns; a layer behind the others",
         glm4_moe(use_qk_norm=True, attention_bias=True, n_shared_experts=1, routed_scaling_factor=1.7, num_hidden_layers=2),
         EPS | THETA | CHOICE | {"partial": rope(partial_rotary_factor=1.0), "factor": put(routed_scaling_factor=1.0), "shares": put(norm_topk_prob=False)},
         extra=later_layer, dtype=torch.float16),
    Case("glm4_moe-groups", "heads as they are; experts of the groups with the best two; weights that are no shares; tied head",
         glm4_moe(n_group=4, topk_group=2, norm_topk_prob=False, tie_word_embeddings=True, head_dim=8),
         EPS | THETA | CHOICE | {"shares": put(norm_topk_prob=True), "groups": put(topk_group=4)}, minimal=True, dtype=torch.float16),

    # ernie4_5_moe.
    Case("ernie4_5_moe-correction", "experts chosen by probabilities and a correction, two shared ones, value 2i turns with value 2i+1; tied head",
         ernie4_5_moe(tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
         EPS | THETA | {"one expert less": put(moe_k=2)}, minimal=True, v4={"moe_gate": "topk", "moe_use_aux_free": True, "moe_capacity": [8, 8, 8]},
         dtype=torch.float16),
    Case("ernie4_5_moe-interval", "experts in every other layer between two, no shared one, use_bias (at the head too), the names that the model has in memory",
         ernie4_5_moe(use_bias=True, num_hidden_layers=5, moe_layer_interval=2, moe_layer_start_index=1, moe_layer_end_index=2, moe_num_shared_experts=0,
                      intermediate_size=12),
         EPS | THETA | {"one expert less": put(moe_k=2)}, extra=lambda t: {k.replace("mlp.moe_statics", "mlp.gate.moe_statics"): v for k, v in fused(t).items()},
         dtype=torch.float16),

    # hunyuan_v1_moe: Hunyuan-A13B.
    Case("hunyuan_v1_moe-alpha", "a mixture and a shared expert, norms of q and k after rotation, a base stretched by alpha; tied head",
         hunyuan_moe(tie_word_embeddings=True, rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "alpha": 1000.0, "factor": 1.0,
                                                               "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}),
         EPS | {"alpha": rope(alpha=100.0), "one expert less": put(moe_topk=1)}, scaling_key="type",
         v4={"moe_topk": [2, 2], "moe_intermediate_size": [10, 10], "num_shared_expert": [1, 1], "use_mixed_mlp_moe": True, "moe_layer_num_skipped": 0,
             "use_qk_norm": True, "use_cla": False, "norm_type": "rms", "attention_head_dim": 8, "norm_topk_prob": True}, dtype=torch.float16),
    Case("hunyuan_v1_moe-bias", "attention_bias (o too), all experts of a layer in one tensor, the rope unscaled",
         hunyuan_moe(attention_bias=True, num_key_value_heads=4), EPS | THETA | {"one expert less": put(moe_topk=1)}, extra=fused, minimal=True, dtype=torch.float16),

    # exaone4.
    Case("exaone4-hybrid", "norms after attention and MLP only, QK norm per head, three layers of four windowed and the fourth without rotary "
         "positions; llama3 scaling; the v4 file gives the pattern as letters, as published",
         exaone4(num_key_value_heads=1, head_dim=16, rope_parameters=LLAMA3),
         EPS | {"scaling": unscaled(), "window": put(sliding_window=1000), "window-1": put(sliding_window=8),
                "pattern": put(layer_types=[SLIDE, FULL, SLIDE, SLIDE]), "full layers rotate": put(sliding_window=None, layer_types=[FULL] * 4)},
         v4={"sliding_window_pattern": "LLLG"}, dtype=torch.bfloat16),
    Case("exaone4-full", "no window, so that all layers rotate; tied head", exaone4(num_hidden_layers=2, sliding_window=None,
         layer_types=[FULL] * 2, tie_word_embeddings=True), EPS | THETA | {"no rotation": put(sliding_window=9)}, dtype=torch.bfloat16),
    Case("exaone4-pattern", "windows on two layers of three, by the pattern alone in the minimal config",
         exaone4(num_hidden_layers=3, sliding_window_pattern=3, layer_types=[SLIDE, SLIDE, FULL]),
         EPS | THETA | {"pattern": put(layer_types=[SLIDE, FULL, SLIDE])}, minimal=True, dtype=torch.bfloat16),

    # hunyuan_v1_dense.
    Case("hunyuan_v1_dense-alpha", "QK norm per head after rotation, a base stretched by alpha, fewer key heads, tied head",
         hunyuan(tie_word_embeddings=True, rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "alpha": 1000.0, "factor": 1.0,
                                                           "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}),
         EPS | {"alpha": rope(alpha=None), "alpha of 100": rope(alpha=100.0)}, scaling_key="type",
         v4={"use_qk_norm": True, "use_cla": False, "cla_share_factor": 2, "norm_type": "rms", "attention_head_dim": 8, "num_experts": 1,
             "add_classification_head": False, "mlp_bias": False, "pad_id": 0}, dtype=torch.bfloat16),
    Case("hunyuan_v1_dense-bias", "attention_bias (o too), a key head a query head, the rope unscaled",
         hunyuan(attention_bias=True, num_key_value_heads=4), EPS | THETA, minimal=True, dtype=torch.bfloat16),

    # ernie4_5.
    Case("ernie4_5-tied", "value 2i turns with value 2i+1; tied head; theta by default in the minimal config",
         ernie4_5(tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
         EPS | THETA, minimal=True, dtype=torch.bfloat16),
    Case("ernie4_5-bias", "use_bias: everywhere but at the head", ernie4_5(use_bias=True, num_key_value_heads=1, head_dim=8),
         EPS | THETA, dtype=torch.bfloat16),

    # helium: 1.
    Case("helium-plain", "value 2i turns with value 2i+1; theta by default in the minimal config",
         helium(rope_parameters={"rope_type": "default", "rope_theta": 100000.0}), EPS | THETA, minimal=True, dtype=torch.bfloat16),
    Case("helium-bias", "attention_bias (q, k and v), mlp_bias, a key head a query head, tied head",
         helium(attention_bias=True, mlp_bias=True, num_key_value_heads=4, tie_word_embeddings=True), EPS | THETA, dtype=torch.bfloat16),

    # cohere: Command R, R+, Aya.
    Case("cohere-norm", "LayerNorm without bias, of each head of q and k too (use_qk_norm), attention and MLP side by side, value 2i turns with value "
         "2i+1, a factor of the logits", cohere(use_qk_norm=True),
         LAYER_EPS | THETA | {"factor": put(logit_scale=1.0)}, dtype=torch.bfloat16),
    Case("cohere-bias", "attention_bias, separate output head, a key head a query head", cohere(attention_bias=True, tie_word_embeddings=False, num_key_value_heads=4),
         LAYER_EPS | THETA | {"factor": put(logit_scale=1.0)}, dtype=torch.bfloat16),

    # cohere2: Command R7B, Command A.
    Case("cohere2-hybrid", "windows on two layers of three, by the pattern in the v4 file; the third has no rotary positions",
         cohere(model_type="cohere2", num_hidden_layers=3, sliding_window=9, layer_types=[SLIDE, SLIDE, FULL]),
         LAYER_EPS | THETA | {"window": put(sliding_window=1000), "window-1": put(sliding_window=8), "pattern": put(layer_types=[SLIDE, FULL, SLIDE])},
         v4={"sliding_window_pattern": 3, "layer_types": None, "layer_switch": 3, "order_of_interleaved_layers": "local_attn_first",
             "position_embedding_type": "rope_gptj", "rotary_pct": 1.0, "use_parallel_block": True, "use_gated_activation": True,
             "use_embedding_sharing": True, "use_parallel_embedding": False, "use_qk_norm": False}, dtype=torch.bfloat16),

    # bloom, and bloomz.
    Case("bloom-heads", "ALiBi, of a number of heads that is no power of 2; a norm of the embeddings; q, k and v head by head; a tied head; the names "
         "of the published files, which were saved without their head", bloom(), EPSILON | {"heads": put(n_head=3)},
         rename=lambda name: name.removeprefix("transformer."), minimal=True, dtype=torch.bfloat16,
         v4={"seq_length": 128, "offset_alibi": 100, "attention_softmax_in_fp32": True, "bias_dropout_fusion": True, "masked_softmax_fusion": True,
             "skip_bias_add": True, "skip_bias_add_qkv": False, "n_inner": None, "unk_token_id": 0}),
    Case("bloom-untied", "a power of 2 of heads, a separate output head", bloom(hidden_size=32, n_head=8, tie_word_embeddings=False),
         EPSILON | {"heads": put(n_head=4)}, dtype=torch.float16),

    # mpt.
    Case("mpt-clip", "ALiBi, no biases, bounds of q, k and v, a scale of the scores of its own", mpt(dict(clip_qkv=1.3, softmax_scale=0.6)),
         EPSILON | {"clip": attn_config(clip_qkv=None), "scale": attn_config(softmax_scale=None), "heads": put(n_heads=2)}, dtype=torch.bfloat16,
         v4={"init_config": {"name": "kaiming_normal_"}, "verbose": 0, "tokenizer_name": "EleutherAI/gpt-neox-20b"}),
    Case("mpt-heads", "a number of heads that is no power of 2, a separate output head", mpt(d_model=36, n_heads=6, tie_word_embeddings=False),
         EPSILON | {"heads": put(n_heads=3)}, minimal=True, dtype=torch.float16),

    # falcon.
    Case("falcon-multi", "Falcon 7B: one key head, attention and MLP side by side behind one norm; tied head", falcon(),
         EPSILON | THETA | {"activation": put(activation="gelu_new")}, floor={"activation": 2e-4}, minimal=True, dtype=torch.bfloat16,
         v4={"num_kv_heads": 4, "apply_residual_connection_post_layernorm": False}),
    Case("falcon-groups", "Falcon 40B: a key head for each group of heads, attention and MLP side by side with a norm each; biases, a separate output head",
         falcon(new_decoder_architecture=True, num_kv_heads=2, bias=True, tie_word_embeddings=False), EPSILON | THETA, dtype=torch.bfloat16),
    Case("falcon-one_norm", "Falcon 2 11B: groups and one norm of both; another activation", falcon(new_decoder_architecture=True, num_kv_heads=2,
         num_ln_in_parallel_attn=1, activation="relu"), EPSILON | THETA | {"activation": put(activation="gelu")}, dtype=torch.float16),
    Case("falcon-alibi", "Falcon RW: ALiBi, whose slopes, depths and products are rounded to bfloat16, over more than 256 tokens; attention and MLP one "
         "after the other, a key head a query head, biases", falcon(alibi=True, multi_query=False, parallel_attn=False, bias=True, num_attention_heads=9, hidden_size=54, vocab_size=74,
         max_position_embeddings=320), EPSILON | {"alibi": put(alibi=False)}, lengths=(7, 1, 40, 266), dtype=torch.float16,
         attention="sdpa"),  # eager adds the bias twice: with the mask, in which sdpa has it, and before

    # gptj.
    Case("gptj-partial", "value 2i turns with value 2i+1 in 12 of 16 values of a head, attention and MLP side by side, a bias of the head",
         gptj(), {"eps": put(layer_norm_epsilon=1e-5), "rotary_dim": put(rotary_dim=16), "activation": put(activation_function="relu")}, dtype=torch.bfloat16),
]

# Keys of the published v4 files that have no effect, or their one value that computes what is computed here.
V4_EXTRA = {
    "llama": {"pretraining_tp": 1},
    "gemma2": {"hidden_act": "gelu_pytorch_tanh", "cache_implementation": "hybrid"},
    "gemma3_text": {"cache_implementation": "hybrid"},
    "gemma3": {"eos_token_id": [1, 106]},
    "gemma3n_text": {"cache_implementation": "hybrid", "altup_lr_multiplier": 1.0, "query_pre_attn_scalar": 256},
    "qwen2": {"sliding_window": 32768},
    "qwen3": {},
    "mistral": {},
    "ministral": {},
    "ministral3": {},
    "mistral3": {},
    "phi3": {"attention_bias": False, "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config", "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"}},
    "gpt2": {"task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}},
    "gpt_neox": {"attention_probs_dropout_prob": 0, "hidden_dropout_prob": 0},
    "olmo2": {},
    "olmo": {},
    "olmo3": {},
    "gemma": {},
    "smollm3": {"max_window_layers": 28},
    "granite": {},
    "seed_oss": {"pretraining_tp": 1},
    "arcee": {},
    "olmoe": {"router_aux_loss_coef": 0.01},
    "qwen3_moe": {"max_window_layers": 48},
    "qwen2_moe": {},
    "qwen3_5_text": {"mtp_num_hidden_layers": 1, "mtp_use_dedicated_embeddings": False},
    "qwen3_5": {},
    "qwen3_next": {},
    "qwen3_5_moe_text": {"mtp_num_hidden_layers": 1},
    "qwen3_5_moe": {},
    "mixtral": {"router_jitter_noise": 0.0},
    "granitemoe": {},
    "granitemoehybrid": {"output_router_logits": False, "router_aux_loss_coef": 0.0},
    "falcon_h1": {"num_logits_to_keep": 1},
    "bamba": {"z_loss_coefficient": 0.0},
    "gpt_oss": {},
    "glm": {},
    "glm4_moe": {"num_nextn_predict_layers": 1},
    "ernie4_5_moe": {},
    "hunyuan_v1_moe": {"pretraining_tp": 1},
    "bloom": {},
    "mpt": {},
    "falcon": {"ff_factor": None},
    "phimoe": {"router_aux_loss_coef": 0.0},
    "llama4_text": {"for_llm_compressor": False},
    "llama4": {},
    "deepseek_v2": {"aux_loss_alpha": 0.001, "ep_size": 1, "moe_layer_freq": 1, "scoring_func": "softmax", "seq_aux": True},
    "deepseek_v3": {"ep_size": 1, "moe_layer_freq": 1, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "num_nextn_predict_layers": 1},
    "phi": {"embd_pdrop": 0.0, "resid_pdrop": 0.1},
    "apertus": {"hidden_dropout": 0.0, "mlp_bias": False, "post_norm": False, "qk_norm": True},
    "opt": {"dropout": 0.1, "layerdrop": 0.0},
    "starcoder2": {"mlp_type": "default", "norm_type": "layer_norm"},
    "stablelm": {},
    "nemotron": {},
    "nemotron_h": {"partial_rotary_factor": 1.0, "rope_theta": 10000},
    "gpt_neo": {"gradient_checkpointing": False, "summary_type": "cls_index"},
    "glm4": {},
    "exaone4": {},
    "hunyuan_v1_dense": {"pretraining_tp": 1},
    "ernie4_5": {},
    "helium": {},
    "cohere": {},
    "cohere2": {},
    "gptj": {"rotary": True, "scale_attn_weights": True, "summary_type": "cls_index"},
}
