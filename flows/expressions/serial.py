"""JSON and YAML texts inside templates, bounded by the budget of the rendering."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from flows.errors import ExpressionError
from flows.expressions.budget import Budget
from flows.expressions.printing import JSON_DEPTH_MAX, float_text, int_text, is_sequence, measure, to_text

CONTAINER_MEMORY = 64
"""Bytes of memory that one list or map of a JSON text takes, however short it is written."""

LINES_PER_STEP = 8
"""Lines or elements of a text that cost one step when it is read."""


def parse_json(text: str, budget: Budget) -> Any:
    """The value of a JSON text. Raises ExpressionError when it is none or would cost too much."""
    budget.produce(len(text) + CONTAINER_MEMORY * (text.count("[") + text.count("{")))
    budget.spend(text.count(",") // LINES_PER_STEP + 1)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        shown = text if len(text) <= 80 else text[:80] + "…"
        raise ExpressionError(f"`{shown}` is no valid JSON: {error}", code="expression.invalid_json") from None


def parse_yaml(text: str, budget: Budget) -> Any:
    """The value of a YAML text, read with the rules and limits of flow sources."""
    # Imported here: flows.spec reads templates, so at import time the dependency runs the other way.
    from flows.spec.source import read_source

    budget.produce(len(text))
    budget.spend(text.count("\n") // LINES_PER_STEP + 1)
    document = read_source(text, allow_scalar=True)
    if document.problems:
        raise ExpressionError(f"The text is no valid YAML: {document.problems[0]}", code="expression.invalid_yaml")
    return document.root.plain() if document.root is not None else None


_PLAIN_TEXT = re.compile(r"[A-Za-z_/.][\w ./()+=@%$-]*(?<! )")
_LOOKS_TYPED = re.compile(
    r"(?i:null|true|false|yes|no|on|off|y|n|~)|[-+.]?[0-9][0-9_,.:eExXoO+-]*|\.(?:inf|nan)|[0-9]{4}-[0-9]{2}-[0-9]{2}.*",
    re.DOTALL,
)


def dump_yaml(value: Any, budget: Budget) -> str:
    """YAML text: no document marker, least quotes, lists one blank deeper than their key, a line break at the end."""
    measure(value, budget)
    lines: list[str] = []
    _dump(value, 0, lines, budget, 0)
    return "\n".join(lines) + "\n"


def _dump(value: Any, indent: int, lines: list[str], budget: Budget, depth: int) -> None:
    if depth > JSON_DEPTH_MAX:
        raise ExpressionError(f"The value nests deeper than {JSON_DEPTH_MAX} levels", code="expression.too_deep")
    if isinstance(value, Mapping) and value:
        pad = " " * indent
        for key, item in value.items():
            name = _scalar(key if isinstance(key, str) else to_text(key, budget), indent, budget, is_key=True)
            budget.produce(indent + len(name) + 2)
            if isinstance(item, Mapping) and item:
                lines.append(f"{pad}{name}:")
                _dump(item, indent + 2, lines, budget, depth + 1)
            elif _is_list(item) and item:
                lines.append(f"{pad}{name}:")
                _dump(item, indent, lines, budget, depth + 1)
            else:
                lines.append(f"{pad}{name}: {_scalar(item, indent, budget)}")
    elif _is_list(value) and value:
        pad = " " * (indent + 1)
        for item in value:
            budget.produce(indent + 4)
            if (isinstance(item, Mapping) or _is_list(item)) and item:
                start = len(lines)
                _dump(item, indent + (3 if isinstance(item, Mapping) else 2), lines, budget, depth + 1)
                lines[start] = f"{pad}- {lines[start][indent + 3 :]}"
            else:
                lines.append(f"{pad}- {_scalar(item, indent + 1, budget)}")
    else:
        lines.append(" " * indent + _scalar(value, indent, budget))


def _is_list(value: Any) -> bool:
    return is_sequence(value) or isinstance(value, AbstractSet)


def _scalar(value: Any, indent: int, budget: Budget, *, is_key: bool = False) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int_text(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, Mapping):
        return "{}"
    if _is_list(value):
        return "[]"
    text = value if isinstance(value, str) else to_text(value, budget)
    budget.produce(2 * len(text))
    if "\n" in text and not is_key and not text.startswith((" ", "\n")) and text.strip() and _block_safe(text):
        pad = " " * (indent + 2)
        budget.produce(text.count("\n") * len(pad))
        keep = "+" if text.endswith("\n\n") else "" if text.endswith("\n") else "-"
        body = text.removesuffix("\n")
        return f"|{keep}\n" + "\n".join(pad + line if line else "" for line in body.split("\n"))
    if _PLAIN_TEXT.fullmatch(text) and not _LOOKS_TYPED.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _block_safe(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)
