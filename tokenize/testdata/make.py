"""Makes the test tokenizers, and what transformers does with them.

    python make.py

Each folder here is a small tokenizer in the shape of a published one, trained on
the text below, and a chat template of our own:

    llama3     byte-level BPE, Llama 3's regex, ignore_merges, BOS by template
    smollm2    byte-level BPE, single digits, no BOS (its bos_token is <|im_start|>)
    qwen2      byte-level BPE, NFC, Qwen 2's regex, no bos_token at all
    neox       byte-level BPE as GPT-NeoX: NFC, offsets trimmed, added runs of spaces, a hole in the ids
    gemma      BPE with byte fallback, spaces as ▁, BOS by template
    llama2     BPE with byte fallback, a ▁ put before every piece of text, BOS by template
    mistral    as llama2 with the Metaspace pre-tokenizer, a ▁ only before the first piece

and vectors.json holds what transformers makes of texts.json with it. Made with
transformers 5.23.0 and tokenizers 0.23.3.
"""
import json, os, random, shutil
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))

TEXT = """
What is it? It is freedom. What, in one word, is the greatest thing ever? Love, or freedom, or the world.
Hello world, hello word; the words of the world are in the hands of those who hold them. Love is the best thing ever.
The quick brown fox jumps over the lazy dog, and the dog doesn't mind: it's a lazy dog, they'll say, and we've seen I'm right.
In one word, what is the worst thing ever? Hatred. Power. Fear. Justice! Honour? Trust, loyalty, family, friendship, success.
People are kind and people are cruel; people help, lead, win, lose, care, share and learn. A strong leader, a gentle friend.
def main(args):
    for i in range(10):
        if i % 2 == 0:
            print("even", i)
        else:
            return {"odd": [i, i + 1]}
for (int i = 0; i < n; i++) { sum += x[i]; }
In 1984 there were 365 days, 24 hours each; 3.14159 is pi and 2,718 is e times 1000.
Über Äpfel und Öl, déjà vu, naïve café, señor, façade, Zürich, smørrebrød.
日本語のテキスト。中文文本。한국어 텍스트. Привет, мир! Γειά σου κόσμε. שלום עולם. مرحبا بالعالم
"""

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

def byte_level(**parts):
    t = Tokenizer(models.BPE(ignore_merges=parts.get("ignore_merges", False)))
    t.normalizer = parts.get("normalizer")
    t.pre_tokenizer = parts["pre"]
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(TEXT.strip().split("\n"), trainers.BpeTrainer(
        vocab_size=256 + parts.get("merges", 400) + len(parts.get("first", [])), special_tokens=parts.get("first", []),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.add_special_tokens(parts.get("last", []))
    if parts.get("post"):
        t.post_processor = parts["post"](t)
    return t

def byte_fallback(specials, normalizer, pre, decoder, bos):
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer, t.pre_tokenizer = normalizer, pre
    octets = [f"<0x{i:02X}>" for i in range(256)]
    lines = [w for line in TEXT.strip().split("\n") if line.isascii() for w in line.split(" ")]
    # Words are trained with the ▁ before them; characters beyond ASCII are left to the byte tokens.
    train = Tokenizer(models.BPE(unk_token="<unk>"))
    train.train_from_iterator(["▁" + w for w in lines] + ["é", "ü", "▁▁", "▁▁▁▁", "?", "!"], trainers.BpeTrainer(vocab_size=800, special_tokens=specials + octets, show_progress=False))
    spec = json.loads(t.to_str())
    spec["model"]["vocab"], spec["model"]["merges"] = (json.loads(train.to_str())["model"][k] for k in ("vocab", "merges"))
    spec["added_tokens"] = [dict(id=i, content=s, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for i, s in enumerate(specials)]
    t = Tokenizer.from_str(json.dumps(spec))
    t.decoder = decoder
    t.post_processor = template(bos)(t)
    return t

def template(bos):
    return lambda t: processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, t.token_to_id(bos))])

def sp_decoder(strip):
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()] + ([decoders.Strip(" ", 1, 0)] if strip else []))

