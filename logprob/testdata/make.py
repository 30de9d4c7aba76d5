#!/usr/bin/env python3
"""Makes the tiny checkpoints under families/ and the log-probabilities that PyTorch computes with them.

    pip install torch==2.11.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6    (Python 3.11)
    python make.py                 # all cases
    python make.py llama-linear    # only the named ones

The output is committed; nothing in the build or in the tests runs this program. Weights depend only on the case's name and
the tensor's name, so a rerun gives the same weight files; the last digits of the goldens may differ on another CPU.

A case is a folder families/<family>-<feature>/ with

    config.json          as transformers 5.23 writes it (rope_parameters, layer_types, dtype)
    config.v4.json       the same model with the keys of transformers 4, as published on the hub (rope_theta, rope_scaling,
                         rotary_pct, sliding_window_pattern, torch_dtype) and with the keys without effect that are found there
    config.min.json      (some cases) config.v4.json without every key that transformers fills in by default
    model.safetensors    or model-0000N-of-00003.safetensors and model.safetensors.index.json
    golden.json          {"note", "texts": [{"ids", "logprobs"}], "next"}

logprobs[i] is ln p(ids[i+1] | ids[:i+1]); next is the row ln p(. | ids) over the whole vocabulary after the first text. Each
text is computed alone, without padding or cache, with eager attention (sdpa where a case says so), by the model that from_pretrained makes of the files
just written, all in float32 (16-bit weights are upcast first); the log-softmax of the float32 logits is taken in float64 and
printed with 9 significant digits. Of mixtures of experts router_gap is the smallest gap, over all texts, between the last
logit of a router that was chosen and the first that was not (of phimoe what sparse_gaps says). The second text has one token; the third begins with the whole first one.

Before anything is written as a golden, the program checks that
  - transformers finds no tensor missing and none unexpected (but for the buffers that it ignores by name), and
  - every config file of the case gives the very same numbers;
  - float64 weights and activations move no log-probability by more than 5e-6, so a bound of 2e-5 is a fair one;
  - every kind of tensor matters: with it set to zero (norm weights: to the identity) some log-probability moves by 1e-3;
  - every feature of the case matters: with the config perturbed as its `bites` says, some log-probability moves by 1e-3
    (2e-4 for an activation put in the place of its near twin, gelu for gelu_new).
The effects are printed, and for bfloat16 weights also what PyTorch's own bfloat16 arithmetic would have moved.
What each case is for is said in cases.py.
"""

import contextlib
import copy
import hashlib
import json
import math
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True
import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import load_file, save_file
from transformers import (AutoConfig, AutoModel, AutoModelForCausalLM, Gemma3ForConditionalGeneration, Gemma3nForConditionalGeneration, Gemma4ForConditionalGeneration,
                          Gemma4UnifiedForConditionalGeneration, Mistral3ForConditionalGeneration, Qwen3_5ForConditionalGeneration,
                          Qwen3_5MoeForConditionalGeneration, Llama4ForConditionalGeneration)
from transformers.configuration_utils import PreTrainedConfig
from transformers.models.gemma3n import modeling_gemma3n
from transformers.models.gemma3n.configuration_gemma3n import Gemma3nVisionConfig

from cases import CASES, FULL, LINEAR, SLIDE, V4_EXTRA

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

MULTIMODAL = {"gemma3": Gemma3ForConditionalGeneration, "mistral3": Mistral3ForConditionalGeneration, "qwen3_5": Qwen3_5ForConditionalGeneration,
              "llama4": Llama4ForConditionalGeneration, "qwen3_5_moe": Qwen3_5MoeForConditionalGeneration,
              "gemma3n": Gemma3nForConditionalGeneration, "gemma4": Gemma4ForConditionalGeneration, "gemma4_unified": Gemma4UnifiedForConditionalGeneration}


