#!/usr/bin/env python3
"""Writes blocks.json: blocks of each GGUF type with any bits, and the SHA-256 of what the package gguf decodes of them.

    pip install gguf==0.19.0
    python blocks.py

The numbers are float32, little endian. No build or test runs this program.
"""

import base64
import hashlib
import json
from pathlib import Path

import gguf
import numpy as np

HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": []}
rng = np.random.default_rng(1)
out = {}
for name, halves in HALVES.items():
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    b = rng.integers(0, 256, (2 if elements > 32 else 8, size), dtype=np.uint8)
    for at in halves:  # finite
        b[:, at : at + 2] = rng.uniform(-1, 1, (len(b), 1)).astype(np.float16).view(np.uint8)
    if name == "MXFP4":
        b[:, 0] = 0, 1, 2, 3, 100, 126, 127, 250
    decoded = np.concatenate([gguf.dequantize(row[None], kind) for row in b])
    assert np.isfinite(decoded).all()
    out[name] = {"blocks": base64.b64encode(b.tobytes()).decode(), "sha256": hashlib.sha256(decoded.astype("<f4").tobytes()).hexdigest()}
(Path(__file__).parent / "blocks.json").write_text(json.dumps(out, indent=1) + "\n")
