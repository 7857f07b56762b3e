"""What a WorkingDirectory keeps from one execution to the next (`cache: {patterns, ttl}`, execution-semantics §6.10).

The archive lies in the plane's file storage, under tenant, flow, task and value: the next execution may be handed to another
worker of the group, whose own disk knows nothing of it. It is saved only by an execution whose children all succeeded: a
half-made installation must not become everybody's.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wire import gateway
from worker import limits
from worker.door import Bridge, Door
from worker.errors import TaskFailed
from worker.names import files_below, matches, place, safe_name

Stamps = dict[str, tuple[int, int]]
"""Modification time (ns) and size by name."""


class DirectoryCache:
    """The cache of one task and value. Its methods wait for the plane: call them from a thread."""

    def __init__(
        self,
        door: Door,
        bridge: Bridge,
        token: gateway.AttemptToken,
        value: str | None,
        patterns: Sequence[str],
        ttl: timedelta | None,
    ) -> None:
        self._door = door
        self._bridge = bridge
        self._token = token
        self._key = f"value:{value}" if value is not None else "whole"
        self._patterns = patterns
        self._ttl = ttl
        self._restored: Stamps = {}

    def restore(self, work: Path, beside: Path) -> bool:
        """Unpacks the archive into the working directory. False: there is none, or it is older than `ttl`."""
        archive = beside / "cache.zip"
        request = gateway.GetFileRequest(token=self._token, cache=self._key)
        try:
            self._bridge.wait(self._door.download(request, "restoring the cache", archive))
        except TaskFailed as failure:
            if "cache.missing" in str(failure):
                return False
            raise
        try:
            restored = self._unpack(archive, work)
        except zipfile.BadZipFile:
            restored = False
        finally:
            archive.unlink(missing_ok=True)
        self._restored = self._stamps(work) if restored else {}
        return restored

    def _unpack(self, archive: Path, work: Path) -> bool:
        with zipfile.ZipFile(archive) as packed:
            written = datetime.fromisoformat(packed.comment.decode())
            if self._ttl is not None and datetime.now(UTC) - written > self._ttl:
                return False
            if sum(entry.file_size for entry in packed.infolist()) > limits.CACHE_BYTES_MAX:
                return False
            for entry in packed.infolist():
                target = place(work, safe_name(entry.filename))
                with packed.open(entry) as source, target.open("wb") as out:
                    while block := source.read(limits.FILE_CHUNK_BYTES):
                        out.write(block)
                target.chmod((entry.external_attr >> 16) & 0o777 or 0o644)
        return True

    def save(self, work: Path, beside: Path) -> bool:
        """Packs what the patterns name, unless nothing of it changed since it was restored. Says whether it was stored.

        Raises TaskFailed (`cache.too_large`).
        """
        stamps = self._stamps(work)
        if not stamps or stamps == self._restored:
            return False
        size = sum(size for _, size in stamps.values())
        if size > limits.CACHE_BYTES_MAX:
            raise TaskFailed(
                f"The files to cache have {size} bytes, {limits.CACHE_BYTES_MAX} are allowed; narrow `cache.patterns`.",
                code="cache.too_large",
            )
        archive = beside / "cache.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
            for name, path in files_below(work).items():
                if name in stamps:
                    packed.write(path, name)
            packed.comment = datetime.now(UTC).isoformat().encode()
        try:
            self._bridge.wait(self._door.put_file(self._token, "cache.zip", archive, cache=self._key))
        finally:
            archive.unlink(missing_ok=True)
        return True

    def _stamps(self, work: Path) -> Stamps:
        found: Stamps = {}
        for name, path in files_below(work).items():
            if any(matches(pattern, name) for pattern in self._patterns):
                stat = path.stat()
                found[name] = (stat.st_mtime_ns, stat.st_size)
        return found
