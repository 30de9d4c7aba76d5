#!/usr/bin/env python3
"""Makes golden/: what PyTorch computes when it trains tiny checkpoints, which training is held to.

    pip install torch==2.11.0 transformers==5.23.0 peft==0.21.2 safetensors==0.8.0 numpy==2.4.6 trl==1.16.0    (Python 3.11)
    python golden.py                   # all cases
    python golden.py llama-reward-lora # only the named ones

The output is committed; nothing in the build or in the tests runs this program. The bases are checkpoints of
logprob/testdata/families. golden/rows.json holds the data, the same for all cases, as token ids, and the order in which rows
are trained, four a step; golden/rows-small.json the same for vocabularies of fewer than 101 tokens, whose cases say so. A case is a folder golden/<case>/ with

    adapter/             (LoRA) the adapter that training begins with, as peft's save_pretrained writes it. B is random, not zero
    golden.json          base, task, lora (r, alpha, targets; null: all weights are trained), the options of training, a record of
                         every step, and for every parameter, by its name in the adapter or checkpoint: shape, the norms of its
                         gradient at step 1, before clipping, and of its value before step 1 and after the last, and stride
    tensors.safetensors  every stride-th number of these, flattened: grad/<name> and after/<name>. Whole tensors have stride 1.
                         And score/<name>, the row that training of all weights for reward begins with

Numbers are of float32 with eager attention, each text computed alone, without dropout; 16-bit weights are upcast first. The
losses are those of TRL: of RewardTrainer (the state of a text's last token; margin; mean over pairs), of DPOTrainer (sigmoid of
beta times the sum of the reply's log-probs less that of the initial weights; mean over pairs), and for sft the mean over all
tokens of the step from `from` on. AdamW as torch's, weight decay of tensors with two dimensions, clipping by
torch.nn.utils.clip_grad_norm_, the learning rate by transformers' get_cosine_schedule_with_warmup. lr of a record is that of
its update; its other numbers are from before it. There is no accuracy where rounding decides of it, as long as dpo's policy
is its reference.

Before anything is written, the program checks that
  - no gradient of a parameter is small (norm above 1e-6), but where mathematics says 0: the bias of gpt2's keys moves all scores
    of a query alike, and under reward ln_f.bias all rewards. Their gradients are rounding, and Adam makes steps of full size of
    that: "zero" in params says from where to where, and after/<name> means nothing there; nor does reward_mean with such an
    ln_f.bias, which is left out;
  - the same in float64 changes no loss, gradient (by the norm of the difference over the norm) or parameter by more than 2e-5
    of it, so that 1e-4 is a fair bound;
  - for reward, RewardTrainer itself, on padded batches, logs the same losses, norms, rates and accuracies.
"""

import copy
import hashlib
import json
import math
import os
import re
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, get_cosine_schedule_with_warmup

warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

OUT = Path(__file__).parent / "golden"
FAMILIES = Path(__file__).parents[3] / "logprob/testdata/families"
BATCH, BETA = 4, 0.1
OPTIONS = {"lr": 1e-3, "schedule": "cosine", "warmup": 0.2, "weight_decay": 0.01, "clip": 1.0, "beta1": 0.9, "beta2": 0.999,
           "epsilon": 1e-8, "batch": BATCH, "beta": BETA}
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
LINEAR = ATTENTION + ["gate_proj", "up_proj", "down_proj"]
WHOLE = 512  # tensors with more numbers are sampled


@dataclass
class Case:
    name: str
    base: str
    task: str  # reward, dpo, sft
    targets: list | None  # of LoRA; None: all weights
    steps: int = 10
    rows: str = "rows.json"


def cases():
    for family, base, targets in [("llama", "llama-mha", ATTENTION), ("gemma2", "gemma2-base", LINEAR),
                                  ("gpt2", "gpt2-plain", ["c_attn", "c_proj", "c_fc"]), ("qwen3", "qwen3-headdim", LINEAR)]:
        for task in ("reward", "dpo", "sft"):
            steps = 20 if family == "llama" and task == "reward" else 10
            yield Case(f"{family}-{task}-lora", base, task, targets, steps)
            yield Case(f"{family}-{task}-full", base, task, None, steps)
    yield Case("llama_bf16-reward-lora", "llama-bf16", "reward", LINEAR)
    yield Case("llama_bf16-sft-full", "llama-bf16", "sft", None)
    yield Case("llama_tied-sft-full", "llama-gqa-tied", "sft", None)
    delta = LINEAR + ["in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj"]
    small = {"rows": "rows-small.json"}
    yield Case("qwen3_5-reward-lora", "qwen3_5_text-hybrid", "reward", delta, **small)
    yield Case("qwen3_5-sft-full", "qwen3_5_text-hybrid", "sft", None, **small)
    yield Case("falcon_h1-dpo-lora", "falcon_h1-norm", "dpo", LINEAR + ["in_proj"], **small)
    yield Case("granitemoehybrid-sft-full", "granitemoehybrid-dense", "sft", None, **small)


