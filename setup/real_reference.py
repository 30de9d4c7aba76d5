"""Writes logprob/testdata/smollm2/reference.json: what transformers says about the model that `make real` provides.

    python setup/real_reference.py      (needs torch and transformers 5; tests need neither)

Float32, eager attention, one text at a time, no padding. Log-probabilities are natural logarithms, taken in float64
from the float32 logits and written as the shortest decimals that give the same float32. Rerun it when
setup/real.sh gives other weights: the file names the sha256 of those it was made from.

texts: per text the string that was encoded (for chats as apply_chat_template renders it, then the reply as it
stands), its token ids, the byte at which the reply starts, the first token that is not wholly prompt, and the
log-probability of every token but the first, given all before it.
next: per prompt the 50 likeliest next tokens and every 245th token of the vocabulary, as [id, log-probability].
"""

import hashlib
import json
import pathlib

import numpy as np
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / ".deps/models/smollm2-135m-instruct"
OUT = ROOT / "logprob/testdata/smollm2/reference.json"

LONG = """The lighthouse at Carrow Point was built in 1871, after three ships had been lost on the reef in one winter. \
Its first keeper, a retired carpenter called Maud Tennant, wrote down everything she saw: the height of the tide, the \
colour of the sky before a storm, the number of geese that passed on their way south. "Nobody asked me to," she noted \
on the opening page, "but a thing that is counted is harder to lose."

For forty-two years the notebooks grew. They fill eleven shelves today, and students of the weather still come to \
read them. What surprises most visitors is how little she complains. The winter of 1881 took the roof off the oil \
store; her entry for that night says only that the lamp burned until morning, and that the cat had kittens.

When electric light arrived, the harbour board offered her a pension and a house in town. She refused both. The lamp \
had changed, she argued, but the reef had not, and someone ought to be there who knew where it was. In the end they \
let her stay without pay, on condition that she taught two younger keepers how to read the barometer, how to splice a \
rope, and how to tell a distant sail from a breaking wave.

One of the two became an engineer and the other a poet. Both said later that they had learned the same lesson from \
her: look first, decide afterwards, and write down the difference between what you expected and what was there. The \
engineer's bridges are still standing. The poet's verses are mostly forgotten, except for four lines which are cut \
into the stone above the door, where the salt has worn them so smooth that visitors read them with their fingers:

    Count the geese and count the waves,
    count the lights along the bay;
    what you number no one saves,
    but it does not slip away.

Maud Tennant died in the spring of 1913. On the last page of the last notebook there is a date, a wind direction, and \
a column of figures without a total."""

CODE = '''// Sum returns the total of the values above limit.
func Sum(values []float64, limit float64) (total float64) {
	for _, v := range values {
		if v > limit {
			total += v
		}
	}
	return total
}
'''

# name, prompt, reply; a prompt in a list is a chat.
TEXTS = [
    ("raw_short", "The capital of France is", " Paris."),
    ("raw_one_token", "What, in one word, is the greatest thing ever?", " Love"),
    ("raw_long", LONG[: LONG.index(" Its first")], LONG[LONG.index(" Its first") :]),
    ("raw_numbers", "In 2026 the 3 of us paid $1,234.56 for 78 tickets;", " that is 15.83 each, or 0.0158e3 (1234.56 / 78 = 15.8277)."),
    ("raw_non_ascii", "Der Bär läuft über die Straße; 東京は", "日本の首都です。 Ελλάδα, naïve café, e\u0301 🙂👩‍👩‍👧 — “done”…"),
    ("raw_code", CODE[: CODE.index("{\n\tfor")], CODE[CODE.index("{\n\tfor") :]),
    ("raw_straddle", "The answer to everything is ", "forty-two, of course."),
    ("raw_whitespace", "one\ttwo  three   four\n\n\n", "    five\r\n \t six \u00a0\u2003seven\n"),
    ("chat_short", [{"role": "user", "content": "What is the capital of France?"}], "The capital of France is Paris.<|im_end|>"),
    ("chat_one_token", [{"role": "user", "content": "What, in one word, is the greatest thing ever?"}], "Love"),
    (
        "chat_paragraph",
        [{"role": "user", "content": "Explain in three sentences why the sky is blue."}],
        "Sunlight contains every colour, from red at about 700 nm to violet at 400 nm. The molecules of the air scatter "
        "short waves far more than long ones, roughly as 1/λ⁴.\nSo the light that reaches us from the rest of the sky is "
        "mostly blue.",
    ),
    (
        "chat_system_and_turns",
        [
            {"role": "system", "content": "Answer as a pirate would."},
            {"role": "user", "content": "  Hello! \n"},
            {"role": "assistant", "content": "Ahoy, matey!"},
            {"role": "user", "content": "How much is 17 + 25?"},
        ],
        "Arr, that be 42 doubloons!",
    ),
    ("chat_non_ascii", [{"role": "user", "content": "Traduis « good morning » en français, s'il te plaît 🙏"}], "« Bonjour » !"),
]

NEXT = [
    "What, in one word, is the greatest thing ever?",
    "What, in a single word, is the worst thing in the world?",
    "What is the best thing of all time? Please answer in one word only.",
]


def main():
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    model = transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager").eval()

    def render(prompt):
        if isinstance(prompt, str):
            return prompt
        return tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)

    def log_probs(ids):
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        return torch.log_softmax(logits.double(), -1).float().numpy()

    texts = []
    for name, prompt, reply in TEXTS:
        rendered = render(prompt)
        encoded = tokenizer(rendered + reply, return_offsets_mapping=True)
        ids, ends = encoded["input_ids"], [end for _, end in encoded["offset_mapping"]]
        rows = log_probs(ids)
        texts.append({
            "name": name,
            **({"prompt": prompt} if isinstance(prompt, str) else {"messages": prompt}),
            "reply": reply,
            "rendered": rendered + reply,
            "reply_byte": len(rendered.encode()),
            "ids": ids,
            "reply_token": next(i for i, end in enumerate(ends) if end > len(rendered)),
            "logprob": [shortest(rows[i - 1, ids[i]]) for i in range(1, len(ids))],
        })

    nexts = []
    for prompt in NEXT:
        rendered = render([{"role": "user", "content": prompt}])
        ids = tokenizer(rendered)["input_ids"]
        row = log_probs(ids)[-1]
        top = np.argsort(-row, kind="stable")[:50]
        nexts.append({
            "prompt": prompt,
            "rendered": rendered,
            "ids": ids,
            "top": [[int(i), shortest(row[i])] for i in top],
            "sample": [[i, shortest(row[i])] for i in range(0, 200 * 245, 245)],
        })

    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(document({
        "made_by": f"setup/real_reference.py, transformers {transformers.__version__}, torch {torch.__version__}, float32, eager attention",
        "model_sha256": hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest(),
        "texts": texts,
        "next": nexts,
    }), encoding="utf-8")
    print(OUT, OUT.stat().st_size, "bytes,", sum(len(text["ids"]) for text in texts), "tokens")


def shortest(float32):
    return float(str(np.float32(float32)))


def document(value):
    """JSON with a line for each text and prompt, so that a change can be read in a diff."""
    parts = []
    for key, v in value.items():
        body = "[\n" + ",\n".join(json.dumps(entry) for entry in v) + "\n]" if isinstance(v, list) else json.dumps(v)
        parts.append(f"{json.dumps(key)}: {body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
