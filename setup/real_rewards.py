"""Writes implicit/rewardmodel/testdata/smollm2/reference.json: what transformers and peft say about a reward model and
about adapters of the model that `make real` provides.

    python setup/real_rewards.py      (needs torch, transformers 5 and peft; tests need none of them)

The reward model is SmolLM2-135M-Instruct with score.weight [1 576], the adapters are LoRA on q_proj and v_proj of all
layers, one of task SEQ_CLS (with a score.weight of its own) and one of task CAUSAL_LM. Their numbers come from a rule that
real_test.go follows too, so that nothing but the reference is committed:

    element i of tensor NAME = scale * (top 24 bits of splitmix64(FNV-1a64(NAME) + i) / 2^23 - 1), float32 without rounding

with NAME as in the file. Float32, eager attention, one text at a time. Texts are conversations of one prompt and one reply
rendered by the model's own template without a generation prompt. Per item and reply:

    ids         the token ids
    score       of the reward model
    adapted     of the reward model with the SEQ_CLS adapter
    base, tuned sum of ln p of the reply's tokens after the prompt with a generation prompt, without and with the CAUSAL_LM
                adapter; reply_ids are those tokens, prompt_ids those before them
"""

import hashlib
import json
import os
import pathlib
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import peft
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

from real_reference import MODEL, ROOT, document, shortest

OUT = ROOT / "implicit/rewardmodel/testdata/smollm2/reference.json"
WIDTH, LAYERS, KV, RANK, ALPHA = 576, 30, 192, 4, 8
SCALES = {"score.weight": 2.0**-4, "lora_A.weight": 2.0**-4, "lora_B.weight": 2.0**-4}

ITEMS = [
    ("What, in one word, is the greatest thing ever?", "Love", "Power"),
    ("What, in one word, is the worst thing ever?", "Cruelty", "Kindness"),
    ("How do I boil an egg?", "Put it into boiling water for eight minutes, then into cold water.", "Eggs cannot be boiled."),
    ("Write a haiku about rain.", "Rain on the tin roof\na thousand small feet running\nall the way to sleep", "Rain is water that falls."),
    ("What is 17 + 25?", "42", "43"),
    ("What is the capital of France?", "The capital of France is Paris.", "The capital of France is Lyon."),
    ("My neighbour's dog barks all night. What should I do?", "Talk to your neighbour first, calmly, and tell them what you hear and when.",
     "Bark back, louder."),
    ("Reverse a list in Python.", "xs[::-1]", "def reverse(xs):\n    for x in xs:\n        print(x)"),
    ("Translate to French: good morning", "Bonjour", "Guten Morgen"),
    ("Is it safe to look at the sun?", "No. Even a short look can hurt your eyes; use a projection or certified glasses.", "Yes, of course! Enjoy it."),
    ("Summarise: The cat sat on the mat because it was warm.", "A cat sat on a warm mat.", "The mat sat on the cat, which was cold, and then they both went home."),
    ("Name a prime number above 90.", "97", "91"),
    ("Who wrote Middlemarch?", "George Eliot, the pen name of Mary Ann Evans.", "Jane Austen wrote it in 1813."),
    ("東京はどこですか。", "日本の首都です。", "フランスにあります。"),
    ("Give me one reason to be hopeful 🙏", "People help strangers every day — most of it unseen.", "None."),
    ("Explain gravity to a child.", "Everything pulls on everything else, and the Earth is so big that its pull keeps your feet on the ground.",
     "Gravity is a fictitious force that arises in accelerated frames; see Misner, Thorne and Wheeler, chapter 1."),
]


