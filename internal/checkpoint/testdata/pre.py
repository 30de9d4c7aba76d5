#!/usr/bin/env python3
"""Makes pre.json: texts and the ids that a small tokenizer gives them with the pre-tokenizer of each name that tokenizer.ggml.pre may have.

    pip install tokenizers==0.23.3
    LLAMA_CPP=FOLDER TOKENIZERS=FOLDER python pre.py

The tokens cross all borders that a pre-tokenizer draws, so other borders are other ids. A pre-tokenizer is that of the original tokenizer.json where
TOKENIZERS has it (NAME.json: gpt-oss, deepseek-v3, gpt-4), or else as written below. It is held to the original tokenizer before it is used: with the
vocabulary of models/ggml-vocab-NAME.gguf of LLAMA_CPP (github.com/ggml-org/llama.cpp at 0c1e57098) it must give the ids that the file .out beside it
has of the original, and with that vocabulary or the original one the ids whose hash conversion/base.py knows the name by. What neither can show is
the normalizer, NFC or none, which is that of transformers' classes (GPT-NeoX, Cohere, Qwen 2) and of the published files.
"""

import hashlib
import json
import os
import re
import sys
from pathlib import Path

LLAMA_CPP, TOKENIZERS = Path(os.environ["LLAMA_CPP"]), Path(os.environ["TOKENIZERS"])
sys.path.insert(0, str(LLAMA_CPP / "gguf-py"))
from gguf import GGUFReader
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PLAIN = BYTES | {"use_regex": False}
DIGITS = {"type": "Digits", "individual_digits": True}
NFC = {"type": "NFC"}
SOURCE = (LLAMA_CPP / "src" / "llama-vocab.cpp").read_text()
LETTERS = re.search(r'"\\\\s\?\[(A-Za-zµ.*?)\]\+"', SOURCE).group(1)


def split(expression):
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def original(name):
    d = json.loads((TOKENIZERS / f"{name}.json").read_text())
    return d["pre_tokenizer"], d["normalizer"], d["model"].get("ignore_merges", False)


QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
HAN = "[一-龥ࠀ-一가-\ud7ff]+"
ONE_BY_ONE = sequence(DIGITS, BYTES)

# By name: the pre-tokenizer, the normalizer, whether whole tokens are taken without merges; the vocabulary that it is held to, and the id of the BOS
# that stands before texts, or None.
NAMES = {
    "gpt-2": ((BYTES, None, False), "gpt-2", None),
    "mpt": ((BYTES, NFC, False), "mpt", None),
    "olmo": ((BYTES, NFC, False), "mpt", None),
    "refact": ((ONE_BY_ONE, None, False), "refact", None),
    "starcoder": ((ONE_BY_ONE, None, False), "starcoder", None),
    "command-r": ((ONE_BY_ONE, NFC, False), "command-r", 5),
    "llama-bpe": ((original("gpt-4")[0], None, True), "llama-bpe", 128000),
    "smaug-bpe": ((original("gpt-4")[0], None, True), "llama-bpe", None),
    "dbrx": (original("gpt-4"), "gpt-4.json", None),
    "gpt-4o": (original("gpt-oss"), "gpt-oss.json", None),
    "qwen2": ((sequence(split(QWEN), PLAIN), NFC, False), "qwen2", None),
    "deepseek-r1-qwen": ((sequence(split(QWEN), PLAIN), NFC, False), "qwen2", 151646),
    "falcon": ((sequence({"type": "Punctuation", "behavior": "Contiguous"}, BYTES, DIGITS | {"individual_digits": False}, split("[0-9][0-9][0-9]")), None, False), "falcon", None),
    "deepseek-llm": ((sequence(split("[\r\n]"), split(f"\\s?[{LETTERS}]+"), split("\\s?[!-/:-~！-／：-～‘-‟　-。]+"), split("\\s+$"), split(HAN), DIGITS, PLAIN), None, False), "deepseek-llm", 100000),
    "deepseek-coder": ((sequence(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(HAN), DIGITS, PLAIN), None, False), "deepseek-coder", 32013),
    "deepseek-v3": (original("deepseek-v3"), "deepseek-v3.json", 0),
}

