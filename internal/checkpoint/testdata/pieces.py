#!/usr/bin/env python3
"""Writes pieces.json: a SentencePiece BPE model as a GGUF file has it, and what SentencePiece makes of texts.

    pip install sentencepiece==0.2.3
    python pieces.py

The model has Llama's settings: bytes for what it has no token for, a space before a text, no white space taken away, digits
alone. It is trained on this repository's README.md and CHANGELOG.md as they are, so a rerun gives another; the output is
committed, and no build or test runs this program. Texts are those of tokenize/testdata/texts.json, pieces of README.md and
random ones, none with the name of an added token.
"""

import io
import json
import random
from pathlib import Path

import sentencepiece

ROOT = Path(__file__).parents[3]
readme = (ROOT / "README.md").read_text()
lines = (readme + (ROOT / "CHANGELOG.md").read_text()).splitlines()
out = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(lines), model_writer=out, model_type="bpe", vocab_size=900, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True,
    add_dummy_prefix=True, remove_extra_whitespaces=False, normalization_rule_name="identity", character_coverage=0.99, minloglevel=2, num_threads=1)
sp = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
tokens, scores, types = [], [], []
for i in range(len(sp)):
    tokens.append(sp.id_to_piece(i))
    scores.append(sp.get_score(i))
    types.append(2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 5 if sp.is_unused(i) else 6 if sp.is_byte(i) else 1)
rng = random.Random(1)
texts = json.loads((ROOT / "tokenize/testdata/texts.json").read_text())
for _ in range(150):
    at = rng.randrange(len(readme))
    texts.append(readme[at : at + rng.randrange(1, 120)])
letters = "  \t\nabcdeéß漢字🙂▁0123.,x"
texts += ["".join(rng.choice(letters) for _ in range(rng.randrange(1, 40))) for _ in range(150)]
texts += ["", " ", "  ", "   leading", "trailing   ", "\n\n\n", "a" * 40, "<0x41> <0xZZ>", "▁▁ x", "\u00a0 x", "e\u0301 ﬁ 가 ﷺ", "1234567 x1y22"]
texts = [t for t in texts if not any(name in t for name in ("<s>", "</s>", "<unk>"))]
lines = ",\n".join("  " + json.dumps({"text": t, "ids": sp.encode(t)}, ensure_ascii=False) for t in texts)
(Path(__file__).parent / "pieces.json").write_text(
    '{"tokens": ' + json.dumps(tokens, ensure_ascii=False) + ',\n "scores": ' + json.dumps(scores) + ',\n "types": ' + json.dumps(types) + ',\n "texts": [\n' + lines + "\n]}\n")
