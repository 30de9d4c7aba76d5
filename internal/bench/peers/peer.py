"""One job of the benchmark, done by another program: transformers, lm-eval or minicons.

    python peer.py JOB DTYPE TASK.json

JOB is next, next-batch, long, lm-eval, minicons or pipeline; DTYPE is bf16 or f32. TASK.json is
written by internal/bench (see task.go). The model is loaded once; then each line on
standard input is a command, answered by one line of JSON on standard output:

    go              the job from text to numbers: {"seconds": 1.5}
    numbers FILE    the last job's numbers as float32, little-endian: {"count": 12}

The first line, before any command, is {"load": seconds, "versions": ..., "settings": ...}.
"""
import importlib.metadata
import json
import os
import sys
import time
import warnings

started = time.monotonic()
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the libraries print is no answer
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402


def answer(**fields):
    answers.write(json.dumps(fields) + "\n")
    answers.flush()


class Transformers:
    """A model of transformers with its default attention (sdpa), which is the fastest here."""

    packages = ["torch", "transformers"]
    settings = "sdpa attention"

    def __init__(self, task, dtype):
        self.task = task
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(task["model"])
        self.model = transformers.AutoModelForCausalLM.from_pretrained(task["model"], dtype=dtype).eval()

    def encode(self, text):
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]


class Next(Transformers):
    """ln p of every token after each prompt, one prompt at a time: as the paper's code does
    it, logits of all positions and then the last one's in float32."""

    settings = Transformers.settings + ", one prompt at a time, all logits"

    def run(self):
        rows = []
        for item in self.task["next"]:
            ids = self.encode(item["text"])
            assert ids == item["ids"], f"{item['text']!r} has other tokens here"
            logits = self.model(torch.tensor([ids])).logits
            rows.append(logits[0, -1].float().log_softmax(-1).numpy())
        return np.stack(rows)


class NextBatch(Transformers):
    """The same in one batch, padded on the left, with logits of the last position only."""

    settings = Transformers.settings + ", one left-padded batch, logits of the last position"

    def run(self):
        texts = [self.encode(item["text"]) for item in self.task["next"]]
        assert texts == [item["ids"] for item in self.task["next"]], "other tokens here"
        longest = max(map(len, texts))
        ids = torch.zeros(len(texts), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, longest - len(text):] = torch.tensor(text)
            mask[row, longest - len(text):] = 1
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        logits = self.model(ids, attention_mask=mask, position_ids=positions, logits_to_keep=1).logits
        return logits[:, -1].float().log_softmax(-1).numpy()


class Long(Transformers):
    """ln p of every token of long texts but the first, log-softmax in float32."""

    settings = Transformers.settings + ", one text at a time"

    def run(self):
        values = []
        for ids in self.task["long"]:
            ids = torch.tensor([ids])
            rows = self.model(ids).logits[0, :-1].float().log_softmax(-1)
            values.append(rows.gather(-1, ids[0, 1:, None])[:, 0].numpy())
        return np.concatenate(values)


class LMEval:
    """HFLM.loglikelihood of lm-eval on pairs of context and continuation."""

    packages = ["lm-eval"] + Transformers.packages
    settings = "HFLM.loglikelihood, batch 32"

    def __init__(self, task, dtype):
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM

        self.lm = HFLM(pretrained=task["model"], dtype=dtype, device="cpu", batch_size=32)
        self.requests = [
            Instance(request_type="loglikelihood", doc={}, arguments=(pair["prompt"], pair["reply"]), idx=i)
            for i, pair in enumerate(task["sample"])
        ]

    def run(self):
        return np.array([lnp for lnp, _ in self.lm.loglikelihood(self.requests, disable_tqdm=True)])


class Minicons:
    """conditional_score of minicons on the same pairs, in order of length. The padding token
    must be none of the prompt's: minicons does not count those when it looks for the reply."""

    packages = ["minicons"] + Transformers.packages
    settings = "IncrementalLMScorer.conditional_score, batch 32"

    def __init__(self, task, dtype):
        from minicons.scorer import IncrementalLMScorer

        tokenizer = transformers.AutoTokenizer.from_pretrained(task["model"], pad_token=task["pad"])
        model = transformers.AutoModelForCausalLM.from_pretrained(task["model"], dtype=dtype).eval()
        self.scorer = IncrementalLMScorer(model, "cpu", tokenizer=tokenizer)
        self.pairs = task["sample"]

    def run(self):
        values = np.zeros(len(self.pairs))
        order = sorted(range(len(self.pairs)), key=lambda i: len(self.pairs[i]["prompt"] + self.pairs[i]["reply"]))
        for at in range(0, len(order), 32):
            batch = order[at:at + 32]
            values[batch] = self.scorer.conditional_score(
                [self.pairs[i]["prompt"] for i in batch],
                [self.pairs[i]["reply"] for i in batch],
                separator="",
                reduction=lambda x: x.sum(0).item(),
            )
        return values


class Pipeline:
    """transformers' text-classification pipeline with a reward model, in order of length so that little is padded."""

    packages = Transformers.packages
    settings = "sdpa attention, text-classification pipeline, batch 32, in order of length"

    def __init__(self, task, dtype):
        tokenizer = transformers.AutoTokenizer.from_pretrained(task["reward"])
        model = transformers.AutoModelForSequenceClassification.from_pretrained(task["reward"], dtype=dtype).eval()
        self.pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
        self.texts = [item["text"] for item in task["reward_sample"]]
        for item in task["reward_sample"]:
            assert tokenizer(item["text"])["input_ids"] == item["ids"], f"{item['text']!r} has other tokens here"

    def run(self):
        order = sorted(range(len(self.texts)), key=lambda i: len(self.texts[i]))
        scores = self.pipeline([self.texts[i] for i in order], batch_size=32, function_to_apply="none")
        values = np.zeros(len(order))
        values[order] = [s["score"] for s in scores]
        return values


JOBS = {"next": Next, "next-batch": NextBatch, "long": Long, "lm-eval": LMEval, "minicons": Minicons, "pipeline": Pipeline}


def main():
    name, dtype, path = sys.argv[1:]
    with open(path, encoding="utf-8") as f:
        task = json.load(f)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[dtype]
    with torch.inference_mode():
        job = JOBS[name](task, dtype)
        answer(
            load=time.monotonic() - started,
            versions={p: importlib.metadata.version(p) for p in job.packages},
            settings=f"{job.settings}, {torch.get_num_threads()} threads",
        )
        numbers = None
        for line in sys.stdin:
            command, _, rest = line.strip().partition(" ")
            if command == "go":
                begin = time.monotonic()
                numbers = job.run()
                answer(seconds=time.monotonic() - begin)
            elif command == "numbers":
                numbers.astype("<f4").tofile(rest)
                answer(count=int(numbers.size))
            else:
                sys.exit(f"unknown command {line!r}")


main()