class Towers:
    """Gemma 3n with an image tower of a few numbers in the place of timm's MobileNet, which texts do not touch."""

    @staticmethod
    def from_config(config, **kw):
        return torch.nn.Linear(config.hidden_size, 1) if config.model_type == "gemma3n_vision" else AutoModel.from_config(config, **kw)


modeling_gemma3n.AutoModel = Towers
Gemma3nVisionConfig.from_dict, Gemma3nVisionConfig.to_dict = PreTrainedConfig.__dict__["from_dict"], PreTrainedConfig.to_dict
TOWERS = ("vision_tower", "vision_model", "multi_modal", "model.visual.", "embed_vision", "embed_audio", "audio_tower")
OUT = Path(__file__).parent / "families"


def whole(x):
    return int(x) if isinstance(x, float) and x.is_integer() else x


def to_v4(d, case):
    """The config as transformers 4 and the hub have it, of the config that transformers 5 writes."""
    d, kind = copy.deepcopy(d), d["model_type"]
    if kind == "ministral3":  # of transformers 5 alone
        return dict(sorted((d | (case.v4 if kind == case.family else {})).items()))
    if kind == "gemma3n":
        return dict(sorted((d | case.v4 | {"text_config": to_v4(d["text_config"], case)}).items()))
    if kind.startswith("gemma4"):  # as published
        if "text_config" in d:
            return dict(sorted((d | case.v4 | {"text_config": to_v4(d["text_config"], case)}).items()))
        d |= {"global_head_dim": d["head_dim"], "num_global_key_value_heads": None}
        for layer in d.pop("per_layer_config").values():
            d |= {{"head_dim": "global_head_dim", "num_key_value_heads": "num_global_key_value_heads"}[k]: v for k, v in layer.items()}
        return dict(sorted(d.items()))
    d["torch_dtype"] = d.pop("dtype", None)
    if d["torch_dtype"] is None:
        del d["torch_dtype"]
    if "text_config" in d:
        d["text_config"] = to_v4(d["text_config"], case)
        del d["tie_word_embeddings"]
    if "transformers_version" in d:
        d["transformers_version"] = "4.44.0"
    if kind != "nemotron_h" and d.get("time_step_limit") == [0.0, {"__float__": "Infinity"}]:
        del d["time_step_limit"]

    if kind == "nemotron_h":  # Infinity as such, which no JSON has
        d |= {"hybrid_override_pattern": "".join("-EM*"[["mlp", "moe", LINEAR, FULL].index(t)] for t in d.pop("layers_block_type")),
              "time_step_limit": [0.0, math.inf]}
        d["num_hidden_layers"] = len(d["hybrid_override_pattern"])

    def scaling(r):
        r = {k: v for k, v in r.items() if k not in ("rope_theta", "partial_rotary_factor")}
        if kind == "phi3":
            r.pop("original_max_position_embeddings", None)
        t = r.pop("rope_type")
        return None if t == "default" else {case.scaling_key: t} | r

    r = d.pop("rope_parameters", None)
    if kind == "gemma3n_text":
        d["rope_theta"], d["rope_local_base_freq"] = whole(r[FULL]["rope_theta"]), whole(r[SLIDE]["rope_theta"])
        d["rope_scaling"] = scaling(r[FULL])
    elif kind == "gemma3_text":
        d["rope_theta"], d["rope_local_base_freq"] = whole(r[FULL]["rope_theta"]), whole(r[SLIDE]["rope_theta"])
        d["rope_scaling"] = scaling(r[FULL])
        types = d["layer_types"]
        del d["_sliding_window_pattern"], d["use_bidirectional_attention"]
        p = types.index(FULL) + 1
        if types == [SLIDE if (i + 1) % p else FULL for i in range(len(types))]:
            d["sliding_window_pattern"] = p
            del d["layer_types"]
    elif kind == "olmo3":
        d["rope_theta"], d["rope_scaling"] = whole(r[FULL]["rope_theta"]), scaling(r[FULL])
    elif kind == "gpt_neox":
        d["rotary_emb_base"], d["rotary_pct"] = whole(r["rope_theta"]), r["partial_rotary_factor"]
        if (s := scaling(r)) is not None:
            d["rope_scaling"] = s
    elif r is not None:
        d["rope_theta"], d["rope_scaling"] = whole(r["rope_theta"]), scaling(r)
        if r.get("partial_rotary_factor", 1.0) != 1.0:
            d["partial_rotary_factor"] = r["partial_rotary_factor"]
    if kind in ("qwen2", "qwen3") or kind == "qwen2_moe" and not d["use_sliding_window"]:
        del d["layer_types"]
    if kind in ("qwen2_moe", "qwen3_moe", "olmoe") and "num_local_experts" in d:
        d["num_experts"] = d.pop("num_local_experts")
    if kind == "gemma2":
        del d["use_bidirectional_attention"], d["tie_word_embeddings"]
        if d["layer_types"] == [SLIDE, FULL] * (len(d["layer_types"]) // 2):
            del d["layer_types"]
    if kind == "gpt2":
        d["n_ctx"] = d["n_positions"]
        if d["tie_word_embeddings"]:
            del d["tie_word_embeddings"]
    if kind in ("llama", "mistral") and d["head_dim"] * d["num_attention_heads"] == d["hidden_size"]:
        del d["head_dim"]
    extra = {k: v for k, v in V4_EXTRA[kind].items() if d.get(k) is None}
    if kind == case.family:
        extra |= case.v4
    return dict(sorted((d | extra).items()))


def minimal(d):
    """d without the keys that the config class fills in with the same value, and without those that it does not know."""
    want = AutoConfig.for_model(**d).to_dict()
    known = set(AutoConfig.for_model(d["model_type"]).to_dict())
    skip = {"transformers_version"} | {k for k in want if k not in known}
    for k in [k for k in d if k not in ("model_type", "architectures")]:
        less = {a: b for a, b in d.items() if a != k}
        try:
            got = AutoConfig.for_model(**less).to_dict()
        except (StrictDataclassError, ValueError):  # the default does not go with the other keys
            continue
        if all(got.get(a) == b for a, b in want.items() if a not in skip):
            d = less
    return d


def stored_less_1(case, name):
    """Tells whether a norm's weights are stored less 1."""
    if case.family.startswith(("gemma3n", "gemma4")):
        return False
    return case.family.startswith(("gemma", "qwen3_5", "qwen3_next")) and "linear_attn" not in name or case.family == "nemotron"


def numbers(model):
    """Parameters and the buffers that are saved with them, by name."""
    saved = model.state_dict()
    return dict(model.named_parameters()) | {n: b for n, b in model.named_buffers() if n in saved and not any(t in n for t in TOWERS)}


def random_tensor(case, name, like):
    """Weights of a size at which every part of the model matters: outputs of order 1, scores of order 2, norms off 1, biases off 0."""
    g = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"{case.config['model_type']} {case.name} {name}".encode()).digest()[:7], "big"))
    x = torch.randn(like.shape, generator=g)
    base = name.rsplit(".", 2)
    kind = base[-2] if len(base) > 1 else name
    if name.endswith("bias") or name.endswith("probe"):
        return 0.3 * x
    if name.endswith("A_log"):
        return x
    if kind == "conv1d":
        return 1.2 * x
    if kind == "modality_router":  # what it reads is divided by its width
        return 0.9 * x * math.sqrt(like.shape[-1])
    if kind in ("prediction_coefs", "correction_coefs"):
        return 0.8 * x / like.shape[-1]
    if name.endswith(("layer_scalar", "router.scale", "per_expert_scale", "correct_output_scale")):
        return 0.8 + 0.2 * x
    if name.endswith("act_fn.beta"):
        return 0.5 + 0.1 * x
    if name.endswith("act_fn.eps"):
        return torch.full_like(x, case.xielu_eps)
    if kind == "q_norm" and case.family.startswith(("gemma3n", "gemma4")):  # scores are not scaled
        return 0.4 + 0.12 * x
    if kind.startswith("post_") and (case.config.get("text_config") or case.config).get("hidden_size_per_layer_input"):
        return 0.4 + 0.12 * x  # what they add is also what they enlarge, with its rounding
    if "norm" in kind or kind.startswith("ln_") or ".norms." in name:
        return 0.3 * x + (0.0 if stored_less_1(case, name) else 1.0)
    if kind in ("embed_tokens", "wte", "embed_in", "word_embeddings", "embeddings"):
        tied = case.config.get("tie_word_embeddings", case.family in ("gpt2", "gemma", "gemma2", "gemma3_text", "gemma3"))
        return 0.2 * x * math.sqrt(32 / like.shape[1])
    if kind == "embed_tokens_per_layer":
        return x / math.sqrt((case.config.get("text_config") or case.config)["hidden_size_per_layer_input"])
    if kind in ("wpe", "embed_positions"):
        return 0.15 * x
    if kind in ("lm_head", "embed_out"):
        return 1.2 * x / math.sqrt(like.shape[1])
    if name.endswith("sinks"):
        return 1.5 + x
    inputs_first = case.family == "gpt2" or kind == "experts" and case.family in ("gpt_oss", "llama4", "llama4_text")
    fan_in = like.shape[-2] if inputs_first else like.shape[-1]
    gain = 1.1 if kind in ("q_proj", "k_proj", "qkv_proj", "query_key_value", "c_attn") else 0.9
    return gain * x / math.sqrt(fan_in)


