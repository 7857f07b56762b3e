"""`headrace flow validate`: the static check over files and folders, without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from flows.plugins import Catalogue
from flows.spec.check import KnownFlows, check_reading
from flows.spec.parse import Reading, read_flow
from flows.spec.problems import Problem
from flows.spec.source import MapNode, read_source

Format = Literal["text", "json"]

FLOW_SUFFIXES = (".yml", ".yaml")
NO_FLOWS_INSIDE = frozenset({"files", "_files", "node_modules"})
"""Folders whose YAML files belong to flows but are none: namespace files."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One file and what was found in it. `skipped`: why a file of a folder was passed over."""

    path: Path
    problems: tuple[Problem, ...] = ()
    skipped: str | None = None

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(problem.severity == "error" for problem in self.problems)


def validate(paths: Sequence[Path], catalogue: Catalogue, output: Format = "text") -> int:
    """Prints what the check says of every file; 1 when there is an error, else 0.

    Folders are searched for *.yml and *.yaml; what is plainly no flow is passed over there. Calls between the given flows are
    checked against each other.
    """
    checked = check_files(paths, catalogue)
    console = Console(highlight=False, soft_wrap=True)
    if output == "json":
        console.print(json.dumps([_plain(one) for one in checked], indent=2, ensure_ascii=False), markup=False)
    else:
        for one in checked:
            for line in _lines(one):
                console.print(line, markup=False)
        failed = sum(one.failed for one in checked)
        flows = sum(one.skipped is None for one in checked)
        console.print(f"flows: {flows - failed} ok, {failed} with errors", markup=False)
    return 1 if any(one.failed for one in checked) else 0


def check_files(paths: Sequence[Path], catalogue: Catalogue) -> list[Checked]:
    """The check of every file, in order of the arguments; files in a folder in order of their names."""
    found: list[tuple[Path, Reading | Checked]] = []
    for path, named in _files(paths):
        try:
            source = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            message = f"The file is no UTF-8 text: byte {error.start} cannot be read"
            found.append((path, Checked(path, (Problem("yaml.encoding", message, line=1, column=1),))))
            continue
        except OSError as error:
            message = f"The file cannot be read: {error.strerror}"
            found.append((path, Checked(path, (Problem("file.unreadable", message, line=1, column=1),))))
            continue
        reason = None if named else no_flow(source)
        found.append((path, Checked(path, skipped=reason) if reason else read_flow(source, catalogue)))
    known = KnownFlows(one.flow for _, one in found if isinstance(one, Reading) and one.flow is not None)
    return [one if isinstance(one, Checked) else Checked(path, tuple(check_reading(one, known))) for path, one in found]


def no_flow(source: str) -> str | None:
    """Why a document is plainly no flow; None when it is one, or is meant to be."""
    root = read_source(source).root
    if root is None:
        return None
    if not isinstance(root, MapNode):
        return "a list or a text, no flow"
    keys = root.entries.keys()
    if "testCases" in keys:
        return "unit tests of a flow"
    if "charts" in keys and "tasks" not in keys:
        return "a dashboard"
    if not keys & {"tasks", "namespace"}:
        return "no flow: it has neither `namespace` nor `tasks`"
    return None


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """The files, and whether each was named itself."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        for one in sorted(path.rglob("*")):
            inside = one.relative_to(path)
            hidden = any(part.startswith(".") for part in inside.parts)
            if one.is_file() and one.suffix in FLOW_SUFFIXES and not hidden and not NO_FLOWS_INSIDE & set(inside.parts[:-1]):
                yield one, False


def _lines(one: Checked) -> Iterator[str]:
    if one.skipped is not None:
        yield f"{one.path}: skipped ({one.skipped})"
        return
    for problem in one.problems:
        hint = f" ({problem.hint})" if problem.hint else ""
        where = f"{problem.path}: " if problem.path else ""
        warning = "warning: " if problem.severity == "warning" else ""
        yield f"{one.path}:{problem.line or 1}:{problem.column or 1} {problem.code} {warning}{where}{problem.message}{hint}"
    if not one.failed:
        yield f"{one.path}: ok"


def _plain(one: Checked) -> dict[str, Any]:
    return {
        "file": str(one.path),
        "valid": not one.failed,
        **({"skipped": one.skipped} if one.skipped is not None else {}),
        "problems": [asdict(problem) for problem in one.problems],
    }
