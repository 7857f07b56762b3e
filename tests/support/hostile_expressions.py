"""Expressions nobody should write: a seeded generator of hostile templates, and payloads known from other engines.

Used by tests/security/expressions (a few thousand) and tests/bench/expressions.py (a million). `attack` runs one template and
returns what it did; it raises Escaped when something other than data or the declared error came out.
"""

from __future__ import annotations

import random
import re
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from flows.errors import ExpressionError
from flows.expressions import Budget, Scope, Template
from flows.expressions.ambient import make_ambient
from flows.expressions.registry import FILTERS, FUNCTIONS, TESTS, Builtin
from flows.limits import EXPRESSION_OUTPUT_BYTES_MAX

CANARY = "canary-6f1d"
"""Held by an object in the context that is no data: no template may ever show it."""

SECONDS_MAX = 5.0
"""What one rendering may take, on a machine that is busy with other things."""

GROWTH_BYTES_MAX = 300_000_000
"""What one rendering may add to the peak memory of the process."""


class Escaped(AssertionError):
    """A template did what no template may do."""


class Foreign:
    """An object that is no data of the language."""

    secret = CANARY

    def __call__(self) -> str:
        return CANARY

    def __repr__(self) -> str:
        return CANARY

    __str__ = __repr__


def variables() -> dict[str, Any]:
    """A context with every kind of value, some of them uncomfortable."""
    return {
        "a": 1,
        "b": "text 12",
        "c": [1, "x", None, [2], {"k": [3]}],
        "d": {"k": {"v": 1.5}, "values": None, "1": True, "__class__": "data", "items": [1]},
        "e": None,
        "f": -2.5,
        "g": True,
        "s": "2024-01-31T10:00:00Z",
        "t": datetime(2024, 1, 31, 10, tzinfo=UTC),
        "n": Decimal("1.50"),
        "u": "é\u0000\u202e\U0001f600'\"\\{{ a }}",
        "big": "ab c" * 20_000,
        "many": list(range(5_000)),
        "deep": _deep(150),
        "self": "{{ render(self) }}",
        "twice": "{{ render(twice) }}{{ render(twice) }}",
        "o": Foreign(),
        "outputs": {"t": {"value": "v", "x": {"value": 1}}},
        "inputs": {"name": "n"},
        "taskrun": {"value": "x", "iteration": 1},
        "parents": [{"taskrun": {"value": "x"}}],
        "envs": {"home": "/nowhere"},
        "flow": {"id": "f", "namespace": "n"},
    }


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def functions() -> dict[str, Callable[..., Any]]:
    """What a host would supply."""
    return {
        **make_ambient(lambda: datetime(2024, 1, 31, 10, tzinfo=UTC), random.Random(1)),
        "secret": lambda key: "s3cret",
        "kv": lambda key, namespace="n", errorOnMissing=True: {"k": [1, 2]},  # noqa: N803
    }


# Generating --------------------------------------------------------------------------------------------------------

