"""What two versions of transformers make of tokens that only the config files name.

    python named.py

writes added/named.json, the files of some checkpoints, each with the tokenizer.json of qwen2,
and added/named.VERSION.json, for the transformers that is installed: of each checkpoint the
ids of TEXTS and its added tokens beyond tokenizer.json's, or null where it cannot be loaded.
Made with 4.57.3 and with 5.23.0.
"""
import json, os, random, shutil, tempfile
import transformers
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = ["a <tool> b<|turn_a|>c <fill> [X]", "new word the  Hello world", "xthe the<|im_start|>  \n user<pad> zz! y", "Ġthe<|im_end|> a new wordy"]
NEW = ["<tool>", "<|turn_a|>", "<fill>", "[X]", "new word", "<pad>", "zz!"]
OLD = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]  # 656 to 658 in tokenizer.json, special
WORD = ["the", "Hello", " world", "Ġthe"]

def checkpoints(rng):
    config = lambda **kw: {"tokenizer_config.json": dict(tokenizer_class="PreTrainedTokenizerFast", **kw)}
    old = {str(656 + i): dict(content=t, lstrip=False, rstrip=False, normalized=False, single_word=False, special=True) for i, t in enumerate(OLD)}
    yield config(additional_special_tokens=["<|turn_a|>"])
    yield config(additional_special_tokens=["<|turn_a|>", "<tool>"], added_tokens_decoder=old)
    yield config(extra_special_tokens={"image_token": "<tool>", "audio_token": "<|turn_a|>"})
    yield config(extra_special_tokens=["<|turn_a|>", "<tool>"])
    yield dict(config(), **{"special_tokens_map.json": {"additional_special_tokens": ["<|turn_a|>", "<tool>"]}})
    yield dict(config(additional_special_tokens=["<tool>"]), **{"special_tokens_map.json": {"additional_special_tokens": ["<tool>"]}})
    yield dict(config(), **{"added_tokens.json": {"<|turn_a|>": 660, "<tool>": 659, "<|im_end|>": 658}})
    yield dict(config(eos_token="<|turn_a|>"), **{"added_tokens.json": {"<|turn_a|>": 659}})
    yield dict(config(added_tokens_decoder=old), **{"added_tokens.json": {"<|turn_a|>": 659}})  # not read
    yield dict(config(image_token="<tool>"))
    yield dict(config(additional_special_tokens=None), **{"special_tokens_map.json": {"additional_special_tokens": ["<tool>"]}})
    token = lambda: rng.choice(rng.choice([NEW, NEW, NEW, OLD, WORD]))
    flags = lambda: {k: rng.random() < 0.25 for k in ("lstrip", "rstrip", "normalized", "single_word")}
    def either(t, typed):
        return t if rng.random() < 0.6 else dict(content=t, **flags(), **({"__type": "AddedToken"} if typed else {}))
    def special(typed, fields, extra):
        for k in ("bos_token", "eos_token", "unk_token", "pad_token", "mask_token"):
            if rng.random() < 0.25:
                fields[k] = either(token(), typed)
        if rng.random() < 0.5:
            fields["additional_special_tokens"] = [either(token(), typed) for _ in range(rng.randint(0, 3))]
        if rng.random() < extra:
            if rng.random() < 0.3:
                fields["extra_special_tokens"] = [either(token(), typed) for _ in range(rng.randint(0, 3))]
            else:
                fields["extra_special_tokens"] = {rng.choice(["image_token", "boi_token", "x", "audio_token"]): token() for _ in range(rng.randint(0, 2))}
    for _ in range(90):
        files = config()
        fields = files["tokenizer_config.json"]
        special(True, fields, 0.35)
        if rng.random() < 0.3:
            new = {str(659 + i): dict(content=t, special=rng.random() < 0.5, **flags()) for i, t in enumerate(rng.sample(NEW, rng.randint(0, 3)))}
            fields["added_tokens_decoder"] = dict(old, **new)
        if rng.random() < 0.4:
            files["special_tokens_map.json"] = {}
            special(False, files["special_tokens_map.json"], 0.1)
        if rng.random() < 0.4:
            new = rng.sample(NEW, rng.randint(1, 3))
            files["added_tokens.json"] = {t: (656 + OLD.index(t) if t in OLD else 659 + new.index(t)) for t in rng.sample(new + [rng.choice(OLD)], len(new) + 1)}
        yield files

def made(files):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(f"{HERE}/qwen2/tokenizer.json", folder)
        for name, fields in files.items():
            with open(f"{folder}/{name}", "w") as f:
                json.dump(fields, f)
        try:
            t = AutoTokenizer.from_pretrained(folder)
        except Exception:
            return None
        added = [[i, a.content, a.lstrip, a.rstrip, a.normalized, a.single_word] for i, a in sorted(t.added_tokens_decoder.items())]
        return {"added": added, "ids": [t(s, add_special_tokens=False)["input_ids"] for s in TEXTS]}

def write(name, value):
    with open(f"{HERE}/added/{name}", "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, separators=(",", ":"))

if __name__ == "__main__":
    all_files = list(checkpoints(random.Random(1)))
    write("named.json", {"texts": TEXTS, "checkpoints": all_files})
    write(f"named.{transformers.__version__}.json", [made(files) for files in all_files])
