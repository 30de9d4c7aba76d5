#!/usr/bin/env python3
"""Makes the tiny ForSequenceClassification checkpoints under families/ and the scores that transformers computes with them.

    pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2 safetensors==0.8.0 numpy==2.4.6    (Python 3.11)
    python make.py                 # all cases
    python make.py llama-three     # only the named ones

The output is committed; nothing in the build or in the tests runs this program. Heads of other kinds are made by heads.py,
adapters of the checkpoints here by adapters.py.

A case is a folder families/<family>-<feature>/ with

    config.json          as transformers 5.23 writes it
    config.v4.json       (some cases) the same model with the keys of transformers 4
    model.safetensors
    golden.json          {"note", "names", "texts": [{"ids", "last", "hf", "hf-old"}]}, where names are the labels in their
                         order, and last, hf and hf-old are {"position", "outputs"}: which token each way of pooling reads,
                         and the head's numbers there, one a label
                           last     the true last token
                           hf       transformers 5 (modeling_layers.py, GenericForSequenceClassification): the rightmost
                                    token that is not the pad; the logits are those that the model's forward returned
                           hf-old   transformers 4.43.4 (modeling_llama.py, LlamaForSequenceClassification.forward): the
                                    first pad's position less one, modulo the length

Each text is computed alone with eager attention by what from_pretrained makes of the files just written, in float32, and
printed with 9 significant digits. Texts hold the pad token inside, at the end, at the start and alone, where there is one.

Before a golden is written, the program checks that
  - transformers finds no tensor missing and none unexpected, and every config file gives the very same numbers;
  - float64 moves no score by more than 1e-5;
  - every kind of tensor matters, the head's among them: set to zero (norms: to the identity) some score moves by 1e-3;
  - every feature of the case matters, perturbed as its `bites` says.
"""

import copy
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent.parent / "logprob" / "testdata"))
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification

import cases as families
from cases import put
from make import kind_of, number, put_json, random_tensor, to_v4

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


@dataclass
class Case:
    name: str
    purpose: str
    config: dict
    labels: list | None = None  # id2label; None: the key is not there
    num: int = 1  # outputs, where labels is None
    pad: object = "own"  # own, eos, none (null in the file), or absent: the file has no such key
    bites: dict = field(default_factory=dict)
    dtype: torch.dtype = torch.float32  # of the stored weights
    v4: bool = False
    scaling_key: str = "rope_type"
    rename = None
    family = property(lambda self: self.config["model_type"])
    v4_keys: dict = field(default_factory=dict)


ONE = ["LABEL_0"]
HELPFUL = ["helpfulness", "correctness", "verbosity"]
BF16 = torch.bfloat16

CASES = [
    Case("llama-one", "one output, a pad of its own", families.llama(), ONE, v4=True),
    Case("llama-three", "three outputs named by id2label, pad == eos", families.llama(), HELPFUL, pad="eos", dtype=BF16),
    Case("llama-nopad", "no pad_token_id", families.llama(), ONE, pad="none", dtype=BF16),
    Case("llama-unnamed", "a head [1 D] without id2label: an error of transformers unless num_labels is passed", families.llama(), None, 1, dtype=BF16),
    Case("llama-two", "a head [2 D] without id2label: two labels are the default", families.llama(), None, 2, dtype=BF16),
    Case("llama-tied", "tie_word_embeddings true, and no lm_head in the file all the same", families.llama(tie_word_embeddings=True), ONE, dtype=BF16),
    Case("llama-llama3", "Llama 3.1's rope scaling, head_dim 16", families.llama(head_dim=16, num_key_value_heads=1, rope_parameters=families.LLAMA3), ONE,
         pad="eos", dtype=torch.float16),
    Case("gemma2-one", "the soft-cap of the logits is not applied to the score; that of attention is", families.gemma2(num_hidden_layers=2), ONE,
         bites={"attention cap": put(attn_logit_softcapping=None)}, v4=True),
    Case("gemma2-absent", "no pad_token_id in config.json: the class's own default, 0, is the pad", families.gemma2(num_hidden_layers=2), HELPFUL,
         pad="absent", dtype=BF16),
    Case("gemma3_text-one", "gemma3's text model alone", families.gemma3(num_hidden_layers=2, layer_types=[families.SLIDE, families.FULL]), ONE, dtype=BF16),
    Case("gemma3-one", "the multimodal class: pad_token_id is text_config's, the vision tower is in the file and not read", families.gemma3_mm(), ONE),
    Case("qwen2-one", "qwen2, tied", families.qwen2(tie_word_embeddings=True), ONE, dtype=BF16),
    Case("qwen3-one", "qwen3, pad == eos, as Skywork-Reward-V2-Qwen3", families.qwen3(), ONE, pad="eos", dtype=BF16),
    Case("qwen3-twelve", "qwen3, twelve labels: in config.json the key 10 stands before 2", families.qwen3(), [f"label {7 * i % 12}" for i in range(12)], dtype=BF16),
    Case("mistral-one", "mistral with a window", families.mistral(sliding_window=8), ONE, dtype=BF16, bites={"window": put(sliding_window=None)}),
    Case("phi3-one", "phi3", families.phi3(), ONE, dtype=BF16),
    Case("gpt2-one", "gpt2: transformer. and score.weight", families.gpt2(), ONE, pad="eos", v4=True),
    Case("gpt_neox-one", "gpt_neox: gpt_neox. and score.weight", families.neox(), ONE, pad="none"),
    Case("olmo2-one", "olmo2", families.olmo2(), ONE, dtype=BF16),
]


