#!/usr/bin/env python3
"""Makes the peft adapters under adapters/ and the log-probabilities that transformers and peft compute with them.

    pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2 safetensors==0.8.0 numpy==2.4.6    (Python 3.11)
    python adapters.py                 # all cases
    python adapters.py llama-dora      # only the named ones

The output is committed; nothing in the build or in the tests runs this program. The bases are the checkpoints of make.py
under families/. A case is a folder adapters/<case>/ with

    adapter_config.json, adapter_model.safetensors    as peft's save_pretrained writes them, but for base_model_name_or_path,
                                                      the order of target_modules and what `edit` of the case changes
    golden.json          {"note", "base", "texts": [{"ids", "logprobs"}], "next"}: base is the folder of the base, from
                         testdata; the rest as make.py says, of the base with the adapter. The texts are those of the base's
                         own golden.json, so that adapter off is what stands there.
                         Or, in the cases refused-*, {"note", "base", "refused"}: an adapter that changes a number in a way that is not computed;
                         refused is a word that the error must contain.

Adapters of one base share it, as a checkpoint series does. Matrix B is random, not zero as peft starts it; so are
magnitudes, biases and the copies of modules_to_save. Numbers are those of PeftModel.from_pretrained of the files just
written on the base in float32 with eager attention, printed with 9 significant digits.

Before a golden is written, the program checks that
  - peft finds no key of the file unexpected and none missing;
  - every tensor kind of the adapter matters: replaced by what the base has (B, biases by zero, magnitudes by the base's
    norms, copies by the base's weights) some log-probability moves by 1e-3;
  - every feature of the case matters: with adapter_config.json edited as its `bites` says, some log-probability moves by 1e-3;
  - float64 moves no log-probability by more than 5e-6.
"""

import copy
import hashlib
import json
import math
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Gemma3ForConditionalGeneration

from make import distance, number, put_json, score

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
HERE = Path(__file__).parent


@dataclass
class Adapter:
    name: str
    base: str  # folder, from testdata
    purpose: str
    config: dict  # arguments of LoraConfig
    bites: dict[str, dict] = field(default_factory=dict)  # label -> keys put into adapter_config.json
    edit: dict = field(default_factory=dict)  # keys put into adapter_config.json after saving
    keep: tuple = ()  # if set, adapter_config.json holds these keys alone, as older peft wrote
    dtype: torch.dtype = torch.float32  # of the adapter's tensors in the file
    refused: str = ""  # the adapter must be refused with an error that contains this
    weak: tuple = ()  # tensor kinds that need not matter


PROJ = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
F = "families/"


def lora(**kw):
    return dict(r=3, lora_alpha=7, target_modules=["q_proj", "v_proj"]) | kw


