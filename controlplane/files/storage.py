"""Internal storage: bytes under `<data>/storage/<tenant>/`, known by `kestra:///…` addresses.

Every call names the tenant; a path never leaves its folder. Files appear whole or not at all: written aside, synced, renamed.
Object stores get the same functions later.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings

from controlplane.files.paths import UnsafePath, clean_path, require_file_path
from controlplane.platform.errors import Invalid, Missing
from controlplane.platform.identifiers import TENANT, require_namespace
from wire.ids import new_id

SCHEME = "kestra"
CHUNK_BYTES = 256 * 1024


class FileMissing(Missing):
    """No such file in this tenant's storage."""

    code = "file.missing"


class FileDamaged(Invalid):
    """What arrived is not what was announced."""

    code = "file.digest"


class StoredFile(NamedTuple):
    """Where a file is now, and how large."""

    uri: str
    size_bytes: int


def execution_folder(namespace: str, flow_id: str, execution_id: str) -> str:
    """Storage path of all files of an execution."""
    return f"{require_namespace(namespace).replace('.', '/')}/{_segment(flow_id)}/executions/{_segment(execution_id)}"


def put_task_file(
    tenant: str,
    namespace: str,
    flow_id: str,
    execution_id: str,
    task_id: str,
    task_run_id: str,
    name: str,
    chunks: Iterable[bytes],
    *,
    sha256: str | None = None,
) -> StoredFile:
    """Stores what a task run produced. `name` may hold folders. Raises UnsafePath, FileDamaged when `sha256` differs."""
    folder = f"{execution_folder(namespace, flow_id, execution_id)}/tasks/{_segment(task_id)}/{_segment(task_run_id)}"
    return put_file(tenant, f"{folder}/{require_file_path(name, what='file name')}", chunks, sha256=sha256)


def put_input_file(
    tenant: str, namespace: str, flow_id: str, execution_id: str, input_id: str, name: str, chunks: Iterable[bytes]
) -> StoredFile:
    """Stores the upload for an input of type FILE."""
    folder = f"{execution_folder(namespace, flow_id, execution_id)}/inputs/{_segment(input_id)}"
    return put_file(tenant, f"{folder}/{require_file_path(name, what='file name')}", chunks)


def put_file(tenant: str, path: str, chunks: Iterable[bytes], *, sha256: str | None = None) -> StoredFile:
    """Stores bytes at a path of the tenant's storage, replacing what was there. Raises UnsafePath, FileDamaged."""
    path = require_file_path(path)
    target = _place(tenant, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{new_id()}.part")
    digest = hashlib.sha256()
    size = 0
    try:
        with aside.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        if sha256 and digest.hexdigest() != sha256.lower():
            raise FileDamaged(f"the bytes of {path} do not have the announced sha256; send the file again")
        aside.replace(target)
        _sync_folder(target.parent)
    finally:
        aside.unlink(missing_ok=True)
    return StoredFile(uri_of(path), size)


def open_file(tenant: str, uri: str) -> Iterator[bytes]:
    """Chunks of a file. Raises FileMissing before the first one."""
    path = locate(tenant, uri)
    return _chunks(path)


def read_file(tenant: str, uri: str, bytes_max: int | None = None) -> bytes:
    """The bytes of a file, or its first ones. Raises FileMissing."""
    with locate(tenant, uri).open("rb") as file:
        return file.read() if bytes_max is None else file.read(bytes_max)


def file_size(tenant: str, uri: str) -> int:
    """Bytes of a file. Raises FileMissing."""
    return locate(tenant, uri).stat().st_size


def locate(tenant: str, uri: str) -> Path:
    """The file on this disk. Raises FileMissing, UnsafePath."""
    found = _place(tenant, path_of(uri))
    if not found.is_file():
        raise FileMissing(f"file '{uri}' not found")
    return found


def remove_file(tenant: str, path: str) -> None:
    """Removes one file, when it is there."""
    _place(tenant, require_file_path(path)).unlink(missing_ok=True)


def remove_folder(tenant: str, path: str) -> None:
    """Removes a folder with all below it, when it is there."""
    path = clean_path(path)
    if not path:
        raise UnsafePath("the root of the storage is not removed this way")
    shutil.rmtree(_place(tenant, path), ignore_errors=True)


def uri_of(path: str) -> str:
    """`kestra:///…` of a storage path."""
    return f"{SCHEME}:///{quote(path, safe='/._-~ ')}".replace(" ", "%20")


def path_of(uri: str) -> str:
    """The storage path in an address; a path that is no address is taken as one. Raises UnsafePath."""
    if uri.startswith(f"{SCHEME}:"):
        parts = urlsplit(uri)
        if parts.netloc:
            raise UnsafePath(f"a storage address begins with {SCHEME}:///, not {SCHEME}://{parts.netloc}")
        return require_file_path(unquote(uri.removeprefix(f"{SCHEME}:").lstrip("/")))
    if "://" in uri:
        raise UnsafePath(f"{uri!r} is no address of the internal storage ({SCHEME}:///…)")
    return require_file_path(uri)


def belongs_to(uri: str, namespace: str, flow_id: str, execution_id: str) -> bool:
    """Whether an address lies in the folder of that execution."""
    try:
        return path_of(uri).startswith(execution_folder(namespace, flow_id, execution_id) + "/")
    except UnsafePath:
        return False


def storage_root(tenant: str) -> Path:
    """Folder of a tenant."""
    if TENANT.fullmatch(tenant) is None:
        raise UnsafePath(f"{tenant!r} is no tenant")
    return Path(settings.HEADRACE_DATA) / "storage" / tenant


def _place(tenant: str, path: str) -> Path:
    root = storage_root(tenant)
    found = root / path
    # Segments were checked one by one; this catches what they cannot know: a link somebody put into the folder.
    if not Path(os.path.realpath(found)).is_relative_to(os.path.realpath(root)):
        raise UnsafePath(f"{path!r} leads out of the storage")
    return found


def _segment(name: str) -> str:
    cleaned = require_file_path(name)
    if "/" in cleaned or cleaned != name:
        raise UnsafePath(f"{name!r} must be one name")
    return cleaned


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