CHATML = """{%- for message in messages -%}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
HEADERS = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday: ' + date_string + '\\n\\n' }}
{%- if messages[0]['role'] == 'system' %}{{ messages[0]['content'] | trim }}{% set messages = messages[1:] %}{% endif %}
{{- '<|eot_id|>' }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
TURNS = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}{{ '<start_of_turn>' + role + '\\n' + (message['content'] | trim) + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""
INST = """{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"""
NO_BOS = """{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"""

def build():
    """Yields name, tokenizer, tokenizer_config.json, chat template and where the template goes."""
    llama3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    yield "llama3", byte_level(
        ignore_merges=True, last=llama3,
        pre=pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)]),
        post=lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=True), template(llama3[0])(t)]),
    ), {"bos_token": llama3[0], "eos_token": llama3[4]}, HEADERS, "config"
    chat = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    yield "smollm2", byte_level(
        first=chat,
        pre=pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)]),
    ), {"bos_token": chat[1], "eos_token": chat[2], "unk_token": chat[0], "pad_token": chat[2]}, CHATML, "list"
    yield "qwen2", byte_level(
        last=chat, normalizer=normalizers.NFC(),
        pre=pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)]),
        post=lambda t: processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
    ), {"bos_token": None, "eos_token": chat[2], "pad_token": chat[0], "add_bos_token": False}, CHATML, "file"
    neox = byte_level(
        first=["<|endoftext|>", "<|padding|>"], normalizer=normalizers.NFC(),
        pre=pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True),
        post=lambda t: processors.ByteLevel(add_prefix_space=False, trim_offsets=True),
    )
    # A hole: an entry of the vocabulary moves far up, so that the ids are not consecutive.
    spec = json.loads(neox.to_str())
    last = max(spec["model"]["vocab"], key=spec["model"]["vocab"].get)
    spec["model"]["vocab"][last] = 700
    spec["model"]["vocab"]["   "], spec["model"]["vocab"]["  "] = 702, 701
    neox = Tokenizer.from_str(json.dumps(spec))
    neox.add_tokens([AddedToken("   ", normalized=True), AddedToken("  ", normalized=True)])
    yield "neox", neox, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}, None, None
    gemma = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    t = byte_fallback(gemma, normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), sp_decoder(False), "<bos>")
    t.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("<h1>", normalized=False)])
    yield "gemma", t, {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>", "add_bos_token": True, "add_eos_token": False}, TURNS, "config"
    llama2 = ["<unk>", "<s>", "</s>"]
    yield "llama2", byte_fallback(llama2, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, sp_decoder(True), "<s>"), {
        "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}, "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}, NO_BOS, "file"
    t = byte_fallback(llama2 + ["[INST]", "[/INST]"], None, pre_tokenizers.Metaspace("▁", "first", split=False), sp_decoder(True), "<s>")
    yield "mistral", t, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True}, INST, "config"

def texts(rng):
    words = TEXT.split()
    out = ["", " ", "  ", "\n", "\t\n ", "a", " a", "a ", "Hello world", " Freedom", "What is it? Freedom", "hello world", "a b", "What, in one word, is the greatest thing ever?",
           "it's they'll WE'VE I'm don't", "1984 3.14159 2,718 12345678", "   three leading", "trailing three   ", "a   b    c     d", "line\n\nline\n\n\nline\r\n\r\nend", "\n\n", "tab\tend",
           "é e\u0301 ö o\u0308 ﬁ ² Å \u212b", "e\u0301", "caf\u0065\u0301 na\u0069\u0308ve", "日本語のテキスト", "中文 한국어 \u1112\u1161\u11ab Привет", "😀👍🏽👩\u200d👩\u200d👧 🇩🇪", "a\u200bb\u00a0c\u2003d\u3000e", "\ufeffBOM", "\u202e rtl שלום مرحبا",
           "<s>", "</s> x", "a<s>b", "<bos><bos>", "x <bos> y", "<|im_start|>user\nhi<|im_end|>\n", "<|begin_of_text|>", "a <|eot_id|> b", "<start_of_turn>user\nhi<end_of_turn>", "[INST] hi [/INST]", "<0x41>", "<unk>", "<|endoftext|> a", "<h1>title</h1>", "▁", "▁▁x", "a▁b",
           "Ġ", "Ċ", "Ã©", "x = {'a': [1, 2]}\nfor i in range(10):\n    print(i)\n", "https://example.org/a?b=c&d=%20", "ALL CAPS and MiXeD", "naïve café Zürich", "\x01\x02\x7f", "\u0378\U000e0001", "zzzzzzzzzzzzzzzz", "Love", "love", " LOVE", "freedom"]
    pools = [lambda: rng.choice(words), lambda: " ", lambda: rng.choice(["  ", "\n", "\t", "\r\n", "   "]), lambda: chr(rng.choice([rng.randint(33, 126), rng.randint(0xa1, 0x17f), rng.randint(0x391, 0x3c9), rng.randint(0x4e00, 0x4fff), rng.randint(0x1f600, 0x1f640), rng.randint(0x300, 0x310)])), lambda: rng.choice(["e\u0301", "<s>", "<bos>", "'s", "12", "..."])]
    while len(out) < 200:
        s = "".join(rng.choices(pools, weights=[4, 5, 1, 4, 1])[0]() for _ in range(rng.randint(1, 14)))
        if len(s.encode()) < 60:
            out.append(s)
    return out

def write(path, value):
    with open(path, "w", encoding="utf-8") as f:
        if isinstance(value, str):
            f.write(value)
        else:
            json.dump(value, f, ensure_ascii=False, separators=(",", ":"))

def main():
    all_texts = texts(random.Random(1))
    write(f"{HERE}/texts.json", all_texts)
    for name, tok, config, template, where in build():
        folder = f"{HERE}/{name}"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        write(f"{folder}/tokenizer.json", json.loads(tok.to_str()))
        config = dict(config, tokenizer_class="PreTrainedTokenizerFast", clean_up_tokenization_spaces=False, model_max_length=2048)
        if where == "config":
            config["chat_template"] = template
        elif where == "list":
            config["chat_template"] = [{"name": "tool_use", "template": "{{ raise_exception('not this one') }}"}, {"name": "default", "template": template}]
        elif where == "file":
            config["chat_template"] = "{{ raise_exception('chat_template.jinja comes first') }}"
            write(f"{folder}/chat_template.jinja", template)
        write(f"{folder}/tokenizer_config.json", config)
        hf = PreTrainedTokenizerFast.from_pretrained(folder)
        vocab = sorted(hf.get_vocab().items(), key=lambda kv: kv[1])
        ids = [hf(t)["input_ids"] for t in all_texts]
        vectors = {
            "ids": ids,
            "decoded": [hf.decode(x, skip_special_tokens=False, clean_up_tokenization_spaces=False) for x in ids],
            "vocab": [[i, hf.convert_ids_to_tokens(i), hf.decode([i], skip_special_tokens=False, clean_up_tokenization_spaces=False)] for _, i in vocab],
        }
        if template:
            chats = [[{"role": "user", "content": t}] for t in ("What is it?", "  é <b>日本</b>\n", "")]
            if name not in ("gemma", "mistral"):
                chats.append([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello world"}])
            # strftime_now is always there in transformers; date_string is what fixes the date.
            render = lambda c, **kw: hf.apply_chat_template(c, add_generation_prompt=True, date_string="26 Jul 2024", **kw)
            vectors["chats"] = [{"messages": c, "text": render(c, tokenize=False), "ids": render(c, return_dict=False)} for c in chats]
        write(f"{folder}/vectors.json", vectors)
    added()

def added():
    """The tokenizer of qwen2 with tokens that only tokenizer_config.json names."""
    folder = f"{HERE}/added"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    flags = dict(lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
    last = len(PreTrainedTokenizerFast.from_pretrained(f"{HERE}/qwen2"))
    spec = json.load(open(f"{HERE}/qwen2/tokenizer.json", encoding="utf-8"))
    decoder = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in spec["added_tokens"]}
    decoder[str(spec["added_tokens"][1]["id"])]["rstrip"] = True  # <|im_start|>: another flag than in tokenizer.json
    decoder[str(last)] = dict(flags, content="<tool>")
    decoder[str(last + 1)] = dict(flags, content="word", special=False, normalized=True, single_word=True)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": decoder, "eos_token": "<|im_end|>", "pad_token": "<fill>", "unk_token": {"__type": "AddedToken", "content": "the", **{k: v for k, v in flags.items() if k != "special"}}}
    write(f"{folder}/tokenizer_config.json", config)
    shutil.copy(f"{HERE}/qwen2/tokenizer.json", folder)
    hf = PreTrainedTokenizerFast.from_pretrained(folder)
    os.remove(f"{folder}/tokenizer.json")
    texts = ["a <tool> b", "a word b", "awordb words", "the then", "<fill>x", "<|im_start|>  \n user", "x<|im_end|>  y", "Hello world"]
    vocab = sorted(hf.get_vocab().items(), key=lambda kv: kv[1])[-3:]
    write(f"{folder}/vectors.json", {"texts": texts, "ids": [hf(t)["input_ids"] for t in texts], "vocab": [[i, n, hf.decode([i])] for n, i in vocab]})

if __name__ == "__main__":
    main()
