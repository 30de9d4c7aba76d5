#!/usr/bin/env python3
"""What transformers in bfloat16 differs from itself in float32, on SmolLM2-135M.

Reads logprob/testdata/smollm2/reference.json (float32, made by real_reference.py) and
prints the largest and the mean difference of the log-probabilities that the same
weights give when transformers computes in bfloat16 (eager attention). Run by
maintainers: pip install torch==2.11.0 transformers==5.23.0, then make real.
"""
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

root = pathlib.Path(__file__).resolve().parent.parent
reference = json.loads((root / "logprob/testdata/smollm2/reference.json").read_text())
model = AutoModelForCausalLM.from_pretrained(
    root / ".deps/models/smollm2-135m-instruct", dtype=torch.bfloat16, attn_implementation="eager"
).eval()


@torch.no_grad()
def log_probs(ids):
    return model(torch.tensor([ids])).logits[0].float().log_softmax(-1)


differences = []
for text in reference["texts"]:
    rows = log_probs(text["ids"])
    for i, want in enumerate(text["logprob"]):
        differences.append(abs(rows[i, text["ids"][i + 1]].item() - want))
for text in reference["next"]:
    row = log_probs(text["ids"])[-1]
    for token, want in text["top"] + text["sample"]:
        differences.append(abs(row[token].item() - want))
print(f"{len(differences)} log-probabilities: largest difference {max(differences):.2g}, "
      f"mean {sum(differences) / len(differences):.2g} nats")
