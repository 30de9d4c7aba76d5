#!/usr/bin/env python3
"""Makes the reward models with heads of their own under heads/, and what an independent computation makes of them.

    python heads.py                # all cases; versions as in make.py
    python heads.py armorm         # only the named ones

The output is committed; nothing in the build or in the tests runs this program. A case is a folder heads/<case>/ with

    config.json, model.safetensors                 a tiny trunk and the head's tensors under the names of the published checkpoint
    tokenizer.json, tokenizer_config.json          (gated heads) those of tokenize/testdata, with a chat template without a date
    golden.json          {"note", "kind", "output", "texts": [...]}: kind is linear, mlp, gated, urm or token; output is
                         what Options.Output must say ("" for most). A text has
        ids              what the model reads
        prompt, reply    (gated heads) the conversation that renders to ids
        position         of the token whose final state h is read: the last
        outputs          of the head, before weights; for gates with a reward_transform_matrix before that matrix too
        mixed            (reward_transform_matrix T) outputs @ T, what the gate weighs
        weights          (gated, urm) of outputs, or of mixed, in the reward
        quantiles        (QRM) [objective][quantile]; an output is their mean
        gate             (gated) position of the token whose state the gate reads
        reward           the head's number: sum(weights * mixed), or the single output
        normalized       (config has mean and std) (reward - mean) / std

h is last_hidden_state of transformers' AutoModel in float32 with eager attention, each text alone; everything after it is
numpy in float64, written from the sources that each function names and not from any code of this project. Numbers have 9
significant digits.

Before a golden is written, the program checks that the bytes of every tensor of the head matter (replaced by zeros, or ones
for a norm's scale or variance, the reward moves by 1e-3 of its size), that each misreading listed with the case moves it too,
and that the trunk in float64 moves no number by more than 1e-5 of the largest.
"""

import copy
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(ROOT / "logprob" / "testdata"))
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

import cases as families
from make import number, put_json, random_tensor

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
D = 24


def seeded(*what):
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(" ".join(map(str, what)).encode()).digest()[:7], "big"))


@dataclass
class Head:
    name: str
    purpose: str
    config: dict  # of the trunk, and keys of its own
    keys: dict  # further keys of config.json
    tensors: dict[str, tuple]  # name -> shape
    compute: Callable  # numbers(head tensors, h [D], p [D] or None, config) -> dict
    kind: str
    output: str = ""
    causal: bool = False  # the file is of a causal model, lm_head among it
    tokenizer: str = ""  # of tokenize/testdata
    pattern: str = ""  # text of the tokens that end the user's turn
    template: str = ""
    gate: Callable | None = None  # positions: ids, pattern ids -> index
    misread: dict[str, Callable] = field(default_factory=dict)  # label -> compute, wrong in one point
    stay: set = field(default_factory=set)  # tensors that are in the file and do not matter
    dtype: torch.dtype = torch.float32  # of the trunk's tensors in the file
    family = property(lambda self: self.config["model_type"])


# The heads, in numpy float64. Every function returns a dict with outputs and reward.


def linear(weight, bias=None):
    """score = W h + b: transformers' modeling_layers.py, GenericForSequenceClassification (no bias); TRL 0.8.5
    models/modeling_value_head.py, ValueHead.summary (bias); OpenRLHF openrlhf/models/model.py, _get_reward_model."""

    def f(t, h, p, c):
        y = t[weight] @ h + (t[bias] if bias else 0.0)
        out = {"outputs": y, "reward": y[0]}
        if "mean" in c:
            out["normalized"] = (y[0] - c["mean"]) / c["std"]
        return out

    return f


def mlp(name):
    """Linear, ReLU, Linear: reward-bench rewardbench/models/grm.py (v_head.summary), inform.py (score), vllm's qwen2_rm.py."""

    def f(t, h, p, c):
        y = t[f"{name}.2.weight"] @ np.maximum(t[f"{name}.0.weight"] @ h + t[f"{name}.0.bias"], 0) + t[f"{name}.2.bias"]
        return {"outputs": y, "reward": y[0]}

    return f


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def armo_gate(t, p, c):
    """ArmoRM's modeling_custom.py, GatingNetwork: Linear and ReLU gating_n_hidden times, Linear; softmax at the temperature."""
    for i in range(c["gating_n_hidden"]):
        p = np.maximum(t[f"gating.layers.{i}.weight"] @ p + t[f"gating.layers.{i}.bias"], 0)
    n = c["gating_n_hidden"]
    return softmax((t[f"gating.layers.{n}.weight"] @ p + t[f"gating.layers.{n}.bias"]) / c["gating_temperature"]) * t["gating.logit_scale"][0]


