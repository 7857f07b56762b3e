"""The front of pip and uv inside a task: every installation lands in the task's private environment.

`python -m headrace_installers [uv options] pip …` carries out `uv pip …`; `without_pip()` carries out `python -m pip …` on a
worker that has no pip. Runs in the task's interpreter: standard library only, Python 3.8 or later.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

_INSTALLING = ("install", "sync", "uninstall", "list", "freeze", "show", "check", "tree")
_DROPPED = ("--system", "--user", "--break-system-packages")
_HARMLESS = ("-q", "--quiet", "-v", "--verbose", "--no-progress")


def uv_pip(arguments: list[str]) -> NoReturn:
    """Carries out `uv <arguments>`, of which one is `pip`. Does not return."""
    at = arguments.index("pip")
    before, rest = arguments[:at], arguments[at + 1 :]
    if rest[:1] and rest[0] in _INSTALLING:
        rest = [word for word in rest if word not in _DROPPED]
    if rest[:1] == ["install"] and _nothing_to_do(rest[1:]):
        sys.stderr.write("Audited: the worker already has what is asked for\n")
        raise SystemExit(0)
    environment = dict(os.environ)
    environment.setdefault("VIRTUAL_ENV", sys.prefix)
    environment.pop("UV_SYSTEM_PYTHON", None)
    uv = environment.get("HEADRACE_UV")
    if uv:
        _become([uv, *before, "pip", *rest], environment)
    _become([sys.executable, "-m", "pip", *rest], environment)


def without_pip() -> NoReturn:
    """Carries out `python -m pip <arguments>` by uv, else by the pip that Python itself brings along. Does not return."""
    import shutil

    arguments = [word for word in sys.argv[1:] if word not in _DROPPED]
    environment = dict(os.environ, VIRTUAL_ENV=sys.prefix)
    uv = environment.get("HEADRACE_UV") or _behind_the_front("uv")
    if uv and arguments[:1] and arguments[0] in _INSTALLING:
        _become([uv, "pip", *arguments], environment)
    bundled = _bundled_pip()
    if bundled:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [bundled, environment.get("PYTHONPATH")]))
        _become([sys.executable, "-m", "pip", *arguments], environment)
    if uv and shutil.which(uv):
        sys.stderr.write("pip is not installed on this worker; uv stands in for it and knows: " + ", ".join(_INSTALLING) + "\n")
    else:
        sys.stderr.write("Neither pip nor uv is installed on this worker: install one of them beside the worker.\n")
    raise SystemExit(1)


def _become(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)


def _behind_the_front(name: str) -> str | None:
    """The program of that name that is not one of the environment's own scripts."""
    import shutil

    own = os.path.join(sys.prefix, "bin")
    try:
        with open(os.path.join(own, "uv"), encoding="utf-8") as script:
            found = re.search(r"^HEADRACE_UV='(.+)'$", script.read(), re.MULTILINE)
        if found:
            return found.group(1)
    except OSError:
        pass
    others = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry and entry != own]
    return shutil.which(name, path=os.pathsep.join(others))


def _bundled_pip() -> str | None:
    try:
        import ensurepip

        folder = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
        wheels = sorted(name for name in os.listdir(folder) if name.startswith("pip-"))
    except (ImportError, OSError):
        return None
    return os.path.join(folder, wheels[-1]) if wheels else None


def _nothing_to_do(words: Sequence[str]) -> bool:
    """Whether every word names a requirement that is met already, as pip would find; uv looks only at its own folder."""
    wanted = [word for word in words if word not in _HARMLESS]
    if not wanted or any(word.startswith(("-", ".", "/")) or "@" in word for word in wanted):
        return False
    try:
        try:
            from packaging.requirements import Requirement
        except ImportError:
            from pip._vendor.packaging.requirements import Requirement  # type: ignore[assignment]
        seen: set[Any] = set()
        return all(_met(Requirement(word), seen) for word in wanted)
    except Exception:
        return False


def _met(requirement: Any, seen: set[Any]) -> bool:
    from importlib import metadata

    try:
        found = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    if not requirement.specifier.contains(found.version, prereleases=True):
        return False
    key = (requirement.name.lower(), frozenset(requirement.extras))
    if key in seen:
        return True
    seen.add(key)
    make = type(requirement)
    for text in found.requires or ():
        needed = make(text)
        extras = requirement.extras or {""}
        if needed.marker is not None and not any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if not _met(needed, seen):
            return False
    return True


if __name__ == "__main__":
    uv_pip(sys.argv[1:])
