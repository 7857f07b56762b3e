"""Lays out a private Python environment in milliseconds: the shape of a venv, written by hand.

`python -m venv` starts two interpreters and unpacks pip (seconds). What makes a folder an environment is little: a
`pyvenv.cfg` beside `bin/python`, a link to an interpreter, and `site-packages`. One `.pth` file there adds the worker's own
packages *behind*, so that a task imports dlt without installing it, and whatever it installs is found first and stays here.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

from worker.python_env.commands import write_commands

_HERE = Path(__file__).parent
FRONT = _HERE / "front"
BEHIND = _HERE / "behind"
REPORTS = "reports"
"""Folder, inside the environment, where the hooks write what they saw."""


def prepare(folder: Path, packages_from: str = sys.prefix, state_dir: Path | None = None) -> dict[str, str]:
    """Makes `folder` a private Python environment and returns the environment variables that select it.

    `packages_from`: prefix of the Python environment (same Python version) whose packages are readable behind it.
    `state_dir`: a folder that outlives the attempt; dlt keeps its working folder there, so a retry loads what is pending.
    The folder is created; an environment already there is completed. Raises OSError when it cannot be written.
    """
    folder = folder.absolute()
    base = Path(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
    commands = folder / "bin"
    site_packages = Path(_in_prefix("purelib", str(folder)))
    platform_packages = Path(_in_prefix("platlib", str(folder)))
    for needed in (commands, site_packages, platform_packages, folder / REPORTS):
        needed.mkdir(parents=True, exist_ok=True)
    (folder / "pyvenv.cfg").write_text(
        f"home = {base.parent}\ninclude-system-site-packages = false\n"
        f"version = {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}\nexecutable = {base}\n",
        encoding="utf-8",
    )
    behind = [*_packages_of(packages_from), str(BEHIND)]
    fallback = write_commands(folder, base, packages_from)
    if fallback is not None:
        behind.append(str(fallback))
    lines = [f"import site; site.addsitedir({path!r})" for path in behind]
    (site_packages / "_headrace.pth").write_text("\n".join([*lines, "import headrace_task_hooks", ""]), encoding="utf-8")
    return _variables(folder, state_dir)


def _variables(folder: Path, state_dir: Path | None) -> dict[str, str]:
    path = [str(folder / "bin"), str(folder / "borrowed"), os.environ.get("PATH", os.defpath)]
    python_path = [str(FRONT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": os.pathsep.join(python_path),
        "VIRTUAL_ENV": str(folder),
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_USER": "0",
        # pip builds the progress bar of a terminal into the log otherwise.
        "PIP_PROGRESS_BAR": "off",
        "UV_NO_PROGRESS": "1",
        "UV_SYSTEM_PYTHON": "0",
        # uv trusts only its own roots unless told; pip already follows the machine's.
        "UV_SYSTEM_CERTS": "1",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        # Never the home folder: attempts of different tenants would meet there.
        "DLT_DATA_DIR": str((state_dir or folder) / "dlt"),
        "HEADRACE_DLT_REPORTS": str(folder / REPORTS),
    }


def _in_prefix(name: str, prefix: str) -> str:
    return sysconfig.get_path(name, "venv", vars={"base": prefix, "platbase": prefix})


@lru_cache(maxsize=16)
def _packages_of(prefix: str) -> tuple[str, ...]:
    """The package folders of an installed environment: of this one as the interpreter tells them, of others by layout."""
    if os.path.realpath(prefix) == os.path.realpath(sys.prefix):
        found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    else:
        found = [_in_prefix("purelib", prefix), _in_prefix("platlib", prefix)]
    return tuple(dict.fromkeys(path for path in found if Path(path).is_dir()))