CASES = [
    Adapter("llama-plain", F + "llama-mha", "r and alpha, target_modules a list of suffixes", lora(), {"alpha": {"lora_alpha": 6}}),
    Adapter("llama-step-2", F + "llama-mha", "the same modules as llama-plain with other weights: a later checkpoint of a series", lora()),
    Adapter("llama-alllinear", F + "llama-mha", "every matrix of the blocks, expanded from all-linear as peft saves it",
            lora(target_modules="all-linear")),
    Adapter("llama-regex", F + "llama-mha", "target_modules a regular expression that must match the whole path, and lora_dropout, which "
            "has no effect", lora(target_modules=r"model\.layers\.\d\.(self_attn\.(q|k)_proj|mlp\.up_proj)", lora_dropout=0.1)),
    Adapter("llama-paths", F + "llama-mha", "target_modules a list of whole paths and longer suffixes",
            lora(target_modules=["model.layers.0.mlp.down_proj", "1.self_attn.o_proj", "mlp.gate_proj"])),
    Adapter("llama-exclude", F + "llama-mha", "exclude_modules",
            lora(target_modules=PROJ, exclude_modules=["layers.0.self_attn.q_proj", "down_proj"])),
    Adapter("llama-layers", F + "llama-sharded", "layers_to_transform of the layers after layers_pattern",
            lora(target_modules=PROJ, layers_to_transform=[0, 2], layers_pattern="layers")),
    Adapter("llama-layer", F + "llama-sharded", "layers_to_transform a single number, no pattern", lora(layers_to_transform=1)),
    Adapter("llama-rslora", F + "llama-mha", "use_rslora: alpha over the root of r", lora(use_rslora=True), {"rslora": {"use_rslora": False}}),
    Adapter("llama-patterns", F + "llama-mha", "rank_pattern and alpha_pattern: keys match the end of the path from a dot on, as regular "
            "expressions, the first in the file wins; the scale is the module's own alpha over its own rank",
            lora(target_modules=["q_proj", "v_proj", "up_proj", "down_proj"], use_rslora=False,
                 rank_pattern={"layers.1.self_attn.q_proj": 2, "q_proj": 5, r"layers\.\d+\.mlp\.down_proj": 1},
                 alpha_pattern={"layers.0.self_attn.v_proj": 19, "up_proj": 2, "v_proj": 11, "j": 100}),
            {"alpha_pattern": {"alpha_pattern": {}}, "first wins": {"alpha_pattern": {"up_proj": 2, "v_proj": 11}},
             "own rank": {"alpha_pattern": {"layers.0.self_attn.v_proj": 19, "up_proj": 2, "v_proj": 11, "down_proj": 7 / 3}}}),
    Adapter("llama-patterns-rslora", F + "llama-gqa-tied", "patterns with use_rslora: alpha over the root of the module's own rank",
            lora(target_modules=PROJ, use_rslora=True, lora_alpha=2, rank_pattern={"mlp.*": 1, "o_proj": 6}, alpha_pattern={"k_proj|v_proj": 1}),
            {"rslora": {"use_rslora": False}, "alpha_pattern": {"alpha_pattern": {}}}),
    Adapter("llama-patterns-order", F + "llama-mha", "alpha_pattern in an order that is not the alphabet's, as by another writer than peft's",
            lora(), {"first wins": {"alpha_pattern": {"layers.0.self_attn.v_proj": 1, "v_proj": 20}}},
            edit={"alpha_pattern": {"v_proj": 20, "layers.0.self_attn.v_proj": 1}}),
    Adapter("llama-dora", F + "llama-mha", "use_dora", lora(target_modules=PROJ, use_dora=True), {"dora": {"use_dora": False}}),
    Adapter("llama-dora-bias", F + "llama-bias", "use_dora on matrices with biases, with rslora",
            lora(target_modules=PROJ, use_dora=True, use_rslora=True), {"dora": {"use_dora": False}, "rslora": {"use_rslora": False}}),
    Adapter("llama-lorabias", F + "llama-bias", "lora_bias: s (B A x + b)", lora(target_modules=PROJ, lora_bias=True)),
    Adapter("llama-lorabias-none", F + "llama-mha", "lora_bias on matrices that have no bias", lora(lora_bias=True)),
    Adapter("llama-bias-all", F + "llama-bias", "bias all: every bias of the base is in the file, those of wrapped modules as base_layer.bias",
            lora(bias="all", target_modules=["q_proj", "down_proj"])),
    Adapter("llama-bias-loraonly", F + "llama-bias", "bias lora_only: the biases of the wrapped modules are in the file",
            lora(bias="lora_only", target_modules=["q_proj", "down_proj"])),
    Adapter("llama-head", F + "llama-mha", "modules_to_save lm_head", lora(target_modules=["o_proj"], modules_to_save=["lm_head"])),
    Adapter("llama-embed", F + "llama-mha", "modules_to_save embed_tokens and lm_head", lora(modules_to_save=["embed_tokens", "lm_head"])),
    Adapter("llama-tied-embed", F + "llama-gqa-tied", "modules_to_save embed_tokens of a tied base: peft trains a copy, and the output head "
            "stays what the base has", lora(modules_to_save=["embed_tokens"])),
    Adapter("llama-tied-head", F + "llama-gqa-tied", "modules_to_save lm_head of a tied base: the embedding stays what the base has",
            lora(modules_to_save=["lm_head"])),
    Adapter("llama-norms", F + "llama-mha", "modules_to_save of norms: peft matches by the end of the name alone, so that norm is every norm",
            lora(modules_to_save=["norm"])),
    Adapter("llama-mlp-saved", F + "llama-mha", "modules_to_save of a whole module, which is then no target",
            lora(target_modules=PROJ, modules_to_save=["1.mlp"])),
    Adapter("llama-lora-head", F + "llama-mha", "LoRA on lm_head itself; peft then writes the matrix under it too (lm_head.base_layer.weight), and what the file "
            "holds replaces what the base has", lora(target_modules=["lm_head", "o_proj"])),
    Adapter("llama-gaussian", F + "llama-mha", "init_lora_weights gaussian, which leaves the base alone", lora(init_lora_weights="gaussian")),
    Adapter("llama-old", F + "llama-mha", "the keys that peft 0.5 wrote, and no more", lora(target_modules=["q_proj", "o_proj"]),
            keep=("auto_mapping", "base_model_name_or_path", "bias", "fan_in_fan_out", "inference_mode", "init_lora_weights", "layers_pattern",
                  "layers_to_transform", "lora_alpha", "lora_dropout", "modules_to_save", "peft_type", "r", "revision", "target_modules", "task_type")),
    Adapter("llama-bf16", F + "llama-bf16", "adapter and base in bfloat16; peft computes the side path in float32", lora(target_modules=PROJ),
            dtype=torch.bfloat16),
    Adapter("llama-f16", F + "llama-gqa-tied", "the adapter in float16", lora(target_modules=PROJ), dtype=torch.float16),
    Adapter("gemma2-alllinear", F + "gemma2-base", "every matrix of gemma2, with soft-caps and windows", lora(target_modules="all-linear")),
    Adapter("gemma2-dora", F + "gemma2-base", "DoRA on gemma2", lora(target_modules=["o_proj", "gate_proj"], use_dora=True), {"dora": {"use_dora": False}}),
    Adapter("gemma3_text-alllinear", F + "gemma3_text-pattern", "every matrix of gemma3", lora(target_modules="all-linear")),
    Adapter("gemma3-language", F + "gemma3-hub", "the text part of a multimodal gemma3: paths with language_model",
            lora(target_modules=r".*language_model.*(q_proj|o_proj|up_proj)")),
    Adapter("gemma3-vision", F + "gemma3-hub", "q_proj of a multimodal gemma3 is in the vision tower too; text does not pass there",
            lora(target_modules=["q_proj"]), weak=("vision",)),
    Adapter("qwen2-alllinear", F + "qwen2-untied", "every matrix of qwen2, biases on q, k and v", lora(target_modules="all-linear")),
    Adapter("qwen3-alllinear", F + "qwen3-headdim", "every matrix of qwen3", lora(target_modules="all-linear")),
    Adapter("mistral-alllinear", F + "mistral-window", "every matrix of mistral", lora(target_modules="all-linear")),
    Adapter("olmo2-alllinear", F + "olmo2-mha", "every matrix of olmo2", lora(target_modules="all-linear")),
    Adapter("olmoe-attention", F + "olmoe-clip", "attention of a model with mixtures of experts, whose matrices are parameters",
            lora(target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])),
    Adapter("gpt_oss-attention", F + "gpt_oss-sinks", "attention with sinks, before a mixture of experts with a clamped gate",
            lora(target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])),
    Adapter("refused-experts", F + "olmoe-clip", "every linear layer of a model with mixtures of experts, which peft takes for parameters too",
            lora(target_modules="all-linear"), refused="target_parameters"),
    Adapter("phi3-fused", F + "phi3-plain", "the fused qkv_proj and gate_up_proj of phi3", lora(target_modules="all-linear")),
    Adapter("phi3-dora", F + "phi3-plain", "DoRA on the fused matrices: norms by row of the fused matrix",
            lora(target_modules=["qkv_proj", "gate_up_proj"], use_dora=True), {"dora": {"use_dora": False}}),
    Adapter("gpt2-conv1d", F + "gpt2-hub", "gpt2's Conv1D: fan_in_fan_out, the matrix is stored [in, out]; c_proj is attention's and the MLP's",
            lora(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)),
    Adapter("gpt2-dora", F + "gpt2-hub", "DoRA on Conv1D", lora(target_modules=["c_attn", "mlp.c_proj"], fan_in_fan_out=True, use_dora=True),
            {"dora": {"use_dora": False}}),
    Adapter("gpt2-fan-unsaid", F + "gpt2-hub", "fan_in_fan_out false on Conv1D: peft warns and computes as if it were true",
            lora(target_modules=["c_attn"]), edit={"fan_in_fan_out": False}),
    Adapter("gpt2-bias-all", F + "gpt2-hub", "bias all: those of the norms too; layers_pattern h",
            lora(target_modules=["c_attn"], fan_in_fan_out=True, bias="all", layers_to_transform=[1], layers_pattern=["h"])),
    Adapter("llama-fan-said", F + "llama-mha", "fan_in_fan_out true on Linear: peft warns and computes as if it were false",
            lora(), edit={"fan_in_fan_out": True}),
    Adapter("gpt_neox-alllinear", F + "gpt_neox-parallel", "every matrix of gpt_neox, the fused query_key_value among them",
            lora(target_modules="all-linear")),
    Adapter("gpt_neox-serial", F + "gpt_neox-serial", "query_key_value and dense, bias lora_only",
            lora(target_modules=["query_key_value", "dense"], bias="lora_only")),
    Adapter("phi-bias-all", F + "phi-partial", "phi's names, and bias all: that of the vocabulary head too",
            lora(target_modules=["q_proj", "dense", "fc1", "fc2"], bias="all")),
    Adapter("gemma4_text-alllinear", F + "gemma4_text-shared", "every matrix of a Gemma 4 E model, those of its embeddings of each layer too; of layers that "
            "attend to the keys and values of others q and o alone", lora(r=2, lora_alpha=3, target_modules="all-linear")),
    Adapter("opt-alllinear", F + "opt-relu", "every matrix of opt", lora(target_modules="all-linear")),
    Adapter("apertus-alllinear", F + "apertus-xielu", "every matrix of apertus, beside xIELU", lora(target_modules="all-linear")),

    # Adapters that must be refused: the base would have to be changed first, or what they add is not computed.
    Adapter("refused-pissa", F + "llama-mha", "init_lora_weights pissa took the adapter's start out of the base's weights",
            lora(init_lora_weights="pissa"), refused="init_lora_weights"),
    Adapter("refused-olora", F + "llama-mha", "init_lora_weights olora did too", lora(init_lora_weights="olora"), refused="init_lora_weights"),
    Adapter("refused-pissa-niter", F + "llama-mha", "pissa by another name", lora(), edit={"init_lora_weights": "pissa_niter_4"},
            refused="init_lora_weights"),
    Adapter("refused-loftq", F + "llama-mha", "loftq quantises the base", lora(), edit={"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}},
            refused="loftq"),
    Adapter("refused-tokens", F + "llama-mha", "trainable_token_indices", lora(trainable_token_indices=[3, 5]), refused="trainable_token_indices"),
    Adapter("refused-replication", F + "llama-mha", "layer_replication", lora(layer_replication=[(0, 2), (1, 2)]), refused="layer_replication"),
    Adapter("refused-parameters", F + "llama-mha", "target_parameters", lora(target_modules=[], target_parameters=["self_attn.q_proj.weight"]),
            refused="target_parameters"),
    Adapter("refused-embed", F + "llama-mha", "LoRA on the embedding", lora(target_modules=["embed_tokens", "q_proj"]), refused="embed"),
    Adapter("refused-alora", F + "llama-mha", "alora_invocation_tokens: the adapter is on from these tokens only", lora(alora_invocation_tokens=[3, 4]),
            refused="alora_invocation_tokens"),
    Adapter("refused-unknown", F + "llama-mha", "a key that nobody knows, with a value", lora(), edit={"use_xlora": True}, refused="use_xlora"),
    Adapter("refused-ia3", F + "llama-mha", "another kind of adapter", lora(), edit={"peft_type": "IA3"}, refused="IA3"),
    Adapter("refused-task", F + "llama-mha", "another task", lora(), edit={"task_type": "SEQ_2_SEQ_LM"}, refused="SEQ_2_SEQ_LM"),
]