def text_config(config):
    return config.get("text_config", config)


def make_config(case):
    c = copy.deepcopy(case.config)
    if case.labels:
        c |= {"id2label": dict(enumerate(case.labels)), "label2id": {l: i for i, l in enumerate(case.labels)}}
    elif case.num != 2:
        c["num_labels"] = case.num
    text = text_config(c)
    text.pop("pad_token_id", None)
    if case.pad == "eos":
        text["pad_token_id"] = text.get("eos_token_id", 2)
    if case.pad == "own":
        text["pad_token_id"] = text["vocab_size"] - 1
    if case.pad == "none":
        text["pad_token_id"] = None
    return c


def load(folder, num=None):
    kw = {} if num is None else {"num_labels": num}
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True, **kw)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[what]:
            raise SystemExit(f"{folder}: {what}: {info[what]}")
    if model.score.weight.dtype != torch.float32 or model.config._attn_implementation != "eager":
        raise SystemExit(f"{folder}: not float32 or not eager")
    return model.eval()


def old_position(ids, pad):
    """transformers 4.43.4: torch.eq(input_ids, pad).int().argmax(-1) - 1, then % input_ids.shape[-1]; -1 without a pad."""
    if pad is None:
        return len(ids) - 1
    first = ids.index(pad) if pad in ids else 0
    return (first - 1) % len(ids)


@torch.no_grad()
def score(model, texts):
    """For each text {way: (position, outputs)}."""
    out = []
    pad = model.config.get_text_config().pad_token_id
    for ids in texts:
        x = torch.tensor([ids])
        rows = model.score(getattr(model, model.base_model_prefix)(input_ids=x).last_hidden_state)[0]
        hf = model(input_ids=x).logits[0]
        new = max((i for i, t in enumerate(ids) if t != pad), default=0) if pad is not None else len(ids) - 1
        if not torch.equal(hf, rows[new]):
            raise SystemExit(f"forward does not pool token {new} of {ids}: {hf} {rows}")
        at = lambda i: (i, [v.item() for v in rows[i]])
        out.append({"last": at(len(ids) - 1), "hf": at(new), "hf-old": at(old_position(ids, pad))})
    return out


def distance(a, b):
    return max(abs(u - v) for x, y in zip(a, b) for way in x for u, v in zip(x[way][1], y[way][1]))


def make_texts(case, vocab, pad):
    g = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"texts {case.name}".encode()).digest()[:7], "big"))
    other = [i for i in range(vocab) if i != pad]
    draw = lambda n: [other[i] for i in torch.randint(0, len(other), (n,), generator=g).tolist()]
    texts = [draw(7), draw(1), draw(40), draw(70)]
    texts[2][:7] = texts[0]
    if pad is not None:
        a, b = draw(5), draw(4)
        texts += [a + [pad] + b + [pad], a + [pad] + b, [pad] + b, a + [pad, pad], [pad]]
    return texts


