"""Names of files that come from elsewhere: flows, namespace files, tasks. None of them leaves the folder it is meant for."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from worker.errors import FileRefused

_NAME_BYTES_MAX = 1_024
_PART_BYTES_MAX = 255
_DRIVE = re.compile(r"^[A-Za-z]:(/|$)")


def safe_name(name: str) -> str:
    """The name, relative and with `/` between its parts. Raises FileRefused when it is none.

    Refused: empty, absolute, `.` or `..` as a part, backslashes, control characters, drive letters, overlong names.
    """

    def refuse(why: str) -> FileRefused:
        return FileRefused(f"{name[:200]!r} is no file name inside the working directory: {why}.")

    if not name or name.startswith("/"):
        raise refuse("expected a relative name")
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        raise refuse("it holds a control character")
    if "\\" in name or _DRIVE.match(name):
        raise refuse("expected `/` between folders and no drive")
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise refuse("it cannot be written as UTF-8") from None
    if len(encoded) > _NAME_BYTES_MAX:
        raise refuse(f"it is longer than {_NAME_BYTES_MAX} bytes")
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise refuse("expected no empty part, `.` or `..`")
        if len(part.encode()) > _PART_BYTES_MAX:
            raise refuse(f"a part is longer than {_PART_BYTES_MAX} bytes")
    return name


def place(folder: Path, name: str) -> Path:
    """Where the file of that name goes below `folder`; missing folders are made.

    Raises FileRefused when a link on the way leads outside, or the place is a folder.
    """
    target = folder.joinpath(*PurePosixPath(safe_name(name)).parts)
    root = folder.resolve()
    if not _nearest_present(target.parent).resolve().is_relative_to(root):
        raise FileRefused(f"{name!r} is no file name inside the working directory: a link on the way leads outside.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise FileRefused(f"{name!r} cannot be placed: a file stands where its folder should be.") from None
    if target.is_dir() and not target.is_symlink():
        raise FileRefused(f"{name!r} cannot be placed: a folder of that name is there.")
    return target


def _nearest_present(path: Path) -> Path:
    while not os.path.lexists(path):
        path = path.parent
    return path


def write_file(folder: Path, name: str, data: bytes) -> Path:
    """Writes a file below `folder`. An existing file or link of that name is replaced, never followed."""
    target = place(folder, name)
    beside = target.with_name(f".{os.getpid()}.part-{os.urandom(4).hex()}")
    with beside.open("xb") as file:
        file.write(data)
    beside.replace(target)
    return target


def files_below(folder: Path) -> dict[str, Path]:
    """Regular files below a folder by relative name, sorted. Links are followed only when they stay inside."""
    root = folder.resolve()
    found: dict[str, Path] = {}
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                continue
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path
    return found


def matches(pattern: str, name: str) -> bool:
    """Whether a relative name fits a glob: `*` and `?` within a part, `**` across parts, `{a,b}`, `[abc]`.

    `**/x` also means x at the top; a pattern that names a folder takes all below it.
    """
    return _compiled(pattern).fullmatch(name) is not None


_cache: dict[str, re.Pattern[str]] = {}


def _compiled(pattern: str) -> re.Pattern[str]:
    found = _cache.get(pattern)
    if found is None:
        if len(_cache) > 1_000:
            _cache.clear()
        found = _cache[pattern] = re.compile(
            _regex(pattern.removeprefix("glob:").removeprefix("./").rstrip("/")) + "(?:/.*)?", re.DOTALL
        )
    return found


def _regex(pattern: str) -> str:
    out = ""
    at = 0
    depth = 0
    while at < len(pattern):
        rest = pattern[at:]
        character = pattern[at]
        if rest.startswith("**/"):
            out += "(?:.*/)?"
            at += 3
            continue
        if rest.startswith("**"):
            out += ".*"
            at += 2
            continue
        closing = pattern.find("]", at + 2)
        if character == "[" and closing > 0:
            inner = pattern[at + 1 : closing]
            negated = inner[:1] in ("!", "^")
            out += ("[^/" if negated else "[") + re.escape(inner[negated:]).replace(r"\-", "-") + "]"
            at = closing + 1
            continue
        if character == "{":
            depth += 1
            out += "(?:"
        elif character == "}" and depth:
            depth -= 1
            out += ")"
        elif character == "," and depth:
            out += "|"
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character)
        at += 1
    return out + ")" * depth
