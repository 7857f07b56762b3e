"""Pages and sorting of searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, OrderBy, QuerySet
from django.http import HttpRequest

from controlplane.platform.errors import Invalid
from controlplane.platform.parsers import number

SIZE_MAX = 1000
"""Rows of one page. More is a client in a loop, or an export."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows are asked for. `number` counts from 1."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """Rows before it."""
        return (self.number - 1) * self.size

    def of(self, rows: Sequence[Any]) -> Sequence[Any]:
        """This page of rows that are all here."""
        return rows[self.offset : self.offset + self.size]


def read_page(request: HttpRequest, default_size: int = 10) -> Page:
    """`page` and `size`. Raises Invalid."""
    page = number(request, "page")
    size = number(request, "size")
    page = 1 if page is None else page
    size = default_size if size is None else size
    if page < 1:
        raise Invalid(f"page counts from 1, not {page}", code="page.invalid")
    if not 1 <= size <= SIZE_MAX:
        raise Invalid(f"size must be between 1 and {SIZE_MAX}, not {size}", code="page.invalid")
    return Page(page, size)


def read_sort(request: HttpRequest) -> list[tuple[str, bool]]:
    """`sort=field:asc`, repeated or comma separated, as (field, descending). Raises Invalid.

    One client writes `field,desc`: a bare direction after a comma belongs to the field before it.
    """
    pieces: list[tuple[str, bool]] = []
    for text in request.GET.getlist("sort"):
        for piece in text.split(","):
            if piece.lower() in ("asc", "desc") and pieces:
                pieces[-1] = (pieces[-1][0], piece.lower() == "desc")
                continue
            name, _, direction = piece.partition(":")
            if not name or direction.lower() not in ("asc", "desc", ""):
                raise Invalid(f"sort must read field:asc or field:desc, not {piece!r}", code="sort.invalid")
            if not direction and "," not in text:
                raise Invalid(f"sort must say a direction: {name}:asc or {name}:desc", code="sort.invalid")
            pieces.append((name, direction.lower() == "desc"))
    return pieces


def ordering(sort: list[tuple[str, bool]], columns: Mapping[str, str], default: Sequence[str], tie: str) -> list[OrderBy | str]:
    """`order_by` arguments. `columns`: sortable name → column; `tie` makes the order total. Raises Invalid."""
    found: list[OrderBy | str] = []
    for name, descending in sort:
        column = columns.get(name)
        if column is None:
            raise Invalid(f"cannot sort by {name!r}; known are {', '.join(sorted(columns))}", code="sort.unknown")
        found.append(F(column).desc(nulls_last=True) if descending else F(column).asc(nulls_first=True))
    return [*(found or default), tie]


def paged(query: QuerySet[Any, Any], page: Page) -> tuple[list[Any], int]:
    """The rows of a page and the count of all. A short first page needs no count."""
    rows = list(query[page.offset : page.offset + page.size])
    if rows and len(rows) < page.size:
        return rows, page.offset + len(rows)
    return rows, query.order_by().count()