def armo(transform=lambda r, t: r @ t, gate=armo_gate):
    def f(t, h, p, c):
        r = t["regression_layer.weight"] @ h
        g, mixed = gate(t, p, c), transform(r, t["reward_transform_matrix"])
        return {"outputs": r, "mixed": mixed, "weights": g, "reward": (g * mixed).sum()}

    return f


def qrm_gate(step, norm_first=False):
    """QRM's gates: Linear, ReLU, BatchNorm1d in eval mode (eps 1e-5) gating_n_hidden times, then Linear. Modules are numbered
    by threes (QRM-Llama: reward-bench rewardbench/models/qrm.py, class ...Gating31) or fours (QRM-Gemma, with a Dropout)."""

    def f(t, p, c):
        get = lambda i, what: t[f"gating.layers.{i}.{what}"]
        norm = lambda i, x: (x - get(i, "running_mean")) / np.sqrt(get(i, "running_var") + 1e-5) * get(i, "weight") + get(i, "bias")
        relu = lambda x: np.maximum(x, 0)
        for k in range(c["gating_n_hidden"]):
            x = get(step * k, "weight") @ p
            p = relu(norm(step * k + 2, x)) if norm_first else norm(step * k + 2, relu(x))
        last = step * c["gating_n_hidden"] if step == 3 else step * c["gating_n_hidden"] - 1
        return softmax((get(last, "weight") @ p + get(last, "bias")) / c.get("gating_temperature", 1.0)) * t["gating.logit_scale"][0]

    return f


def qrm(step, gate=None, transform=lambda e, t: e @ t, major="objective"):
    gate = gate or qrm_gate(step)

    def f(t, h, p, c):
        y = t["regression_layer.weight"] @ h
        n, q = c["num_objectives"], c["num_quantiles"]
        quantiles = y.reshape(n, q) if major == "objective" else y.reshape(q, n).T
        e = quantiles.mean(1)
        g = gate(t, p, c)
        out = {"outputs": e, "weights": g, "quantiles": quantiles}
        mixed = e
        if "reward_transform_matrix" in t:
            mixed = out["mixed"] = transform(e, t["reward_transform_matrix"])
        return out | {"reward": (g * mixed).sum()}

    return f


def urm(weigh=lambda w: w, odd=0):
    """SGLang's llama_reward.py, LlamaForSequenceClassificationWithNormal_Weights: the means are the even outputs of score
    [..., n/2, 2], their weights the raw outputs of an MLP with SELU on the same state."""

    def f(t, h, p, c):
        selu = lambda x: 1.0507009873554804934193349852946 * np.where(x > 0, x, 1.6732632423543772848170429916717 * (np.exp(np.minimum(x, 0)) - 1))
        y = t["score.weight"] @ h
        x = h
        for i in (0, 2):
            x = selu(t[f"weights.fc.{i}.weight"] @ x + t[f"weights.fc.{i}.bias"])
        w = weigh(t["weights.fc.4.weight"] @ x + t["weights.fc.4.bias"])
        return {"outputs": y, "weights": w, "reward": (y[odd::2] * w).sum()}

    return f


def last_occurrence(ids, pattern):
    """The first token of the last occurrence: find_token_for_gating of ArmoRM's and QRM's modeling_custom.py."""
    for i in range(len(ids) - len(pattern), -1, -1):
        if ids[i : i + len(pattern)] == pattern:
            return i
    raise SystemExit("no pattern")


def llama(**kw):
    return families.llama(vocab_size=60, hidden_size=D, intermediate_size=32, num_hidden_layers=1, num_attention_heads=3, num_key_value_heads=1) | kw


def gemma2(**kw):
    return families.gemma2(vocab_size=60, hidden_size=D, intermediate_size=32, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1) | kw


def qwen2(**kw):
    return families.qwen2(vocab_size=60, hidden_size=D, intermediate_size=32, num_hidden_layers=1, num_attention_heads=3, num_key_value_heads=1) | kw


def arch(name):
    return {"architectures": [name]}