TEXTS = [
    "Hello World, it's a TEST: we'LL see HTTPServer v2.0 -- I'M \u2019not", "1 12 123 1234 12345 1234567 x1y22 ٣٤٥٦ Ⅷ½ 年2024", "a\r\n\r\n b\n\n\t c  \n   d   ", "  two  spaces\u3000and\u00a0one ",
    "e\u0301 \ufb01 \uac00 \u1100\u1161 \ufdfa \u0928\u094d", "日本語のテキスト、한국어 텍스트。中文文本！", "def f(x):\n    return x+1 # (ok?)/\n//end/\n", "$5.00 <tag attr=\"v\"> ~^|`x` @me #tag {a}[b]", "ÄÖÜß Привет МИР ΑΒγ ǅungla",
    "'tis 'Twas don'T he'd've \"quoted\"...!!!???", "\u2029 \ua3e4 🚀🦙\u200d🌫️ \u202b", "100% of 3,000,000.50€", "x" * 9 + " " * 7 + "y\t\t\tz ", "CamelCaseString ABCdef GHI\u0301jkl", "_under_score __init__ a.b.c http://x.y/z?q=1&r=2",
]


def with_parts(vocab, merges, added, pre, normalizer, ignore):
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": None, "decoder": BYTES, "added_tokens": added,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": ignore, "vocab": vocab, "merges": merges}}))


def hold(name, parts, source, bos):
    if source.endswith(".json"):
        d = json.loads((TOKENIZERS / source).read_text())
        tok = with_parts(d["model"]["vocab"], d["model"]["merges"], d["added_tokens"], *parts)
    else:
        f = GGUFReader(LLAMA_CPP / "models" / f"ggml-vocab-{source}.gguf").fields
        words, kinds, merges = (f[f"tokenizer.ggml.{k}"].contents() for k in ("tokens", "token_type", "merges"))
        added = [{"id": i, "content": w, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": kinds[i] != 4} for i, w in enumerate(words) if kinds[i] in (2, 3, 4)]
        tok = with_parts({w: i for i, w in enumerate(words) if kinds[i] != 5}, merges, added, *parts)
        texts = (LLAMA_CPP / "models" / f"ggml-vocab-{source}.gguf.inp").read_text().split("\n__ggml_vocab_test__\n")
        for text, line in zip(texts, (LLAMA_CPP / "models" / f"ggml-vocab-{source}.gguf.out").read_text().split("\n")):
            assert tok.encode(text).ids == [int(i) for i in line.split()], (name, text)
    base = (LLAMA_CPP / "conversion" / "base.py").read_text()
    text = eval(re.search(r"chktxt = ('.*')\n", base).group(1))
    ids = ([] if bos is None else [bos]) + tok.encode(text).ids
    known = re.findall(rf'chkhsh == "{hashlib.sha256(str(ids).encode()).hexdigest()}":\n.*\n +res = "(.*)"', base)
    assert name in known, (name, known)


first = Tokenizer(models.BPE())
first.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
first.train_from_iterator([t for t in TEXTS for _ in range(2)], trainers.BpeTrainer(vocab_size=900, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
model = json.loads(first.to_str())["model"]
words = sorted(model["vocab"], key=model["vocab"].get)
ids = {}
for name, (parts, source, bos) in NAMES.items():
    hold(name, parts, source, bos)
    tok = with_parts(model["vocab"], model["merges"], [], *parts)
    ids[name] = {"bos": bos is not None, "ids": [tok.encode(t).ids for t in TEXTS]}
out = Path(__file__).parent / "pre.json"
out.write_text(json.dumps({"tokens": words, "merges": [" ".join(m) for m in model["merges"]], "texts": TEXTS, "names": ids}, separators=(",", ":")) + "\n")
print(f"{len(ids)} names, {len({json.dumps(v['ids']) for v in ids.values()})} ways to cut, {out.stat().st_size // 1000} kB")