def make(case):
    folder = HERE / "families" / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = AutoConfig.for_model(**make_config(case))
    config._attn_implementation = "eager"
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name == "score.weight":
                g = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"score {case.name}".encode()).digest()[:7], "big"))
                p.copy_(torch.randn(p.shape, generator=g) / p.shape[1] ** 0.5)
            else:
                p.copy_(random_tensor(case, name, p))
    model = model.to(case.dtype)
    with tempfile.TemporaryDirectory() as tmp:
        model.save_pretrained(tmp)
        saved = json.loads((Path(tmp) / "config.json").read_text())
        save_file({k: t for k, t in sorted(load_file(Path(tmp) / "model.safetensors").items())}, folder / "model.safetensors", metadata={"format": "pt"})
    if case.labels is None:
        saved.pop("id2label", None), saved.pop("label2id", None)
    if case.pad == "absent":
        text_config(saved).pop("pad_token_id", None)
    put_json(folder / "config.json", saved)
    num = case.num if not case.labels and case.num != 2 else None
    model = load(folder, num)
    text = model.config.get_text_config()
    texts = make_texts(case, text.vocab_size, text.pad_token_id)
    golden = score(model, texts)
    if case.v4:
        v4 = to_v4(saved, type("V4", (), {"scaling_key": "type", "family": case.family, "v4": case.v4_keys}))
        put_json(folder / "config.v4.json", v4)
        with tempfile.TemporaryDirectory() as tmp:
            shutil.copy(folder / "model.safetensors", tmp)
            shutil.copy(folder / "config.v4.json", Path(tmp) / "config.json")
            if (d := distance(golden, score(load(tmp, num), texts))) != 0:
                raise SystemExit(f"{case.name}: config.v4.json gives other numbers: {d}")

    double = copy.deepcopy(model).double()
    for m in double.modules():
        if hasattr(m, "reorder_and_upcast_attn"):
            m.reorder_and_upcast_attn = False
    exact = distance(golden, score(double, texts))
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{case.name}: pad {text.pad_token_id}, float64 differs by {exact:.1e}, {size // 1000} kB")
    if exact > 1e-5:
        raise SystemExit(f"{case.name}: too ill-conditioned for the bound")
    weak = []
    for label, effect in bites(case, model, texts, golden).items():
        if effect < 1e-3:
            weak.append(label)
        if not label.startswith("tensor"):
            print(f"    {effect:8.2g}  {label}")
    if weak:
        raise SystemExit(f"{case.name}: no effect of {', '.join(weak)}")

    names = case.labels or [f"LABEL_{i}" for i in range(case.num)]
    note = (f"{case.purpose}. In float32 by transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, eager attention, each text alone. "
            "Made by make.py.")
    way = lambda w: json.dumps({"position": w[0], "outputs": [number(v) for v in w[1]]})
    lines = [f'{{\n  "note": {json.dumps(note)},\n  "names": {json.dumps(names)},\n  "texts": [']
    lines.append(",\n".join(f'    {{"ids": {json.dumps(t)}' + "".join(f',\n     "{k}": {way(w)}' for k, w in s.items()) + "}" for t, s in zip(texts, golden)))
    (folder / "golden.json").write_text("\n".join(lines) + "\n  ]\n}\n")


def bites(case, model, texts, golden):
    out, state = {}, model.state_dict()
    for label, change in case.bites.items():
        c = copy.deepcopy(model.config)
        change(c)
        m = AutoModelForSequenceClassification.from_config(c, attn_implementation="eager").float().eval()
        m.load_state_dict(state)
        out[label] = distance(golden, score(m, texts))
    norm = 0.0 if case.family.startswith("gemma") else 1.0
    for k in sorted({kind_of(n) for n, _ in model.named_parameters() if "vision_tower" not in n and "multi_modal" not in n}):
        m = copy.deepcopy(model)
        for n, p in m.named_parameters():
            if kind_of(n) == k:
                p.data.fill_(norm if n.endswith("weight") and re.search(r"norm|ln_", k) else 0.0)
        out["tensor " + k] = distance(golden, score(m, texts))
    if model.config.get_text_config().pad_token_id is not None:
        out["hf is not last"] = max(abs(u - v) for s in golden for u, v in zip(s["last"][1], s["hf"][1]))
        out["hf-old is not hf"] = max(abs(u - v) for s in golden for u, v in zip(s["hf"][1], s["hf-old"][1]))
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    if cap:
        out["score soft-capped"] = max(abs(v - cap * torch.tanh(torch.tensor(v / cap)).item()) for s in golden for v in s["last"][1])
    return out


if __name__ == "__main__":
    want = sys.argv[1:]
    for c in CASES:
        if not want or c.name in want:
            make(c)
    files = [f for f in (HERE / "families").rglob("*") if f.is_file()]
    print(f"{len(list((HERE / 'families').iterdir()))} cases, {sum(f.stat().st_size for f in files) / 1e6:.2f} MB")