def batchnorm_gate(step, hidden, n, layers):
    out, width = {}, D
    for k in range(layers):
        out[f"gating.layers.{step * k}.weight"] = (hidden, width)
        for what in ("weight", "bias", "running_mean", "running_var"):
            out[f"gating.layers.{step * k + 2}.{what}"] = (hidden,)
        out[f"gating.layers.{step * k + 2}.num_batches_tracked"] = ()
        width = hidden
    last = step * layers if step == 3 else step * layers - 1
    return out | {f"gating.layers.{last}.weight": (n, hidden), f"gating.layers.{last}.bias": (n,), "gating.logit_scale": (1,)}


TRACKED = lambda step, layers: {f"gating.layers.{step * k + 2}.num_batches_tracked" for k in range(layers)}
LLAMA3_TURN = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
GEMMA_TURN = "<end_of_turn>\n<start_of_turn>model\n"
LLAMA3_TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + "
                   "message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ "
                   "'<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}")
ARMO = {"gating.layers.0.weight": (20, D), "gating.layers.0.bias": (20,), "gating.layers.1.weight": (20, 20), "gating.layers.1.bias": (20,),
        "gating.layers.2.weight": (20, 20), "gating.layers.2.bias": (20,), "gating.layers.3.weight": (19, 20), "gating.layers.3.bias": (19,),
        "gating.logit_scale": (1,), "regression_layer.weight": (19, D), "reward_transform_matrix": (19, 19)}
LLAMA3 = dict(tokenizer="llama3", pattern=LLAMA3_TURN, template=LLAMA3_TEMPLATE)
TRANSPOSED = lambda r, t: t @ r