def generator(*words):
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(" ".join(words).encode()).digest()[:7], "big"))


def make_rows():
    """16 pairs, of which some share a prompt with another row, some have replies that begin alike, and some a prompt of one token."""
    g = generator("rows")
    ids = lambda n: torch.randint(3, 101, (n,), generator=g).tolist()
    upto = lambda n: int(torch.randint(1, n + 1, (), generator=g))
    rows = []
    for i in range(16):
        prompt = rows[i - 1]["chosen"][: rows[i - 1]["from"]] if i in (3, 9, 10) else ids(1 if i in (4, 13) else 2 + upto(16))
        alike = ids(3) if i in (2, 7) else []
        chosen, rejected = (prompt + alike + ids(upto(20)) for _ in range(2))
        rows.append({"from": len(prompt), "chosen": chosen, "rejected": rejected, "margin": [0, 0.25, 0, 1.5][i % 4]})
    assert max(len(r[s]) for r in rows for s in ("chosen", "rejected")) <= 42
    order = [i for _ in range(5) for i in torch.randperm(16, generator=g).tolist()]
    return rows, order


def load(case, dtype):
    kind = AutoModelForSequenceClassification if case.task == "reward" else AutoModelForCausalLM
    more = {"num_labels": 1} if case.task == "reward" else {}
    model = kind.from_pretrained(FAMILIES / case.base, dtype=dtype, attn_implementation="eager", **more)
    if case.task == "reward":
        row = model.score.weight
        row.data.copy_(0.3 * torch.randn(row.shape, generator=generator(case.name, "score")))
    return model.eval()


def write_adapter(case, folder):
    """A LoRA beside the model that load gives, all of it random, in the files of peft."""
    model = load(case, torch.float32)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=case.targets, task_type="SEQ_CLS" if case.task == "reward" else "CAUSAL_LM",
                        fan_in_fan_out=case.base.startswith("gpt2"))
    model = get_peft_model(model, config)
    for name, p in model.named_parameters():
        if "lora_A" in name:
            p.data.copy_((2 * torch.rand(p.shape, generator=generator(case.name, name)) - 1) / math.sqrt(p.shape[1]))
        if "lora_B" in name:
            p.data.copy_(0.15 * torch.randn(p.shape, generator=generator(case.name, name)))
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    config |= {"base_model_name_or_path": case.base, "target_modules": sorted(config["target_modules"])}
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def begin(case, folder, dtype):
    """The model as training begins with it, and its trained parameters by their names in files."""
    model = load(case, dtype)
    if case.targets is not None:
        model = PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True, autocast_adapter_dtype=False).to(dtype).eval()
    named = {re.sub(r"\.(modules_to_save\.)?default\.", ".", n): p for n, p in model.named_parameters() if p.requires_grad}
    if case.targets is not None:
        wrote = load_file(folder / "adapter/adapter_model.safetensors")
        assert named.keys() == wrote.keys(), named.keys() ^ wrote.keys()
        assert all(torch.equal(p.float(), wrote[n]) for n, p in named.items())
    return model, dict(sorted(named.items()))


def logprobs(model, ids, start):
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return logits[:-1].log_softmax(-1).gather(-1, torch.tensor(ids[1:])[:, None])[start - 1:, 0]


def step_loss(case, model, rows, reference):
    """The loss of a step, and what its record holds besides."""
    if case.task == "sft":
        lnp = torch.cat([logprobs(model, r["chosen"], r["from"]) for r in rows])
        return -lnp.mean(), {}
    if case.task == "reward":
        value = lambda r, side: model(input_ids=torch.tensor([r[side]]), use_cache=False).logits[0, 0]
    else:
        value = lambda r, side: BETA * (logprobs(model, r[side], r["from"]).sum() - reference[tuple(r[side])])
    chosen, rejected = (torch.stack([value(r, side) for r in rows]) for side in ("chosen", "rejected"))
    margin = torch.tensor([r["margin"] if case.task == "reward" else 0 for r in rows], dtype=chosen.dtype)
    more = {"margin": (chosen - rejected).mean(), "reward_mean": torch.cat([chosen, rejected]).mean()}
    if (chosen - rejected).abs().min() > 1e-4:
        more["accuracy"] = (chosen > rejected).double().mean()
    return -logsigmoid(chosen - rejected - margin).mean(), {k: v.item() for k, v in more.items()}


