#!/usr/bin/env python3
"""Makes the peft adapters of reward models under adapters/ and the scores that transformers and peft compute with them.

    python adapters.py                 # all cases; versions as in make.py
    python adapters.py llama-plain     # only the named ones

A case is a folder adapters/<case>/ as logprob/testdata/adapters.py makes it (and with its checks), of task SEQ_CLS, for a
base under families/. golden.json holds {"note", "base", "names", "texts": [{"ids", "last", "hf", "hf-old"}]} as make.py says,
with the base's own texts; base is the base's folder, from testdata. Or, in the cases refused-*, {"note", "base", "refused"}.

peft adds classifier and score to modules_to_save, so that every file holds the head. llama-fresh is an adapter for a causal
checkpoint, as TRL's RewardTrainer leaves one: the head is in the adapter alone, and the base's lm_head is not used.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
LOGPROB = HERE.parent.parent.parent / "logprob" / "testdata"
sys.path.insert(0, str(LOGPROB))
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

import adapters as lora
from adapters import PROJ, Adapter
from make import number

spec = importlib.util.spec_from_file_location("families_make", HERE / "make.py")
families = importlib.util.module_from_spec(spec)
sys.modules["families_make"] = families
spec.loader.exec_module(families)

F = "families/"
CAUSAL = "../../../logprob/testdata/families/"


def config(**kw):
    return dict(r=3, lora_alpha=7, target_modules=["q_proj", "v_proj"]) | kw


CASES = [
    Adapter("llama-plain", F + "llama-one", "LoRA on q and v; the head is in the file", config(), {"alpha": {"lora_alpha": 6}}),
    Adapter("llama-step-2", F + "llama-one", "the same modules with other weights: a later checkpoint of a series", config()),
    Adapter("llama-alllinear", F + "llama-three", "every matrix of the blocks and not score, three labels, pad == eos", config(target_modules="all-linear")),
    Adapter("llama-dora", F + "llama-one", "DoRA with rslora", config(target_modules=PROJ, use_dora=True, use_rslora=True),
            {"dora": {"use_dora": False}, "rslora": {"use_rslora": False}}),
    Adapter("llama-patterns", F + "llama-one", "rank_pattern and alpha_pattern",
            config(target_modules=PROJ, rank_pattern={"q_proj": 5, "layers.1.mlp.down_proj": 1}, alpha_pattern={"v_proj": 3}),
            {"alpha_pattern": {"alpha_pattern": {}}}),
    Adapter("llama-embed", F + "llama-one", "modules_to_save embed_tokens beside the head", config(modules_to_save=["embed_tokens"])),
    Adapter("llama-tied", F + "llama-tied", "a base whose config says that embeddings are tied", config(layers_to_transform=[1])),
    Adapter("llama-fresh", CAUSAL + "llama-mha", "the base is a causal checkpoint, the head is in the adapter alone", config()),
    Adapter("llama-fresh-tied", CAUSAL + "llama-gqa-tied", "the same of a tied causal checkpoint", config(target_modules="all-linear")),
    Adapter("gemma2-alllinear", F + "gemma2-one", "every matrix of gemma2", config(target_modules="all-linear")),
    Adapter("gpt2-conv1d", F + "gpt2-one", "Conv1D with fan_in_fan_out", config(target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)),
    Adapter("phi3-fused", F + "phi3-one", "fused qkv_proj and gate_up_proj", config(target_modules=["qkv_proj", "gate_up_proj"])),
    Adapter("gpt_neox-alllinear", F + "gpt_neox-one", "gpt_neox, bias all", config(target_modules="all-linear", bias="all")),
    Adapter("qwen3-alllinear", F + "qwen3-one", "qwen3", config(target_modules="all-linear")),
    Adapter("refused-pissa", F + "llama-one", "init_lora_weights pissa", config(init_lora_weights="pissa"), refused="init_lora_weights"),
]


def base_model(case):
    """The base in float32; of a causal checkpoint the head is transformers' random one, which the adapter replaces."""
    torch.manual_seed(1)
    causal = case.base.startswith(CAUSAL)
    kw = {"num_labels": 1} if causal else {}
    model = AutoModelForSequenceClassification.from_pretrained(HERE / case.base, attn_implementation="eager", dtype=torch.float32, **kw)
    return model.eval()


def make(case):
    folder = HERE / "adapters" / case.name
    lora.write(case, folder, base_model, "SEQ_CLS")
    if case.refused:
        lora.refuse(case, folder)
        return
    base = json.loads((HERE / case.base / "golden.json").read_text())
    texts = [t["ids"] for t in base["texts"]]
    lora.distance = families.distance
    golden = lora.check(case, folder, lambda m: families.score(m.get_base_model() if isinstance(m, PeftModel) else m, texts), base_model, "SEQ_CLS")
    names = base.get("names", ["LABEL_0"])
    way = lambda w: json.dumps({"position": w[0], "outputs": [number(v) for v in w[1]]})
    lines = [f'{{\n  "note": {json.dumps(lora.note(case))},\n  "base": {json.dumps(case.base)},\n  "names": {json.dumps(names)},\n  "texts": [']
    lines.append(",\n".join(f'    {{"ids": {json.dumps(t)}' + "".join(f',\n     "{k}": {way(w)}' for k, w in s.items()) + "}" for t, s in zip(texts, golden)))
    (folder / "golden.json").write_text("\n".join(lines) + "\n  ]\n}\n")


if __name__ == "__main__":
    want = sys.argv[1:]
    for c in CASES:
        if not want or c.name in want:
            make(c)
    files = [f for f in (HERE / "adapters").rglob("*") if f.is_file()]
    print(f"{len(list((HERE / 'adapters').iterdir()))} cases, {sum(f.stat().st_size for f in files) / 1e6:.2f} MB")