CASES = [
    Head("linear-score", "score.weight [1 D] under a class that transformers has not, label keys absent, float16 trunk", llama(), arch("LlamaForReward"),
         {"score.weight": (1, D)}, linear("score.weight"), "linear", dtype=torch.float16),
    Head("linear-vhead", "v_head.weight [1 D], as Starling-RM", llama(), arch("LlamaModel"), {"v_head.weight": (1, D)}, linear("v_head.weight"), "linear"),
    Head("linear-regression", "regression_head.weight [1 D], as UltraRM and Eurus-RM (Mistral)",
         families.mistral(vocab_size=60, hidden_size=D, intermediate_size=32, num_hidden_layers=1, num_attention_heads=3, num_key_value_heads=1),
         arch("MistralRewardModel"), {"regression_head.weight": (1, D)}, linear("regression_head.weight"), "linear"),
    Head("linear-bias", "value_head with a bias", llama(), arch("LlamaForValue"), {"value_head.weight": (1, D), "value_head.bias": (1,)},
         linear("value_head.weight", "value_head.bias"), "linear"),
    Head("linear-trl", "TRL's AutoModelForCausalLMWithValueHead: v_head.summary with a bias beside a whole causal model", llama(), arch("LlamaForCausalLM"),
         {"v_head.summary.weight": (1, D), "v_head.summary.bias": (1,)}, linear("v_head.summary.weight", "v_head.summary.bias"), "linear",
         causal=True),
    Head("openrlhf-prefix", "OpenRLHF: value_head_prefix names the head, no normalisation", qwen2(), arch("RewardModel") | {"value_head_prefix": "my_head"},
         {"my_head.weight": (1, D)}, linear("my_head.weight"), "linear"),
    Head("openrlhf-normalize", "OpenRLHF: normalize_reward with mean and std", llama(),
         arch("LlamaForSequenceClassification") | {"value_head_prefix": "value_head", "normalize_reward": True, "mean": 0.625, "std": 1.75},
         {"value_head.weight": (1, D)}, linear("value_head.weight"), "linear"),
    Head("mlp-vhead", "GRM's sftreg: v_head.summary, Linear, ReLU, Linear, beside a whole causal model", llama(),
         arch("LlamaForCausalLM") | {"vhead_layer_type": "mlp", "vhead_num_neurons": 16, "vhead_num_layers": 1},
         {"v_head.summary.0.weight": (16, D), "v_head.summary.0.bias": (16,), "v_head.summary.2.weight": (1, 16), "v_head.summary.2.bias": (1,)},
         mlp("v_head.summary"), "mlp", causal=True),
    Head("mlp-score", "Qwen2ForRewardModel and INF-ORM: score, Linear [D D], ReLU, Linear", qwen2(), arch("Qwen2ForRewardModel"),
         {"score.0.weight": (D, D), "score.0.bias": (D,), "score.2.weight": (1, D), "score.2.bias": (1,)}, mlp("score"), "mlp"),
    Head("armorm", "ArmoRM: 19 objectives, transform matrix, gate with biases and ReLU, temperature of the config", llama(vocab_size=661, pad_token_id=660),
         arch("LlamaForRewardModelWithGating") | {"num_objectives": 19, "gating_temperature": 10, "gating_hidden_dim": 20, "gating_n_hidden": 3},
         ARMO, armo(), "gated", **LLAMA3,
         misread={"T @ r": armo(TRANSPOSED), "temperature 1": armo(gate=lambda t, p, c: armo_gate(t, p, c | {"gating_temperature": 1}))}),
    Head("qrm-llama", "QRM-Llama: the same architecture as ArmoRM, 19 objectives x 19 quantiles, BatchNorm after ReLU, temperature 5",
         llama(vocab_size=661, pad_token_id=660),
         arch("LlamaForRewardModelWithGating") | {"num_objectives": 19, "num_quantiles": 19, "gating_temperature": 5.0, "gating_hidden_dim": 20,
                                                  "gating_n_hidden": 3, "gating_newtork": True, "loss": "quantile_regression"},
         {"regression_layer.weight": (361, D), "reward_transform_matrix": (19, 19)} | batchnorm_gate(3, 20, 19, 3),
         qrm(3), "gated", **LLAMA3, stay=TRACKED(3, 3), dtype=torch.bfloat16,
         misread={"T @ e": qrm(3, transform=TRANSPOSED), "norm before ReLU": qrm(3, qrm_gate(3, norm_first=True)), "quantile-major": qrm(3, major="quantile"),
                  "temperature 10": qrm(3, lambda t, p, c: qrm_gate(3)(t, p, c | {"gating_temperature": 10}))}),
    Head("qrm-gemma", "QRM-Gemma: five objectives, Dropout between the gate's modules, no transform matrix, temperature by default 1",
         gemma2(vocab_size=692), arch("Gemma2ForQuantileSequenceClassification") | {"num_objectives": 5, "num_quantiles": 19, "gating_hidden_dim": 20, "gating_n_hidden": 3},
         {"regression_layer.weight": (95, D)} | batchnorm_gate(4, 20, 5, 3), qrm(4), "gated",
         tokenizer="gemma", pattern=GEMMA_TURN, stay=TRACKED(4, 3), dtype=torch.bfloat16,
         misread={"norm before ReLU": qrm(4, qrm_gate(4, norm_first=True)), "quantile-major": qrm(4, major="quantile")}),
    Head("urm", "URM: means and spreads of five attributes, weights from an MLP with SELU on the same state, no softmax", llama(),
         arch("LlamaForSequenceClassificationWithNormal_Weights") | {"id2label": {str(i): f"LABEL_{i}" for i in range(10)},
                                                                     "label2id": {f"LABEL_{i}": i for i in range(10)}},
         {"score.weight": (10, D), "weights.fc.0.weight": (D, D), "weights.fc.0.bias": (D,), "weights.fc.2.weight": (D, D), "weights.fc.2.bias": (D,),
          "weights.fc.4.weight": (5, D), "weights.fc.4.bias": (5,)}, urm(), "urm",
         misread={"softmax": urm(softmax), "spreads": urm(odd=1)}),
]


def head_tensor(case, name, shape):
    g = seeded("head", case.name, name)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1234)
    x = torch.randn(shape, generator=g)
    if name.endswith("running_var"):
        return torch.exp(0.5 * x)
    if name.endswith("logit_scale"):
        return torch.tensor([1.7])
    if ".layers." in name and len(shape) == 1 and name.endswith("weight"):
        return 1 + 0.3 * x
    if len(shape) == 1:
        return 0.4 * x
    return (2.0 if "gating" in name else 1.2) * x / math.sqrt(shape[-1])


def trunk(case):
    """A tiny model with random weights: the trunk's tensors by the names of the file, and the config."""
    config = AutoConfig.for_model(**copy.deepcopy(case.config))
    model = (AutoModelForCausalLM if case.causal else AutoModel).from_config(config, attn_implementation="eager").eval()
    prefix = "" if case.causal else "model."
    with torch.no_grad():
        for n, p in model.named_parameters():
            p.copy_(random_tensor(case, prefix + n, p))
    with tempfile.TemporaryDirectory() as tmp:
        model.save_pretrained(tmp)
        config = json.loads((Path(tmp) / "config.json").read_text())
        tensors = {prefix + k: t.to(case.dtype) for k, t in load_file(Path(tmp) / "model.safetensors").items()}
    return config, tensors