def build(config, attention="eager"):
    if kind := MULTIMODAL.get(config.model_type):
        config._attn_implementation = "eager"
        return kind._from_config(config, attn_implementation="eager", **experts(config)).eval()
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention, **experts(config)).eval()


def experts(config):
    """Experts one after the other, which float64 can have too."""
    c = config.get_text_config()
    return {"experts_implementation": "eager"} if hasattr(c, "num_experts_per_tok") or hasattr(c, "moe_k") or hasattr(c, "moe_topk") or getattr(c, "enable_moe_block", False) else {}


def load(folder, case):
    kind = MULTIMODAL.get(case.family, AutoModelForCausalLM)
    model, info = kind.from_pretrained(folder, attn_implementation=case.attention, dtype=torch.float32, output_loading_info=True,
                                       **experts(AutoConfig.from_pretrained(folder)))
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        # Buffers that transformers 4 ignored by name and 5.23 reports: GPT-2's masked_bias, GPT-Neo's two. And a layer behind the last.
        later = f"|^model\\.layers\\.{getattr(model.config, 'num_hidden_layers', '-')}\\."
        if bad := [k for k in info[what] if not re.search(r"attn\.(masked_bias|attention\.(masked_)?bias)$" + later, str(k))]:
            raise SystemExit(f"{case.name}: {what}: {bad}")
    if model.get_output_embeddings().weight.dtype != torch.float32 or model.config._attn_implementation != case.attention:
        raise SystemExit(f"{case.name}: not float32 or not {case.attention}")
    return model.eval()


