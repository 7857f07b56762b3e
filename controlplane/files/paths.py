"""Names of files that come from outside: one check for all of them.

A path is segments joined by `/`. Nothing that a file system, an archive or a URL could read as a way out gets through.
"""

from __future__ import annotations

import unicodedata

from controlplane.platform.errors import Invalid

PATH_CHARACTERS_MAX = 1_000
SEGMENT_BYTES_MAX = 240
"""File systems allow 255 bytes; a suffix for the file that is being written needs some."""


class UnsafePath(Invalid):
    """A path that leads out of its folder, or that some file system cannot hold."""

    code = "file.path"


def clean_path(path: str, *, what: str = "path") -> str:
    """The path without leading and doubled slashes, in composed Unicode; may be empty (the root). Raises UnsafePath."""
    path = unicodedata.normalize("NFC", path)
    if len(path) > PATH_CHARACTERS_MAX:
        raise UnsafePath(f"{what} has {len(path)} characters; {PATH_CHARACTERS_MAX} are allowed")
    segments = [segment for segment in path.split("/") if segment]
    for segment in segments:
        _check(segment, path, what)
    return "/".join(segments)


def require_file_path(path: str, *, what: str = "path") -> str:
    """The same for a file: not empty, and no trailing slash. Raises UnsafePath."""
    cleaned = clean_path(path, what=what)
    if not cleaned or path.endswith("/"):
        raise UnsafePath(f"{what} must name a file, not {path!r}")
    return cleaned


def _check(segment: str, path: str, what: str) -> None:
    if segment in (".", ".."):
        raise UnsafePath(f"{what} must not contain {segment!r}: {path!r}")
    if "\\" in segment or any(unicodedata.category(character) in ("Cc", "Cs") for character in segment):
        raise UnsafePath(f"{what} contains a backslash or a control character: {path!r}")
    if len(segment.encode("utf-8", "surrogatepass")) > SEGMENT_BYTES_MAX:
        raise UnsafePath(f"{what}: a name may have {SEGMENT_BYTES_MAX} bytes: {segment[:40]!r}…")
