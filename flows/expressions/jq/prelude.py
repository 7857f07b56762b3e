"""jq's functions that are written in jq itself, compiled once when the first program runs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flows.expressions.jq.builtins import NATIVES
from flows.expressions.jq.compiler import Compiler, Known
from flows.expressions.jq.parser import Parser
from flows.expressions.jq.runtime import Closure, Environment, Filter, Function, Native, Results, called
from flows.expressions.jq.syntax import Definition
from flows.expressions.jq.texts import styled
from flows.expressions.jq.values import Path

SOURCE = r"""
def map(f): [.[] | f];
def map_values(f): .[] |= f;
def recurse(f; cond): recurse(f | select(cond));
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type == "array" or type == "object");
def scalars: select(type != "array" and type != "object");
def finites: select(type != "number" or (isinfinite or isnan | not));
def normals: select(type == "number" and isnormal);
def to_entries: . as $all | [keys_unsorted[] as $key | {key: $key, value: $all[$key]}];
def with_entries(f): to_entries | map(f) | from_entries;
def add(f): [f] | add;
def any(stream; cond): isempty(first(stream | select(cond))) | not;
def any(cond): any(.[]; cond);
def any: any(.[]; .);
def all(stream; cond): isempty(first(stream | select(cond | not)));
def all(cond): all(.[]; cond);
def all: all(.[]; .);
def first: .[0];
def last: .[-1];
def nth($n): .[$n];
def nth($n; f): if $n < 0 then error("nth doesn't support negative indices") else first(skip($n; f)) end;
def in(container): . as $key | container | has($key);
def paths: path(..) | select(length > 0);
def paths(f): path(.. | select(f)) | select(length > 0);
def leaf_paths: paths(scalars);
def indices($part): _indices($part);
def index($part): indices($part) | if . == null then null else .[0] end;
def rindex($part): indices($part) | if . == null then null else .[-1] end;
def combinations: if length == 0 then [] else .[0][] as $one | (.[1:] | combinations) as $rest | [$one] + $rest end;
def combinations($n): . as $set | [range($n)] | map($set) | combinations;
def walk(f): def down: if type == "object" then map_values(down) elif type == "array" then map(down) else . end | f; down;
def env: {};
def input: error("No more inputs");
def inputs: empty;
def debug: .;
def debug(message): .;
def stderr: .;
def input_filename: null;
def input_line_number: 0;
def halt: error("halt is not available in expressions");
def halt_error: error;
def halt_error($code): error;
def now: error("now is not available inside jq; pass {{ now() }} in from the template");
def ascii: [.] | implode;
def tostream: _stream[];
def fromstream(stream):
  {value: null, done: false} as $empty
  | foreach stream as $event ($empty;
      (if .done then $empty else . end)
      | if ($event | length) == 2
        then setpath(["value"] + $event[0]; $event[1]) | .done = ($event[0] | length == 0)
        else .done = ($event[0] | length == 1) end;
      if .done then .value else empty end);
def truncate_stream(stream): . as $n | stream | . as $event
  | if ($event[0] | length) > $n then [$event[0][$n:]] + $event[1:] else empty end;
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdateiso8601: strptime("%Y-%m-%dT%H:%M:%SZ") | mktime;
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def fromdate: fromdateiso8601;
def date: todate;
def match($re; $flags): if ($re | type) == "array" then match($re[0]; $re[1]) else _match($re; $flags; false)[] end;
def match($re): match($re; null);
def test($re; $flags): if ($re | type) == "array" then test($re[0]; $re[1]) else (_match($re; $flags; false) | length) > 0 end;
def test($re): test($re; null);
def _named: [.captures[] | select(.name != null) | {key: .name, value: .string}] | from_entries;
def capture($re; $flags): match($re; $flags) | _named;
def capture($re): capture($re; null);
def scan($re; $flags): _match($re; $flags; true)[] | if (.captures | length) > 0 then [.captures[].string] else .string end;
def scan($re): scan($re; null);
def split($re; $flags): . as $text
  | [foreach (_match($re; $flags; true)[], null) as $one ({from: 0, piece: null};
      if $one == null then {from, piece: $text[.from:]}
      else {from: ($one.offset + $one.length), piece: $text[.from:$one.offset]} end; .piece)];
def splits($re; $flags): split($re; $flags)[];
def splits($re): splits($re; null);
def _replaced(replacement; $flags; $matches): . as $text
  | def build($at; $from): if $at == ($matches | length) then $text[$from:]
      else $matches[$at] as $one | ($one | _named | replacement) as $new
        | $text[$from:$one.offset] + $new + build($at + 1; $one.offset + $one.length) end;
    build(0; 0);
def _replaced_all(replacement; $matches): . as $text
  | reduce $matches[] as $one ({from: 0, pieces: []};
      .pieces += [$text[.from:$one.offset], ($one | _named | first(replacement) | strings)]
      | .from = $one.offset + $one.length)
  | (.pieces | add // "") + $text[.from:];
def sub($re; replacement; $flags): . as $text | _match($re; $flags; false) as $found
  | if ($found | length) > 10 then _replaced_all(replacement; $found) else _replaced(replacement; $flags; $found) end;
def sub($re; replacement): sub($re; replacement; null);
def gsub($re; replacement; $flags): . as $text | _match($re; $flags; true) as $found
  | if ($found | length) > 10 then _replaced_all(replacement; $found) else _replaced(replacement; $flags; $found) end;
def gsub($re; replacement): gsub($re; replacement; null);
def IN(stream): any(stream == .; .);
def IN(source; stream): any(source == stream; .);
def INDEX(stream; key): reduce stream as $row ({}; .[$row | key | tostring] = $row);
def INDEX(key): INDEX(.[]; key);
def isvalid(f): try (f | true) catch false;
def have_literal_numbers: true;
def have_decnum: false;
def get_search_list: [];
def builtins: [];
"""


@lru_cache(maxsize=1)
def known() -> Known:
    """Every function of jq, by name/arity, ready to be called from any program."""
    natives: dict[str, Native] = dict(NATIVES)
    compiler = Compiler(styled)
    for definition in Parser(SOURCE).definitions():
        name = f"{definition.name}/{len(definition.parameters)}"
        natives[name] = _native(definition, compiler, natives, name)
    return Known({**natives})


def _native(definition: Definition, compiler: Compiler, natives: dict[str, Native], name: str) -> Native:
    compiled: list[Filter] = []

    def run(environment: Environment, value: Any, path: Path | None, *arguments: Closure) -> Results:
        home = Environment(None, "", None, environment.budget, 0)
        return called(Function(definition.parameters, compiled[0], home), list(arguments), environment, value, path)

    itself = Native(run)
    compiled.append(compiler.definition(definition, Known({**natives, name: itself})))
    return itself
