"""Acceptance: inspect_ai's own precomputed_scores reads what `score -format inspect` writes.

Usage: python setup/inspect_scores.py bin/score TUNED BASE  (Python with inspect_ai; written for 0.3.285, no network)
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import inspect_ai
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import mean, precomputed_scores

program, tuned, base = sys.argv[1:]
replies = [" power", " love and rain", " freedom", ""]  # the last is refused
folder = pathlib.Path(tempfile.mkdtemp())

for ids in (["q1", "q 2", 7, "é<&>"], [None] * 4):
    lines = [{"prompt": "What is best?", "reply": r} | ({} if i is None else {"id": i}) for i, r in zip(ids, replies)]
    scores = str(folder / f"scores{ids[0]}.jsonl")
    command = [program, "-tuned", tuned, "-base", base, "-pairs", "-", "-format", "inspect", "-out", scores]
    subprocess.run(command, input="\n".join(map(json.dumps, lines)), text=True, check=True, stderr=subprocess.DEVNULL)
    want = {str(r["id"]): r for r in map(json.loads, open(scores, encoding="utf-8"))}
    assert len(want) == 3, want

    samples = [Sample(id=i, input="What is best?", target="x") for i in ids]
    task = inspect_ai.Task(dataset=MemoryDataset(samples))
    log = inspect_ai.eval(task, model="mockllm/model", log_dir=str(folder), display="none")[0]
    log = inspect_ai.score(log, precomputed_scores(scores, metrics=[mean()]), action="overwrite", display="none")
    asked = {str(i or n): r for n, (i, r) in enumerate(zip(ids, replies), 1)}  # a log has its samples in an order of its own
    assert sorted(asked) == sorted(str(s.id) for s in log.samples)
    for sample in log.samples:
        score, record = (sample.scores or {}).get("precomputed_scores"), want.get(str(sample.id))
        if asked[str(sample.id)] == "":
            assert score is None and record is None, (score, record)
        else:
            assert score.answer == asked[str(sample.id)] and score.value == record["value"] and score.metadata == record["metadata"], (score, record)
    result = log.results.scores[0]
    assert math.isclose(result.metrics["mean"].value, sum(r["value"] for r in want.values()) / 3), result
print(f"inspect_ai {inspect_ai.__version__}: precomputed_scores reads the records of score -format inspect")
