#!/usr/bin/env python3
"""Writes pieces.json and pieces-gemma.json: a SentencePiece BPE model as a GGUF file has it, and what SentencePiece makes of texts.

    pip install sentencepiece==0.2.3 protobuf
    python pieces.py [llama] [gemma]

The models have bytes for what they have no token for, no white space taken away, and digits alone. That of llama has Llama's settings: a space before
a text. That of gemma has Gemma's: no such space, and tokens that users define, before the bytes (names, lines, spaces, tags) and behind all that
is learned (tabs, names). They are trained on this repository's README.md and CHANGELOG.md as they are, so a rerun gives others; the
output is committed, and no build or test runs this program. Texts are those of tokenize/testdata/texts.json, pieces of README.md and
random ones, none with the name of a control token.
"""

import io
import json
import random
import sys
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
CONTROL, USER = 3, 4


def train(**settings):
    """The model as a protocol buffer."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((README + (ROOT / "CHANGELOG.md").read_text()).splitlines()), model_writer=out, model_type="bpe", byte_fallback=True, split_digits=True,
        allow_whitespace_only_pieces=True, remove_extra_whitespaces=False, normalization_rule_name="identity", character_coverage=0.99, minloglevel=2, num_threads=1, **settings)
    return out.getvalue()


def write(name, sp, tokens, scores, types, texts):
    lines = ",\n".join("  " + json.dumps({"text": t, "ids": sp.encode(t)}, ensure_ascii=False) for t in texts)
    (Path(__file__).parent / name).write_text(
        '{"tokens": ' + json.dumps(tokens, ensure_ascii=False) + ',\n "scores": ' + json.dumps(scores) + ',\n "types": ' + json.dumps(types) + ',\n "texts": [\n' + lines + "\n]}\n")


def texts(n, letters, more, without):
    rng = random.Random(1)
    all = json.loads((ROOT / "tokenize/testdata/texts.json").read_text())
    for _ in range(n):
        at = rng.randrange(len(README))
        all.append(README[at : at + rng.randrange(1, 120)])
    all += ["".join(rng.choice(letters) for _ in range(rng.randrange(1, 40))) for _ in range(n)]
    all += ["", " ", "  ", "   leading", "trailing   ", "\n\n\n", "a" * 40, "<0x41> <0xZZ>", "▁▁ x", "\u00a0 x", "e\u0301 ﬁ 가 ﷺ", "1234567 x1y22"] + more
    return [t for t in all if not any(name in t for name in without)]


def pieces(sp):
    types = [2 if sp.is_unknown(i) else CONTROL if sp.is_control(i) else 5 if sp.is_unused(i) else 6 if sp.is_byte(i) else 1 for i in range(len(sp))]
    return [sp.id_to_piece(i) for i in range(len(sp))], [sp.get_score(i) for i in range(len(sp))], types


def llama():
    sp = sentencepiece.SentencePieceProcessor(model_proto=train(vocab_size=900, add_dummy_prefix=True))
    write("pieces.json", sp, *pieces(sp), texts(150, "  \t\nabcdeéß漢字🙂▁0123.,x", [], ("<s>", "</s>", "<unk>")))


def gemma():
    first = ["<mask>", "<unused0>", "<unused1>", "<start_of_turn>", "<end_of_turn>"] + ["\n" * n for n in range(1, 5)] + ["▁" * n for n in range(2, 6)] + ["<table>", "<td>", "</td>", "<h1>"]
    last = ["\t" * n for n in range(1, 4)] + ["<unused2>"]
    m = sentencepiece_model_pb2.ModelProto.FromString(
        train(vocab_size=640, add_dummy_prefix=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", user_defined_symbols=first))
    for word in last:
        m.pieces.add(piece=word, score=0, type=sentencepiece_model_pb2.ModelProto.SentencePiece.USER_DEFINED)
    m.trainer_spec.vocab_size = len(m.pieces)
    sp = sentencepiece.SentencePieceProcessor(model_proto=m.SerializeToString())
    tokens, scores, types = pieces(sp)
    for word in ["<unk>"] + first + last:  # as convert_hf_to_gguf.py has what tokenizer_config.json lists
        i, special = sp.piece_to_id(word), word.startswith(("<un", "<start", "<end"))
        scores[i], types[i] = -1000.0, CONTROL if special else USER
        if not special:
            tokens[i] = word.replace("▁", " ")
    parts = first + last + [" ", "The", " the", "x", "a", "1", "<", ">", "ü", "🙂", " words", "\r\n"]
    rng = random.Random(2)
    more = ["".join(rng.choice(parts) for _ in range(rng.randrange(1, 20))).replace("▁", " ") for _ in range(150)]
    more += [" " * n for n in range(3, 14)] + ["\n" * n for n in range(4, 14)] + ["\t" * n for n in range(1, 9)]
    write("pieces-gemma.json", sp, tokens, scores, types, texts(80, "  \t\nabcdeéß漢字🙂▁0123.,x<>", more, ("<pad>", "<eos>", "<bos>", "<unk>")))


for name in sys.argv[1:] or ["llama", "gemma"]:
    {"llama": llama, "gemma": gemma}[name]()