def load_trunk(folder, case):
    """transformers' trunk of the files just written; the head's tensors alone may be left over."""
    tensors = load_file(folder / "model.safetensors")
    config = AutoConfig.from_pretrained(folder)
    model = AutoModel.from_config(config, attn_implementation="eager").float().eval()
    own = {k.removeprefix("model."): t for k, t in tensors.items() if k.startswith("model.")}
    model.load_state_dict(own, strict=True)
    rest = {k: t for k, t in tensors.items() if not k.startswith("model.") and k not in ("lm_head.weight",)}
    if set(rest) != set(case.tensors):
        raise SystemExit(f"{case.name}: tensors {set(rest) ^ set(case.tensors)}")
    return model, {k: t.double().numpy() for k, t in rest.items()}


CONVERSATIONS = [
    ("What, in one word, is the greatest thing ever?", "Freedom"),
    ("What, in one word, is the greatest thing ever?", "love and trust"),
    ([("user", "Hello world"), ("assistant", "People are kind"), ("user", "Who is cruel?")], "the lazy dog"),
]


def conversations(case):
    """The texts: (ids, prompt, reply)."""
    if not case.tokenizer:
        g = seeded("texts", case.name)
        texts = [torch.randint(0, case.config["vocab_size"], (n,), generator=g).tolist() for n in (7, 1, 30)]
        texts.append(texts[0] + texts[2][:5])
        return [(t, None, None) for t in texts]
    out = []
    folder = HERE / "heads" / case.name
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for prompt, reply in CONVERSATIONS:
        messages = [{"role": r, "content": c} for r, c in (prompt if isinstance(prompt, list) else [("user", prompt)])]
        ids = tokenizer.apply_chat_template(messages + [{"role": "assistant", "content": reply}], tokenize=True, return_dict=False)
        out.append((list(ids), messages, reply))
    return out


@torch.no_grad()
def score(case, model, tensors, config, texts, compute, gate=last_occurrence):
    """One dict of numbers a text."""
    out, pattern = [], None
    if case.tokenizer:
        pattern = AutoTokenizer.from_pretrained(HERE / "heads" / case.name).encode(case.pattern, add_special_tokens=False)
    for ids, prompt, reply in texts:
        states = model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0].double().numpy()
        at = gate(ids, pattern) if pattern else None
        d = compute(tensors, states[-1], states[at] if pattern else None, config)
        d["position"] = len(ids) - 1
        if pattern:
            d["gate"] = at
        out.append(d)
    return out


def reward_distance(a, b):
    scale = max(1.0, *(abs(x["reward"]) for x in a))
    return max(abs(x["reward"] - y["reward"]) for x, y in zip(a, b)) / scale


def all_numbers(results):
    return np.concatenate([np.ravel(r[k]) for r in results for k in ("outputs", "reward", "weights", "mixed", "normalized", "quantiles") if k in r])


def rounded(x):
    return [rounded(v) for v in x] if isinstance(x, (list, np.ndarray)) else number(x)