def base_model(case):
    config = json.loads((HERE / case.base / "config.json").read_text())
    kind = Gemma3ForConditionalGeneration if config["model_type"] == "gemma3" else AutoModelForCausalLM
    experts = {"experts_implementation": "eager"} if "num_experts_per_tok" in config else {}  # which float64 can have too
    return kind.from_pretrained(HERE / case.base, attn_implementation="eager", dtype=torch.float32, **experts).eval()


def put_config(folder, config):
    """Writes adapter_config.json, in the order of the keys: peft sorts them, but reads patterns in the file's order."""
    (Path(folder) / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def kind_of(key):
    key = re.sub(r"\.\d+\.", ".N.", key)
    return key.removeprefix("base_model.model.")


def random_tensor(case, key, like, fan_in=None):
    """A of size 1/sqrt(in), B of 0.2/sqrt(r), magnitudes near the norms they start at, copies and biases near the base's."""
    g = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"adapter {case.name} {key}".encode()).digest()[:7], "big"))
    x = torch.randn(like.shape, generator=g)
    if "lora_A" in key or "lora_embedding_A" in key:
        return x / math.sqrt(like.shape[-1])
    if "lora_B" in key and key.endswith("bias"):
        return 0.2 * x
    if "lora_B" in key or "lora_embedding_B" in key:
        return 0.2 * x / math.sqrt(like.shape[-1])
    if "magnitude" in key:
        return like * torch.exp(0.3 * x)
    scale = like.float().std().item() if like.numel() > 1 and like.float().std() > 0 else 0.3
    return like + 0.3 * scale * x


