"""The project's own Python files, parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("flows", "proto/wire", "worker", "controlplane", "cli")
_FOREIGN = {"node_modules", "gen", "migrations", "static", "__pycache__"}


def modules(*packages: str) -> Iterator[Path]:
    """Python files of those packages (default: all), generated ones and the blueprints' namespace files left out."""
    for package in packages or PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            inside = path.relative_to(ROOT)
            if not _FOREIGN & set(inside.parts) and inside.parts[:2] != ("flows", "blueprints"):
                yield path


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def place(path: Path, node: ast.AST | None = None) -> str:
    """`flows/spec/parse.py:12`, as editors understand it."""
    line = f":{getattr(node, 'lineno', 1)}" if node is not None else ""
    return f"{path.relative_to(ROOT)}{line}"
