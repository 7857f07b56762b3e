"""A compiled template and its two renderings: as text, and typed (expressions §1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import nodes

from flows.errors import ExpressionError
from flows.expressions.budget import Budget
from flows.expressions.compiler import Compiler
from flows.expressions.lexer import RAW_BRACE
from flows.expressions.macros import Macro
from flows.expressions.names import NO_NAMES, Names, union
from flows.expressions.operators import add, is_number, kind_of
from flows.expressions.output import Emit, Evaluate, Literal, join
from flows.expressions.parser import parse_template
from flows.expressions.printing import to_text
from flows.expressions.scope import Frame, Scope
from flows.limits import EXPRESSION_OUTPUT_BYTES_MAX

CACHE_ENTRIES = 4096
"""Compiled templates kept per process."""

CACHED_SOURCE_MAX = 20_000
"""Characters of a template that is worth keeping; larger ones are compiled each time."""

VALUE_DEPTH_MAX = 200
"""Nesting of maps and lists whose texts are rendered."""


class Template:
    """One compiled template. Immutable, shared between threads.

    `names` tells statically what it reads. `render` gives text, `evaluate` the value itself for a single `{{ … }}`.
    """

    __slots__ = ("_body", "_parts", "_plain", "blocks", "macros", "names", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.macros: Mapping[str, Macro] = {}
        self.blocks: Mapping[str, tuple[Emit, ...]] = {}
        self.names: Names = NO_NAMES
        self._parts: tuple[str | Evaluate, ...] | None = None
        self._body: tuple[Emit, ...] = ()
        self._plain = "{" not in source
        if self._plain:
            return
        tree, assigned = parse_template(source)
        try:
            self._compile(tree, assigned)
        except RecursionError:
            raise ExpressionError("The expression nests too deep", code="expression.too_deep") from None

    def _compile(self, tree: nodes.Template, assigned: frozenset[str]) -> None:
        compiler = Compiler(self.source, assigned)
        self._parts = compiler.parts(tree)
        if self._parts is None or any(isinstance(part, str) and RAW_BRACE in part for part in self._parts):
            compiler = Compiler(self.source, assigned)
            self._parts = None
            self._body = compiler.body(tree.body)
        self.macros = compiler.macros
        self.blocks = compiler.blocks
        self.names = compiler.names

    def render(self, scope: Scope) -> str:
        """The text. Raises ExpressionError for every fault of the template, of the data or of the budget."""
        if self._plain:
            return self.source
        frame = Frame(scope.variables, scope.functions, scope.budget or Budget(), self)
        try:
            text = self.text(frame)
        except RecursionError:
            raise ExpressionError("The expression nests too deep", code="expression.too_deep") from None
        return text.replace(RAW_BRACE, "{") if frame.guarded else text

    def evaluate(self, scope: Scope) -> Any:
        """The value of a single `{{ … }}`; neighbours are added up or joined; with text around them it is text."""
        if self._plain:
            return self.source
        frame = Frame(scope.variables, scope.functions, scope.budget or Budget(), self)
        try:
            value = self.value(frame)
        except RecursionError:
            raise ExpressionError("The expression nests too deep", code="expression.too_deep") from None
        return _unguarded(value) if frame.guarded else value

    def text(self, frame: Frame) -> str:
        """`render` inside a running rendering: raw braces stay protected."""
        parts = self._parts
        if parts is None:
            return join(self._printed(frame), frame)
        budget = frame.budget
        if len(parts) == 1 and not isinstance(parts[0], str):
            return budget.text(to_text(parts[0](frame), budget))
        texts = []
        for part in parts:
            text = part if isinstance(part, str) else to_text(part(frame), budget)
            budget.produce(len(text))
            texts.append(text)
        return "".join(texts)

    def value(self, frame: Frame) -> Any:
        """`evaluate` inside a running rendering."""
        parts = self._parts
        if parts is not None and len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0](frame)
        out = self._printed(frame)
        if not out:
            return None
        if any(type(value) is Literal for value in out):
            return join(out, frame)
        result = out[0]
        for value in out[1:]:
            both_texts = isinstance(result, str) and isinstance(value, str)
            if not both_texts and not (is_number(result) and is_number(value)):
                raise ExpressionError(f"Tried to add {kind_of(value)} to {kind_of(result)}", code="expression.type")
            result = add(result, value, frame.budget)
        return result

    def _printed(self, frame: Frame) -> list[Any]:
        if self._parts is not None:
            return [Literal(part) if isinstance(part, str) else part(frame) for part in self._parts]
        out: list[Any] = []
        for emit in self._body:
            emit(frame, out)
        return out


@lru_cache(maxsize=CACHE_ENTRIES)
def _cached(source: str) -> Template:
    return Template(source)


def compile_template(source: str) -> Template:
    """The template of a text, from the cache when it was seen before. Raises ExpressionError (`expression.syntax`, …)."""
    if len(source) > CACHED_SOURCE_MAX:
        if len(source) > EXPRESSION_OUTPUT_BYTES_MAX:
            raise ExpressionError("The template is too long", code="expression.too_large")
        return Template(source)
    return _cached(source)


def _unguarded(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(RAW_BRACE, "{")
    if isinstance(value, list):
        return [_unguarded(item) for item in value]
    if isinstance(value, dict):
        return {_unguarded(key): _unguarded(item) for key, item in value.items()}
    return value


def render_value(value: Any, scope: Scope) -> Any:
    """Texts rendered to texts, in maps (keys too; the first of two equal keys wins) and lists; other scalars untouched."""
    return _over(value, scope, Template.render, 0)


def evaluate_value(value: Any, scope: Scope) -> Any:
    """Like `render_value`, but a text that is a single `{{ … }}` becomes its value, with its type."""
    return _over(value, scope, Template.evaluate, 0)


def _over(value: Any, scope: Scope, how: Any, depth: int) -> Any:
    if isinstance(value, str):
        return how(compile_template(value), scope) if "{" in value else value
    if depth > VALUE_DEPTH_MAX:
        raise ExpressionError(f"The value nests deeper than {VALUE_DEPTH_MAX} levels", code="expression.too_deep")
    if isinstance(value, Mapping):
        rendered: dict[Any, Any] = {}
        for key, item in value.items():
            name = compile_template(key).render(scope) if isinstance(key, str) and "{" in key else key
            result = _over(item, scope, how, depth + 1)
            rendered.setdefault(name, result)
        return rendered
    if isinstance(value, (list, tuple)):
        return [_over(item, scope, how, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return {_over(item, scope, how, depth + 1) for item in value}
    return value


def names_in(value: Any) -> Names:
    """What all templates inside a value mention together. Raises ExpressionError when one of them cannot be read."""
    found: list[Names] = []
    _collect(value, found, 0)
    return union(found)


def _collect(value: Any, found: list[Names], depth: int) -> None:
    if isinstance(value, str):
        if "{" in value:
            found.append(compile_template(value).names)
        return
    if depth > VALUE_DEPTH_MAX:
        raise ExpressionError(f"The value nests deeper than {VALUE_DEPTH_MAX} levels", code="expression.too_deep")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(key, found, depth + 1)
            _collect(item, found, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            _collect(item, found, depth + 1)


FALSE_TEXTS = frozenset({"false", "0", "-0", ""})


def truthy(value: Any) -> bool:
    """The rule of `runIf` and of `condition`: the rendered text is false for `false`, `0`, `-0` and blank, else true."""
    text = value if isinstance(value, str) else to_text(value, Budget())
    return text.strip() not in FALSE_TEXTS