@torch.no_grad()
def rows(model, ids):
    """ln p(. | ids[:i+1]) for each i, float64."""
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return torch.log_softmax(logits.double(), dim=-1)


def score(model, texts, shown=None):
    """ln p of every token after the first of every text, and the row after the first text; the model sees the ids of shown in their place."""
    all_rows = [rows(model, t) for t in shown or texts]
    got = [[r[i, t[i + 1]].item() for i in range(len(t) - 1)] for t, r in zip(texts, all_rows)]
    return got, all_rows[0][-1].tolist()


def distance(a, b):
    flat = lambda s: torch.tensor([x for t in s[0] for x in t] + s[1], dtype=torch.float64)
    return (flat(a) - flat(b)).abs().max().item()


def make_texts(case, vocab, attempt=0):
    seed = f"texts {case.name}" + (f" {attempt}" if attempt else "")
    g = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big"))
    texts = [torch.randint(0, vocab, (n,), generator=g).tolist() for n in case.lengths]
    texts[2][: len(texts[0])] = texts[0]
    return texts


def compared(gate, logits):
    """What DeepSeek's routers choose by, -inf in groups that are not chosen, and the gaps between the last group that is chosen and the first that is not."""
    if hasattr(gate, "moe_statics"):  # ERNIE's
        return gate.moe_statics(logits.softmax(-1)), torch.empty(0)
    scores = logits if not hasattr(gate, "e_score_correction_bias") else logits.sigmoid() + gate.e_score_correction_bias
    groups = gate.num_group if getattr(gate, "topk_method", "") != "greedy" else None
    if not groups or groups == gate.topk_group:
        return scores, torch.empty(0)
    parts = scores.view(len(scores), groups, -1)
    of = parts.topk(2 if hasattr(gate, "e_score_correction_bias") else 1).values.sum(-1)
    top = of.topk(gate.topk_group + 1)
    mask = torch.zeros_like(of).scatter_(1, top.indices[:, :-1], 1.0).bool()
    return parts.masked_fill(~mask.unsqueeze(-1), float("-inf")).flatten(1), top.values[:, -2] - top.values[:, -1]


