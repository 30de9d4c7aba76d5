"""Writes adamw.json: ten updates of torch.optim.AdamW after torch.nn.utils.clip_grad_norm_, and
learning rates of transformers' schedules. Run with torch 2.11 and transformers 5.23."""

import json
import pathlib

import torch
from transformers import get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

torch.manual_seed(1)


def floats(tensor):
    return [float(x) for x in tensor.detach().flatten()]


def optimizer(clip, decay, lr, beta2, eps):
    matrix = torch.nn.Parameter(torch.randn(3, 4) * 0.1)
    bias = torch.nn.Parameter(torch.randn(5))
    start = [floats(matrix), floats(bias)]
    groups = [{"params": [matrix], "weight_decay": decay}, {"params": [bias], "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=lr, betas=(0.9, beta2), eps=eps)
    steps = []
    for step in range(10):
        # Gradients of several sizes, and one that is zero for ever.
        matrix.grad = torch.randn(3, 4) * 10.0 ** (step - 6)
        matrix.grad[0, 0] = 0
        bias.grad = torch.randn(5) * 10.0 ** (2 - step)
        grads = [floats(matrix.grad), floats(bias.grad)]
        norm = torch.nn.utils.clip_grad_norm_([matrix, bias], clip if clip > 0 else float("inf"))
        adamw.step()
        steps.append({"grads": grads, "norm": float(norm), "values": [floats(matrix), floats(bias)]})
    return {"clip": clip, "decay": decay, "lr": lr, "beta2": beta2, "eps": eps, "start": start, "steps": steps}


def rates(kind, total, warmup):
    adamw = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    make = {"linear": get_linear_schedule_with_warmup, "cosine": get_cosine_schedule_with_warmup}
    if kind == "constant":
        schedule = get_constant_schedule_with_warmup(adamw, warmup)
    else:
        schedule = make[kind](adamw, warmup, total)
    out = []
    for _ in range(total):
        out.append(schedule.get_last_lr()[0])
        adamw.step()
        schedule.step()
    return out


def main():
    golden = {
        "optimizers": [optimizer(1.0, 0.0, 1e-2, 0.999, 1e-8), optimizer(-1, 0.1, 1e-3, 0.95, 1e-6)],
        "schedules": [
            {"kind": kind, "total": total, "ratio": ratio, "rates": rates(kind, total, -int(-total * ratio // 1))}
            for kind in ("constant", "linear", "cosine")
            for total, ratio in ((10, 0), (10, 0.03), (17, 0.25), (3, 1.0))
        ],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden) + "\n")


main()