def adapted(case, folder, base=base_model, edit=None):
    """The base with the adapter of a folder, its config edited, checked to take up every key."""
    with tempfile.TemporaryDirectory() as tmp:
        config = json.loads((folder / "adapter_config.json").read_text()) | (edit or {})
        put_config(tmp, config)
        shutil.copy(folder / "adapter_model.safetensors", tmp)
        model = base(case)
        loaded = PeftModel.from_pretrained(model, tmp).eval()
    if not edit:
        file = set(load_file(folder / "adapter_model.safetensors"))
        own = set(peft.get_peft_model_state_dict(loaded))
        if file != own:
            raise SystemExit(f"{case.name}: file and model differ in {sorted(file ^ own)}")
    return loaded


def write(case, folder, base=base_model, task="CAUSAL_LM"):
    """Writes the adapter's two files as peft does, with random weights."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model = get_peft_model(base(case), LoraConfig(task_type=task, **copy.deepcopy(case.config)))
    model.save_pretrained(folder)
    for extra in folder.iterdir():
        if extra.name not in ("adapter_config.json", "adapter_model.safetensors"):
            extra.unlink()
    file = folder / "adapter_model.safetensors"
    tensors = {k: random_tensor(case, k, t).to(case.dtype).contiguous() for k, t in sorted(load_file(file).items())}
    save_file(tensors, file, metadata={"format": "pt"})
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "tiny/" + Path(case.base).name
    for k in ("target_modules", "modules_to_save", "exclude_modules"):
        if isinstance(config.get(k), list):
            config[k] = sorted(config[k])
    config |= case.edit
    if case.keep:
        config = {k: v for k, v in config.items() if k in case.keep}
    put_config(folder, config)


def bites(case, folder, golden, numbers, base=base_model, task="CAUSAL_LM"):
    """Label -> the largest change of a number when a part of the adapter is taken away."""
    out = {"adapter": distance(golden, numbers(base(case)))}
    for label, edit in case.bites.items():
        out[label] = distance(golden, numbers(adapted(case, folder, base, edit)))
    tensors = load_file(folder / "adapter_model.safetensors")
    fresh = fresh_tensors(case, base, task)
    kinds = sorted({kind_of(k) for k in tensors if "lora_A" not in k})
    for kind in kinds:
        with tempfile.TemporaryDirectory() as tmp:
            shutil.copy(folder / "adapter_config.json", tmp)
            changed = {k: (fresh[k].to(t.dtype) if kind_of(k) == kind else t) for k, t in tensors.items()}
            save_file(changed, Path(tmp) / "adapter_model.safetensors", metadata={"format": "pt"})
            out["tensor " + kind] = distance(golden, numbers(adapted(case, Path(tmp), base)))
    return out


def fresh_tensors(case, base, task):
    """The tensors that peft starts with: B zero, magnitudes the base's norms, copies the base's weights."""
    torch.manual_seed(0)
    config = LoraConfig(task_type=task, **copy.deepcopy(case.config))
    return {k: t.detach().clone() for k, t in peft.get_peft_model_state_dict(get_peft_model(base(case), config)).items()}


def check(case, folder, numbers, base=base_model, task="CAUSAL_LM"):
    """The golden numbers of a written adapter, after the checks that the docstring lists."""
    model = adapted(case, folder, base)
    golden = numbers(model)
    exact = distance(golden, numbers(copy.deepcopy(model).double()))
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{case.name}: float64 differs by {exact:.1e}, {size // 1000} kB")
    if exact > 5e-6:
        raise SystemExit(f"{case.name}: too ill-conditioned for the bound")
    weak = []
    for label, effect in bites(case, folder, golden, numbers, base, task).items():
        if effect < 1e-3 and not any(w in label for w in case.weak):
            weak.append(label)
        if not label.startswith("tensor") or effect < 1e-2:
            print(f"    {effect:8.2g}  without {label}" + ("  TOO WEAK" if label in weak else ""))
    if weak:
        raise SystemExit(f"{case.name}: no effect of {', '.join(weak)}")
    return golden


def note(case):
    return (f"{case.purpose}. In float32 by transformers {transformers.__version__} and peft {peft.__version__}, torch {torch.__version__.split('+')[0]}, "
            "eager attention, each text alone. Made by adapters.py.")


def refuse(case, folder):
    put_json(folder / "golden.json", {"note": f"{case.purpose}. Must be refused. Made by adapters.py.", "base": case.base, "refused": case.refused})


def make(case):
    folder = HERE / "adapters" / case.name
    write(case, folder)
    if case.refused:
        refuse(case, folder)
        return
    texts = [t["ids"] for t in json.loads((HERE / case.base / "golden.json").read_text())["texts"]]
    golden = check(case, folder, lambda m: score(m, texts))
    lines = [f'{{\n  "note": {json.dumps(note(case))},\n  "base": {json.dumps(case.base)},\n  "texts": [']
    lines.append(",\n".join(f'    {{"ids": {json.dumps(t)},\n     "logprobs": {json.dumps([number(x) for x in s])}}}' for t, s in zip(texts, golden[0])))
    lines.append(f'  ],\n  "next": {json.dumps([number(x) for x in golden[1]])}\n}}')
    (folder / "golden.json").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    want = sys.argv[1:]
    for c in CASES:
        if not want or c.name in want:
            make(c)
    files = [f for f in (HERE / "adapters").rglob("*") if f.is_file()]
    print(f"{len(list((HERE / 'adapters').iterdir()))} cases, {sum(f.stat().st_size for f in files) / 1e6:.2f} MB")