def sparse_gaps(gate, logits):
    """What decides sparsemixer's choice of two and their probabilities: the distances of the three highest logits, and of all to what is near."""
    top, order = logits.topk(3)
    gaps, seen = [top[:, :1] - top[:, 1:2], top[:, 1:2] - top[:, 2:]], torch.zeros_like(logits).bool()
    for i in range(2):
        seen = seen.scatter(1, order[:, i : i + 1], True)
        first = top[:, i : i + 1]
        over = first - logits - 2 * gate.router_jitter_noise * torch.maximum(logits.abs(), first)
        gaps.append(over.abs().masked_fill(seen, float("inf")))
    return torch.cat(gaps, 1)


@torch.no_grad()
def router_gap(model, texts):
    """The smallest gap of a model's routers between the last logit that is chosen and the first that is not; None without routers."""
    c = model.config.get_text_config()
    k = getattr(c, "num_experts_per_tok", None) or getattr(c, "top_k_experts", None)
    if k is None or getattr(c, "num_local_experts", None) == 0:
        return None
    gaps = []
    gates = [m for m in model.modules() if hasattr(m, "topk_group") or hasattr(m, "moe_statics")]  # DeepSeek's
    mixers = [m for m in model.modules() if type(m).__name__ == "PhimoeTopKRouter"]
    if model.config.model_type == "llama4":
        model = model.language_model
    for i, ids in enumerate(texts):
        for layer, logits in enumerate(model(input_ids=torch.tensor([ids]), output_router_logits=True, use_cache=False).router_logits):
            if gates:
                logits, of_groups = compared(gates[layer], logits)
                of_groups = of_groups if i == 0 else of_groups[:-1]
                gaps += [of_groups.min().item()] if of_groups.numel() else []
            elif model.config.model_type.startswith("gemma4"):
                logits = logits.log()  # they are probabilities
            if i > 0:
                logits = logits[:-1]  # the last token's says nothing of a log-probability
            if len(logits) == 0:
                continue
            if mixers:
                gaps.append(sparse_gaps(mixers[layer], logits).min().item())
                continue
            top = logits.topk(k + 1, dim=-1).values
            gaps.append((top[:, k - 1] - top[:, k]).min().item())
    return min(gaps, default=None)


def clear_texts(case, model):
    """The first texts that leave no choice of experts to rounding, and the smallest gap."""
    for attempt in range(100):
        texts = make_texts(case, model.config.get_text_config().vocab_size, attempt)
        gap = router_gap(model, texts)
        if gap is None or gap > 5e-4:
            return texts, gap
    raise SystemExit(f"{case.name}: every choice of texts has a choice of experts that is too close")