DUNDERS = [
    *["__class__", "__mro__", "__base__", "__subclasses__", "__globals__", "__builtins__", "__init__", "__import__", "__dict__"],
    *["__getattribute__", "mro", "gi_frame", "f_globals", "func_globals", "im_func", "_spend", "budget", "functions", "locals"],
    *[
        "getClass",
        "class",
        "forName",
        "getRuntime",
        "exec",
        "wait",
        "notify",
        "constructor",
        "prototype",
        "append",
        "pop",
        "format",
    ],
]
TEXTS = [
    *[
        "",
        " ",
        "a",
        "%s",
        "%999999999s",
        "%2$n",
        "{0.__class__}",
        "{{ a }}",
        "{% raw %}",
        "${x}",
        "#{a}",
        "\\n",
        "../../etc/passwd",
    ],
    *[
        "2024-01-31",
        "2024-01-31T10:00:00Z",
        "yyyy-MM-dd",
        "[[[[yyyy]]]]",
        "yyyyyyyyyyyyyyyyyyy",
        "EEEE MMMM QQQQ zzzz VV",
        "iso",
        "full",
    ],
    *[
        "DAYS",
        "MILLENNIA",
        "Europe/Paris",
        "Mars/Base",
        "fr_FR",
        "xx",
        "#,##0.00;(#)",
        "0.###E0",
        "(a+)+b",
        "(((a{1,99}){1,99}){1,99})",
    ],
    *[
        "(?:a?){50}a{50}",
        "[^",
        "(?=a)",
        "\\\\Q\\\\E",
        "(a|aa)+$",
        ".*.*.*=.*",
        "\\\\p{Alpha}+",
        "é",
        "\U0001f600",
        "\ufdd0",
        "\u0000",
    ],
    *[
        "[1,2",
        '{"a":',
        "!!python/object:os.system x",
        "&a [*a]",
        "a: &x [1]\\nb: *x",
        "{{{{",
        "'''",
        "$ion_1_0",
        "{a:1}",
        "null.int",
    ],
    *[
        "UTF-8",
        "FIRST",
        "MONDAY",
        "FR",
        "single",
        "shell",
        "BIGINTEGER",
        "1e999999",
        "0x" + "f" * 200,
        "9" * 400,
        "YWJj",
        "====",
        "FAILED",
    ],
]
NUMBERS = [
    *[
        "0",
        "1",
        "2",
        "-1",
        "7",
        "64",
        "1000",
        "100000",
        "2147483647",
        "9223372036854775807",
        "1.5",
        "0.0",
        "-0.5",
        "1" + "0" * 17,
    ],
    *["3.141592653589793", "12L", "99999999999.5", "1" + "0" * 300 + ".0"],
]
JQ = [
    *[
        ".",
        ".[]",
        ".a",
        "..",
        "[..]",
        "keys",
        "length",
        "to_entries",
        "tojson",
        "fromjson?",
        "add",
        "sort",
        "unique",
        "flatten",
        "paths",
    ],
    *[
        "[range(100)]",
        "[range(1e9)]",
        "repeat(.)",
        "recurse",
        "def f: f; f",
        "until(false; .)",
        "[limit(3; repeat(1))]",
        "$ENV",
        "env",
    ],
    *[
        "input",
        "@base64",
        "@csv",
        "@sh",
        "test('(a+)+b')",
        "[splits(\\'a\\')]",
        "gsub(\\'a\\'; \\'b\\')",
        ".[0]?",
        "try error catch .",
        "1/0",
    ],
    *[
        "reduce range(50) as $i ([]; [., .]) | tojson",
        "[.,.]|transpose",
        "walk(.)",
        "del(..)",
        "tostream",
        "{a: ., b: .}",
        ". as [$x] | $x",
    ],
    *[
        "path(..)",
        "map_values(.)",
        "label $f | break $f",
        "import \\'a\\' as a; .",
        "(((((",
        "strftime(\\'%Y\\')",
        "[.[]?|tostring]|join(\\'-\\')",
    ],
]
OPERATORS = [
    *["+", "-", "*", "/", "%", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "??", "???"],
    *["contains", "equals", "isIn", ".."],
]
METHODS = [
    *["size", "length", "keySet", "values", "get", "contains", "containsKey", "isEmpty", "toUpperCase", "toLowerCase", "split"],
    *["replace", "startsWith", "endsWith", "substring", "indexOf", "trim", "equals", "getClass", "format", "__class__", "append"],
]


