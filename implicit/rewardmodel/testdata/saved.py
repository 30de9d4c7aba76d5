#!/usr/bin/env python3
"""Loads what logprob has written with transformers and peft, and prints what they compute with it.

    python saved.py CASES.json        # versions as in make.py

TestSaved runs it where the environment of `make bench`'s peers is there, and with -update commits the answer as saved.json.
CASES.json is a list of {"name", "kind", "base", "dir", "texts"}; kind is

    adapter, causal-adapter            a peft adapter in dir beside the checkpoint base
    checkpoint, causal-checkpoint      a checkpoint in dir
    initial                            a checkpoint in dir, as from_config begins one

and the answer {name: {"numbers": [...], "problems": [...]}}: a text's score or ln p of its tokens after the first, summed, in
float32 with eager attention; and what transformers or peft warned of, keys that were missing, not expected or of another
shape, and, of initial weights, tensors whose numbers are distributed otherwise than from_config's.
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True
import peft
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, Gemma3ForConditionalGeneration, Llama4ForConditionalGeneration, Mistral3ForConditionalGeneration
from transformers.configuration_utils import PreTrainedConfig
from transformers.models.gemma3n import modeling_gemma3n
from transformers.models.gemma3n.configuration_gemma3n import Gemma3nVisionConfig


class Towers:
    """Gemma 3n with the image tower that make.py has in the place of timm's."""

    @staticmethod
    def from_config(config, **kw):
        return torch.nn.Linear(config.hidden_size, 1) if config.model_type == "gemma3n_vision" else AutoModel.from_config(config, **kw)


modeling_gemma3n.AutoModel = Towers
Gemma3nVisionConfig.from_dict, Gemma3nVisionConfig.to_dict = PreTrainedConfig.__dict__["from_dict"], PreTrainedConfig.to_dict


def checkpoint(case, folder, info=None):
    """The model of a folder; info, a dictionary, takes what its loading reports."""
    kw = dict(dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", output_loading_info=True)
    if "causal" in case["kind"] or case["kind"] == "initial":
        multimodal = {"gemma3": Gemma3ForConditionalGeneration, "mistral3": Mistral3ForConditionalGeneration, "llama4": Llama4ForConditionalGeneration}
        kind = multimodal.get(AutoConfig.from_pretrained(folder).model_type, AutoModelForCausalLM)
    else:
        kind = AutoModelForSequenceClassification
        if folder == case["base"]:
            kw["num_labels"] = 1
    model, report = kind.from_pretrained(folder, **kw)
    if info is not None:
        info.update(report)
    return model.eval()


def load(case, problems):
    info = {}
    if "adapter" in case["kind"]:
        transformers.logging.set_verbosity_error()
        base = checkpoint(case, case["base"])
        transformers.logging.set_verbosity_warning()
        model = PeftModel.from_pretrained(base, case["dir"]).eval()
        file = set(load_file(Path(case["dir"]) / "adapter_model.safetensors"))
        own = set(peft.get_peft_model_state_dict(model))
        problems += [f"adapter: in the file or the model alone: {key}" for key in sorted(file ^ own)]
        return model
    model = checkpoint(case, case["dir"], info)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        problems += [f"{what}: {key}" for key in sorted(map(str, info[what]))]
    return model


def numbers(case, model):
    out = []
    with torch.no_grad():
        for text in case["texts"]:
            logits = model(input_ids=torch.tensor([text])).logits
            if case["kind"] in ("adapter", "checkpoint"):
                if logits.shape != (1, 1):
                    raise SystemExit(f"{case['name']}: logits of shape {tuple(logits.shape)}")
                out.append(logits[0, 0].item())
            else:
                p = torch.log_softmax(logits[0, :-1].double(), -1)
                out.append(p[range(len(text) - 1), text[1:]].sum().item())
    return out


def alike(ours, theirs):
    """Whether two tensors' numbers may come from one normal distribution of mean 0, or are one constant, row by row of zeros too."""
    if theirs.std() == 0 or theirs.numel() == 1:
        return torch.equal(ours, theirs)
    zero = theirs.abs().sum(-1) == 0  # a row of padding
    if not torch.equal(ours.abs().sum(-1) == 0, zero):
        return False
    a, b = ours[~zero].double(), theirs[~zero].double()
    n = a.numel()
    # Six standard errors of a difference: of means sqrt(2/n) deviations, of log deviations sqrt(1/n).
    return abs(a.mean() - b.mean()) < 6 * b.std() * (2 / n) ** 0.5 and abs((a.std() / b.std()).log()) < 6 * (1 / n) ** 0.5


def initial(case, model):
    torch.manual_seed(0)
    fresh = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(case["dir"]), dtype=torch.float32).state_dict()
    own = model.state_dict()
    return [f"initial: {name}" for name in fresh if not alike(own[name], fresh[name])]


class Records(logging.Handler):
    def __init__(self, problems):
        super().__init__(logging.WARNING)
        self.problems = problems

    def emit(self, record):
        self.problems.append("logged: " + record.getMessage().splitlines()[0])


def answer(case):
    problems = []
    records = Records(problems)
    logger = logging.getLogger("transformers")
    logger.addHandler(records)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model = load(case, problems)
    logger.removeHandler(records)
    problems += [f"warned: {w.message}" for w in warned if "peft" in str(w.filename) or "adapter" in str(w.message)]
    if case["kind"] == "initial":
        problems += initial(case, model)
    return {"numbers": numbers(case, model), "problems": problems}


if __name__ == "__main__":
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    print(json.dumps({case["name"]: answer(case) for case in json.loads(Path(sys.argv[1]).read_text())}, indent=1))
