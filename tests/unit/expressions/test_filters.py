"""Filters, tests and functions as the reference describes them."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from flows.errors import ExpressionError
from flows.expressions import Scope, compile_template

CONTEXT: dict[str, Any] = {
    "lines": "a\nb\n\nc",
    "nested": {"l": ["it's", 1, None], "m": {"q": 'say "x"'}},
    "number": 1234567.891,
    "day": date(2024, 1, 31),
    "moment": datetime(2024, 1, 31, 10, tzinfo=UTC),
    "clock": time(10, 5),
    "duration": timedelta(hours=1, minutes=30),
    "decimal": Decimal("1.50"),
}


def render(template: str) -> str:
    return compile_template(template).render(Scope(CONTEXT))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        # Text
        ("{{ 'abcdefghij' | abbreviate(7) }}", "abcd..."),
        ("{{ 'abcdefg' | abbreviate(7) }}", "abcd..."),
        ("{{ 'abc' | abbreviate(2) }}", "abc"),
        ("{{ 'abcdef' | abbreviate(2) }}", "ab"),
        ("{{ 'héllo' | base64encode }}", "aMOpbGxv"),
        ("{{ 'aMOpbGxv' | base64decode }}", "héllo"),
        ("{{ ' article Title' | capitalize }}", " Article Title"),
        ("{{ 'article tITLE' | title }}", "Article TITLE"),
        ("{{ 5 | upper }}{{ 'Ab' | lower }}", "5ab"),
        ("{{ ' a ' | trim }}|", "a|"),
        ("{{ 'a %s %05d %.2f %x %b %%' | format('b', 42, 1.005, 255, true) }}", "a b 00042 1.01 ff true %"),
        ("{{ '%2$s %1$s %-3s|%,d' | format(1234567, 'b') }}", None),
        ("{{ '%2$s %1$,d %2$-3s|' | format(1234567, 'b') }}", "b 1,234,567 b  |"),
        ("{{ '%s' | format(null) }}", "null"),
        ("{{ \"it's\" | escapeChar('single') }}", r"it\'s"),
        ("{{ \"it's\" | escapeChar('shell') }}", r"it'\''s"),
        ("{{ nested | escapeChar('single') }}", '{"l":["it\\\\\'s","1",null],"m":{"q":"say \\"x\\""}}'),
        ("{{ lines | indent(2) }}", "a\n  b\n  \n  c"),
        ("{{ 'a' | nindent(2, '-') }}", "\n--a"),
        ("{{ '' | nindent(2) }}", ""),
        ("{{ lines | nl2br }}", "a<br />b<br /><br />c"),
        ("{{ 'aabb' | replace({'a': 'x', 'b': 'y'}) }}", "xxyy"),
        ("{{ ['a.c', 'abc'] | replace({'a.c': 'x'}) }}", '["x","abc"]'),
        ("{{ ['a.c', 'abc'] | replace({'a.c': 'x'}, regexp=true) }}", '["x","x"]'),
        ("{{ 'Élan vital, 2024!' | slugify }}", "elan-vital-2024"),
        ("{{ 'a,b,,c,,' | split(',') }}", '["a","b","","c"]'),
        ("{{ 'a,b,c' | split(',', 2) }}", '["a","b,c"]'),
        (r"{{ 'a1b22c' | split('\d+') }}", '["a","b","c"]'),
        (r"{{ lines | split('\n') }}", '["a","b","","c"]'),
        ("{{ 'abc' | split('') }}", '["a","b","c"]'),
        ("{{ 'abc' | startsWith('ab') }}{{ 'abc' | endsWith('ab') }}", "truefalse"),
        ("{{ 'a.b.c' | substringBefore('.') }}", "a"),
        ("{{ 'abc' | substringBefore('.') }}", "abc"),
        ("{{ 'a.b.c' | substringAfter('.') }}", "b.c"),
        ("{{ 'abc' | substringAfter('.') }}", ""),
        ("{{ 'a.b.c' | substringAfterLast('.') }}", "c"),
        ("{{ 'a b&c/é' | urlencode }}", "a+b%26c%2F%C3%A9"),
        ("{{ 'a+b%26c' | urldecode }}", "a b&c"),
        ("{{ [1] | string }}", "[1]"),
        ("{{ 'abc12' | regexMatch('[a-z]+[0-9]+') }}", "true"),
        (r"{{ '2024-01' | regexReplace('(\d+)-(\d+)', '$2/$1') }}", "01/2024"),
        (r"{{ 'v1.22' | regexExtract('v(\d+)\.(\d+)', 2) }}", "22"),
        (r"{{ 'x' | regexExtract('(?<n>\d)', 'n') is null }}", "true"),
        # Numbers
        ("{{ -5 | abs }}{{ -1.5 | abs }}", "51.5"),
        ("{{ '12' | number + 1 }}", "13"),
        ("{{ '1.5' | number }}", "1.5"),
        ("{{ '0x10' | number }}", "16"),
        ("{{ '12' | number('FLOAT') }}", "12.0"),
        ("{{ number | numberFormat('#,##0.00') }}", "1,234,567.89"),
        ("{{ number | numberFormat }}", "1,234,567.891"),
        ("{{ 0.256 | numberFormat('#.#%') }}", "25.6%"),
        ("{{ -5 | numberFormat('000;(#)') }}", "(005)"),
        ("{{ 12345 | numberFormat('0.###E0') }}", "1.234E4"),
        ("{{ 0 | numberFormat('#.##') }}", "0"),
        ("{{ 2.5 | numberFormat(\"0 'units'\") }}", "2 units"),
        # Collections
        ("{{ [1,2] | first }}{{ 'ab' | last }}{{ [] | first }}", "1b"),
        ("{{ [1,2] | length }}{{ {'a':1} | length }}{{ null | length }}{{ 5 | length }}{{ 'abc' | length }}", "21003"),
        ("{{ [1,null,'a'] | join(',') }}", "1,null,a"),
        ("{{ [3,1,2] | sort }}{{ [3,1,2] | rsort }}{{ [3,1,2] | reverse }}", "[1,2,3][3,2,1][2,1,3]"),
        ("{{ [1,2,3] | slice(1) }}{{ 'abc' | slice(0, 2) }}", "[2,3]ab"),
        ("{{ [1] | merge([2]) }}{{ {'a':1} | merge({'a':2}) }}{{ {'a':1} | merge(['b']) }}", '[1,2]{"a":2}{"a":1,"b":"b"}'),
        ("{{ [1,2,3] | chunk(2) }}{{ [[1],[2,[3]],4] | flatten }}", "[[1,2],[3]][1,2,[3],4]"),
        ("{{ {'a':1} | keys }}{{ ['x','y'] | keys }}{{ {'a':1} | values }}", '["a"][0,1][1]'),
        ("{{ [1,1.0,'1',true,true,[1],[1]] | distinct }}", '[1,"1",true,[1]]'),
        (
            "{{ 'a' | className }} {{ 1 | className }} {{ 1.5 | className }}",
            "java.lang.String java.lang.Integer java.lang.Double",
        ),
        # Conversions
        ("{{ nested | toJson }}", '{"l":["it\'s",1,null],"m":{"q":"say \\"x\\""}}'),
        ("{{ null | toJson }}{{ null | json }}", "nullnull"),
        ("{{ 'string' | yaml }}", "string\n"),
        ("{{ ['x'] | yaml }}", " - x\n"),
        (
            "{{ {'a': [1, {'b': true}], 'c': '12', 'd': 'yes', 'e': ''} | yaml }}",
            'a:\n - 1\n - b: true\nc: "12"\nd: "yes"\ne: ""\n',
        ),
        ("{{ {'s': lines} | yaml }}", "s: |-\n  a\n  b\n\n  c\n"),
        ("{{ 'a' | md5 }}", "0cc175b9c0f1b6a831c399e269772661"),
        ("{{ 'a' | sha256 }}", hashlib.sha256(b"a").hexdigest()),
        ("{{ 'a' | sha1 }}{{ 'a' | sha512 }}", hashlib.sha1(b"a").hexdigest() + hashlib.sha512(b"a").hexdigest()),
        ("{{ fromJson('{\"a\": [1, 2.5]}').a }}", "[1,2.5]"),
        ("{{ fromJson(null) is null }}", "true"),
        ("{{ yaml('a: [1, yes, 012]').a }}", '[1,"yes","012"]'),
        # Null passes through.
        ("{{ null | upper }}{{ null | split(',') }}{{ null | date }}", ""),
        # Times print as Java prints them.
        ("{{ day }} {{ moment }} {{ clock }} {{ duration }} {{ decimal }}", "2024-01-31 2024-01-31T10:00:00Z 10:05 PT1H30M 1.50"),
        ("{{ {'d': day, 'm': moment} }}", '{"d":"2024-01-31","m":"2024-01-31T10:00:00Z"}'),
        # Days
        ("{{ isWeekend('2024-02-03') }}{{ isWeekend('2024-02-05') }}", "truefalse"),
        ("{{ dayOfWeek(day) }} {{ dayOfMonth(day) }} {{ monthOfYear(day) }} {{ hourOfDay(moment) }}", "WEDNESDAY 31 1 10"),
        ("{{ isDateAfter('2024-02-03', day) }}{{ isDateBefore('2024-02-03', day) }}", "truefalse"),
        ("{{ isDateBetween('2024-02-03', '2024-02-01', '2024-02-04') }}", "true"),
        ("{{ isDayWeekInMonth('2024-01-31', 'WEDNESDAY', 'LAST') }}", "true"),
        ("{{ isDayWeekInMonth('2024-01-10', 'WEDNESDAY', 'SECOND') }}", "true"),
        ("{{ isLastWorkingDay('2024-03-29') }}{{ isLastWorkingDay('2024-03-31') }}", "truefalse"),
        # Tests
        ("{{ 2 is even }}{{ 3 is odd }}{{ -3 is odd }}", "truetruetrue"),
        ("{{ [] is iterable }}{{ {} is iterable }}{{ {} is map }}{{ 'a' is iterable }}", "truefalsetruefalse"),
        ("{{ ' ' is empty }}{{ [] is empty }}{{ {} is empty }}{{ null is empty }}{{ 0 is empty }}", "truetruetruetruefalse"),
        ("{{ '[1]' is json }}{{ '[1' is json }}", "truefalse"),
    ],
)
def test_built_in(template: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ExpressionError):
            render(template)
    else:
        assert render(template) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ 1 | trim }}",
        "{{ null | abs }}",
        "{{ null | startsWith('a') }}",
        "{{ 1 | number }}",
        "{{ 'x' | number }}",
        "{{ 'a' | sort }}",
        "{{ [1] | slice(0, 5) }}",
        "{{ [1] | chunk(0) }}",
        "{{ 1 | md5 }}",
        "{{ '***' | base64decode }}",
        "{{ 'a' | escapeChar('none') }}",
        "{{ 'a' | numberFormat('#') }}",
        "{{ fromJson('{') }}",
        "{{ yaml('a: [') }}",
        "{{ null is odd }}",
        "{{ 'a' | regexMatch('(') }}",
        "{{ 'a' | regexMatch('(?=a)a') }}",
        r"{{ 'aa' | regexMatch('(a)\1') }}",
        "{{ 'a' | indent('x') }}",
        "{{ 'a' | abbreviate }}",
        "{{ 'a' | replace('a', 'b') }}",
        "{{ 'a' | upper(x=1) }}",
    ],
)
def test_value_a_built_in_was_not_made_for_is_refused(template: str) -> None:
    with pytest.raises(ExpressionError):
        render(template)