def train(case, folder, rows, order, dtype):
    """Records, gradients of step 1, parameters before and after."""
    model, named = begin(case, folder, dtype)
    params = list(named.values())
    before = {n: p.detach().clone() for n, p in named.items()}
    groups = [{"params": [p for p in params if p.ndim > 1], "weight_decay": OPTIONS["weight_decay"]}, {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=OPTIONS["lr"], betas=(OPTIONS["beta1"], OPTIONS["beta2"]), eps=OPTIONS["epsilon"])
    schedule = get_cosine_schedule_with_warmup(optimizer, math.ceil(OPTIONS["warmup"] * case.steps), case.steps)
    reference = {}
    if case.task == "dpo":
        with torch.no_grad():
            reference = {tuple(r[s]): logprobs(model, r[s], r["from"]).sum() for r in rows for s in ("chosen", "rejected")}
    records, grads = [], None
    for step in range(case.steps):
        loss, more = step_loss(case, model, [rows[i] for i in order[step * BATCH:(step + 1) * BATCH]], reference)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            grads = {n: p.grad.clone() for n, p in named.items()}
        norm = torch.nn.utils.clip_grad_norm_(params, OPTIONS["clip"])
        records.append({"step": step + 1, "loss": loss.item(), "grad_norm": norm.item(), "lr": schedule.get_last_lr()[0]} | more)
        optimizer.step()
        schedule.step()
    return records, grads, before, {n: p.detach() for n, p in named.items()}


def check(case, got, exact):
    """Prints how far float32 is from float64, and stops where a bound of 1e-4 would not be fair. Returns where gradients are 0."""

    def far(n, a, b):
        if n in zero:
            a, b = (torch.cat([t[:zero[n][0]], t[zero[n][1]:]]) for t in (a, b))
        return ((a.double() - b).norm() / b.norm()).item() if a.numel() else 0.0

    zero = {}
    for n, g in exact[1].items():
        if len(at := (g.flatten().abs() < 1e-13).nonzero()[:, 0].tolist()) and n.endswith("bias"):
            zero[n] = [at[0], at[-1] + 1]
            assert at == list(range(*zero[n])) and g.numel() <= WHOLE
    what = {re.sub(r".*h\.\d\.", "", n) for n in zero}
    assert what == ({"attn.c_attn.bias"} if "gpt2" in case.name and case.targets is None else set()) | ({"transformer.ln_f.bias"} if case.name == "gpt2-reward-full" else set()), what
    worst = {}
    for g, e in zip(got[0], exact[0]):
        assert g.get("accuracy") == e.get("accuracy")
        for key in ("loss", "grad_norm"):
            worst[key] = max(worst.get(key, 0), abs(g[key] - e[key]) / abs(e[key]))
    for what, at in (("gradient", 1), ("after", 3)):
        d = {n: far(n, got[at][n], e) for n, e in exact[at].items()}
        name = max(d, key=d.get)
        worst[f"{what} {name}"] = d[name]
    smallest = min(got[1].keys() - {"transformer.ln_f.bias"}, key=lambda n: got[1][n].norm().item())
    norms = [r["grad_norm"] for r in got[0]]
    print(f"{case.name}: float64 moves " + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()) +
          f"; smallest gradient {smallest} {got[1][smallest].norm():.1e}; norms {min(norms):.3g} to {max(norms):.3g}; loss {got[0][0]['loss']:.4f} to {got[0][-1]['loss']:.4f}")
    if max(worst.values()) > 2e-5 or got[1][smallest].norm() < 1e-6:
        raise SystemExit(f"{case.name}: no fair golden")
    return zero


