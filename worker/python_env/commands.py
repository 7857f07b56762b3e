"""The commands of a private environment: `python`, `pip`, `uv`, and the worker's console scripts run by this Python.

Whatever installer a script calls, the packages land in the private environment: `pip` runs pip under the private
interpreter (or uv when the worker has no pip), `uv pip` targets the environment even with `--system`.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import lru_cache
from pathlib import Path

_PIP = """#!/bin/sh
# A user installation would leave the private environment.
left=$#
while [ "$left" -gt 0 ]; do
  word=$1
  shift
  [ "$word" = --user ] || set -- "$@" "$word"
  left=$((left - 1))
done
exec '{python}' -m pip "$@"
"""

_UV = """#!/bin/sh
HEADRACE_UV='{uv}'
export HEADRACE_UV
for word in "$@"; do
  [ "$word" = pip ] && exec '{python}' -m headrace_installers "$@"
done
[ -n "$HEADRACE_UV" ] && exec "$HEADRACE_UV" "$@"
echo 'uv is not installed on this worker; only "uv pip" works here, carried out by pip.' >&2
exit 127
"""

_BORROWED = """#!/bin/sh
exec '{python}' '{scripts}/'"${{0##*/}}" "$@"
"""

_PIP_FALLBACK = '''"""Stands in for pip on a worker that has none."""
from headrace_installers import without_pip

if __name__ == "__main__":
    without_pip()
'''

_NEVER_BORROWED = ("python", "pip", "uv", "activate", "headrace", "django-admin", "celery", "wheel")


def write_commands(folder: Path, base: Path, packages_from: str) -> Path | None:
    """Writes `bin/` and `borrowed/` of the environment at `folder`.

    `base`: the real interpreter. Returns the folder of a stand-in for the module `pip`, when the worker has no pip.
    """
    commands = folder / "bin"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python", "python3", version):
        link = commands / name
        if not link.is_symlink():
            link.symlink_to(base if name == "python" else "python")
    python = _quoted(commands / "python")
    pip = _PIP.format(python=python)
    for name in ("pip", "pip3", f"pip{sys.version_info.major}.{sys.version_info.minor}"):
        _write_script(commands / name, pip)
    uv = find_uv(packages_from)
    _write_script(commands / "uv", _UV.format(python=python, uv=_quoted(uv) if uv else ""))
    _borrow(folder / "borrowed", python, Path(packages_from) / "bin")
    if _has_pip(packages_from):
        return None
    fallback = folder / "fallback"
    (fallback / "pip").mkdir(parents=True, exist_ok=True)
    for name in ("__init__.py", "__main__.py"):
        (fallback / "pip" / name).write_text(_PIP_FALLBACK, encoding="utf-8")
    return fallback


def find_uv(packages_from: str) -> str | None:
    """Path of the uv program: of the worker's environment, else of the machine; None when there is none."""
    return shutil.which("uv", path=os.pathsep.join([str(Path(packages_from) / "bin"), os.environ.get("PATH", os.defpath)]))


def _borrow(folder: Path, python: str, scripts: Path) -> None:
    """Offers the worker's console scripts (`dlt`, …), run by the private interpreter so that they see what it installed."""
    names = _console_scripts(str(scripts))
    if not names:
        return
    folder.mkdir(exist_ok=True)
    runner = folder / ".run"
    _write_script(runner, _BORROWED.format(python=python, scripts=_quoted(scripts)))
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(".run")


@lru_cache(maxsize=16)
def _console_scripts(scripts: str) -> tuple[str, ...]:
    """Names in a `bin` folder that are Python scripts; read once a process."""
    names = []
    try:
        entries = sorted(os.scandir(scripts), key=lambda entry: entry.name)
    except OSError:
        return ()
    for entry in entries:
        if entry.name.startswith(_NEVER_BORROWED) or not entry.is_file() or entry.is_symlink():
            continue
        with Path(entry.path).open("rb") as file:
            if b"python" in file.read(300).split(b"\nimport ", 1)[0] and os.access(entry.path, os.X_OK):
                names.append(entry.name)
    return tuple(names)


@lru_cache(maxsize=16)
def _has_pip(packages_from: str) -> bool:
    library = Path(packages_from) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return any((library / place / "pip" / "__main__.py").is_file() for place in ("site-packages", "dist-packages"))


def _write_script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _quoted(path: str | Path) -> str:
    """A path inside single quotes of sh."""
    return str(path).replace("'", "'\\''")
