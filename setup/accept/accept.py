"""Holds bin/serve to clients as they are: lm-eval, openai, inspect_ai, a trainer that posts
as OpenRLHF does, and schemathesis. Called by make accept:

    python setup/accept/accept.py MODEL

starts the server with MODEL as both models of the pair, the tuned one read as a chat and the
base one raw, in float32 on a free port, prints a line for each check and fails if one does.
For one check it makes a reward model of MODEL, with a random head, and serves that too.
"""
import asyncio
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

import tasks

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLOSE = 1e-3  # between lm-eval's two models, ln p of a whole text
CLOSE_RM = 1e-4  # between the server's rewards and transformers', of the largest
EQUAL = 2e-4  # between the server and score, sums over a reply of the same float32 model
WINDOW = 256  # tokens that lm-eval's models read at a time, so that the long texts need several
MINUTES_SCHEMATHESIS = 2

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", KMP_BLOCKTIME="0", OMP_WAIT_POLICY="passive", OPENAI_API_KEY="none")


class Server:
    def __init__(self, log, *models):
        self.log = open(log, "w")
        self.process = subprocess.Popen(
            [ROOT / "bin/serve", *models, "-dtype", "f32", "-listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("serve: "):
            sys.exit(f"accept: the server did not start: {pathlib.Path(log).read_text()[-2000:]}")
        self.url = line.removeprefix("serve: ").strip()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(60)
        self.log.close()
        return code


def call(argv, cwd=None):
    """Runs a program to its end and returns what it printed; its errors end the check."""
    done = subprocess.run([str(a) for a in argv], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv[:6]))} ...: exit code {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def lm_eval(folder, name, chosen, *args):
    """Runs lm-eval as a user does on the chosen tasks. Returns for each task its metrics and, by item, the numbers."""
    out = folder / name
    start = time.monotonic()
    call([sys.executable, "-m", "lm_eval", "run", *args, "--tasks", chosen, "--include_path", folder,
          "--output_path", out, "--log_samples"])
    seconds = time.monotonic() - start
    [results] = out.rglob("results_*.json")
    metrics = json.loads(results.read_text())["results"]
    items = {}
    for path in out.rglob("samples_*.jsonl"):
        task = re.match(r"samples_(accept_[a-z]+)_", path.name)[1]
        rows = sorted(map(json.loads, path.read_text().splitlines()), key=lambda row: row["doc_id"])
        items[task] = [list(numbers(row["filtered_resps"])) for row in rows]
    return metrics, items, seconds


def numbers(value):
    """The log-likelihoods among the answers of an item: lm-eval logs them as numbers or as strings, with
    True or False where the text was the likeliest."""
    if isinstance(value, list):
        for v in value:
            yield from numbers(v)
    elif str(value) not in ("True", "False"):
        yield float(value)


def check_lm_eval(s):
    both = "accept_choice,accept_rolling"
    hf = lambda name, chosen, dtype: lm_eval(s.folder, name, chosen, "--model", "hf", "--batch_size", "32", "--device", "cpu",
                                             "--model_args", f"pretrained={s.model},dtype={dtype},max_length={WINDOW}")
    theirs, want, hf_seconds = hf("hf", both, "float32")
    # Over hundreds of tokens hf in float32 is itself further than CLOSE from hf in float64, which therefore decides.
    _, exact, _ = hf("hf64", "accept_rolling", "float64")
    # local-completions leaves room for a token to be written: its window is two smaller than max_length.
    ours, got, seconds = lm_eval(s.folder, "local", both, "--model", "local-completions", "--batch_size", "1",
                                 "--model_args", f"model={s.model},base_url={s.url}/v1/completions,num_concurrent=16,max_length={WINDOW + 2}")
    s.want = want["accept_choice"]
    for task, dtype, right, at_least in [("accept_choice", "float32", want, 200), ("accept_rolling", "float64", exact, 20)]:
        a, b, f32 = right[task], got[task], want[task]
        assert len(a) == len(b) >= at_least and list(map(len, a)) == list(map(len, b)), f"{task}: {len(a)} and {len(b)} items"
        most = largest(a, b)
        assert most <= CLOSE, f"{task}: log-likelihoods differ from hf in {dtype} by up to {most:.2g}, wanted {CLOSE:g}"
        s.row(f"lm-eval, {task}", f"{len(a)} items, {sum(map(len, a))} log-likelihoods, differ from hf in {dtype} by at most {most:.1e}")
        if dtype == "float64":
            s.row("", f"(hf in float32 differs from hf in float64 by up to {largest(a, f32):.1e}, and from the server by {largest(b, f32):.1e})")
    for metric in ("acc,none", "acc_norm,none"):
        a, b = (m["accept_choice"][metric] for m in (theirs, ours))
        assert a == b, f"{metric}: {a} of hf, {b} of the server"
        s.row(f"lm-eval, {metric.split(',')[0]}", f"{a:.4f} of both")
    s.row("lm-eval, time", f"hf {hf_seconds:.0f} s, local-completions {seconds:.0f} s, both with start and loading")


def largest(a, b):
    """The largest difference between the numbers of two runs."""
    return max(abs(x - y) for p, q in zip(a, b) for x, y in zip(p, q))


def some(s):
    """Texts of the choice task with lm-eval's own log-likelihoods."""
    rows = [json.loads(line) for line in (s.folder / "accept_choice.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(row["question"], " " + choice, lnp) for row, values in zip(rows[:8], s.want) for choice, lnp in zip(row["choices"], values)]


def check_openai(s):
    import openai
    import requests

    client = openai.OpenAI(base_url=s.url + "/v1", api_key="none", max_retries=0)
    model = client.models.list().data[0].id
    cases, most, tokens = some(s), 0.0, 0
    answer = client.completions.create(model=model, prompt=[q + c for q, c, _ in cases], max_tokens=0, echo=True, logprobs=5, temperature=0)
    assert len(answer.choices) == len(cases)
    for (q, c, want), choice in zip(cases, answer.choices):
        l, text = choice.logprobs, choice.text
        assert text == q + c and len(l.tokens) == len(l.token_logprobs) == len(l.top_logprobs) == len(l.text_offset)
        # The server puts the BOS before a text; lm-eval does not, and sends ids. The BOS is no part of the text.
        assert l.token_logprobs[0] is None and l.top_logprobs[0] is None
        assert all(len(top) in (5, 6) and max(top.values()) >= v - 1e-6 for top, v in zip(l.top_logprobs[1:], l.token_logprobs[1:]))
        offsets = l.text_offset + [len(text)]
        assert offsets == sorted(offsets)
        assert all(t == text[a:b] or "\ufffd" in t or t.startswith("bytes:") or i == 0 for i, (t, a, b) in enumerate(zip(l.tokens, offsets, offsets[1:]))), l.tokens
        tokens += len(l.tokens)
    # The same as ids without a BOS is what lm-eval's hf model scored.
    for q, c, want in cases:
        ids = requests.post(s.url + "/tokenize", json={"prompt": q + c, "add_special_tokens": False}).json()["tokens"]
        [choice] = client.completions.create(model=model, prompt=ids, max_tokens=0, echo=True, logprobs=0).choices
        start = next(i for i, at in enumerate(choice.logprobs.text_offset) if at >= len(q))
        most = max(most, abs(sum(choice.logprobs.token_logprobs[start:]) - want))
    assert most <= CLOSE, f"differ from lm-eval's hf model by up to {most:.2g}"
    try:
        client.completions.create(model=model, prompt="a", max_tokens=16)
        raise AssertionError("16 tokens were not refused")
    except openai.BadRequestError as e:
        assert e.param == "max_tokens", e
    s.row("openai, completions", f"{len(cases)} texts, {tokens} tokens, differ from hf by at most {most:.1e}; what is not done is a BadRequestError")


def check_inspect(s):
    from inspect_ai.model import ChatMessageUser, GenerateConfig, get_model

    model = get_model(f"openai-api-completions/local/{s.model}", base_url=s.url + "/v1", api_key="none")

    async def score(q, c):
        config = GenerateConfig(max_tokens=1, logprobs=True, top_logprobs=1, extra_body={"echo": True, "add_special_tokens": False})
        output = await model.generate([ChatMessageUser(content=q + c)], config=config)
        content, end = output.choices[0].logprobs.content[:-1], ""  # the last one is the token that was written
        total = 0.0
        for token in reversed(content):
            total, end = total + token.logprob, token.token + end
            if len(end) >= len(c):
                break
        return total if end == c else None

    async def all_of():
        return [(await score(q, c), want) for q, c, want in some(s)]

    pairs = [(got, want) for got, want in asyncio.run(all_of()) if got is not None]  # tokens that are no whole characters do not join
    assert len(pairs) >= 8, f"{len(pairs)} texts whose tokens are the reply's"
    most = max(abs(got - want) for got, want in pairs)
    assert most <= CLOSE, f"differ from lm-eval's hf model by up to {most:.2g}"
    s.row("inspect_ai, openai-api-completions", f"{len(pairs)} texts with echo in extra_body, differ from hf by at most {most:.1e}")


def check_trainer(s):
    """Posts as OpenRLHF's request_api_wrapper does and compares with score -pairs."""
    import requests

    pairs = [{"prompt": q, "reply": c} for q, c, _ in some(s)]
    (s.folder / "pairs.jsonl").write_text("".join(json.dumps(p) + "\n" for p in pairs))
    call([ROOT / "bin/score", "-tuned", s.model, "-base", s.model, "-dtype", "f32", "-beta", "0.5", "-pairs", s.folder / "pairs.jsonl", "-out", s.folder / "scored.jsonl"])
    want = [json.loads(line)["reward"] for line in (s.folder / "scored.jsonl").read_text().splitlines()]
    got = []
    for at in range(0, len(pairs), 8):
        batch = pairs[at:at + 8]
        data = {"query": [p["prompt"] + p["reply"] for p in batch], "prompts": [p["prompt"] for p in batch], "labels": ["" for _ in batch]}
        response = requests.post(s.url + "/get_reward?beta=0.5", json=data, headers={}, timeout=180)
        response.raise_for_status()
        got += response.json()["rewards"]
    assert len(got) == len(want) > 0 and max(map(abs, want)) > 0.1, (len(got), len(want))
    most = max(abs(a - b) for a, b in zip(got, want))
    assert most <= EQUAL, f"differ from score by up to {most:.2g}"
    s.row("trainer, as OpenRLHF posts", f"{len(got)} rewards of {min(want):.1f} to {max(want):.1f}, differ from score -pairs by at most {most:.1e}")


def check_rm(s):
    """A reward model made of the model with a random head: posts as OpenRLHF's trainer and a client of vLLM's
    reward models do, and compares with transformers' own rewards of the same texts."""
    import requests
    import torch
    import transformers

    transformers.logging.set_verbosity_error()  # that the head is random
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(8)
    rm = transformers.AutoModelForSequenceClassification.from_pretrained(s.model, num_labels=1, dtype=torch.float32, attn_implementation="eager").eval()
    rm.config.pad_token_id = None  # so that transformers reads the last token of the one text that it gets at a time
    folder = s.folder / "rm"
    rm.save_pretrained(folder)
    for path in pathlib.Path(s.model).iterdir():
        if path.name.startswith("tokenizer") or path.name.startswith("chat_template"):
            (folder / path.name).write_bytes(path.read_bytes())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    prompts = [[{"role": "user", "content": q}] for q in ("What is the capital of France?", "Name a colour.", "1 + 1 = ?", "Łódź 😀?")]
    pairs = [(q, a) for q in prompts for a in ("Paris.", "I would say blue, and green too", "2", "Two!\n\nOr three")]
    queries = [tokenizer.apply_chat_template([*q, {"role": "assistant", "content": a}], tokenize=False) for q, a in pairs]
    begins = [tokenizer.apply_chat_template(q, tokenize=False, add_generation_prompt=True) for q, _ in pairs]
    want = []
    with torch.no_grad():
        for query in queries:
            want.append(rm(torch.tensor([tokenizer(query, add_special_tokens=False)["input_ids"]])).logits.item())
    sigmoid = [1 / (1 + math.exp(-v)) for v in want]
    server = Server(s.folder / "rm-log", "-rm", folder)
    try:
        def post(path, **data):
            response = requests.post(server.url + path, json=data, timeout=180)
            response.raise_for_status()
            return response.json()

        def agree(what, got, want):
            worst = max(abs(a - b) for a, b in zip(got, want)) / max(map(abs, want))
            assert len(got) == len(want) and worst <= CLOSE_RM, f"{what} differs from transformers by up to {worst:.2g} of the largest"
            return worst

        most = agree("/get_reward", post("/get_reward", query=queries, prompts=begins, labels=[""] * len(queries))["rewards"], want)
        data = [post("/v1/reward", messages=q, reply=a)["data"][0]["reward"] for q, a in pairs]
        most = max(most, agree("/v1/reward", data, want))
        data = post("/classify", model=str(folder), input=queries, add_special_tokens=False)["data"]
        agree("/classify", [d["probs"][0] for d in data], sigmoid)
        assert all(d["num_classes"] == 1 and d["label"] == "LABEL_0" for d in data), data[0]
        data = [post("/classify", messages=[*q, {"role": "assistant", "content": a}], use_activation=False)["data"][0]["probs"][0] for q, a in pairs]
        most = max(most, agree("/classify of messages", data, want))
        data = post("/score", text_1=[q[0]["content"] for q, _ in pairs], text_2=[a for _, a in pairs])["data"]
        agree("/score", [d["score"] for d in data], sigmoid)
    finally:
        code = server.stop()
    assert code == 0, f"the server ended with code {code}"
    s.row("reward model, as OpenRLHF and vLLM", f"{len(want)} rewards of {min(want):.2f} to {max(want):.2f} five ways, differ from transformers by at most {most:.1e} of the largest")


def check_schemathesis(s):
    printed = call([sys.executable, "-m", "schemathesis.cli", "run", s.url + "/openapi.json", "--checks", "not_a_server_error", "--workers", "1",
                    "--max-examples", "60", "--max-time", str(60 * MINUTES_SCHEMATHESIS), "--seed", "6", "--generation-database", "none",
                    "--request-timeout", "60", "--warnings", "off",
                    "--suppress-health-check", "filter_too_much"],  # about what it drew and did not send
                   cwd=s.folder)
    summary = [line.strip() for line in printed.splitlines() if re.search(r"generated|[Tt]ested", line)]
    s.row("schemathesis, not_a_server_error", "; ".join(summary) or "passed")


def check_still_there(s):
    assert urllib.request.urlopen(s.url + "/readyz").status == 200
    metrics = urllib.request.urlopen(s.url + "/metrics").read().decode()
    [panics] = re.findall(r"^\w*panics_total (\S+)$", metrics, re.M)
    errors = sum(float(n) for n in re.findall(r'^\w*requests_total\{.*"5\d\d".*\} (\S+)$', metrics, re.M))
    asked = sum(float(n) for n in re.findall(r"^\w*requests_total\{.*\} (\S+)$", metrics, re.M))
    assert float(panics) == 0 and errors == 0 and asked > 1000, f"{panics} panics, {errors} server errors of {asked} requests"
    s.row("server, its own count", f"{asked:.0f} requests, no panic, no server error")


class Session:
    def __init__(self, model, folder, url):
        self.model, self.folder, self.url = model, folder, url

    def row(self, what, result):
        print(f"{what:38} {result}", flush=True)


def main():
    model = str(pathlib.Path(sys.argv[1]).resolve())
    only = sys.argv[2:]
    failed = []
    with tempfile.TemporaryDirectory(prefix="accept") as folder:
        folder = pathlib.Path(folder)
        os.environ.update(HF_HOME=str(folder / "hf"), INSPECT_LOG_DIR=str(folder / "inspect"))
        tasks.write(folder)
        server = Server(folder / "log", "-tuned", model, "-base", model, "-tuned-as", "chat", "-base-as", "raw")
        s = Session(model, folder, server.url)
        try:
            for check in (check_lm_eval, check_openai, check_inspect, check_trainer, check_rm, check_schemathesis, check_still_there):
                if only and check.__name__.removeprefix("check_") not in only:
                    continue
                try:
                    check(s)
                except Exception as e:
                    failed.append(check.__name__.removeprefix("check_"))
                    s.row(failed[-1], f"FAILED: {type(e).__name__}: {e}")
        finally:
            code = server.stop()
        if code != 0:
            failed.append("end")
            print(f"the server ended with code {code}: {(folder / 'log').read_text()[-2000:]}")
    if failed:
        sys.exit(f"accept: failed: {', '.join(failed)}")
    print("accept: everything agrees")


main()
