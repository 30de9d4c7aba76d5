"""Writes mutants.json: chat templates of our own with one or two small faults each,
and what transformers renders them to, in the form of vectors.json.

    python mutants.py [number, default 1000] [seed, default 1] [out] [other templates ...]

Made with transformers 5.23.0, jinja2 3.1.6.
"""
import json, random, re, sys
from transformers.utils.chat_template_utils import _compile_jinja_template

VARS = {
    "messages": [
        {"role": "system", "content": " Be brief. "},
        {"role": "user", "content": "What's 2+2?\n"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nFour é."},
        {"role": "user", "content": ""},
    ],
    "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>",
    "tools": [{"name": "add", "parameters": {"a": "int"}}],
}

TEMPLATES = [
    # markers around every turn
    "{% for message in messages %}{{ '<|begin|>' + message['role'] + '\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}\n{%- if add_generation_prompt %}{{ '<|begin|>assistant\\n' }}{% endif %}",
    # system turn taken out first
    "{%- if messages[0].role == 'system' %}\n  {%- set system = messages[0].content | trim %}\n  {%- set rest = messages[1:] %}\n{%- else %}\n  {%- set rest = messages %}\n{%- endif %}\n{{- bos_token }}\n{%- for m in rest %}\n  {{- '[' ~ (m.role | upper) ~ '] ' ~ m.content }}\n{%- endfor %}{{ system }}",
    # alternating roles
    "{{ bos_token }}{% for m in messages[1:] %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if m.role == 'user' %}{{ '<U> ' + m.content.strip() + ' </U>' }}{% elif m.role == 'assistant' %}{{ m.content + eos_token }}{% endif %}{% endfor %}",
    # tools
    "{%- if tools is defined and tools %}\n{{- 'Tools:\\n' }}\n{%- for tool in tools %}\n{{- tool | tojson(indent=2) }}\n{%- if not loop.last %}{{ ', ' }}{% endif %}\n{%- endfor %}\n{%- endif %}{{ messages | length }}",
    # reasoning left out of past turns
    "{%- for m in messages if m.role != 'system' %}\n{%- set text = m.content %}\n{%- if '</think>' in text %}\n{%- set text = text.split('</think>')[-1].lstrip('\\n') %}\n{%- endif %}\n{{- '<' + m.role + '>' + text }}\n{%- endfor %}",
    # the last user turn by a namespace
    "{%- set ns = namespace(last=-1, found=false) %}{%- for m in messages[::-1] %}\n{%- set i = (messages | length) - 1 - loop.index0 %}\n{%- if m.role == 'user' and not ns.found %}\n{%- set ns.found = true %}{%- set ns.last = i %}\n{%- endif %}\n{%- endfor %}\n{{- ns.last }}: {{ messages[ns.last].content or 'empty' }}",
    # a macro
    "{%- macro turn(role, text='') -%}\n<{{ role }}> {{ text | trim }}\n{%- endmacro %}\n{%- for m in messages %}\n{{ turn(m.role, text=m.content) }}\n{%- endfor %}",
    # content that may be a list of parts
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for part in m['content'] %}{{ part.text if part.type == 'text' else '<image>' }}{% endfor %}{% endif %}{{ eos_token if loop.last else '|' }}{% endfor %}",
    # filters
    "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list | join(', ') }}{# users #}\n{{ (date | default('today')) }} {{ messages | map(attribute='role') | unique | sort | join('/') }}",
    # generation tag and loop controls
    "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{% if loop.index > 3 %}{% break %}{% endif %}{% generation %}{{ m.content[:5] }}{% endgeneration %}{{ loop.index0 }}-{{ loop.length }} {% endfor %}",
    # items of a dict
    "{%- for tool in tools or [] %}\n{{ tool.name ~ '(' }}\n{%- for k, v in tool.parameters.items() %}{{ k }}: {{ v | replace('int', 'integer') }}{{ ', ' if not loop.last }}{% endfor %}{{ ')' }}\n{% endfor %}",
    # a set block and a filter block
    "{% set head %}System: {{ messages[0]['content'] }}{% endset %}{% filter trim %} {{ head | trim }} {% endfilter %}\n{% if head.startswith('Sys') and 'brief' in head|lower %}yes{% endif %} {{ 10 // 3 + 2 * 4 - 1 }}",
]