def trl_log(case, folder, rows, order):
    """What RewardTrainer logs of the same run."""
    import datasets
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from trl import RewardConfig, RewardTrainer

    class InOrder(RewardTrainer):
        def _get_train_sampler(self, *args):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    tokenizer = Tokenizer(WordLevel({str(i): i for i in range(101)}, unk_token="0"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="0", eos_token="1")
    data = datasets.Dataset.from_list([{"chosen_ids": rows[i]["chosen"], "rejected_ids": rows[i]["rejected"], "margin": float(rows[i]["margin"])}
                                       for i in order[:case.steps * BATCH]])
    with tempfile.TemporaryDirectory() as tmp:
        config = RewardConfig(output_dir=tmp, per_device_train_batch_size=BATCH, max_steps=case.steps, learning_rate=OPTIONS["lr"], lr_scheduler_type="cosine",
                              warmup_steps=math.ceil(OPTIONS["warmup"] * case.steps), weight_decay=OPTIONS["weight_decay"], max_grad_norm=OPTIONS["clip"],
                              logging_steps=1, bf16=False, gradient_checkpointing=False, use_cpu=True, report_to=[], save_strategy="no", max_length=None,
                              disable_tqdm=True)
        trainer = InOrder(model=begin(case, folder, torch.float32)[0], args=config, train_dataset=data, processing_class=tokenizer)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return [r for r in trainer.state.log_history if "loss" in r]


def check_trl(case, records, log):
    assert len(log) == len(records)
    worst = {"loss": 0.0, "grad_norm": 0.0, "lr": 0.0, "accuracy": 0.0, "margin": 0.0, "reward_mean": 0.0}
    for mine, theirs in zip(records, log):
        for key, name in (("loss", "loss"), ("grad_norm", "grad_norm"), ("lr", "learning_rate"), ("accuracy", "accuracy"), ("margin", "margin"), ("reward_mean", "mean_reward")):
            if key in mine:
                worst[key] = max(worst[key], abs(mine[key] - float(theirs[name])))
    print(f"{case.name}: RewardTrainer's log differs by at most " + ", ".join(f"{k} {v:.1e}" for k, v in worst.items()))
    if max(worst.values()) > 2e-5:
        raise SystemExit(f"{case.name}: not as RewardTrainer")


def number(x):
    return x if isinstance(x, int) else float(f"{x:.9g}")


def put(path, fields):
    """JSON with a line for each field, and for each entry of the long ones."""
    lines = []
    for key, value in fields.items():
        if isinstance(value, (list, dict)) and len(str(value)) > 150:
            inner = [json.dumps(v) if isinstance(value, list) else f"{json.dumps(k)}: {json.dumps(v)}" for k, v in (enumerate(value) if isinstance(value, list) else value.items())]
            opening, closing = "[]" if isinstance(value, list) else "{}"
            lines.append(f"  {json.dumps(key)}: {opening}\n    " + ",\n    ".join(inner) + f"\n  {closing}")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def make(case, rows, order):
    folder = OUT / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if case.targets is not None:
        write_adapter(case, folder / "adapter")
    got = train(case, folder, rows, order, torch.float32)
    zero = check(case, got, train(case, folder, rows, order, torch.float64))
    if "transformer.ln_f.bias" in zero:
        got[0][:] = [{k: v for k, v in r.items() if k != "reward_mean"} for r in got[0]]
    if case.task == "reward":
        check_trl(case, got[0], trl_log(case, folder, rows, order))
    records, grads, before, after = got
    params, tensors = {}, {}
    for name, g in grads.items():
        stride = 1 if g.numel() <= WHOLE else math.ceil(g.numel() / WHOLE) | 1  # odd, to meet all columns
        params[name] = {"shape": list(g.shape), "stride": stride, "grad": number(g.double().norm().item()),
                        "before": number(before[name].double().norm().item()), "after": number(after[name].double().norm().item())}
        if name in zero:
            params[name]["zero"] = zero[name]
        tensors["grad/" + name] = g.flatten()[::stride].clone()
        tensors["after/" + name] = after[name].flatten()[::stride].clone()
        if case.targets is None and name == "score.weight":
            tensors["score/" + name] = before[name].clone()
    save_file(tensors, folder / "tensors.safetensors", metadata={"format": "pt"})
    note = (f"float32, eager attention, torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}. Made by golden.py.")
    lora = None if case.targets is None else {"r": 4, "alpha": 8, "targets": case.targets}
    small = {} if case.rows == "rows.json" else {"rows": case.rows}
    put(folder / "golden.json", {"note": note, "base": case.base} | small | {"task": case.task, "lora": lora, "options": OPTIONS | {"steps": case.steps},
                                 "records": [{k: number(v) for k, v in r.items()} for r in records], "params": params})


def main():
    chosen = [c for c in cases() if len(sys.argv) == 1 or c.name in sys.argv[1:]]
    if len(sys.argv) > 1 and len(chosen) != len(sys.argv) - 1:
        raise SystemExit(f"cases: {', '.join(c.name for c in cases())}")
    rows, order = make_rows()
    OUT.mkdir(exist_ok=True)
    fold = lambda ids: [3 + (i - 3) % 71 for i in ids]
    data = {"rows.json": rows, "rows-small.json": [r | {s: fold(r[s]) for s in ("chosen", "rejected")} for r in rows]}
    for name, of in data.items():
        put(OUT / name, {"rows": of, "order": order})
    for case in chosen:
        make(case, data[case.rows], order)


main()
