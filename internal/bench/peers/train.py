"""Training a reward model, as trl's RewardTrainer does it.

    python train.py MODEL DATA.jsonl ADAPTER PAD STEPS PAIRS plain|checkpointing

MODEL is a base model's folder, DATA holds pairs, ADAPTER is the LoRA with a score row that training
begins with (peft's files), PAD a token that no text holds. The protocol is peer.py's: "go" trains one step of PAIRS pairs, in the
data's order, of STEPS at most; numbers are the losses of all steps so far. Float32, AdamW at a
constant rate of 1e-4, clipping at 1, no dropout. checkpointing is RewardTrainer's default: what
lies within a layer is computed again for its gradient.
"""
import importlib.metadata
import json
import os
import sys
import tempfile
import time
import warnings

started = time.monotonic()
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the libraries print is no answer
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import datasets  # noqa: E402
import numpy as np  # noqa: E402
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402

PACKAGES = ["peft", "torch", "transformers", "trl"]


def answer(**fields):
    answers.write(json.dumps(fields) + "\n")
    answers.flush()


class Commands(transformers.TrainerCallback):
    """Holds training between steps until the next one is asked for."""

    def __init__(self):
        self.losses = []

    def wait(self, control):
        for line in sys.stdin:
            command, _, rest = line.strip().partition(" ")
            if command == "go":
                self.begin = time.monotonic()
                return
            if command != "numbers":
                sys.exit(f"unknown command {line!r}")
            np.array(self.losses, dtype="<f4").tofile(rest)
            answer(count=len(self.losses))
        control.should_training_stop = True

    def on_train_begin(self, args, state, control, **kwargs):
        answer(
            load=time.monotonic() - started,
            versions={p: importlib.metadata.version(p) for p in PACKAGES},
            settings=f"RewardTrainer, {sys.argv[7]}, sdpa attention, {torch.get_num_threads()} threads",
        )
        self.wait(control)
        if control.should_training_stop:
            sys.exit()

    def on_log(self, args, state, control, logs, **kwargs):
        if "loss" not in logs:
            return
        self.losses.append(float(logs["loss"]))
        answer(seconds=time.monotonic() - self.begin)
        self.wait(control)


class InOrder(trl.RewardTrainer):
    def _get_train_sampler(self, *args):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def main():
    model, data, adapter, pad, steps, pairs, checkpointing = sys.argv[1:]
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    with open(data, encoding="utf-8") as f:
        rows = datasets.Dataset.from_list([json.loads(line) for line in f])
    base = transformers.AutoModelForSequenceClassification.from_pretrained(model, num_labels=1, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as out:
        commands = Commands()
        trainer = InOrder(
            model=peft.PeftModel.from_pretrained(base, adapter, is_trainable=True),
            args=trl.RewardConfig(
                output_dir=out, max_steps=int(steps), per_device_train_batch_size=int(pairs), learning_rate=1e-4, lr_scheduler_type="constant",
                max_grad_norm=1.0, weight_decay=0.0, bf16=False, use_cpu=True, gradient_checkpointing=checkpointing == "checkpointing",
                logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True, max_length=1024, pad_token=pad,
            ),
            train_dataset=rows,
            processing_class=transformers.AutoTokenizer.from_pretrained(model),
            callbacks=[commands],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()


main()
