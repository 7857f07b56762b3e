"""A setting that nobody can find is a setting that nobody should depend on."""

from __future__ import annotations

import re

from tests.unit.house.source import ROOT, modules

PLACES = ("controlplane/settings/__init__.py", "README.md", "CONTRIBUTING.md", "worker/config.py", "cli/main.py")
NAME = re.compile(r"[\"'](HEADRACE_[A-Z0-9_]+)[\"']")
INTERNAL = {
    *("HEADRACE_DEBUG_HOOKS", "HEADRACE_TRACEBACK", "HEADRACE_CHECK"),  # for who looks for a fault of ours
    *("HEADRACE_EXECUTION_ID", "HEADRACE_TASK_RUN_ID", "HEADRACE_ATTEMPT", "HEADRACE_LEASE"),  # told to a task's process
    *("HEADRACE_DLT_REPORTS", "HEADRACE_UV"),  # between a script's environment and the agent
}
"""Names that are no settings."""


def test_every_environment_variable_is_named_in_a_table_or_in_the_help() -> None:
    documented = "\n".join((ROOT / place).read_text(encoding="utf-8") for place in PLACES)
    read = {name for path in modules("controlplane", "worker", "cli") for name in NAME.findall(path.read_text(encoding="utf-8"))}
    missing = sorted(name for name in read - INTERNAL if name not in documented)
    assert not missing, (
        f"Say what it means and what its default is, in the table of controlplane/settings/__init__.py: {', '.join(missing)}"
    )
