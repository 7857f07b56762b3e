"""A module is one idea with a name of its own."""

from __future__ import annotations

import ast

from tests.unit.house.source import modules, place, tree

NO_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base_service", "misc", "stuff"}
LINES_MAX = 600
LONGER = {
    "flows/expressions/compiler.py": "one visitor over one grammar: its methods only make sense side by side",
}
"""Files that may be longer, with the reason."""


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    found = [place(path) for path in modules() if path.stem in NO_NAMES or path.parent.name in NO_NAMES]
    assert not found, "Name a module after the thing it is about, not after being useful:\n" + "\n".join(found)


def test_every_module_says_what_it_is_about() -> None:
    found = [
        place(path) for path in modules() if path.read_text(encoding="utf-8").strip() and ast.get_docstring(tree(path)) is None
    ]
    assert not found, "Begin each module with a docstring: what it is about, in a sentence a newcomer understands:\n" + "\n".join(
        found
    )


def test_no_module_outgrows_a_reading() -> None:
    found = [
        f"{place(path)}: {count} lines"
        for path in modules()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX and place(path) not in LONGER
    ]
    assert not found, (
        f"A file past {LINES_MAX} lines holds more than one idea. Find the second one and give it a module:\n" + "\n".join(found)
    )
