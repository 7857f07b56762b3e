"""Routes are thin: they parse, authorise, call one action or query, and serialise."""

from __future__ import annotations

import ast

from tests.unit.house.source import modules, place, tree


def test_routes_do_not_query_tables() -> None:
    found = [
        place(path, node)
        for path in modules("controlplane")
        if path.stem == "api" or path.parent.name == "api"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "objects"
    ]
    assert not found, (
        "A route names no model manager: put the look-up into queries.py or the change into actions.py:\n" + "\n".join(found)
    )
