"""Writes vectors.json: templates of our own and what transformers renders them to.

    python make.py [number of random templates, default 400] [seed]

Needs transformers and jinja2 (made with transformers 5.23.0, jinja2 3.1.6). Each
vector is {"src", "vars", "out"} or {"src", "vars", "err"}, where err is the name of
the exception, and for UndefinedError and TemplateError its message too.
"""
import itertools, json, random, sys
from jinja2 import nodes
from transformers.utils.chat_template_utils import _compile_jinja_template

VARS = {
    "messages": [
        {"role": "system", "content": " Be brief. "},
        {"role": "user", "content": "What is it?\n"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nIt is <b>\"x\"</b> & 'y' é 日本."},
        {"role": "user", "content": ""},
    ],
    "add_generation_prompt": True,
    "bos_token": "<s>", "eos_token": "</s>",
    "tools": None,
    "n": 3, "f": 2.5, "neg": -7, "t": True, "z": None, "empty": [],
    "l": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "s": "Hello, World", "u": "ÀéÎ ß ǆ Σς",
    "d": {"b": 1, "a": [1, {"x": None}], "C": "text"},
    "mixed": [1, "1", 1.0, True, None, [1], {"k": "v"}, "", 0],
}

HAND = r"""
{{ 'a' + ('b' if true else 'c') }}
{{ 'a' + ('b' if false else 'c') + 'd' }}
{{ ('b' if false) }}|
{{ 'x' if t else undefinedname.foo }}
{{ undefinedname }}|{{ undefinedname is defined }}|{{ undefinedname|default('d') }}
{{ undefinedname + 'a' }}
{{ 'a' + undefinedname }}
{{ undefinedname.foo }}
{{ d.nothing }}|{{ d.nothing.more }}
{{ d['b'] }}{{ d.b }}{{ d['nothing'] }}{{ d.a[1].x }}
{{ d.items }}
{{ d.items() }}{{ d.keys() }}{{ d.values() }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in d %}{{ k }};{% endfor %}
{{ 'a' ~ 1 ~ none ~ undefinedname ~ 1.5 ~ true }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ none + 'a' }}
{{ [1] + [2] }}{{ (1,) + (2,) }}{{ [1] * 2 }}{{ 'ab' * 2 }}{{ 2 * 'ab' }}{{ 'a' * -1 }}
{{ [1] + (2,) }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}
{{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ 1e3 }} {{ 1.0 }} {{ 1e16 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.0001 }} {{ 1_000 }} {{ 0x1f }} {{ 0b11 }} {{ 0o17 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1 / 0 }}
{{ 1.0 / 0 }}
{{ true + true }} {{ -true }} {{ +5 }} {{ - 5 }} {{ not 1 == 2 }} {{ not (1 == 2) }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ true == 1 }}
{{ 'a' < 'b' }} {{ 'Z' < 'a' }} {{ [1, 2] < [1, 3] }} {{ (1, 2) <= (1, 2) }}
{{ 'a' < 1 }}
{{ none < 1 }}
{{ undefinedname < 1 }}
{{ undefinedname == undefinedothername }} {{ undefinedname == none }} {{ undefinedname != 1 }}
{{ 'ell' in s }} {{ 'x' not in s }} {{ 1 in l }} {{ 'b' in d }} {{ 9 in l }} {{ 'role' in messages[0] }} {{ 1 in undefinedname }}
{{ 1 in 'abc' }}
{{ 'a' in none }}
{{ 'a' in 5 }}
{{ l[0] }} {{ l[-1] }} {{ l[5] }} {{ l[1:] }} {{ l[::-1] }} {{ l[-2:] }} {{ l[:2] }} {{ l[::2] }} {{ s[0] }} {{ s[-1] }} {{ s[1:4] }} {{ s[::-1] }} {{ s[100:] }}|{{ u[1] }} {{ u[1:4] }} {{ u[::-1] }}
{{ l['a'] }}|{{ l.foo }}|{{ l.0 }}|{{ d[l] }}|
{{ l['a'].x }}
{{ l[99].x }}
{{ none.x.y }}
{{ s.nope.more }}
{{ s.nope() }}
{{ l.append(4) }}
{{ d.update({'a': 1}) }}
{{ ''.__class__ }}|
{{ ''.__class__.__mro__ }}
{{ messages[0]['role'] }}{{ messages[0].role }}{{ messages[-1]['role'] }}{{ messages[1:][0].role }}{{ messages[::-1][0].content }}|
{{ (1, 2) }}{{ (1,) }}{{ () }}{{ [1, 'a', none, true, 1.5, "it's", 'q"q', 'b\\n'] }}{{ {'a': 'b', 1: [2]} }}{{ {} }}
{{ u }} {{ [u] }} {{ ['\x00\x1f\x7f\xa0\u200b\U0001F600'] }} {{ ['\n\t\r'] }}
{{ 'a' 'b' "c" }} {{ 'x\'y' }} {{ "\x41\u00e9\101\q" }}
{{ d | tojson }} {{ d | tojson(indent=2) }} {{ mixed | tojson }} {{ u | tojson }} {{ u | tojson(ensure_ascii=true) }} {{ '\x7f\x1b😀' | tojson(ensure_ascii=true) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ [] | tojson(indent=4) }} {{ {} | tojson(indent=4) }} {{ [1, [2]] | tojson(separators=(',', ':')) }} {{ [[], {}] | tojson(indent=1) }}
{{ messages | tojson(indent=4) }}
{{ 1e100 | tojson }} {{ 1.5 | tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}
{{ undefinedname | tojson }}
{{ range(3) | tojson }}
{{ '  a b  ' | trim }}| {{ 'xxaxx' | trim('x') }} {{ s | upper }} {{ s | lower }} {{ s | title }} {{ s | capitalize }} {{ u | upper }} {{ u | lower }} {{ u | title }} {{ u | capitalize }} {{ 'foo-bar (baz) it\'s' | title }}
{{ s | length }} {{ l | length }} {{ d | length }} {{ u | length }} {{ l | count }} {{ undefinedname | length }}
{{ 5 | length }}
{{ none | length }}
{{ l | first }} {{ l | last }} {{ s | first }} {{ s | last }} {{ empty | first }}| {{ d | first }} {{ d | last }}
{{ (empty | first).x }}
{{ l | sort }} {{ l | sort(reverse=true) }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ words | unique | list }} {{ words | unique(true) | list }} {{ l | max }} {{ l | min }} {{ words | max }} {{ l | sum }} {{ empty | sum }} {{ empty | max }}| {{ l | reverse | list }} {{ s | reverse }}
{{ messages | sort(attribute='role') | map(attribute='role') | join(',') }}
{{ messages | sort(attribute='role,content') | map(attribute='content') | list }}
{{ [1, 'a'] | sort }}
{{ words | join }} {{ words | join(', ') }} {{ [1, none, undefinedname] | join('-') }} {{ messages | join('|', attribute='role') }}
{{ messages | map(attribute='role') | list }} {{ messages | map(attribute='nope') | list }} {{ messages | map(attribute='nope', default='x') | list }} {{ words | map('upper') | join }} {{ words | map('replace', 'p', 'b') | list }} {{ [[1, 2], [3]] | map('length') | list }} {{ [[1, 2], [3]] | map('first') | list }} {{ [{'a': {'b': 1}}] | map(attribute='a.b') | list }} {{ [[5, 6]] | map(attribute=1) | list }}
{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ messages | selectattr('role', 'eq', 'user') | map(attribute='content') | list }} {{ messages | rejectattr('role', 'in', ['user', 'system']) | list | length }} {{ messages | selectattr('content') | list | length }} {{ messages | selectattr('tool_calls', 'defined') | list }} {{ l | select('odd') | list }} {{ l | reject('odd') | list }} {{ mixed | select | list }} {{ mixed | select('string') | list }} {{ l | select('gt', 1) | list }} {{ l | select('divisibleby', 2) | list }}
{% set g = messages | selectattr('role', 'equalto', 'nobody') %}{% if g %}generators are true{% endif %}{{ g | list }}
{% set g = l | select %}{{ g | list }}{{ g | list }}
{{ (messages | selectattr('role', 'equalto', 'user'))[0] }}|
{{ messages | selectattr('role', 'equalto', 'user') | length }}
{{ messages | selectattr('role', 'equalto', 'user') | first | tojson }}
{{ messages | selectattr('role', 'equalto', 'user') | last }}
{{ messages | selectattr('role', 'nosuchtest') | list }}
{{ d | dictsort }} {{ d | items | list }} {{ {'b': 2, 'a': 1} | dictsort(by='value') }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'a': 2} | dictsort(reverse=true) }} {{ undefinedname | items | list }}
{{ 'abc' | replace('b', 'XX') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 'abc' | replace('', '-') }} {{ 5 | replace('5', 'x') }}
{{ 'a\nb\n\nc' | indent }}| {{ 'a\nb' | indent(2, true) }}| {{ 'a\n\nb' | indent(2, blank=true) }}| {{ 'a\nb' | indent('> ') }} {{ '' | indent }}|
{{ '5' | int + 1 }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ '3.7' | int }} {{ 3.7 | int }} {{ '0x1f' | int(base=16) }} {{ none | int }} {{ '1.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ ' 4 ' | int }} {{ '1_0' | int }} {{ true | int }}
{{ undefinedname | int }}
{{ -3 | abs }} {{ neg | abs }} {{ 2.675 | round(2) }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 42 | round }} {{ 2.1 | round(method='ceil') }} {{ 2.19 | round(1, 'floor') }} {{ 42.55 | round | int }}
{{ 3 | string + 'x' }} {{ none | string }} {{ s | safe }} {{ l | list }} {{ s | list }} {{ d | list }}
{{ z | default('d') }}| {{ z | default('d', true) }} {{ '' | default('d') }}| {{ '' | d('e', boolean=true) }} {{ d.nope | default }}|
{{ '%s is %d and %r' % ('a', 3, 'q') }} {{ '%s' % 'x' }} {{ '%s' % l }} {{ '%05d|%5s|%-5s|%.2f|%x' % (42, 'a', 'b', 1.005, 255) }} {{ '%%' % () }} {{ '%(a)s' % {'a': 1} }} {{ '%s-%s' | format('a', 2) }}
{{ '%d' % 'a' }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '{} {}'.format('a', 1) }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=1) }} {{ '{{}}'.format() }} {{ '{0.role} {0[content]}'.format(messages[0]) }} {{ '{!r}'.format('a') }}
{{ s.upper() }} {{ s.lower() }} {{ s.title() }} {{ s.swapcase() }} {{ s.capitalize() }} {{ s.startswith('Hell') }} {{ s.endswith(('x', 'ld')) }} {{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.count('l') }} {{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ s.index('W') }} {{ u.find('ß') }}
{{ s.index('zz') }}
{{ '  x y  '.strip() }}| {{ '  x'.lstrip() }}| {{ 'x  '.rstrip() }}| {{ 'xxyxx'.strip('x') }} {{ '\n\nx\n'.strip('\n') }} {{ '\x1cx\u2003'.strip() }}|
{{ 'a b  c'.split() }} {{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a b c'.rsplit(' ', 1) }} {{ ' a  b c '.split(none, 1) }} {{ ' a  b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a\nb\r\nc'.splitlines() }} {{ 'a\nb'.splitlines(true) }} {{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('x') }}
{{ ''.split('') }}
{{ ','.join(['a', 'b']) }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '.') }}|{{ 'a'.center(4) }}|{{ 'ab'.center(5, '*') }}|{{ 'ab'.center(7, '*') }}|{{ 'abc'.center(6, '*') }}
{{ ','.join([1]) }}
{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ ''.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ 'Ab Cd'.istitle() }} {{ '½'.isnumeric() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }}
{{ d.get('b') }} {{ d.get('x') }} {{ d.get('x', 'y') }} {{ d.copy() == d }} {{ l.index(1) }} {{ l.count(3) }}
{{ t is true }} {{ t is boolean }} {{ n is integer }} {{ f is float }} {{ n is number }} {{ s is string }} {{ d is mapping }} {{ l is sequence }} {{ s is iterable }} {{ n is iterable }} {{ z is none }} {{ z is not none }} {{ n is odd }} {{ n is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(4) }} {{ n is eq 3 }} {{ n is in l }} {{ 'x' is in 'xyz' }} {{ s is lower }} {{ 'ABC' is upper }} {{ z is sameas none }} {{ range is callable }} {{ 'upper' is filter }} {{ 'odd' is test }} {{ undefinedname is undefined }} {{ n is gt 2 }} {{ n is lessthan(2) }} {{ undefinedname is iterable }} {{ undefinedname is string }} {{ none is mapping }}
{{ 1 is odd and 2 is even }} {{ not n is odd }} {{ n is not odd }} {{ (n is odd) ~ 'x' }}
{{ n is nosuchtest }}
{{ n | nosuchfilter }}
{{ range(5) | list }} {{ range(1, 5) | list }} {{ range(5, 0, -2) | list }} {{ range(3) }} {{ range(3)[1] }} {{ range(3) | length }} {{ range(10)[2:4] | list }} {{ range(0) | list }}
{{ range(1000000) | list }}
{{ range(1, 2, 0) }}
{{ dict(a=1, b='x') }} {{ dict([('a', 1)]) }} {{ dict({'a': 1}, b=2) }}
{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}
{% for i in l %}{% set y = i %}{% endfor %}{{ y }}|
{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d2) = (3, 4) %}{{ c }}{{ d2 }}
{% set a, b = [1] %}
{% set a, b = 1, 2, 3 %}
{% set a, b = 5 %}
{% set x %}block {{ n }} {% endset %}{{ x }}|{{ x | trim }}|
{% set x | upper | trim %} block {{ n }} {% endset %}{{ x }}|
{% set ns = namespace(a=1, b='x') %}{% set ns.a = ns.a + 1 %}{{ ns.a }}{{ ns.b }}{{ ns.c }}|{{ ns }}
{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}
{% set d.x = 1 %}
{% set ns = namespace(_x=1) %}
{% for i in [] %}a{% else %}none{% endfor %} {% for i in undefinedname %}a{% else %}none{% endfor %}
{% for i in none %}a{% endfor %}
{% for i in 5 %}a{% endfor %}
{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.cycle('a', 'b') }}{{ loop.changed(m.role) }}{{ loop.previtem.role if not loop.first }}{{ loop.nextitem.role if not loop.last }} {% endfor %}
{% for i in l if i > 1 %}{{ i }}/{{ loop.index }}/{{ loop.length }}/{{ loop.last }} {% endfor %}
{% for i in l if i > 5 %}x{% else %}none{% endfor %}
{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{{ loop.nextitem }}|{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in [1] %}{% break %}{% else %}else after break{% endfor %}
{% for i in l %}{% for j in l %}{{ loop.index }}{{ i }}{{ j }}{% if j == 1 %}{% break %}{% endif %} {% endfor %}{{ loop.index }};{% endfor %}
{% for i in l recursive %}{{ i }}{% if i is not iterable %}{% endif %}{% endfor %}
{% for x in [{'c': [{'c': [], 'v': 2}], 'v': 1}, {'c': [], 'v': 3}] recursive %}{{ x.v }}@{{ loop.depth }}({{ loop(x.c) }}){% endfor %}
{% for c in 'aé日' %}{{ c }}{{ loop.index }}{% endfor %}
{% break %}
{% macro f(a, b=2, c=a) -%} <{{ a }}|{{ b }}|{{ c }}> {%- endmacro %}{{ f(1) }}{{ f('x', b=3) }}{{ f(1, 2, 3) }}{{ f() }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=1) }}
{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, x=3) }}
{% macro f(x) %}[{{ caller() }}{{ x }}]{% endmacro %}{% call f(1) %}body {{ n }}{% endcall %}
{% macro f() %}[{{ caller('q') }}]{% endmacro %}{% call(v) f() %}got {{ v }}{% endcall %}
{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}
{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}{% for x in [9] %}{{ f() }}{% endfor %}
{% macro f() %}{% set q = 5 %}{% endmacro %}{{ f() }}{{ q }}|
{{ nosuchmacro(1) }}
{{ 5(1) }}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}|
{% filter upper %}abc {{ s }}{% endfilter %}
{% generation %}gen {{ n }}{% set inner = 1 %}{% endgeneration %}{{ inner }}|
{% raw %}{{ not }} {% evaluated %}{% endraw %}
{%- raw -%}  x  {%- endraw -%}  y
{# comment #}a{#- comment -#} b {# multi
line #}
c
{{ raise_exception('message: ' + s) }}
{% if messages[0].role != 'user' %}{{ raise_exception("first must be user") }}{% endif %}
{% if n == 1 %}one{% elif n == 3 %}three{% else %}other{% endif %}
{% if n == 1 %}one{% elif n == 2 %}two{% else %}other{% endif %}
{% if not (messages | length == 0) and messages[0]['role'] == 'system' or false %}yes{% endif %}
{% print 1, 'a' %}
{% set x = messages[0]['content'] | trim + '!' %}{{ x }}
{{ messages[0].content.strip() + '|' + messages[1]['content'] | trim + '|' }}
{% set loop_messages = messages[1:] if messages[0].role == 'system' else messages %}{{ loop_messages | length }}
{% set content = messages[2].content %}{% if '</think>' in content %}{{ content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}|{{ content.split('</think>')[-1].lstrip('\n') }}{% endif %}
{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}odd{% else %}even{% endif %}{% endfor %}
{{ messages[(messages | length) - 1].role }}
{{ [1, 2][1] }}{{ {'a': 1}['a'] }}{{ 'abc'[1] }}{{ (1, 2)[0] }}
{{ -l[0] }} {{ -n ** 2 }} {{ (-n) ** 2 }} {{ -n | abs }} {{ l[0] | string ~ 'x' }}
{{ 1 if 0 else 2 if 0 else 3 }} {{ 'a' or 'b' }} {{ '' or 'b' }} {{ 'a' and 'b' }} {{ none or 0 or [] }}
{{ {'a': 1, 'a': 2} }} {{ {1: 'int', 1.0: 'float', true: 'bool'} }}
{{ 1 == 1 == true }} {{ l == [3, 1, 2] }} {{ d == {'C': 'text', 'a': [1, {'x': none}], 'b': 1} }} {{ (1,) == [1] }}
{{ 'a"b' }} {{ "a'b" }} {{ '{{' }} {{ '%}' }} {{ "{#" }}
{{ {'a': {'b': {}}} }}{{ [[1, [2]]] }}
{{ 9223372036854775807 }}
{{ f(*l) if false else 'x' }} {{ range(*[1, 3]) | list }} {{ dict(**{'a': 1}) }}
{{ 'x' if undefinedname }}|
{{ loop }}|
{{ s | attr('upper') is callable }} {{ d | attr('b') }}|
{{ 1.0 * 3 }} {{ 0.1 + 0.2 }} {{ 1e300 * 1e10 }} {{ 3 * 1.0 // 2 }} {{ 10 / 3 }} {{ 1 / 3 | round(2) }} {{ 100000000000.0 }} {{ 123456789.123456789 }}
{{ 1 if true }}{{ 'dangling' if }}
{% if %}x{% endif %}
{% for %}{% endfor %}
{% unknown %}
{{ 1 +
{% if t %}
{{ ) }}
{{ a b }}
{{ 'unterminated }}
{% endif %}
{# unterminated
{% set 1 = 2 %}
{{ 1.e5 }}
{{ a. }}
{{ f(a=1, 2) }}
{% macro %}{% endmacro %}
{{ 'a' is is }}
{{ messages[2].content | safe }}{{ '<' | safe ~ '<&' }}{{ '<' ~ ('<&' | safe) }}
{{ '[' + messages[2].content | safe + ']' }}
{{ '<b>' + ('<i>' | safe) + "'\"&" }}{{ ('<' | safe) + ('>' | safe) + '>' }}
{{ ('<' + ('a' | safe)) + '<' }}{% set m = '<' | safe %}{% set m = m + '<' %}{{ m }}{{ m + m }}{{ '<' + m }}
{{ ['<' | safe, '<'] | join('&') }}{{ ['<', '<'] | join('&' | safe) }}{{ '&'.join(['<' | safe]) + '<' }}
{{ ('<a ' | safe | trim) + '<' }}{{ ('<a' | safe | upper) + '<' }}{{ ('<a' | safe | lower) + '<' }}{{ ('<a' | safe | string) + '<' }}{{ ('<a' | safe | capitalize) + '<' }}
{{ ('<a b' | safe | title) + '<' }}{{ ('<a' | safe | replace('a', '<')) + '<' }}{{ 'aa' | replace('a', '<' | safe) + '<' }}
{{ '<' | safe == '<' }}{{ '<' == '<' | safe }}{{ '<' in ('a<' | safe) }}{{ '<' | safe in 'a<' }}{{ '<' | safe < '>' }}{{ '<' | safe in ['<'] }}
{{ 'a' | safe is string }}{{ 'a' | safe is escaped }}{{ 'a' is escaped }}{{ '' | safe or 'e' }}{{ 'ab' | safe | length }}{{ 'a' | safe is sequence }}{{ 'a' | safe is iterable }}{{ 'a' | safe is number }}
{{ 'a<' | safe | tojson + '<' }}{{ d | tojson | safe + '<' }}{{ {'a': '<' | safe} | tojson }}{{ ['<' | safe] }}
{{ none | safe + '<' }}{{ 3 | safe + '<' }}{{ missing | safe + '<' }}{{ '<' | safe | default('d') + '<' }}{{ '' | safe | default('<', true) + '<' }}
{{ ('<' | safe) + 1 }}
{{ 1 + ('<' | safe) }}
{{ ('<' | safe) + none }}
{{ ('<' | safe) - 'a' }}
{% set x %}<{{ '<' | safe }}{% endset %}{{ x + '<' }}{% macro f(a) %}<{{ a + '<' }}{% endmacro %}{{ f('<' | safe) + '<' }}
{% filter safe %}<a>{% endfilter %}{{ '%s' | format('<' | safe) + '<' }}{{ '{}'.format('<' | safe) + '<' }}{{ '%s' % ('<' | safe) }}
{{ ['<', '>'] | map('safe') | join }}{% for x in ['<'] | map('safe') %}{{ x + '<' }}{% endfor %}
{{ ('<' | safe) * 2 + '<' }}
{{ ('<' | safe).upper() + '<' }}
{{ ('<a' | safe)[0] + '<' }}
{{ '%s' | safe | format('<') }}
{{ {'<': 1}['<' | safe] }}
{{ ['b' | safe, 'a'] | sort }}{{ ['B' | safe, 'a'] | sort }}
{{ ('<' if t else '') | safe + '<' }}{{ (messages[0].role | safe) + ': ' + messages[2].content }}
{{ @ }}
"""