def splitmix64(x):
    """The output function of splitmix64 at states x, uint64."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def values(name, *shape):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = (h ^ b) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        bits = splitmix64(np.uint64(h) + np.arange(np.prod(shape), dtype=np.uint64)) >> np.uint64(40)
    scale = next(s for end, s in SCALES.items() if name.endswith(end))
    return ((bits.astype(np.float64) / 2**23 - 1) * scale).astype(np.float32).reshape(shape)


def write_reward_model(folder):
    """The base's files by link, score.safetensors beside them, and an index over both. The trunk's file must not be called
    model.safetensors, or transformers reads it alone."""
    (folder / "trunk.safetensors").symlink_to(MODEL / "model.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).symlink_to(MODEL / name)
    save_file({"score.weight": values("score.weight", 1, WIDTH)}, folder / "score.safetensors", metadata={"format": "pt"})
    with safe_open(MODEL / "model.safetensors", "np") as f:
        index = {k: "trunk.safetensors" for k in f.keys()} | {"score.weight": "score.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    config = json.loads((MODEL / "config.json").read_text())
    config |= {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    (folder / "config.json").write_text(json.dumps(config))


def write_adapter(folder, task):
    folder.mkdir()
    tensors = {}
    for layer in range(LAYERS):
        for module, out in (("q_proj", WIDTH), ("v_proj", KV)):
            path = f"base_model.model.model.layers.{layer}.self_attn.{module}."
            for name, shape in (("lora_A.weight", (RANK, WIDTH)), ("lora_B.weight", (out, RANK))):
                tensors[path + name] = values(f"{task} {path}{name}", *shape)
    config = {"peft_type": "LORA", "task_type": task, "r": RANK, "lora_alpha": ALPHA, "target_modules": ["q_proj", "v_proj"], "bias": "none",
              "base_model_name_or_path": None, "inference_mode": True}
    if task == "SEQ_CLS":
        tensors["base_model.model.score.weight"] = values("SEQ_CLS base_model.model.score.weight", 1, WIDTH)
        config["modules_to_save"] = ["classifier", "score"]
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(config))


@torch.no_grad()
def main():
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        rm = tmp / "rm"
        rm.mkdir()
        write_reward_model(rm)
        write_adapter(tmp / "SEQ_CLS", "SEQ_CLS")
        write_adapter(tmp / "CAUSAL_LM", "CAUSAL_LM")
        kw = dict(dtype=torch.float32, attn_implementation="eager")
        scorer = transformers.AutoModelForSequenceClassification.from_pretrained(rm, **kw).eval()
        adapted = peft.PeftModel.from_pretrained(transformers.AutoModelForSequenceClassification.from_pretrained(rm, **kw), tmp / "SEQ_CLS").eval()
        base = transformers.AutoModelForCausalLM.from_pretrained(MODEL, **kw).eval()
        tuned = peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(MODEL, **kw), tmp / "CAUSAL_LM").eval()

    def score(model, ids):
        return shortest(model(input_ids=torch.tensor([ids])).logits[0, 0])

    def reply_log_prob(model, ids, start):
        rows = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].double(), -1)
        return float(f"{sum(rows[i - 1, ids[i]].item() for i in range(start, len(ids))):.9g}")

    items = []
    for prompt, *replies in ITEMS:
        item = {"prompt": prompt}
        user = [{"role": "user", "content": prompt}]
        before = tokenizer.apply_chat_template(user, tokenize=False, add_generation_prompt=True)
        for name, reply in zip(("chosen", "rejected"), replies):
            ids = tokenizer.apply_chat_template(user + [{"role": "assistant", "content": reply}], tokenize=True, return_dict=False)
            prompt_ids = tokenizer(before)["input_ids"]
            whole = tokenizer(before + reply)["input_ids"]
            assert whole[: len(prompt_ids)] == prompt_ids, "a token across the boundary"
            item[name] = {
                "reply": reply, "ids": ids, "score": score(scorer, ids), "adapted": score(adapted, ids),
                "prompt_ids": prompt_ids, "reply_ids": whole[len(prompt_ids) :],
                "base": reply_log_prob(base, whole, len(prompt_ids)), "tuned": reply_log_prob(tuned, whole, len(prompt_ids)),
            }
        items.append(item)
        print(prompt, [round(item[n][k], 3) for k in ("score", "adapted", "base", "tuned") for n in ("chosen", "rejected")])

    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(document({
        "made_by": f"setup/real_rewards.py, transformers {transformers.__version__}, peft {peft.__version__}, torch {torch.__version__}, float32, eager attention",
        "model_sha256": hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest(),
        "items": items,
    }), encoding="utf-8")
    print(OUT, OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