class Generator:
    """Templates from a seed, a different one each call."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._filters, self._functions = (
            sorted(FILTERS),
            sorted([*FUNCTIONS, "now", "uuid", "nanoId", "randomInt", "secret", "kv"]),
        )
        self._tests = [*sorted(TESTS), "defined", "not defined", "not empty"]
        self._roots = [*variables(), "missing", "loop", "x", "m", "caller", "self", "cycler", "request", "config"]

    def template(self) -> str:
        """The next template."""
        chance = self._random.random()
        one = self._expression
        if chance < 0.72:
            return "{{ " + one(3) + " }}"
        if chance < 0.78:
            return f"{self._text()[1:-1]}{{{{ {one(2)} }}}}{{{{ {one(2)} }}}}"
        if chance < 0.83:
            return f"{{% for x in {one(2)} %}}{{{{ loop.index }}}}{{{{ {one(2)} }}}}{{% else %}}-{{% endfor %}}"
        if chance < 0.87:
            return f"{{% if {one(2)} %}}{{% set a = {one(2)} %}}{{% elseif {one(1)} %}}{{{{ a }}}}{{% endif %}}{{{{ a }}}}"
        if chance < 0.90:
            return f"{{% macro m(p={one(1)}) %}}{{{{ p }}}}{{{{ {one(1)} }}}}{{% endmacro %}}{{{{ m({one(1)}) | upper }}}}"
        if chance < 0.92:
            return f'{{% block "n" %}}{one(1)}{{{{ {one(2)} }}}}{{% endblock %}}{{{{ block("n") }}}}'
        if chance < 0.94:
            return f"{{% filter {self._filter()} %}}{{{{ {one(2)} }}}}{{% endfilter %}}"
        if chance < 0.97:
            return self._noise()
        if chance < 0.999:
            return self._bomb()
        return self._great_bomb()

    def _pick(self, choices: list[str]) -> str:
        return self._random.choice(choices)

    def _text(self) -> str:
        return "'" + self._pick(TEXTS).replace("'", "\\'") + "'"

    def _scalar(self) -> str:
        chance = self._random.random()
        if chance < 0.35:
            return self._pick(self._roots)
        if chance < 0.55:
            return self._text()
        if chance < 0.75:
            return self._pick(NUMBERS)
        if chance < 0.85:
            return self._pick(
                ["true", "null", "[]", "{}", "''", "c[0]", "d.k.v", "outputs.t.x", "c[4].k", "many", "big", "deep", "o"]
            )
        return f"{self._pick(self._roots)}.{self._pick(DUNDERS)}"

    def _expression(self, depth: int) -> str:
        if depth <= 0 or self._random.random() < 0.2:
            return self._scalar()
        inner = self._expression
        kind = self._random.randrange(16)
        if kind < 3:
            return f"({inner(depth - 1)} | {self._filter()})"
        if kind < 6:
            return f"({inner(depth - 1)} {self._pick(OPERATORS)} {inner(depth - 1)})"
        if kind < 8:
            name = self._pick(self._functions)
            return f"{name}({self._fitting(FUNCTIONS.get(name), depth)})"
        if kind == 8:
            return f"({inner(depth - 1)}).{self._pick(METHODS)}({self._arguments(depth)})"
        if kind == 9:
            return f"({inner(depth - 1)})[{inner(depth - 1)}]"
        if kind == 10:
            return f"({inner(depth - 1)} ? {inner(depth - 1)} : {inner(depth - 1)})"
        if kind == 11:
            return f"[{inner(depth - 1)}, {inner(depth - 1)}]"
        if kind == 12:
            return f"{{{inner(depth - 1)}: {inner(depth - 1)}}}"
        if kind == 13:
            return f"({inner(depth - 1)} is {self._pick(self._tests)})"
        if kind == 14:
            return f"({inner(depth - 1)} | jq('{self._pick(JQ)}'))"
        return self._pick(["-", "not ", "+"]) + inner(depth - 1)

    def _filter(self) -> str:
        name = self._pick(self._filters)
        return f"{name}({self._fitting(FILTERS[name], 2)})"

    def _fitting(self, builtin: Builtin | None, depth: int) -> str:
        """Arguments, mostly as many as are wanted."""
        if builtin is None or builtin.variadic or self._random.random() < 0.1:
            return self._arguments(depth)
        count = self._random.randint(builtin.required, len(builtin.parameters))
        return ", ".join(self._expression(depth - 2) for _ in range(count))

    def _arguments(self, depth: int) -> str:
        count = self._random.randrange(4)
        return ", ".join(self._expression(depth - 2) for _ in range(count))

    def _noise(self) -> str:
        words = [
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "if",
            "for",
            "in",
            "set",
            "endif",
            "endfor",
            "raw",
            "endraw",
            "??",
            "..",
            "is",
        ]
        words += [
            *"()[]{}|.,:?~+-*/%<>=!\"'\\#\n\r\t a1",
            "\x00",
            "\ufdd0",
            "\ufdd1",
            "\U0001f600",
            "-%}",
            "{{-",
            "#{",
            "verbatim",
        ]
        return "{{" + "".join(self._random.choices(words, k=self._random.randrange(25)))

    def _bomb(self) -> str:
        """Nesting and repetition, refused quickly or cheap."""
        size = self._random.choice([10, 50, 90, 110, 300])
        return self._pick(
            [
                "{{ " + "(" * size + "1" + ")" * size + " }}",
                "{{ " + "[" * size + "1" + "]" * size + " }}",
                "{{ " + "-" * size + "1 }}",
                "{{ 'x'" + " | upper" * size + " }}",
                "{{ " + "true ? 1 : " * size + "1 }}",
                "{{ a" + ".b" * size + " ?? 1 }}",
                "{{ a" + " ~ a" * size + " }}",
                '{{ "' + "#{" * size + "1" + "}" * size + '" }}',
                "{% if 1 %}" * (size // 2) + "{% endif %}" * (size // 2),
                f"{{{{ '{'a' * size}' | regexMatch('{'(a+)+' * (size // 10)}b') }}}}",
                f"{{{{ '{'a?' * (size // 3)}' | split('{'a?' * (size // 3) + 'a' * (size // 3)}') }}}}",
                f"{{{{ s | date('{'[' * size}yyyy') }}}}",
                f"{{{{ 1 | numberFormat('{'#' * size}.{'0' * size}') }}}}",
                f"{{{{ c | jq('{'[' * size}.{']' * size}') }}}}",
                f"{{{{ fromJson('{'[' * size}{']' * size}') }}}}",
                f"{{{{ fromIon('{'[' * size}{']' * size}') }}}}",
                f"{{{{ yaml('{'[' * size}{']' * size}') }}}}",
            ]
        )

    def _great_bomb(self) -> str:
        """What would take all memory or time without a budget."""
        return self._pick(
            [
                "{% set v = 'aaaa' %}{% for i in 1..60 %}{% set v = v ~ v %}{% endfor %}{{ v | length }}",
                "{% set v = [1] %}{% for i in 1..60 %}{% set v = [v, v] %}{% endfor %}{{ v | toJson | length }}",
                "{% set v = [1] %}{% for i in 1..60 %}{% set v = [v, v] %}{% endfor %}{{ v == [v] }}{{ v | toIon | length }}",
                "{% for i in range(1, 1000000000) %}{% endfor %}",
                "{% for i in 1..1000 %}{% for j in 1..1000 %}{{ i * j }}{% endfor %}{% endfor %}",
                "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
                "{{ render(self) }}",
                "{{ render(twice) }}",
                "{{ 'a' | indent(1000000000, 'x') }}{{ '%999999999s' | format(1) }}",
                "{{ many | jq('[.[] as $a | .[] as $b | $a * $b]') }}",
                "{{ 1 | jq('[range(1e9)]') }}",
                "{{ 1 | jq('def f: 1 + f; f') }}",
                "{{ 1 | jq('reduce range(60) as $i ([]; [., .]) | flatten') }}",
                "{{ big | replace({'a': big}) | length }}",
                "{{ big | regexReplace('(a|b|ab)+', '$0$0$0$0') | length }}",
                "{{ many | join(big) | length }}",
                "{{ (big ~ '!') | regexMatch('((((a|b| |c){1,9}){1,9}){1,9})+!b') }}",
                "{{ big | split('') | sort | join(big) }}",
                "{% set v = [1] %}{% for i in 1..60 %}{% set v = [v, v] %}{% endfor %}{{ a[v] }}",
                "{% set v = [1] %}{% for i in 1..60 %}{% set v = [v, v] %}{% endfor %}{{ b.substring(v) }}{{ '1' | number(v) }}",
                "{% set v = [1] %}{% for i in 1..60 %}{% set v = {'a': v, 'b': v} %}{% endfor %}{{ v isIn [v] }}",
                "{{ many | chunk(1) | flatten | distinct | yaml | yaml | length }}",
            ]
        )


# Judging -----------------------------------------------------------------------------------------------------------

_TRACES = re.compile(r"<class '|<function |<module |<bound method|<built-in| object at 0x|Traceback \(most recent")
_DATA = (str, int, float, bool, type(None), Decimal, date, datetime)


@dataclass(slots=True)
class Outcome:
    """What one attack cost: seconds, bytes by which it raised the peak memory, and the code of its error, if any."""

    seconds: float
    growth: int
    code: str | None


def attack(source: str, context: dict[str, Any], host: Mapping[str, Callable[..., Any]]) -> Outcome:
    """Compiles the template, renders it as text and as value. Raises Escaped when the result is no data or costs too much."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    code: str | None = None
    results: list[Any] = []
    try:
        template = Template(source)
        for how in (template.render, template.evaluate):
            budget = Budget()
            results.append(how(Scope(context, host, budget)))
            if budget.steps < 0 or budget.bytes < 0:
                raise Escaped(f"budget overdrawn without an error: {source!r}")
    except ExpressionError as error:
        code = error.code
        results.append(str(error))
        if not code.startswith("expression."):
            raise Escaped(f"undeclared code {code}: {source!r}") from error
    except Escaped:
        raise
    except BaseException as error:
        raise Escaped(f"{type(error).__name__} came out: {source!r}") from error
    seconds = time.perf_counter() - start
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    for result in results:
        _judge(result, source)
    if seconds > SECONDS_MAX or growth > GROWTH_BYTES_MAX:
        raise Escaped(f"{seconds:.1f} s and {growth} bytes: {source!r}")
    return Outcome(seconds, growth, code)