TOKEN = re.compile(r"\{%[-+]?|[-+]?%\}|\{\{[-+]?|[-+]?\}\}|\{#-?|-?#\}|'[^']*'|\w+|\s+|//|\*\*|[=!<>]=|.", re.S)
PUT = ["+", "-", "*", "/", "//", "%", "**", "~", "|", ".", ",", ":", "=", "==", "!=", "<", ">", "<=", ">=", "(", ")", "[", "]", "{", "}",
       "{{", "}}", "{%", "%}", "{%-", "-%}", "{{-", "-}}", "{%+", "+%}", "{#", "#}", "'", '"', "\\", " ", "\n", "\t", "0", "1", "-1", "1.5",
       "not", "and", "or", "in", "is", "if", "else", "none", "true", "''", "[]", "{}", "loop", "é", "\u00a0", "\r\n"]
SAME = [["+", "-", "*", "/", "//", "%", "**", "~"], ["==", "!=", "<", ">", "<=", ">=", "=", "in", "is", "not in"], ["and", "or"],
        ["{%", "{%-", "{%+"], ["%}", "-%}", "+%}"], ["{{", "{{-", "{{+"], ["}}", "-}}"],
        ["trim", "upper", "lower", "length", "list", "first", "last", "join", "string", "tojson", "title", "capitalize", "reverse", "sort", "unique", "int", "safe"],
        ["strip", "lstrip", "rstrip", "split", "upper", "startswith", "items", "keys"],
        ["defined", "undefined", "string", "mapping", "none", "true", "iterable", "sequence"],
        ["last", "first", "index", "index0", "revindex", "length", "previtem", "nextitem", "depth"],
        ["messages", "tools", "bos_token", "loop", "m", "none", "add_generation_prompt", "undefinedname"]]


def mutate(rng, src):
    t = TOKEN.findall(src)
    for _ in range(rng.choice([1, 1, 1, 2])):
        i = rng.randrange(len(t))
        kind = rng.randrange(9)
        if kind == 0:
            t[i] = ""
        elif kind == 1:
            t[i] *= 2
        elif kind == 2:
            j = min(i + rng.choice([1, 2]), len(t) - 1)
            t[i], t[j] = t[j], t[i]
        elif kind == 3:
            words = [k for k, x in enumerate(t) if re.fullmatch(r"\w+", x)]
            i = rng.choice(words)
            k = rng.randrange(len(t[i]))
            t[i] = t[i][:k] + rng.choice(["", "x", "_", t[i][k] * 2, t[i][k].swapcase()]) + t[i][k + 1:]
        elif kind in (4, 5):
            places = [(k, s) for k, x in enumerate(t) for s in SAME if x in s]
            k, s = rng.choice(places)
            t[k] = rng.choice(s)
        elif kind == 6:
            t.insert(i, rng.choice(PUT))
        elif kind == 7:
            t[i] = rng.choice(PUT)
        else:
            s = "".join(t)
            k = rng.randrange(len(s))
            s = s[:k] + rng.choice(["", s[k] * 2, s[k + 1:k + 2] + s[k]]) + s[k + 1:]
            t = TOKEN.findall(s)
    return "".join(t)


def answer(src, variables):
    try:
        return {"out": _compile_jinja_template(src).render(**variables)}
    except Exception as e:
        name = type(e).__name__
        return {"err": f"{name}: {e}" if name in ("UndefinedError", "TemplateError") else name}


def main():
    arg = sys.argv[1:] + [None] * 3
    rng = random.Random(int(arg[1] or 1))
    templates = [open(f).read() for f in sys.argv[4:]] or TEMPLATES
    seen, vectors = set(templates), [{"src": s, **answer(s, VARS)} for s in templates]
    while len(vectors) < int(arg[0] or 1000):
        src = mutate(rng, templates[len(vectors) % len(templates)])
        if src in seen:
            continue
        seen.add(src)
        a = answer(src, VARS)
        if " at 0x" in a.get("out", ""):  # an address, never the same
            continue
        vectors.append({"src": src, **a})
    with open(arg[2] or "mutants.json", "w") as f:
        f.write('{"vars": ' + json.dumps(VARS, ensure_ascii=False) + ',\n"vectors": [\n')
        f.write(",\n".join(json.dumps(v, ensure_ascii=False) for v in vectors) + "\n]}\n")


main()
