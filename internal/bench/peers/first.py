"""From process start to a first number with transformers: ln p of the likeliest next
token after the first prompt.

    python first.py TASK.json
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

with open(sys.argv[1], encoding="utf-8") as f:
    task = json.load(f)
tokenizer = AutoTokenizer.from_pretrained(task["model"])
model = AutoModelForCausalLM.from_pretrained(task["model"], dtype=torch.bfloat16).eval()
with torch.inference_mode():
    ids = tokenizer(task["next"][0]["text"], add_special_tokens=False, return_tensors="pt")["input_ids"]
    row = model(ids, logits_to_keep=1).logits[0, -1].float().log_softmax(-1)
print(json.dumps({"token": int(row.argmax()), "lnp": float(row.max())}))
