"""Local tasks for lm-eval, the same on every run: questions with choices of several
tokens, and texts to be read whole."""
import json
import random

CHOICE = """task: accept_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: label
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""

ROLLING = """task: accept_rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity}}, {{metric: bits_per_byte}}]
"""

NAMES = "Maria Ahmed Chloé Søren Wanjiru Ольга 太郎 Priya João Björn".split()
THINGS = ["red apples", "glass marbles", "crème brûlées", "wooden spoons", "postage stamps", "naïve riddles", "old coins 🪙"]
UNITS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def spelled(n):
    if n < 20:
        return UNITS[n - 1]
    return TENS[n // 10 - 2] + ("-" + UNITS[n % 10 - 1] if n % 10 else "")


def question(rng):
    """Sums in words; the wrong answers are near."""
    name, things, a, b = rng.choice(NAMES), rng.choice(THINGS), rng.randint(2, 49), rng.randint(2, 49)
    right = a + b
    wrong = rng.sample([n for n in range(max(1, right - 12), right + 13) if n != right and n < 100], rng.randint(1, 3))
    numbers = wrong + [right]
    rng.shuffle(numbers)
    return {
        "question": f"Question: {name} has {spelled(a)} {things} and finds {spelled(b)} more. How many does {name} have now?\nAnswer:",
        "choices": [f"{spelled(n)} {things}" for n in numbers],
        "label": numbers.index(right),
    }


def text(rng, sentences):
    return " ".join(
        f"{rng.choice(NAMES)} gave {spelled(rng.randint(2, 99))} {rng.choice(THINGS)} to {rng.choice(NAMES)}, who {rng.choice(['smiled', 'frowned', 'said “no”', 'kept half'])}."
        for _ in range(sentences)
    )


def write(folder, questions=208, texts=20):
    """Writes accept_choice and accept_rolling into folder."""
    rng = random.Random(6)
    for name, yaml, rows in [
        ("accept_choice", CHOICE, [question(rng) for _ in range(questions)]),
        ("accept_rolling", ROLLING, [{"text": text(rng, 1 + i)} for i in range(texts)]),
    ]:
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        (folder / f"{name}.yaml").write_text(yaml.format(path=path), encoding="utf-8")