@contextlib.contextmanager
def wide(model):
    """Computes in float64 what a model with gated delta nets or Mamba 2 computes in float32 in any case."""
    module = sys.modules[type(model).__module__]
    if not hasattr(module, "torch_chunk_gated_delta_rule") and not hasattr(module, "mamba2_chunk_scan"):
        yield
        return

    class Wide:
        float32 = torch.float64

        def __getattr__(self, name):
            return getattr(torch, name)

    narrow, torch.Tensor.float, module.torch = torch.Tensor.float, torch.Tensor.double, Wide()
    try:
        yield
    finally:
        torch.Tensor.float, module.torch = narrow, torch


def kind_of(name):
    return re.sub(r"\.\d+\.", ".N.", name)


def bites(case, model, texts, golden):
    """Perturbs the config and each kind of tensor; returns label -> the largest change of a log-probability."""
    out = {}
    state = model.state_dict()
    for label, change in case.bites.items():
        c = copy.deepcopy(model.config)
        with change(c) or contextlib.nullcontext():
            m = build(c, case.attention)
        miss = m.load_state_dict(state, strict=False)
        if miss.missing_keys or miss.unexpected_keys:
            raise SystemExit(f"{case.name}: {label}: {miss}")
        out[label] = distance(golden, score(m, texts))
    kinds = sorted({kind_of(n) for n in numbers(model) if not any(t in n for t in TOWERS)})
    for k in kinds:
        m = copy.deepcopy(model)
        for n, p in numbers(m).items():
            if kind_of(n) == k:
                is_norm = n.endswith("weight") and re.search(r"norm|ln_", k)
                p.data.fill_(1.0 if is_norm and not stored_less_1(case, n) else 0.0)
        out["tensor " + k] = distance(golden, score(m, texts))
    if not model.config.get_text_config().tie_word_embeddings:
        m = copy.deepcopy(model)
        m.get_output_embeddings().weight.data.copy_(m.get_input_embeddings().weight.data)
        out["own head"] = distance(golden, score(m, texts))
    return out


def number(x):
    return json.loads(f"{x:.9g}")


def write_weights(folder, tensors, shards):
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    # Cut where the bytes are even, so that a layer is spread over two files.
    total = sum(t.nbytes for t in tensors.values())
    groups, seen = [[] for _ in range(shards)], 0
    for n in names:
        groups[min(shards - 1, seen * shards // total)].append(n)
        seen += tensors[n].nbytes
    index = {}
    for i, group in enumerate(groups):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        save_file({n: tensors[n] for n in group}, folder / file, metadata={"format": "pt"})
        index |= {n: file for n in group}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}, indent=2) + "\n")


def put_json(path, d):
    path.write_text(json.dumps(d, indent=2, sort_keys=True) + "\n")


