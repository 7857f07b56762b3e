"""What is generated and committed equals what its source gives today."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.house.source import ROOT


def test_code_of_the_proto_files_is_up_to_date(tmp_path: Path) -> None:
    subprocess.run([str(ROOT / "proto" / "generate.sh"), str(tmp_path)], check=True, env=os.environ | {"PYTHON": sys.executable})
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.py*") if path.is_file()}
    assert made
    stale = [str(path) for path, content in made.items() if (ROOT / "proto" / path).read_bytes() != content]
    assert not stale, "proto/*.proto changed: run `make generate` and commit the result. Stale: " + ", ".join(stale)


@pytest.mark.parametrize("name", ["requirements/dev.lock", "requirements/node.lock"])
def test_python_locks_name_no_registry(name: str) -> None:
    found = re.findall(r"https?://[^\s/]+", (ROOT / name).read_text(encoding="utf-8"))
    assert not found, f"{name} must say what is installed, not from where: run `make lock`. Found: {found[:3]}"


def test_console_lock_names_no_registry() -> None:
    lock = json.loads((ROOT / "controlplane" / "console" / "package-lock.json").read_text(encoding="utf-8"))
    found = [name for name, entry in lock["packages"].items() if "resolved" in entry]
    assert not found, (
        "package-lock.json must say what is installed, not from where: keep omit-lockfile-registry-resolved in .npmrc"
    )