SPACES = ["{% if t %}", "{%- if t %}", "{% if t -%}", "{%+ if t %}", "{% if t +%}", "{%- if t -%}"]
ENDS = ["{% endif %}", "{%- endif %}", "{% endif -%}", "{%+ endif %}", "{% endif +%}"]
OUTS = ["{{ n }}", "{{- n }}", "{{ n -}}", "{{- n -}}", "{# c #}", "{#- c -#}", "{# c -#}", "{#+ c +#}", "{% raw %} r {% endraw %}", "{%- raw -%} r {%- endraw -%}"]
FILLS = ["", " ", "\n", "\n  ", "  \n", " \n \n ", "a", " a\n", "\t"]

def spacing(rng):
    f = lambda: rng.choice(FILLS)
    return f() + rng.choice(SPACES) + f() + rng.choice(OUTS) + f() + rng.choice(OUTS) + f() + rng.choice(ENDS) + f() + rng.choice(["", "z", "\n", "\n\n", "{{ s }}\n"])

ATOMS = ["n", "f", "neg", "t", "z", "l", "words", "s", "u", "d", "mixed", "empty", "messages", "messages[0]", "messages[2].content", "missing", "1", "0", "-2", "2.5", "'a'", "''", "'b c'", "true", "false", "none", "[]", "[1, 2]", "{'k': n}", "(1, 'x')", "bos_token", "range(4)"]
BIN = ["+", "-", "*", "/", "//", "%", "~", "and", "or", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "**"]
FILTERS = ["trim", "upper", "lower", "length", "first", "last", "list", "string", "int", "float", "sort", "unique | list", "join('-')", "join", "default('D')", "default('D', true)", "tojson", "tojson(indent=2)", "reverse", "reverse | list", "map('string') | list", "select | list", "reject('none') | list", "replace('a', 'o')", "capitalize", "title", "abs", "round", "max", "min", "sum", "dictsort", "items | list", "map(attribute='role') | list", "selectattr('role') | list", "string | indent(2)", "count"]
TESTS = ["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "float", "boolean", "true", "false", "odd", "even", "divisibleby(2)", "in l", "eq n", "sameas none", "lower", "upper", "callable"]
POST = ["[0]", "[-1]", "[1:]", "[::-1]", "[:2]", ".role", ".k", "['k']", ".b", ".strip()", ".split()", ".upper()", ".get('b')", ".items() | list", ".keys() | list", ".startswith('H')", ".split('\\n')[-1]", ".lstrip('H')", ".replace('l', '')", ".find('o')", ".count('a')", ".title()", ".splitlines()"]

def expr(rng, depth):
    if depth <= 0:
        return rng.choice(ATOMS)
    k = rng.random()
    if k < .30:
        return f"({expr(rng, depth - 1)} {rng.choice(BIN)} {expr(rng, depth - 1)})"
    if k < .50:
        return f"({expr(rng, depth - 1)}) | {rng.choice(FILTERS)}"
    if k < .62:
        return f"(({expr(rng, depth - 1)}) is {rng.choice(['', 'not '])}{rng.choice(TESTS)})"
    if k < .80:
        return f"({expr(rng, depth - 1)}){rng.choice(POST)}"
    if k < .87:
        return f"({expr(rng, depth - 1)} if {expr(rng, depth - 1)} else {expr(rng, depth - 1)})"
    if k < .91:
        return f"(not {expr(rng, depth - 1)})"
    if k < .94:
        return f"(-{rng.choice(ATOMS)})"
    if k < .97:
        return f"[{expr(rng, depth - 1)}, {expr(rng, depth - 1)}]"
    return rng.choice(ATOMS)

def stmt(rng, depth):
    if depth <= 0:
        return rng.choice(["{{ %s }}" % expr(rng, 1), "text ", "{{ x }}", "{{ ns.v }}", "{{ i }}"])
    b = lambda: "".join(stmt(rng, depth - 1) for _ in range(rng.randint(1, 2)))
    return rng.choice([
        lambda: "{%% if %s %%}%s{%% else %%}%s{%% endif %%}" % (expr(rng, 1), b(), b()),
        lambda: "{%% for i in %s %%}%s{{ loop.index }}{%% endfor %%}" % (rng.choice(["l", "words", "range(3)", "empty", "d", "messages", "missing"]), b()),
        lambda: "{%% for i in l if i > %d %%}%s{{ loop.last }}{%% else %%}%s{%% endfor %%}" % (rng.randint(0, 4), b(), b()),
        lambda: "{%% set x = %s %%}%s" % (expr(rng, 1), b()),
        lambda: "{%% set x %%}%s{%% endset %%}%s" % (b(), b()),
        lambda: "{%% set ns = namespace(v=%s) %%}%s{%% set ns.v = %s %%}%s" % (expr(rng, 0), b(), expr(rng, 1), b()),
        lambda: "{%% macro m(x, y=%s) %%}%s{{ y }}{%% endmacro %%}{{ m(%s) }}" % (expr(rng, 0), b(), expr(rng, 1)),
        lambda: "{%% with x = %s %%}%s{%% endwith %%}" % (expr(rng, 1), b()),
        lambda: "{%% for i in l %%}{%% if i == %d %%}{%% %s %%}{%% endif %%}%s{%% endfor %%}" % (rng.randint(1, 3), rng.choice(["break", "continue"]), b()),
        lambda: "{%% filter upper %%}%s{%% endfilter %%}" % b(),
        lambda: "{%% generation %%}%s{%% endgeneration %%}" % b(),
    ])()

def folded(src):
    """Whether Jinja folds a slice of a constant without slices, such as (-1)[::-1], to undefined: at run time it is a TypeError."""
    env = _compile_jinja_template("").environment
    for g in env.parse(src).find_all(nodes.Getitem):
        if isinstance(g.arg, nodes.Slice):
            try:
                if not isinstance(g.node.as_const(nodes.EvalContext(env)), (str, list, tuple)):
                    return True
            except nodes.Impossible:
                pass
    return False

def render(src):
    v = {"src": src}
    try:
        template = _compile_jinja_template(src)
        if folded(src):
            return None
        v["out"] = template.render(**json.loads(json.dumps(VARS)))
    except Exception as e:
        v["err"] = type(e).__name__
        if v["err"] in ("UndefinedError", "TemplateError"):
            v["err"] += ": " + str(e)
    return v

def main():
    count, seed = (int(x) for x in (sys.argv[1:] + ["400", "1"][len(sys.argv) - 1:]))
    rng = random.Random(seed)
    hand, pending = [], ""
    for line in HAND.strip("\n").split("\n"):
        # A comment template runs over several lines; "{# unterminated" is meant to.
        pending += line
        if pending.count("{#") > pending.count("#}") and "unterminated" not in pending and '"{#"' not in pending:
            pending += "\n"
            continue
        hand.append(pending)
        pending = ""
    sources = hand + ["".join(x) + "b" for x in itertools.product(["a\n  ", " "], SPACES[:3], ["\n  x\n  "], ENDS[:3], ["\n"])]
    makers = [lambda: spacing(rng), lambda: "{{ %s }}" % expr(rng, 2), lambda: "{{ %s }}" % expr(rng, 3), lambda: stmt(rng, 2), lambda: stmt(rng, 3)]
    sources += [makers[i % len(makers)]() for i in range(count)]
    vectors = [v for v in map(render, sources) if v]
    # An address in the output (a function, a generator) is not reproducible.
    vectors = [v for v in vectors if " at 0x" not in v.get("out", "") and len(v.get("out", "")) < 3000]
    json.dump({"vars": VARS, "vectors": vectors}, sys.stdout, ensure_ascii=False, indent=0)

if __name__ == "__main__":
    main()
