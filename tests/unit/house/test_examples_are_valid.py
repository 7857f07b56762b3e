"""Docs that compile: every YAML a reader may copy is parsed with the installed task types."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from flows.spec.parse import parse_flow
from tests.unit.house.source import ROOT
from wire.plugins import discover

PAGES = [path for path in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md") if path.exists()]
BLUEPRINTS = sorted((ROOT / "flows" / "blueprints").rglob("*.yml"))
EXAMPLES = [(entry.types[0], number, text) for entry in discover() for number, text in enumerate(entry.examples)]


def _blocks(page: Path) -> list[str]:
    blocks: list[str] = re.findall(r"^```ya?ml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return blocks


@pytest.mark.parametrize(("page", "source"), [(page.name, block) for page in PAGES for block in _blocks(page)])
def test_flows_on_our_pages_are_valid(page: str, source: str) -> None:
    parsed = parse_flow(source, discover())
    assert parsed.valid, f"{page} shows a flow that would be refused:\n" + "\n".join(str(problem) for problem in parsed.problems)


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_blueprints_are_valid(path: Path) -> None:
    parsed = parse_flow(path.read_text(encoding="utf-8"), discover())
    assert parsed.valid, "\n".join(str(problem) for problem in parsed.problems)


@pytest.mark.parametrize(("task_type", "number", "text"), EXAMPLES, ids=[f"{name}-{number}" for name, number, _ in EXAMPLES])
def test_examples_of_task_types_are_valid(task_type: str, number: int, text: str) -> None:
    """An example is one task, a list of tasks, or a whole flow."""
    example = yaml.safe_load(text)
    if isinstance(example, dict) and "tasks" in example and "namespace" in example:
        source = text
    else:
        tasks = example if isinstance(example, list) else [example]
        source = yaml.safe_dump({"id": "example", "namespace": "example", "tasks": tasks}, sort_keys=False)
    parsed = parse_flow(source, discover())
    assert parsed.valid, f"example {number} of {task_type}:\n" + "\n".join(str(problem) for problem in parsed.problems)


def test_every_task_type_shows_how_it_is_used() -> None:
    without = [entry.types[0] for entry in discover() if not entry.examples]
    assert not without, "A task type without an example cannot be learned from its page. Add `examples` to: " + ", ".join(without)