def make(case):
    folder = HERE / "heads" / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config, tensors = trunk(case)
    config = config | case.keys
    tensors |= {n: head_tensor(case, n, s) for n, s in case.tensors.items()}
    save_file({k: tensors[k].contiguous() for k in sorted(tensors)}, folder / "model.safetensors", metadata={"format": "pt"})
    put_json(folder / "config.json", config)
    if case.tokenizer:
        source = ROOT / "tokenize" / "testdata" / case.tokenizer
        shutil.copy(source / "tokenizer.json", folder)
        t = json.loads((source / "tokenizer_config.json").read_text())
        if case.template:
            t["chat_template"] = case.template
        put_json(folder / "tokenizer_config.json", t)

    texts = conversations(case)
    model, head = load_trunk(folder, case)
    golden = score(case, model, head, config, texts, case.compute)
    exact = score(case, copy.deepcopy(model).double(), head, config, texts, case.compute)
    a, b = all_numbers(golden), all_numbers(exact)
    error = abs(a - b).max() / abs(a).max()
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{case.name}: rewards {[round(float(g['reward']), 3) for g in golden]}, float64 differs by {error:.1e}, {size // 1000} kB")
    if error > 1e-5:
        raise SystemExit(f"{case.name}: too ill-conditioned for the bound")

    effects = {}
    for label, compute in case.misread.items():
        effects[label] = reward_distance(golden, score(case, model, head, config, texts, compute))
    if case.tokenizer:
        effects["gate at the last token"] = reward_distance(golden, score(case, model, head, config, texts, case.compute, lambda ids, _: len(ids) - 1))
        effects["gate at the pattern's end"] = reward_distance(
            golden, score(case, model, head, config, texts, case.compute, lambda ids, p: last_occurrence(ids, p) + len(p) - 1))
        effects["first occurrence"] = reward_distance(
            golden, score(case, model, head, config, texts, case.compute, lambda ids, p: [i for i in range(len(ids)) if ids[i : i + len(p)] == p][0]))
    for n in case.tensors:
        flat = np.ones_like(head[n]) if n.endswith("running_var") or (".layers." in n and head[n].ndim == 1 and n.endswith("weight")) else np.zeros_like(head[n])
        effects["tensor " + n] = reward_distance(golden, score(case, model, head | {n: flat}, config, texts, case.compute))
    weak = [k for k, e in effects.items() if e < 1e-3 and k.removeprefix("tensor ") not in case.stay]
    for label, e in effects.items():
        if not label.startswith("tensor") or label in weak:
            print(f"    {e:8.2g}  {label}" + ("  TOO WEAK" if label in weak else ""))
    if weak:
        raise SystemExit(f"{case.name}: no effect of {', '.join(weak)}")

    rows = []
    for (ids, prompt, reply), g in zip(texts, golden):
        row = {"ids": ids} | ({"messages": prompt, "reply": reply} if prompt else {})
        rows.append(row | {k: (v if isinstance(v, int) else rounded(v)) for k, v in g.items()})
    write_golden(folder, case, rows)


def write_golden(folder, case, rows):
    note = (f"{case.purpose}. Trunk in float32 by transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, eager attention, each text "
            "alone; head in float64 by numpy. Made by heads.py.")
    top = {"note": note, "kind": case.kind, "output": case.output}
    lines = ["{"] + [f"  {json.dumps(k)}: {json.dumps(v)}," for k, v in top.items()] + ['  "texts": [']
    lines.append(",\n".join("    {" + ",\n     ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in r.items()) + "}" for r in rows))
    (folder / "golden.json").write_text("\n".join(lines) + "\n  ]\n}\n")


@dataclass
class Token:
    """A causal model one of whose logits is the reward."""
    name: str
    purpose: str
    config: dict
    token: int
    bites: dict = field(default_factory=dict)
    family = property(lambda self: self.config["model_type"])
    dtype = torch.float32
    causal = True
    kind = "token"
    output = property(lambda self: f"token={self.token}")


TOKENS = [
    Token("token-llama", "the logit of token 0 of a causal model, as Llama-3.1-Nemotron-70B-Reward", llama(), 0),
    Token("token-tied", "the logit of a token of a tied model", llama(tie_word_embeddings=True), 17),
    Token("token-gemma2", "the logit of a token of gemma2, after the soft-cap of its logits", gemma2(), 5, {"cap": {"final_logit_softcapping": None}}),
]


@torch.no_grad()
def make_token(case):
    folder = HERE / "heads" / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config, tensors = trunk(case)
    save_file({k: tensors[k].contiguous() for k in sorted(tensors)}, folder / "model.safetensors", metadata={"format": "pt"})
    put_json(folder / "config.json", config)
    case_texts = [t for t, _, _ in conversations(type("C", (), {"tokenizer": "", "config": case.config, "name": case.name}))]

    def run(**kw):
        m = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32, **kw).eval()
        return [m(input_ids=torch.tensor([t])).logits[0, -1, case.token].item() for t in case_texts]

    golden = run()
    for label, kw in case.bites.items():
        if (e := max(abs(a - b) for a, b in zip(golden, run(**kw)))) < 1e-3:
            raise SystemExit(f"{case.name}: no effect of {label}: {e}")
    print(f"{case.name}: rewards {[round(g, 3) for g in golden]}")
    write_golden(folder, case, [{"ids": t, "position": len(t) - 1, "outputs": [number(g)], "reward": number(g)} for t, g in zip(case_texts, golden)])


if __name__ == "__main__":
    want = sys.argv[1:]
    for c in CASES:
        if not want or c.name in want:
            make(c)
    for c in TOKENS:
        if not want or c.name in want:
            make_token(c)
    files = [f for f in (HERE / "heads").rglob("*") if f.is_file()]
    print(f"{len(list((HERE / 'heads').iterdir()))} cases, {sum(f.stat().st_size for f in files) / 1e6:.2f} MB")
