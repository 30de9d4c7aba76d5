#!/usr/bin/env python3
"""Makes the tiny GGUF files under gguf/ by llama.cpp's own converter, of checkpoints under families/ and quantised/.

    pip install torch==2.11.0 transformers==5.23.0
    LLAMA_CPP=FOLDER python gguf.py [CASE ...]

FOLDER is a clone of github.com/ggml-org/llama.cpp at 0c1e57098, or the folder vendor/llama.cpp of the source package of
llama-cpp-python 0.3.36; its package conversion writes the files, whose vocabulary alone is left out.

The output is committed; nothing in the build or in the tests runs this program. A case is a folder gguf/<case>/ with model.gguf, and
golden.json as quantised.py's, with the log-probabilities that transformers computes in float32 of the checkpoint that was converted. Its config
has what the files of the architecture cannot say as the published models have it: alone where the name says no more than that of the
checkpoint, the golden is that of families/ to the last digits.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True
LLAMA_CPP = Path(os.environ["LLAMA_CPP"])
sys.path[:0] = [str(LLAMA_CPP), str(LLAMA_CPP / "gguf-py")]
import gguf
import torch
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
from safetensors.torch import load_file

import make

HERE = Path(__file__).parent
OUT = HERE / "gguf"


def merged(config, changes):
    """A config with these keys: a dict is merged, None takes a key away."""
    out = dict(config)
    for key, value in changes.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


# By case: the checkpoint, and what of its config is otherwise.
CASES = {
    "gpt-oss": ("families/gpt_oss-sinks", {"swiglu_alpha": None, "swiglu_limit": None}),
    "gpt-oss-mxfp4": ("quantised/mxfp4-gpt_oss", {"swiglu_limit": None, "architectures": ["GptOssForCausalLM"]}),
}


def convert(folder, out):
    hparams = ModelBase.load_hparams(folder, False)
    kind = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    kind.set_vocab = lambda self: self.gguf_writer.add_tokenizer_model("none")
    with torch.inference_mode():
        kind(folder, gguf.LlamaFileType.GUESSED, out, eager=True).write()


def write(name, source, changes):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        config = merged(json.loads((HERE / source / "config.json").read_text()), changes)
        make.put_json(tmp / "config.json", config)
        for f in (HERE / source).glob("*.safetensors*"):
            shutil.copy(f, tmp)
        convert(tmp, folder / "model.gguf")
        case = SimpleNamespace(name="gguf " + name, family=config["model_type"], attention="eager", lengths=(20, 1, 40, 60))
        if "quantization_config" in config:
            from transformers.utils.quantization_config import Mxfp4Config
            model = make.AutoModelForCausalLM.from_pretrained(tmp, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", quantization_config=Mxfp4Config(dequantize=True)).float().eval()
        else:
            model = make.load(tmp, case)
    texts, _ = make.clear_texts(case, model)
    got = make.score(model, texts)
    make.put_json(folder / "golden.json", {
        "note": f"torch {torch.__version__}, transformers {make.transformers.__version__}, float32, eager, of {source}",
        "texts": [{"ids": t, "logprobs": [make.number(x) for x in p]} for t, p in zip(texts, got[0])], "next": [make.number(x) for x in got[1]]})
    print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir()) // 1000} kB")


for name in sys.argv[1:] or CASES:
    write(name, *CASES[name])
