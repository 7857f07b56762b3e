"""Each row of the tables of the expression reference, §1 to §7, with what it promises."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest

from flows.errors import ExpressionError
from flows.expressions import Scope, compile_template, evaluate_value, render_value
from flows.expressions.ambient import make_ambient
from flows.expressions.outside import AMBIENT, HOST, OUTSIDE
from flows.expressions.registry import FILTERS, FUNCTIONS, TESTS

NOW = datetime(2024, 1, 31, 10, 5, 9, 123_456, tzinfo=UTC)
CONTEXT: dict[str, Any] = {
    "text": "abc",
    "nothing": None,
    "list": [3, 1, 2],
    "map": {"a": 1, "b": None},
    "nested": {"l": ["it's", 1]},
    "zoned": datetime(2013, 9, 8, 16, 19, tzinfo=timezone(timedelta(hours=2))),
    "instant": datetime(2024, 1, 31, 10, tzinfo=UTC),
    "day": date(2024, 1, 31),
    "at": "2024-01-31T10:05:09.123456Z",
    "outputs": {"t": {"x": {"value": 1}, "y": {"value": 2}}, "loop": {"outputs": [{"outputs": {"n": 5}}, {"outputs": {}}]}},
    "task": {"id": "t"},
    "taskrun": {"value": "y", "iteration": 1},
    "tasks": {"t": {"x": {"state": "FAILED"}}, "u": {"state": "SUCCESS"}},
    "envs": {"home": "/h", "blank": ""},
    "lines": "a\nb",
    "float": 1.123,
}


def scope(**functions: Any) -> Scope:
    return Scope(CONTEXT, {**make_ambient(lambda: NOW, Random(3)), **functions})


def render(template: str) -> str:
    return compile_template(template).render(scope())


PRINTING = [
    ("string", "{{ text }}", "abc"),
    ("null", "{{ nothing }}", ""),
    ("boolean", "{{ true }}{{ false }}", "truefalse"),
    ("integer", "{{ 12 }}", "12"),
    ("double", "{{ 1.123 }} {{ 1.0 }} {{ 10000000000.0 }} {{ 0.0001 }}", "1.123 1.0 1.0E10 1.0E-4"),
    ("map and list", "{{ map }}{{ ['x', 1, null] }}", '{"a":1}["x",1,null]'),
    ("instant", "{{ instant }}", "2024-01-31T10:00:00Z"),
    ("zoned date-time", "{{ zoned }}", "2013-09-08T16:19+02:00"),
]

SYNTAX = [
    ("print", "{{ text }}", "abc"),
    ("tag", "{% if true %}x{% endif %}", "x"),
    ("comment", "a{# b\n c #}d", "ad"),
    ("trim", "a {{- 1 -}} b {%- if true -%} c {%- endif -%} d", "a1bcd"),
    ("minus without a blank", "{{-1}}", "-1"),
    ("raw", "{% raw %}{{ x }}{% endraw %}{%- raw -%} {{ y }} {%- endraw -%}", "{{ x }}{{ y }}"),
    ("verbatim", "{% verbatim %}{{ x }}\n{% y %}{% endverbatim %}", "{{ x }}\n{% y %}"),
    ("names", "{% set _é1 = 5 %}{{ _é1 }}", "5"),
    ("attribute", "{{ map.a }}{{ map['a'] }}{{ map['' ~ 'a'] }}{{ list[0] }}", "1113"),
    ("call", "{{ range(1, 5, increment=2) }}", "[1,3,5]"),
    ("string", "{{ 'a\nb' }}{{ \"it's\" }}{{ 'it\\'s' }}{{ 'a\\tb\\\\' }}", "a\nbit'sit'sa\\tb\\\\"),
    ("interpolation", "{{ \"a #{list[0] + 1} b\" }}{{ '#{x}' }}", "a 4 b#{x}"),
    ("numbers", "{{ 12 }} {{ 12L }} {{ 1.5 }}", "12 12 1.5"),
    ("list", "{{ [1, 'a'] }}{{ ([1, 2])[1] }}", '[1,"a"]2'),
    ("map", "{{ {'a': 1, text: 2} }}", '{"a":1,"abc":2}'),
    ("constants", "{{ true }}{{ TRUE }}{{ false }}{{ FALSE }}{{ null }}{{ NULL }}{{ none }}{{ NONE }}", "truetruefalsefalse"),
    ("ternary", "{{ false ? 1 : false ? 2 : 3 }}", "3"),
]

PRECEDENCE = [
    ("500 unary", "{{ not false == false }} {{ -1 | abs }} {{ +2 }}", "false 1 2"),
    ("120 ?? ??? ..", "{{ missing ?? text | upper }} {{ missing ??? 1 + 1 }} {{ 1..2 | length }}", "ABC 2 2"),
    ("110 ~", "{{ 'a' ~ 'b' | upper }}{{ nothing ~ 'x' }}", "ABx"),
    ("100 |", "{{ 2 * -3 | abs }}", "6"),
    ("60 * / %", "{{ 2 + 3 * 4 % 5 }}", "4"),
    ("40 + -", "{{ 1 + 2 == 3 }} {{ 10 - 2 - 3 }}", "true 5"),
    ("30 comparison", "{{ 1 == 2 is empty }} {{ 1 equals 1 and 1 < 2 }}", "false true"),
    ("20 is contains isIn", "{{ true and list contains 1 }} {{ 1 isIn [1] and true }}", "true true"),
    ("15 and", "{{ true or true and false }}", "true"),
    ("10 or", "{{ false or true ? 1 : 2 }}", "1"),
    ("0 ternary", "{{ true ? 1 : 2 + 5 }}", "1"),
]

OPERATORS = [
    ("+", "{{ 'a' + 1 }}{{ nothing + 'a' }}{{ [1] + 2 }}{{ [1] + [2, 3] }}{{ 1 + 2.5 }}", "a1nulla[1,2][1,2,3]3.5"),
    ("-", "{{ [1, 2, 1] - 1 }}{{ '5' - 2 }}", "[2]3"),
    ("* / %", "{{ 7 / 2 }} {{ -7 / 2 }} {{ -7 % 3 }} {{ 7 / 2.0 }} {{ '5' * 2 }}", "3 -3 -1 3.5 10"),
    ("== !=", "{{ 1 == 1.0 }}{{ 1 == '1' }}{{ true == 1 }}{{ null == null }}{{ 1 != 2 }}", "truefalsefalsetruetrue"),
    ("< >", "{{ 1 < 2 }}{{ null < 1 }}{{ 1 >= 1 }}{{ 'a' < 'b' }}{{ instant > zoned }}", "truefalsetruetruetrue"),
    ("and or", "{{ 1 and 'x' }}{{ 0 or '' }}{{ false and missing }}{{ true or missing }}", "truefalsefalsetrue"),
    ("not", "{{ not 0 }}{{ not 'x' }}{{ not false }}", "truefalsetrue"),
    ("truth", "{% if 'false' %}a{% endif %}{% if 0 %}b{% endif %}{{ nothing ? 1 : 2 }}{{ 2 ? 1 : 0 }}", "a21"),
    (
        "contains",
        "{{ list contains [1, 2] }}{{ map contains 'a' }}{{ text contains 'b' }}{{ nothing contains 1 }}",
        "truetruetruefalse",
    ),
    ("isIn", "{{ '1' isIn [1] }}{{ 1 isIn map }}{{ 'a' isIn map }}{{ nothing isIn [1] }}", "truetruetruefalse"),
    ("..", "{{ 1..3 }}{{ 'a'..'c' }}", '[1,2,3]["a","b","c"]'),
    ("??", "{{ missing.x.y ?? 'd' }}{{ nothing ?? 'd' }}", "dd"),
    ("???", "{{ missing ??? 'd' }}{{ nothing ??? 'd' }}", "d"),
]

METHODS = [
    ("size length", "{{ list.size() }}{{ text.length() }}", "33"),
    ("keySet values get", "{{ map.keySet() }}{{ {'a': 1}.values() }}{{ map.get('a') }}{{ map.get('z') }}", '["a","b"][1]1'),
    ("contains containsKey", "{{ list.contains(1) }}{{ text.contains('b') }}{{ map.containsKey('b') }}", "truetruetrue"),
    ("isEmpty", "{{ list.isEmpty() }}{{ ''.isEmpty() }}", "falsetrue"),
    ("toUpperCase toLowerCase", "{{ text.toUpperCase() }}{{ 'A'.TOLOWERCASE() }}", "ABCa"),
    ("split replace", "{{ text.split('b') }}{{ text.replace('b', 'x') }}", '["a","c"]axc'),
    ("startsWith endsWith", "{{ text.startsWith('a') }}{{ text.endsWith('a') }}", "truefalse"),
    ("substring indexOf", "{{ text.substring(1, 2) }}{{ text.substring(1) }}{{ text.indexOf('c') }}", "bbc2"),
    ("trim equals", "{{ ' a '.trim() }}{{ text.equals('abc') }}", "atrue"),
]

TAGS = [
    ("if", "{% if false %}a{% elseif true %}b{% else %}c{% endif %}", "b"),
    ("for", "{% for x in list %}{{ x }}{% else %}none{% endfor %}{% for x in [] %}{% else %}none{% endfor %}", "312none"),
    (
        "for over a map",
        "{% for e in map %}{{ e.key }}={{ e.value }};{% endfor %}{% for x in nothing %}x{% else %}y{% endfor %}",
        "a=1;b=;",
    ),
    (
        "loop",
        "{% for x in list %}{{ loop.index }}{{ loop.revindex }}{{ loop.length }}{{ loop.first }}{{ loop.last }} {% endfor %}",
        "023truefalse 113falsefalse 203falsetrue ",
    ),
    ("set", "{% set s = 0 %}{% for x in list %}{% set s = s + x %}{% endfor %}{{ s }}", "6"),
    ("macro", "{% macro m(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ m('1') }}{{ m(b='2', a='3') }}", "1x32"),
    ("filter", "{% filter upper | trim %} a {% endfilter %}", "A"),
    ("block", '{% block "n" %}B{% endblock %}{{ block("n") }}{{ parent() }}', "BB"),
]

TEXT_FILTERS = [
    ("abbreviate", "{{ 'abcdefg' | abbreviate(7) }}{{ 'abc' | abbreviate(2) }}{{ 'abcd' | abbreviate(2) }}", "abcd...abcab"),
    ("base64encode base64decode", "{{ 'é' | base64encode }}{{ 'w6k=' | base64decode }}", "w6k=é"),
    ("capitalize", "{{ ' aBC d' | capitalize }}", " ABC d"),
    ("title", "{{ 'aB cD' | title }}", "AB CD"),
    ("lower upper trim", "{{ 'A' | lower }}{{ 1.5 | upper }}{{ ' x ' | trim }}", "a1.5x"),
    (
        "default",
        "{{ missing | default(1) }}{{ ' ' | default(2) }}{{ [] | default(3) }}{{ {} | default(4) }}{{ 0 | default(5) }}",
        "12340",
    ),
    ("format", "{{ 'a %s %d' | format('x', 5) }}", "a x 5"),
    (
        "escapeChar",
        "{{ \"it's\" | escapeChar('single') }}{{ \"it's\" | escapeChar('shell') }}{{ nested.l | escapeChar(type='double') }}",
        None,
    ),
    ("indent", "{{ lines | indent(2, '-') }}", "a\n--b"),
    ("nindent", "{{ lines | nindent(2) }}{{ '' | nindent(2) }}", "\n  a\n  b"),
    ("nl2br", "{{ lines | nl2br }}", "a<br />b"),
    ("replace", "{{ 'a.b' | replace({'.': '-'}) }}{{ ['a1'] | replace({'([a-z])(\\d)': '$2$1'}, regexp=true) }}", 'a-b["1a"]'),
    ("slugify", "{{ 'Élan  Vital!' | slugify }}", "elan-vital"),
    (
        "split",
        "{{ 'a,b,,' | split(',') }}{{ 'a1b' | split('\\d') }}{{ 'a,b,c' | split(',', limit=2) }}",
        '["a","b"]["a","b"]["a","b,c"]',
    ),
    ("startsWith endsWith", "{{ text | startsWith('a') }}{{ text | endsWith(value='x') }}", "truefalse"),
    (
        "substringBefore",
        "{{ 'a.b.c' | substringBefore('.') }}{{ 'a.b.c' | substringBeforeLast('.') }}{{ text | substringBefore('.') }}",
        "aa.babc",
    ),
    (
        "substringAfter",
        "{{ 'a.b.c' | substringAfter('.') }}{{ 'a.b.c' | substringAfterLast('.') }}{{ text | substringAfter('.') }}",
        "b.cc",
    ),
    ("urlencode urldecode", "{{ 'a b&c' | urlencode }}{{ 'a+b%26c' | urldecode }}", "a+b%26ca b&c"),
    ("string", "{{ [1] | string }}", "[1]"),
    (
        "regexMatch",
        "{{ text | regexMatch('b') }}{{ text | regexMatch(regex='^b') }}{{ nothing | regexMatch('b') }}",
        "truefalsefalse",
    ),
    ("regexReplace", "{{ text | regexReplace('(b)', '<$1>') }}", "a<b>c"),
    (
        "regexExtract",
        "{{ 'v12' | regexExtract('\\d+') }}{{ 'v12' | regexExtract('v(\\d)', group=1) }}{{ text | regexExtract('x') }}",
        "121",
    ),
]

NUMBER_FILTERS = [
    ("abs", "{{ -5 | abs }}{{ -1.5 | abs }}", "51.5"),
    ("number", "{{ '12' | number }}{{ '1.5' | number }}{{ '0x10' | number('INT') }}{{ '3' | number('DOUBLE') }}", "121.5163.0"),
    ("numberFormat", "{{ 1.236 | numberFormat('#.##') }} {{ 1234.5 | numberFormat }}", "1.24 1,234.5"),
]

COLLECTION_FILTERS = [
    ("first last", "{{ list | first }}{{ text | last }}{{ [] | first }}", "3c"),
    ("length", "{{ list | length }}{{ map | length }}{{ text | length }}{{ nothing | length }}{{ 5 | length }}", "32300"),
    ("join", "{{ [1, null] | join('-') }}", "1-null"),
    ("sort rsort reverse", "{{ list | sort }}{{ list | rsort }}{{ list | reverse }}{{ list }}", "[1,2,3][3,2,1][2,1,3][3,1,2]"),
    ("slice", "{{ list | slice(1) }}{{ text | slice(fromIndex=0, toIndex=2) }}", "[1,2]ab"),
    (
        "merge",
        "{{ [1] | merge([2]) }}{{ {'a': 1} | merge({'a': 2}) }}{{ {'a': 1} | merge(['b']) }}",
        '[1,2]{"a":2}{"a":1,"b":"b"}',
    ),
    ("chunk", "{{ list | chunk(2) }}", "[[3,1],[2]]"),
    ("flatten", "{{ [[1, [2]], 3] | flatten }}", "[1,[2],3]"),
    ("keys values", "{{ map | keys }}{{ ['x'] | keys }}{{ {'a': 1} | values }}", '["a","b"][0][1]'),
    ("distinct", "{{ [2, 1, 2] | distinct }}", "[2,1]"),
    ("jq", "{{ map | jq('.a') }}{{ '[1]' | jq('.[0]') | first }}", "[1]1"),
    ("className", "{{ text | className }} {{ 1.5 | className }}", "java.lang.String java.lang.Double"),
]

CONVERSION_FILTERS = [
    ("toJson json", "{{ nested | toJson }}{{ nothing | json }}", '{"l":["it\'s",1]}null'),
    ("toIon", "{{ 1.123 | toIon }}{{ nothing | toIon }}", "1.123e0null"),
    ("yaml", "{{ 'string' | yaml }}{{ {'a': [1]} | yaml }}{{ nothing | yaml }}", "string\na:\n - 1\nnull\n"),
    ("md5", "{{ 'a' | md5 }}", "0cc175b9c0f1b6a831c399e269772661"),
    ("sha1", "{{ 'a' | sha1 }}", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("sha256", "{{ 'a' | sha256 | slice(0, 8) }}", "ca978112"),
    ("sha512", "{{ 'a' | sha512 | slice(0, 8) }}", "1f40fc92"),
]

DATE_FILTERS = [
    (
        "accepted input",
        "{{ zoned | date('HH') }}{{ day | date('HH') }}{{ 0 | date('yyyy') }}{{ '2024-01-31' | date('HH') }}",
        "1412197000",
    ),
    ("local date-time", "{{ '2024-01-31T10:00' | date('iso_sec', timeZone='Europe/Paris') }}", "2024-01-31T10:00:00+01:00"),
    ("existingFormat", "{{ 'July 24, 2001' | date('yyyy-MM-dd', existingFormat='MMMM dd, yyyy') }}", "2001-07-24"),
    ("date", "{{ at | date }}", "2024-01-31T10:05:09.123456Z"),
    ("dateAdd", "{{ day | dateAdd(amount=1, unit='MONTHS', format='iso_local_date') }}", "2024-02-29"),
    ("timestamp", "{{ at | timestamp }}", "1706695509"),
    ("timestampMilli", "{{ at | timestampMilli }}", "1706695509123"),
    (
        "timestampMicro timestampNano",
        "{{ at | timestampMicro }} {{ at | timestampNano }}",
        "1706695509123456 1706695509123456000",
    ),
    *[
        (f"unit {unit}", "{{ day | dateAdd(1, '" + unit + "', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\") }}", expected)
        for unit, expected in {
            "NANOS": "2024-01-31T12:00:00.000000",
            "MICROS": "2024-01-31T12:00:00.000001",
            "MILLIS": "2024-01-31T12:00:00.001000",
            "SECONDS": "2024-01-31T12:00:01.000000",
            "MINUTES": "2024-01-31T12:01:00.000000",
            "HOURS": "2024-01-31T13:00:00.000000",
            "HALF_DAYS": "2024-02-01T00:00:00.000000",
            "DAYS": "2024-02-01T12:00:00.000000",
            "WEEKS": "2024-02-07T12:00:00.000000",
            "MONTHS": "2024-02-29T12:00:00.000000",
            "YEARS": "2025-01-31T12:00:00.000000",
            "DECADES": "2034-01-31T12:00:00.000000",
            "CENTURIES": "2124-01-31T12:00:00.000000",
            "MILLENNIA": "3024-01-31T12:00:00.000000",
        }.items()
    ],
    *[
        (f"format {name}", "{{ at | date('" + name + "', timeZone='Europe/Paris') }}", expected)
        for name, expected in {
            "iso": "2024-01-31T11:05:09.123456+01:00",
            "iso_sec": "2024-01-31T11:05:09+01:00",
            "sql": "2024-01-31 11:05:09.123456",
            "sql_seq": "2024-01-31 11:05:09",
            "iso_date_time": "2024-01-31T11:05:09.123456+01:00[Europe/Paris]",
            "iso_date": "2024-01-31+01:00",
            "iso_time": "11:05:09.123456+01:00",
            "iso_local_date": "2024-01-31",
            "iso_instant": "2024-01-31T10:05:09.123456Z",
            "iso_local_date_time": "2024-01-31T11:05:09.123456",
            "iso_local_time": "11:05:09.123456",
            "iso_offset_time": "11:05:09.123456+01:00",
            "iso_ordinal_date": "2024-031+01:00",
            "iso_week_date": "2024-W05-3+01:00",
            "iso_zoned_date_time": "2024-01-31T11:05:09.123456+01:00[Europe/Paris]",
            "rfc_1123_date_time": "Wed, 31 Jan 2024 11:05:09 +0100",
            "full": "Wednesday, January 31, 2024 at 11:05:09 AM CET",
            "long": "January 31, 2024 at 11:05:09 AM CET",
            "medium": "Jan 31, 2024, 11:05:09 AM",
            "short": "1/31/24, 11:05 AM",
        }.items()
    ],
    *[
        (f"letters {pattern}", '{{ at | date("' + pattern + "\", timeZone='America/New_York') }}", expected)
        for pattern, expected in {
            "y yy yyyy u uuuu": "2024 24 2024 2024 2024",
            "M MM MMM MMMM MMMMM L LLL": "1 01 Jan January J 1 Jan",
            "d dd D DDD": "31 31 31 031",
            "E EEE EEEE EEEEE": "Wed Wed Wednesday W",
            "e c ee eee eeee": "4 4 04 Wed Wednesday",
            "w ww W F Y YY YYYY": "5 05 5 5 2024 24 2024",
            "Q QQ QQQ QQQQ q": "1 01 Q1 1st quarter 1",
            "H HH h hh K k": "5 05 5 05 5 5",
            "m mm s ss S SSS SSSSSSSSS n A N a": "5 05 9 09 1 123 123456000 123456000 18309123 18309123456000 AM",
            "X XX XXX": "-05 -0500 -05:00",
            "x xx xxx": "-05 -0500 -05:00",
            "Z ZZZZ ZZZZZ": "-0500 GMT-05:00 -05:00",
            "z VV v": "EST America/New_York EST",
            "O OOOO": "GMT-5 GMT-05:00",
            "G GGGG": "AD Anno Domini",
            "'at' ''yy [HH]": "at '24 05",
        }.items()
    ],
    *[
        (f"locale {locale}", "{{ at | date('EEEE d MMMM yyyy, EEE MMM, a', locale='" + locale + "') }}", expected)
        for locale, expected in {
            "en": "Wednesday 31 January 2024, Wed Jan, AM",
            "de_DE": "Mittwoch 31 Januar 2024, Mi. Jan., AM",
            "fr-FR": "mercredi 31 janvier 2024, mer. janv., AM",
            "es": "miércoles 31 enero 2024, mié ene, a. m.",
            "it": "mercoledì 31 gennaio 2024, mer gen, AM",
            "pt_BR": "quarta-feira 31 janeiro 2024, qua. jan., AM",
            "nl": "woensdag 31 januari 2024, wo jan., a.m.",
        }.items()
    ],
    (
        "locale of a style",
        "{{ at | date('short', locale='fr') }} {{ at | date('short', locale='en_GB') }}",
        "31/01/2024 10:05 31/01/2024, 10:05",
    ),
    ("locale of what is read", "{{ '8 février 2024' | date('MM-dd', existingFormat='d MMMM yyyy', locale='fr') }}", "02-08"),
    (
        "weeks of a country",
        "{{ '2024-12-30' | date('YYYY-ww e') }} {{ '2024-12-29' | date('YYYY-ww W', locale='de') }}",
        "2025-01 2 2024-52 4",
    ),
]

TESTS_ROWS = [
    (
        "defined",
        "{{ text is defined }}{{ nothing is defined }}{{ missing.x is defined }}{{ missing is not defined }}",
        "truefalsefalsetrue",
    ),
    ("null", "{{ nothing is null }}{{ nothing is none }}{{ text is null }}", "truetruefalse"),
    (
        "empty",
        "{{ ' ' is empty }}{{ [] is empty }}{{ {} is empty }}{{ nothing is empty }}{{ 0 is empty }}",
        "truetruetruetruefalse",
    ),
    ("even odd", "{{ 2 is even }}{{ -3 is odd }}", "truetrue"),
    ("iterable", "{{ list is iterable }}{{ map is iterable }}{{ text is iterable }}", "truefalsefalse"),
    ("map", "{{ map is map }}{{ list is map }}", "truefalse"),
    ("json", "{{ '{\"a\": 1}' is json }}{{ '{' is json }}", "truefalse"),
]

FUNCTION_ROWS = [
    ("now", "{{ now() }} {{ now(format='yyyy') }} {{ now('HH', timeZone='Asia/Tokyo') }}", "2024-01-31T10:05:09.123456Z 2024 19"),
    ("max min", "{{ max(1, 3, 2) }}{{ min(2, 1.5) }}{{ max(null, 1) }}", "31.51"),
    ("range", "{{ range(1, 5, 2) }}{{ range(3, 1, -1) }}{{ range('a', 'c') }}", '[1,3,5][3,2,1]["a","b","c"]'),
    ("block parent", '{% block "n" %}B{% endblock %}{{ block("n") }}{{ parent() }}', "BB"),
    ("render", "{{ render('{{ text }}') }}{{ render(['{{ text }}', 1]) }}", 'abc["abc",1]'),
    ("renderOnce", "{{ renderOnce('{{ \"{{\" }} text }}') }}", "{{ text }}"),
    ("fromJson json", "{{ fromJson('[1, 2]')[1] }}{{ json('{\"a\": 5}').a }}{{ fromJson(null) }}", "25"),
    ("fromIon", "{{ fromIon('{a: 1} {a: 2}').a }}{{ fromIon('1 2', allRows=true) }}", "1[1,2]"),
    ("yaml", "{{ yaml('foo: [666, 1]').foo[0] }}", "666"),
    ("uuid id ksuid", "{{ uuid() | length }} {{ id() | length }} {{ ksuid() | length }}", "36 22 27"),
    ("nanoId", "{{ nanoId() | length }} {{ nanoId(length=5, alphabet='a') }}", "21 aaaaa"),
    ("randomPort", "{{ randomPort() > 1023 and randomPort() < 65536 }}", "true"),
    ("randomInt", "{{ randomInt(5, 6) }}", "5"),
    ("currentEachOutput", "{{ currentEachOutput(outputs.t).value }}", "2"),
    ("iterationOutput", "{{ iterationOutput() }}{{ iterationOutput('t', 1) }}{{ iterationOutput(iteration=0) }}", "121"),
    ("loopOutputs", "{{ loopOutputs(outputs.loop.outputs, 'n') }}", "[5,null]"),
    ("tasksWithState", "{{ tasksWithState('failed') }}", '[{"taskId":"t","value":"x","state":"FAILED"}]'),
    ("printContext fetchContext", "{{ printContext().text }}{{ fetchContext().map.a }}", "abc1"),
    ("env", "{{ env('home') }}{{ env('nosuch', 'd') }}{{ env('blank', default='e') }}{{ env('nosuch') is null }}", "/hdetrue"),
    ("isWeekend", "{{ isWeekend('2025-01-04T00:30+01:00') }}{{ isWeekend('2025-01-03T23:30Z', 'Europe/Paris') }}", "truetrue"),
    (
        "isPublicHoliday",
        "{{ isPublicHoliday('2024-07-14', 'FR') }}{{ isPublicHoliday('2024-07-15', country='fr') }}",
        "truefalse",
    ),
    (
        "isPublicHoliday of a part",
        "{{ isPublicHoliday('2024-11-01', 'DE', 'BY') }}{{ isPublicHoliday('2024-11-01', 'DE') }}",
        "truefalse",
    ),
    (
        "isDayWeekInMonth",
        "{{ isDayWeekInMonth('2025-01-06', 'MONDAY', 'FIRST') }}{{ isDayWeekInMonth(day, 'WEDNESDAY', 'LAST') }}",
        "truetrue",
    ),
    ("isLastWorkingDay", "{{ isLastWorkingDay('2024-03-29') }}{{ isLastWorkingDay('2024-03-31') }}", "truefalse"),
    ("isLastWorkingDay of a text", "{{ isLastWorkingDay('2024-03-30', 'MONDAY, SATURDAY') }}", "true"),
    ("isLastWorkingDay of a list", "{{ isLastWorkingDay('2024-03-30', ['SATURDAY']) }}", "true"),
    ("dayOfWeek", "{{ dayOfWeek(day) }}", "WEDNESDAY"),
    (
        "dayOfMonth monthOfYear hourOfDay",
        "{{ dayOfMonth(day) }} {{ monthOfYear(day) }} {{ hourOfDay('2025-01-04T23:30+01:00') }}",
        "31 1 23",
    ),
    ("isDateBetween", "{{ isDateBetween('2026-01-01T00:00:00-03:00', '2026-01-01T02:00:00Z', '2026-01-01T04:00:00Z') }}", "true"),
    (
        "isDateAfter isDateBefore",
        "{{ isDateAfter('2024-02-01', day) }}{{ isDateBefore('2024-02-01', reference=day) }}",
        "truefalse",
    ),
]

ROWS = [
    *PRINTING,
    *SYNTAX,
    *PRECEDENCE,
    *OPERATORS,
    *METHODS,
    *TAGS,
    *[row for row in TEXT_FILTERS if row[2] is not None],
    *NUMBER_FILTERS,
    *COLLECTION_FILTERS,
    *CONVERSION_FILTERS,
    *DATE_FILTERS,
    *TESTS_ROWS,
    *FUNCTION_ROWS,
]


@pytest.mark.parametrize(("template", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_row_of_the_reference(template: str, expected: str) -> None:
    assert render(template) == expected


def test_escapeChar_goes_into_lists_and_makes_numbers_text() -> None:  # noqa: N802
    assert render("{{ \"it's\" | escapeChar('single') }}") == r"it\'s"
    assert render("{{ \"it's\" | escapeChar('shell') }}") == r"it'\''s"
    assert compile_template("{{ nested | escapeChar(type='single') }}").evaluate(scope()) == {"l": [r"it\'s", "1"]}


REFUSED = [
    ("trailing comma", "{{ [1, 2,] }}"),
    ("exponent", "{{ 1e5 }}"),
    ("leading dot", "{{ .5 }}"),
    ("True is a name", "{{ True }}"),
    ("number on a map of texts", "{{ map[1] }}"),
    ("negative index", "{{ list[-1] }}"),
    ("attribute of null", "{{ nothing.x }}"),
    ("operator word after a dot", "{{ map.is }}{{ map.contains }}"),
    ("two blanks make another word", "{{ 1 isnot empty }}"),
    ("division by zero", "{{ 1 / 0 }}"),
    ("text against a number", "{{ 'a' < 1 }}"),
    ("null in and", "{{ nothing and true }}"),
    ("list in not", "{{ not [] }}"),
    ("list in if", "{% if [1] %}x{% endif %}"),
    ("null in if", "{% if nothing %}x{% endif %}"),
    ("number contains", "{{ 5 contains 5 }}"),
    ("removed tag", "{% include 'x' %}"),
    ("text is not iterable", "{% for x in 'abc' %}{% endfor %}"),
    ("unknown method", "{{ text.getClass() }}"),
    ("null input of startsWith", "{{ nothing | startsWith('a') }}"),
    ("null input of abs", "{{ nothing | abs }}"),
    ("number of a number", "{{ 5 | number }}"),
    ("bad number", "{{ 'x' | number }}"),
    ("first of a map", "{{ map | first }}"),
    ("mixed sort", "{{ [1, 'a'] | sort }}"),
    ("slice out of range", "{{ list | slice(1, 9) }}"),
    ("slice of nothing", "{{ list | slice(1, 1) }}"),
    ("hash of a number", "{{ 1 | sha256 }}"),
    ("float as date", "{{ 1.5 | date }}"),
    ("unit in lower case", "{{ day | dateAdd(1, 'days') }}"),
    ("odd of null", "{{ nothing is odd }}"),
    ("bad JSON", "{{ fromJson('{') }}"),
    ("bad Ion", "{{ fromIon('{') }}"),
    ("bad jq", "{{ list | jq('.[') }}"),
    ("unknown language", "{{ at | date(locale='xx') }}"),
    ("unknown country", "{{ isPublicHoliday(day, 'XX') }}"),
    ("unknown position", "{{ isDayWeekInMonth(day, 'MONDAY', 'FIFTH') }}"),
    ("iteration before the first", "{{ iterationOutput('t', -1) }}"),
    ("unknown function", "{{ nosuch() }}"),
    ("macro sees only its arguments", "{% macro m() %}{{ text }}{% endmacro %}{{ m() }}"),
]


@pytest.mark.parametrize("template", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_the_reference_refuses(template: str) -> None:
    with pytest.raises(ExpressionError):
        render(template)


def test_each_built_in_is_shown_by_a_row() -> None:
    templates = [compile_template(row[1]).names for row in ROWS] + [compile_template(row[1]).names for row in TEXT_FILTERS]
    filters = {name for names in templates for name in names.filters}
    tests = {name for names in templates for name in names.tests}
    functions = {name for names in templates for name in names.functions}
    assert FILTERS.keys() - filters == set()
    assert TESTS.keys() - tests == set()
    assert FUNCTIONS.keys() - functions - {"decrypt"} == set()
    assert AMBIENT.keys() - functions - {"encrypt"} == set()
    assert make_ambient(lambda: NOW, Random(1)).keys() == AMBIENT.keys()


@pytest.mark.parametrize("name", sorted(HOST))
def test_function_of_the_host_is_known_before_there_is_a_host(name: str) -> None:
    signature = OUTSIDE[name]
    arguments = ", ".join("'x'" for _ in range(signature.required))
    with pytest.raises(ExpressionError) as caught:
        render(f"{{{{ {name}({arguments}) }}}}")
    assert caught.value.code == "expression.unavailable"
    called = compile_template(f"{{{{ {name}({arguments}) }}}}").render(scope(**{name: lambda *given, **named: len(given)}))
    assert called == str(signature.required)
    with pytest.raises(ExpressionError) as caught:
        render(f"{{{{ {name}(nosuchargument=1) }}}}")
    assert caught.value.code == "expression.arguments"


def test_arguments_of_host_functions_are_checked_alike_everywhere() -> None:
    host = scope(kv=lambda **given: given)
    assert compile_template("{{ kv(key='a', namespace='n') }}").render(host) == '{"key":"a","namespace":"n"}'
    for call, message in {
        "kv()": "needs the argument `key`",
        "kv('a', 'b', true, 1)": "at most 3 arguments",
        "kv('a', key='b')": "`key` twice",
        "kv('a', namespce='b')": "did you mean `namespace`",
    }.items():
        with pytest.raises(ExpressionError, match=message):
            compile_template("{{ " + call + " }}").render(host)


def test_encrypt_and_decrypt_are_inverse_and_another_key_is_refused() -> None:
    pytest.importorskip("cryptography")
    key, other = (base64.b64encode(bytes([octet]) * 32).decode() for octet in (1, 2))
    sealed = render(f"{{{{ encrypt('{key}', 'héllo') }}}}")
    assert "héllo" not in base64.b64decode(sealed).decode("latin-1")
    assert render(f"{{{{ decrypt('{key}', '{sealed}') }}}}") == "héllo"
    for template in (f"decrypt('{other}', '{sealed}')", f"decrypt('{key}', 'AAAA')", f"decrypt('short', '{sealed}')"):
        with pytest.raises(ExpressionError):
            render("{{ " + template + " }}")


def test_values_are_rendered_by_their_kind() -> None:
    value = {
        "{{ text }}": "{{ list }}",
        "abc": 2,
        "l": ["{{ 1 }}", {"k": "{{ text }}"}],
        "n": 1.5,
        "none": None,
        "s": {"{{ text }}"},
    }
    assert render_value(value, scope()) == {"abc": "[3,1,2]", "l": ["1", {"k": "abc"}], "n": 1.5, "none": None, "s": {"abc"}}
    assert evaluate_value(["{{ list }}", "{{ 1 }}{{ 2 }}", "x{{ 1 }}"], scope()) == [[3, 1, 2], 3, "x1"]
    assert render_value("%} #} { }", Scope({})) == "%} #} { }"


def test_missing_names_say_where_they_are_missing() -> None:
    with pytest.raises(ExpressionError) as caught:
        render("\n{{ map.zzz }}")
    assert str(caught.value).startswith("Unable to find `zzz` used in the expression `\n{{ map.zzz }}` at line 2")
    for template, message in {
        "{{ 1 | zzz }}": r"Filter \[zzz\] does not exist\.",
        "{{ 1 is zzz }}": r"Test \[zzz\] does not exist\.",
        "{{ zzz() }}": r"Function or macro \[zzz\] does not exist\.",
        "a\n{{ 1 + }}": r"line 2",
    }.items():
        with pytest.raises(ExpressionError, match=message):
            render(template)
