"""What statements print: values gathered in a list, turned into text at the end and charged before it is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flows.expressions.printing import to_text
from flows.expressions.scope import Frame

Evaluate = Callable[[Frame], Any]
"""A compiled expression."""

Emit = Callable[[Frame, list[Any]], None]
"""A compiled statement: it appends what it prints, as values."""


class Literal(str):
    """Text of the template itself, told apart from values so that typed rendering knows there is text around them."""

    __slots__ = ()


def capture(body: tuple[Emit, ...], frame: Frame) -> str:
    """What a body prints, as one text."""
    out: list[Any] = []
    for part in body:
        part(frame, out)
    return join(out, frame)


def join(out: Sequence[Any], frame: Frame) -> str:
    """Printed values as one text, charged before it is built."""
    budget = frame.budget
    texts = []
    for value in out:
        text = value if type(value) is str or type(value) is Literal else to_text(value, budget)
        budget.produce(len(text) + 1)
        texts.append(text)
    return "".join(texts)