def make(case):
    folder = OUT / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = build(AutoConfig.for_model(**copy.deepcopy(case.config)))
    with torch.no_grad():
        for name, p in numbers(model).items():
            p.copy_(random_tensor(case, name, p))
    model = model.to(case.dtype)
    with tempfile.TemporaryDirectory() as tmp:
        model.save_pretrained(tmp)
        config = json.loads((Path(tmp) / "config.json").read_text())
        tensors = load_file(Path(tmp) / "model.safetensors")
    if case.rename:
        tensors = {case.rename(n): t for n, t in tensors.items()}
    if case.extra:
        tensors = case.extra(tensors)
    write_weights(folder, tensors, case.shards)
    put_json(folder / "config.json", config)
    v4 = to_v4(config, case)
    put_json(folder / "config.v4.json", v4)
    if case.minimal:
        put_json(folder / "config.min.json", minimal(v4))

    model = load(folder, case)
    texts, gap = clear_texts(case, model)
    golden = score(model, texts)

    for other in sorted(folder.glob("config.*.json")):
        with tempfile.TemporaryDirectory() as tmp:
            for f in folder.glob("*.safetensors*"):
                shutil.copy(f, tmp)
            shutil.copy(other, Path(tmp) / "config.json")
            if (d := distance(golden, score(load(tmp, case), texts))) != 0:
                raise SystemExit(f"{case.name}: {other.name} gives other numbers: {d}")
    if case.family in MULTIMODAL:  # the text part alone is the same model
        m = AutoModelForCausalLM.from_config(model.config.text_config, attn_implementation="eager", **experts(model.config)).eval()
        inner = model.language_model.model if case.family == "llama4" else model.model.language_model
        m.model.load_state_dict(inner.state_dict())
        m.lm_head.weight = model.get_output_embeddings().weight
        shown = texts
        if hasattr(model.config, "video_token_id"):  # Gemma 4 embeds placeholders as padding
            places = {model.config.image_token_id, model.config.video_token_id, model.config.audio_token_id}
            shown = [[model.config.text_config.pad_token_id if i in places else i for i in t] for t in texts]
        if (d := distance(golden, score(m, texts, shown))) > 1e-6:
            raise SystemExit(f"{case.name}: text part alone differs by {d}")

    double = copy.deepcopy(model).double()
    for m in double.modules():
        if hasattr(m, "reorder_and_upcast_attn"):
            m.reorder_and_upcast_attn = False  # it insists on float32
    with wide(double):
        exact = distance(golden, score(double, texts))
    logits = model(input_ids=torch.tensor([texts[3]]), use_cache=False).logits
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{case.name}: std of logits {logits.std().item():.2f}, float64 differs by {exact:.1e}, {size // 1000} kB")
    if case.dtype == torch.bfloat16:
        half = score(copy.deepcopy(model).bfloat16(), texts)
        diff = [abs(x - y) for a, b in zip(golden[0], half[0]) for x, y in zip(a, b)]
        print(f"    PyTorch in bfloat16 differs by at most {max(diff):.3f}, by {sum(diff) / len(diff):.4f} on average")
    if exact > 5e-6:
        raise SystemExit(f"{case.name}: too ill-conditioned for the bound")
    weak = []
    for label, effect in bites(case, model, texts, golden).items():
        floor = case.floor.get(label, 1e-3)
        if effect < floor:
            weak.append(label)
        if not label.startswith("tensor") or effect < 1e-2:
            print(f"    {effect:8.2g}  without {label}" + ("  TOO WEAK" if effect < floor else ""))
    if weak:
        raise SystemExit(f"{case.name}: no effect of {', '.join(weak)}")

    if case.alias:
        for f in folder.glob("config*.json"):
            put_json(f, json.loads(f.read_text()) | {"model_type": case.alias})
    note = (f"{case.purpose}. ln p in float32 by transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, {case.attention} attention, "
            "each text alone; log-softmax in float64. Made by make.py.")
    lines = [f'{{\n  "note": {json.dumps(note)},\n  "texts": [']
    lines.append(",\n".join(f'    {{"ids": {json.dumps(t)},\n     "logprobs": {json.dumps([number(x) for x in s])}}}' for t, s in zip(texts, golden[0])))
    if gap is not None:
        print(f"    the smallest gap of a router is {gap:.2g}")
        lines.append(f'  ],\n  "router_gap": {number(gap)},\n  "next": {json.dumps([number(x) for x in golden[1]])}\n}}')
    else:
        lines.append(f'  ],\n  "next": {json.dumps([number(x) for x in golden[1]])}\n}}')
    (folder / "golden.json").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    want = sys.argv[1:]
    for c in CASES:
        if not want or c.name in want:
            make(c)
    total = sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file())
    print(f"{len(list(OUT.iterdir()))} cases, {total / 1e6:.2f} MB")