def _judge(result: Any, source: str) -> None:
    if isinstance(result, str):
        if len(result) > EXPRESSION_OUTPUT_BYTES_MAX:
            raise Escaped(f"{len(result)} characters came out: {source!r}")
        if len(result) < 100_000 and (CANARY in result or (_TRACES.search(result) and not _TRACES.search(source))):
            raise Escaped(f"something that is no data was shown: {result[:200]!r} from {source!r}")
        return
    pending, seen = [result], 0
    while pending and seen < 10_000:
        value = pending.pop()
        seen += 1
        if isinstance(value, dict):
            pending.extend(value.keys())
            pending.extend(value.values())
        elif isinstance(value, (list, tuple)):
            pending.extend(value)
        elif not isinstance(value, _DATA) and not isinstance(value, Foreign):
            raise Escaped(f"a {type(value).__name__} came out: {source!r}")


# Known payloads ----------------------------------------------------------------------------------------------------

ESCAPES = [
    # Python: Jinja2, Mako, Tornado
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'][1]['__subclasses__']() }}",
    "{{ [].__class__.__base__.__subclasses__()[59].__init__.__globals__.linecache.os.popen('id').read() }}",
    "{{ self.__init__.__globals__.__builtins__.__import__('os').popen('id').read() }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
    "{{ namespace.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ lipsum|attr('__globals__') }}",
    "{{ request|attr('application')|attr('\\x5f\\x5fglobals\\x5f\\x5f') }}",
    "{{ ()|attr('__class__')|attr('__base__')|attr('__subclasses__')() }}",
    "{{ (dict|attr('mro'))() }}",
    "{{ config.items() }}",
    "{{ config.__class__.from_envvar.__globals__.import_string('os').popen('id').read() }}",
    "{{ url_for.__globals__.current_app.config }}",
    "{{ get_flashed_messages.__globals__.__builtins__.open('/etc/passwd').read() }}",
    "{% for c in [].__class__.__base__.__subclasses__() %}{{ c.__name__ }}{% endfor %}",
    "{% if ''.__class__ %}x{% endif %}",
    "{% set x = ''.__class__ %}{{ x }}",
    "{% import 'os' as os %}{{ os.popen('id').read() }}",
    "{% from 'os' import popen %}{{ popen('id') }}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{% do x.append(1) %}",
    "{% call foo() %}{% endcall %}",
    "{% with a = ''.__class__ %}{{ a }}{% endwith %}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '%s' | format(o) }}",
    "{{ '{0.__class__}' | format(a) }}",
    "{{ ''|format_map({}) }}",
    "{{ g.real.__class__ }}",
    "{{ (1).__add__(2) }}",
    "{{ c.__len__() }}",
    "{{ c.append(5) }}",
    "{{ c.__class__ }}",
    "{{ d.items() }}",
    "{{ d.pop('k') }}",
    "{{ d.update({'z': 1}) }}",
    "{{ loop.__class__ }}",
    "{% for x in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% macro m() %}{{ caller }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m() }}",
    "{% macro m() %}x{% endmacro %}{{ m.__globals__ }}{{ m.arguments }}",
    "{{ t.__class__.__init__.__globals__ }}",
    "{{ t.tzinfo.utcoffset }}",
    "{{ n.__reduce_ex__(2) }}",
    "{{ o }}",
    "{{ o.secret }}",
    "{{ o['secret'] }}",
    "{{ o() }}",
    "{{ o ~ '' }}{{ [o] }}{{ {'k': o} }}",
    "{{ o | string }}",
    "{{ o | toJson }}{{ o | toIon }}{{ o | yaml }}",
    "{{ o | jq('.') }}",
    "{{ [o] | join(',') }}",
    "{{ [o, o] | sort }}",
    "{{ [o] | distinct }}",
    "{{ o == o }}{{ o | className }}",
    "{{ o | upper }}{{ o | default('x') }}",
    "{{ o.equals(o) }}",
    "{{ printContext() }}",
    "{{ fetchContext().o.secret }}",
    "{{ printContext() | toJson }}",
    "{{ render(o) }}",
    "{{ render('{{ o.secret }}') }}",
    "{{ now.__globals__ }}",
    "{{ secret.__code__ }}",
    "{{ secret }}",
    "{{ kv.__closure__ }}",
    "{{ fromJson.__globals__ }}",
    "{{ range.__class__ }}",
    "{{ self }}{{ context }}{{ frame }}{{ budget }}{{ template }}{{ environment }}",
    "{{ __import__('os').system('id') }}",
    "{{ eval('1') }}{{ exec('1') }}{{ open('/etc/passwd') }}{{ globals() }}{{ getattr(a, 'real') }}",
    "{{ d['__class__'].__class__ }}",
    "{{ yaml('!!python/object/apply:os.system [id]') }}",
    "{{ yaml('!!python/name:os.system') }}",
    "{{ yaml('<<: *x') }}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "{{ 7*'7' }}",
    # Java: Pebble, Velocity, FreeMarker, SpEL
    "{{ beans }}",
    "{{ ''.getClass().forName('java.lang.Runtime').getMethod('getRuntime').invoke(null).exec('id') }}",
    "{{ ''.class.forName('java.lang.Runtime') }}",
    "{{ (1).TYPE.forName('java.lang.Runtime').methods[6].invoke(null, null).exec('id') }}",
    "{% set cmd = 'id' %}{{ (1).TYPE.forName('java.lang.Runtime').methods[6].invoke(null,null).exec(cmd) }}",
    "{{ variable.getClass().forName('java.lang.Runtime').getRuntime().exec('ls') }}",
    "{{ ''.GETCLASS() }}{{ ''.getclass() }}",
    "{{ ''.wait(1000000) }}{{ ''.notify() }}{{ ''.hashCode() }}{{ ''.getBytes() }}",
    "{{ c.stream().map() }}{{ c.iterator() }}{{ c.toArray() }}",
    "{{ T(java.lang.Runtime).getRuntime().exec('id') }}",
    "<#assign ex='freemarker.template.utility.Execute'?new()>${ex('id')}",
    "#set($x='')#set($rt=$x.class.forName('java.lang.Runtime'))",
    "*{T(java.lang.Runtime).getRuntime().exec('id')}",
    # JavaScript and others
    "{{ constructor.constructor('return process')().exit() }}",
    "{{ ''.constructor.prototype }}",
    "{{ toString.constructor }}",
    "{{#with 'constructor' as |c|}}{{/with}}",
    "{php}echo `id`;{/php}",
    "{{ _self.env.registerUndefinedFilterCallback('exec') }}{{ _self.env.getFilter('id') }}",
    "{{ ['id'] | map('system') }}{{ ['id', ''] | sort('passthru') }}{{ ['id'] | filter('system') }}",
    "{{ app.request.files }}{{ dump() }}{{ include('/etc/passwd') }}{{ source('/etc/passwd') }}",
    # jq
    "{{ 1 | jq('$ENV.PATH') }}{{ 1 | jq('env.HOME') }}",
    "{{ 1 | jq('$ENV') }}",
    "{{ 1 | jq('input') }}{{ 1 | jq('inputs') }}",
    "{{ 1 | jq('import \\'./a\\' as a; a') }}{{ 1 | jq('include \\'/etc/passwd\\'; .') }}",
    "{{ 1 | jq('input_filename, $__loc__, $__prog_args, get_search_list, halt_error') }}",
    "{{ 1 | jq('now') }}{{ 1 | jq('debug, stderr') }}",
    "{{ 'x' | jq('\"\\\\(.)\"') }}",
    "{{ 1 | jq('.__class__') }}{{ d | jq('.__class__.__mro__') }}",
    # The engine's own seams
    "{{ '{{' ~ ' o.secret }}' }}",
    "{{ render('{{' ~ ' o.secret }}') }}",
    "{{ render(u) }}",
    "{% raw %}{{ o }}{% endraw %}{{ render('{% raw %}{{ o }}{% endraw %}') }}",
    "\ufdd0{ o }}{{ render('\ufdd0{ o }}') }}",
    "{{ '\ufdd0\ufdd0 o }}' | trim }}",
    '{{ "#{"#{o}"}" }}',
    "{# {{ o }} #}{{- o -}}",
    "{{ s | date('\\'') }}{{ s | date('{0}') }}{{ s | date(timeZone='../../../etc/passwd') }}",
    "{{ s | date(timeZone='/etc/passwd') }}{{ s | date(locale='../../x') }}",
    "{{ fromIon('$ion_symbol_table::{symbols:[\"a\"]} $10') }}",
    "{{ fileURI('../../etc/passwd') }}{{ read('/etc/passwd') }}{{ http('http://169.254.169.254/') }}",
    "{{ env('PATH') }}{{ envs.home }}{{ env('__class__') }}",
]
"""Payloads published against template engines, and our own against ours. None shows anything but data or the declared error."""
