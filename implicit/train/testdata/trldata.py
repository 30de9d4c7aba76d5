"""Writes trldata.json: rows as TRL's trainers make tokens of them.

    python trldata.py

It calls RewardTrainer's, DPOTrainer's and SFTTrainer's own _prepare_dataset, and DPO's collator
where rows are cut, with the test tokenizers of package tokenize. A case is {"tokenizer", "task",
"name", "limit" (null for none), "lines", "rows"}; a row of the result {"ids": one list a text,
"from": where the tokens that are trained begin}. Made with trl 1.16.0, transformers 5.23.0 and
datasets 5.2.0.
"""
import json, os
from types import SimpleNamespace
import datasets
from datasets import Dataset
from transformers import PreTrainedTokenizerFast
from trl import DPOTrainer, RewardTrainer, SFTTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference
import trl

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENIZERS = os.path.join(HERE, "../../../tokenize/testdata")
assert trl.__version__ == "1.16.0", trl.__version__
datasets.disable_caching()
datasets.disable_progress_bars()

def user(s): return {"role": "user", "content": s}
def assistant(s): return {"role": "assistant", "content": s}
def system(s): return {"role": "system", "content": s}

EARLIER = [user("Love or fear?"), assistant("Love."), user("Why Love?")]
PAIRS = {  # rows of reward and dpo
    "strings": [
        {"prompt": "What is the best thing ever?", "chosen": " Love", "rejected": " Power, and fear"},
        {"prompt": "What is the best thing ever? ", "chosen": "freedom", "rejected": "hatred"},  # tokens straddle
        {"prompt": "The wor", "chosen": "ld is kind.", "rejected": "d is cruel."},
        {"prompt": "", "chosen": "People are kind", "rejected": "People are cruel"},
        {"prompt": "l'été 日本", "chosen": "\n\nça va", "rejected": "語 🙂"},
    ],
    "strings, implicit prompt": [
        {"chosen": "The quick brown fox", "rejected": "The quick brown dog"},
        {"chosen": "What is it? It is freedom.", "rejected": "What is it? It is fear."},
        {"chosen": "été", "rejected": "étude"},
        {"chosen": "It is 3 days", "rejected": "It is 7 days"},  # the space is a token
        {"chosen": "Love", "rejected": "Hatred"},
        {"chosen": "Love", "rejected": "Love is the best"},  # one begins the other
    ],
    "messages": [
        {"prompt": [user("What is it?")], "chosen": [assistant("Love")], "rejected": [assistant("Fear, or power")]},
        {"prompt": EARLIER, "chosen": [assistant(" l'été 日本\n")], "rejected": [assistant("Love.")]},
    ],
    "messages, implicit prompt": [
        {"chosen": [user("What is it?"), assistant("Love")], "rejected": [user("What is it?"), assistant("Love and fear")]},
        {"chosen": EARLIER + [assistant("It is kind.")], "rejected": EARLIER + [assistant("It is.")]},
    ],
    "messages, system": [
        {"prompt": [system("In one word."), user("What is it?")], "chosen": [assistant("Love")], "rejected": [assistant("Fear")]},
    ],
}
SINGLES = {  # rows of sft
    "text": [{"text": "The quick brown fox"}, {"text": "l'été 日本 🙂\n"}, {"text": "It"}],
    "strings": [
        {"prompt": "What is the best thing ever?", "completion": " Love"},
        {"prompt": "What is the best thing ever? ", "completion": "freedom"},
        {"prompt": "", "completion": "People are kind"},
    ],
    "messages": [{"messages": [user("What is it?"), assistant("Love")]}, {"messages": EARLIER + [assistant(" It is kind.\n")]}],
    "messages, completion": [
        {"prompt": [user("What is it?")], "completion": [assistant("Love")]},
        {"prompt": EARLIER, "completion": [assistant("It is kind.")]},
    ],
    "conversations": [{"conversations": [{"from": "user", "value": "What is it?"}, {"from": "assistant", "value": "Love"}]}],
}

def reward(tok, rows, limit):
    out = RewardTrainer._prepare_dataset(None, Dataset.from_list(rows), tok, SimpleNamespace(dataset_num_proc=None, max_length=limit), "train")
    return [{"ids": [r["chosen_ids"], r["rejected_ids"]], "from": 0} for r in out]

def dpo(tok, rows, limit):
    args = SimpleNamespace(dataset_num_proc=None, max_length=limit, truncation_mode="keep_start")
    out = DPOTrainer._prepare_dataset(SimpleNamespace(_tokenizer=tok), Dataset.from_list(rows), tok, args, "train")
    collate = DataCollatorForPreference(pad_token_id=0, max_length=limit)
    result = []
    for r in out:
        batch = collate([r])
        ids = [x[m == 1].tolist() for x, m in zip(batch["input_ids"], batch["attention_mask"])]
        masks = batch["completion_mask"].tolist()
        assert all(not any(m[:len(r["prompt_ids"])]) for m in masks)
        result.append({"ids": ids, "from": len(r["prompt_ids"])})
    return result

def sft(tok, rows, limit):
    args = SimpleNamespace(dataset_num_proc=None, max_length=limit, truncation_mode="keep_start", dataset_text_field="text",
        assistant_only_loss=False, shuffle_dataset=False, seed=1)
    self = SimpleNamespace(_tokenizer=tok, chat_template=None, completion_only_loss="completion" in rows[0])
    out = SFTTrainer._prepare_dataset(self, Dataset.from_list(rows), tok, args, False, None, "train")
    result = []
    for r in out:
        start = next(i for i, label in enumerate(r["labels"]) if label != -100)
        assert r["labels"][start:] == r["input_ids"][start:]
        result.append({"ids": [r["input_ids"]], "from": start})
    return result

def main():
    cases = []
    for name in "smollm2", "llama3", "gemma", "qwen2", "mistral":
        tok = PreTrainedTokenizerFast.from_pretrained(f"{TOKENIZERS}/{name}")
        render = tok.apply_chat_template
        tok.apply_chat_template = lambda *a, **k: render(*a, **{"date_string": "26 Jul 2024", **k})  # not today's
        for task, forms in (reward, PAIRS), (dpo, PAIRS), (sft, SINGLES):
            for form, rows in forms.items():
                if form.startswith("messages, system") and name in ("gemma", "mistral"):
                    continue  # their templates have no system message
                variants = [(form, rows, None), (form, rows, 12 if "messages" not in form else 40)]
                if form in ("strings", "text", "strings, implicit prompt"):
                    variants.append((form + ", with EOS", [{k: v if k == "prompt" else v + tok.eos_token for k, v in r.items()} for r in rows], None))
                for label, rows, limit in variants:
                    cases.append({"tokenizer": name, "task": task.__name__, "name": label, "limit": limit,
                        "lines": [json.dumps(r, ensure_ascii=False) for r in rows], "rows": task(tok, rows, limit)})
    with open(f"{HERE}/trldata.json", "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + "\n]\n")

if __name__ == "__main__":
    main()
