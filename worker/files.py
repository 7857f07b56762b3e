"""Files of one attempt: internal storage and namespace files, in and out of its working directory."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from wire import gateway
from worker.door import Bridge, Door
from worker.errors import FileRefused, TaskFailed
from worker.folders import RunFolders
from worker.names import matches, place, safe_name, write_file

URI = re.compile(r"kestra://[-a-zA-Z0-9%._+~#=/]+")
"""An address of internal storage in a text; other characters end it (tasks spec §23.3)."""

_READ_BYTES_MAX = 8_000_000
_AT_ONCE = 8


class AttemptFiles:
    """Moves files for one attempt. Its methods wait for the plane: call them from a thread, not from the loop."""

    def __init__(
        self,
        token: gateway.AttemptToken,
        door: Door,
        bridge: Bridge,
        folders: RunFolders,
        cache: Path,
        sub_run: gateway.SubRunName | None = None,
    ) -> None:
        self._token = token
        self._sub_run = sub_run
        self._door = door
        self._bridge = bridge
        self._folders = folders
        self._cache = cache
        self._copies: dict[str, Path] = {}

    def output_file(self, path: Path, name: str | None = None) -> str:
        """Stores a file in internal storage and returns its URI. Raises TaskFailed, FileRefused."""
        label = safe_name(name if name is not None else path.name)
        if not path.is_file():
            raise TaskFailed(f"There is no file {path.name!r} to store.", code="file.missing")
        return self._bridge.wait(self._door.put_file(self._token, label, path, sub_run=self._sub_run)).uri

    def output_files(self, found: dict[str, Path]) -> dict[str, str]:
        """Stores several files, some at once. Returns URI by name."""

        async def store() -> dict[str, str]:
            gate = asyncio.Semaphore(_AT_ONCE)

            async def one(name: str, path: Path) -> tuple[str, str]:
                async with gate:
                    return name, (await self._door.put_file(self._token, name, path, sub_run=self._sub_run)).uri

            return dict(await asyncio.gather(*(one(safe_name(name), path) for name, path in found.items())))

        return self._bridge.wait(store()) if found else {}

    def input_file(self, uri_or_text: str, name: str) -> Path:
        """A file of that name in the working directory: the content behind a URI, or the text itself."""
        work = self._folders.work
        text = uri_or_text.strip()
        if text.startswith(("kestra://", "nsfile://")) and "\n" not in text:
            target = place(work, name)
            self._bridge.wait(self._door.get_file(self._token, text, target))
            return target
        if text.startswith("file://") and "\n" not in text:
            raise FileRefused(
                f"{text[:200]} is a file of the worker; no folder of this worker is open to flows. Use a namespace file "
                "(nsfile:///…) or internal storage (kestra:///…).",
                code="file.scheme_refused",
            )
        return write_file(work, name, uri_or_text.encode("utf-8", "surrogatepass"))

    def put_namespace_file(self, namespace: str, path: str, source: Path, conflict: str = "OVERWRITE") -> str:
        """Stores a file in a namespace and returns its URI. Raises TaskFailed (`file.exists` with conflict ERROR)."""
        place_ = gateway.NamespacePlace(namespace=namespace, path=safe_name(path), conflict=conflict)
        return self._bridge.wait(self._door.put_file(self._token, source.name, source, namespace_file=place_)).uri

    def listed(self, namespace: str, patterns: Sequence[str]) -> list[str]:
        """Names of a namespace's files that fit one of the patterns; all of them without patterns."""
        found = self._bridge.wait(self._door.namespace_files(self._token, namespace))
        return [name for name in (file.path.lstrip("/") for file in found) if _chosen(name, patterns, ())]

    def delete(self, uri: str, namespace: str = "") -> bool:
        """Removes a file of the execution, or of a namespace (`nsfile:///…`). Says whether it was there. Raises TaskFailed."""
        request = gateway.DeleteFileRequest(token=self._token, uri=uri, namespace=namespace)
        answer = self._door.ask("DeleteFile", request, gateway.DeleteFileResult, "deleting a file", "file.delete_failed")
        return self._bridge.wait(answer).deleted

    def local_copy(self, uri: str, namespace: str = "", version: int = 0) -> Path:
        """A copy of a file of internal storage, outside the working directory; one copy per URI, namespace and version."""
        known = f"{uri} {namespace} {version}"
        found = self._copies.get(known)
        if found is None:
            folder = self._folders.folder("files") / str(len(self._copies))
            folder.mkdir()
            name = PurePosixPath(uri.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0]).name
            found = place(folder, name if re.fullmatch(r"[-\w.+%]{1,200}", name) and name not in (".", "..") else "file")
            self._bridge.wait(self._door.get_file(self._token, uri, found, namespace=namespace, version=version))
            self._copies[known] = found
        return found

    def localise(self, text: str) -> str:
        """The text with every `kestra://` URI replaced by the path of a local copy."""
        return URI.sub(lambda match: str(self.local_copy(match.group())), text)

    def read(self, path: str, namespace: str = "", version: int = 0) -> str:
        """The text of a namespace file, or of a file of internal storage. Raises TaskFailed (`file.too_large`, …)."""
        uri = path if path.startswith(("kestra://", "nsfile://")) else "nsfile:///" + path.lstrip("/")
        copy = self.local_copy(uri, namespace, version)
        if copy.stat().st_size > _READ_BYTES_MAX:
            message = f"read(): {path} is larger than {_READ_BYTES_MAX} bytes; hand the file to a task instead."
            raise TaskFailed(message, code="file.too_large")
        return copy.read_text(encoding="utf-8", errors="replace")

    def namespace_files(
        self,
        include: Sequence[str],
        exclude: Sequence[str],
        namespaces: Iterable[str] = ("",),
        *,
        if_exists: str = "OVERWRITE",
        folder_per_namespace: bool = False,
    ) -> list[str]:
        """Copies namespace files into the working directory. Returns their names.

        `include` empty = all; `namespaces`: later ones overwrite earlier ones; an empty name is the flow's own.
        `if_exists`: what becomes of a file that stands there already: OVERWRITE, ERROR (raises TaskFailed), WARN or IGNORE
        (both leave it). `folder_per_namespace`: each namespace's files go below a folder of its name.
        """
        written: dict[str, None] = {}
        for named in namespaces:
            namespace = named
            folder = f"{named}/" if folder_per_namespace and named else ""
            listed = self._bridge.wait(self._door.namespace_files(self._token, namespace))
            wanted = [file for file in listed if _chosen(file.path.lstrip("/"), include, exclude)]
            self._bridge.wait(self._fill_cache(namespace, wanted))
            for file in wanted:
                name = safe_name(folder + file.path.lstrip("/"))
                target = place(self._folders.work, name)
                if if_exists != "OVERWRITE" and target.exists():
                    if if_exists == "ERROR":
                        raise TaskFailed(f"The namespace file {name!r} is there already.", code="file.exists")
                    continue
                target.unlink(missing_ok=True)
                # A copy, not a link: a task that edits its file must not edit everyone's.
                shutil.copyfile(self._cached(file), target)
                written[name] = None
        return list(written)

    def _cached(self, file: gateway.NamespaceFile) -> Path:
        if not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
            raise TaskFailed(f"The plane listed {file.path!r} without a SHA-256.", code="file.read_failed")
        return self._cache / file.sha256

    async def _fill_cache(self, namespace: str, wanted: list[gateway.NamespaceFile]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def fetch(file: gateway.NamespaceFile) -> None:
            name = file.path.lstrip("/")
            uri = f"kestra:///{namespace.replace('.', '/')}/_files/{name}" if namespace else f"nsfile:///{name}"
            async with gate:
                await self._door.get_file(self._token, uri, self._cached(file), file.sha256)

        missing = {file.sha256: file for file in wanted if not self._cached(file).exists()}
        await asyncio.gather(*map(fetch, missing.values()))


def _chosen(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    if include and not any(matches(pattern.lstrip("/"), name) for pattern in include):
        return False
    return not any(matches(pattern.lstrip("/"), name) for pattern in exclude)
