"""Writes transcripts.json: conversations that end with the assistant's message, as
transformers renders them for a reward model, by the test tokenizers' own templates
and by the published ones of internal/jinja.

    python transcripts.py

A case is {"tokenizer", "template" (the file's name, null for its own), "messages", "reply",
and either "text", "ids" (apply_chat_template's), "extra" (tokenizer(text)'s) and "reply_at"
(the byte at which the reply stands, trimmed or not), or "error"}. Made with transformers 5.23.0.
"""
import json, os
from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
PUBLISHED = os.path.join(HERE, "../../internal/jinja/testdata/published")

ONE = [{"role": "user", "content": "What is it?"}]
LONG = [{"role": "user", "content": "Love or fear?"}, {"role": "assistant", "content": " Love"}, {"role": "user", "content": "Why Love?"}]
REPLIES = ["Love", " Love, \n", "l'été 日本", "", "assistant", "Why Love?", "<think>\nhm\n</think>\n\nLove"]

def main():
    cases = []
    def add(name, hf, file, messages, reply):
        case = {"tokenizer": name, "template": file, "messages": messages, "reply": reply}
        kw = {"chat_template": open(f"{PUBLISHED}/{file}", encoding="utf-8").read()} if file else {}
        try:
            text = hf.apply_chat_template(messages + [{"role": "assistant", "content": reply}], tokenize=False, date_string="26 Jul 2024", **kw)
        except Exception as e:
            cases.append(dict(case, error=str(e)))
            return
        at = text.rfind(reply)
        if at < 0:
            at = text.rfind(reply.strip())
        if reply == "" or at < 0:  # any place would do, or a template that changes it
            at = None
        cases.append(dict(case, text=text, ids=hf(text, add_special_tokens=False)["input_ids"], extra=hf(text)["input_ids"],
            reply_at=None if at is None else len(text[:at].encode())))
    for name in "llama3", "smollm2", "qwen2", "gemma", "llama2", "mistral":
        hf = PreTrainedTokenizerFast.from_pretrained(f"{HERE}/{name}")
        for messages in ONE, LONG:
            for reply in REPLIES:
                add(name, hf, None, messages, reply)
    for file in sorted(os.listdir(PUBLISHED)):
        if file.endswith(".jinja") and file != "probe_features.jinja":
            for name in "smollm2", "llama3":
                hf = PreTrainedTokenizerFast.from_pretrained(f"{HERE}/{name}")
                for messages, replies in (ONE, REPLIES), (LONG, REPLIES[:2]):
                    for reply in replies:
                        add(name, hf, file, messages, reply)
    with open(f"{HERE}/transcripts.json", "w", encoding="utf-8") as f:
        json.dump(cases, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")

if __name__ == "__main__":
    main()
