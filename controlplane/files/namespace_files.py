"""Namespace files: reading and changing the versioned tree of a namespace.

A version's bytes are stored before its row is committed, under a name of their own, and never change; so a reader sees a
whole version or none, and what a crash leaves behind is an unreferenced file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max, Q, QuerySet

from controlplane.files import storage
from controlplane.files.models import NamespaceFile
from controlplane.files.paths import UnsafePath, clean_path, require_file_path
from controlplane.files.storage import FileMissing
from controlplane.platform.clock import iso, now_us
from controlplane.platform.errors import Conflict
from controlplane.platform.identifiers import require_namespace
from wire.ids import new_id


class NamespaceFileInfo(NamedTuple):
    """A current file, as a worker needs to know it."""

    path: str
    size_bytes: int
    version: int
    sha256: str


def _current(tenant: str, namespace: str) -> QuerySet[NamespaceFile]:
    return NamespaceFile.objects.filter(tenant_id=tenant, namespace=namespace, last=True, deleted=False)


def _below(path: str) -> Q:
    return Q(path=path) | Q(path__startswith=f"{path}/") if path else Q()


def namespace_files(tenant: str, namespace: str) -> list[NamespaceFileInfo]:
    """Every current file of a namespace, in order of path. Folders are not listed."""
    rows = _current(tenant, namespace).filter(folder=False).order_by("path")
    return [NamespaceFileInfo(*row) for row in rows.values_list("path", "size_bytes", "version", "sha256")]


def put_namespace_file(tenant: str, namespace: str, path: str, data: bytes | Iterable[bytes]) -> NamespaceFileInfo:
    """Stores a new version; folders on the way appear. The same bytes make no new version. Raises UnsafePath, Conflict."""
    require_namespace(namespace)
    path = require_file_path(path)
    digest = hashlib.sha256()
    # Content is addressed by chance, not by digest: an interrupted upload must never be taken for a whole one.
    blob = f"_files/{namespace}/{new_id()}"

    def counted() -> Iterable[bytes]:
        for chunk in (data,) if isinstance(data, bytes) else data:
            digest.update(chunk)
            yield chunk

    stored = storage.put_file(tenant, blob, counted())
    try:
        with transaction.atomic():
            now = now_us()
            _make_folders(tenant, namespace, path, now)
            row = _last(tenant, namespace, path)
            if row is not None and not row.deleted:
                if row.folder:
                    raise Conflict(f"'{path}' is a folder", code="file.is_folder")
                if row.sha256 == digest.hexdigest():
                    storage.remove_file(tenant, blob)
                    return NamespaceFileInfo(path, row.size_bytes, row.version, row.sha256)
            added = _add_version(
                tenant, namespace, path, row, now, size_bytes=stored.size_bytes, sha256=digest.hexdigest(), blob=blob
            )
    except BaseException:
        storage.remove_file(tenant, blob)
        raise
    return NamespaceFileInfo(path, added.size_bytes, added.version, added.sha256)


def current_file(tenant: str, namespace: str, path: str, version: int | None = None) -> NamespaceFileInfo | None:
    """The current or a given version of a file, or None."""
    rows = _current(tenant, namespace)
    if version is not None:
        rows = NamespaceFile.objects.filter(tenant_id=tenant, namespace=namespace, version=version, deleted=False)
    row = rows.filter(path=require_file_path(path), folder=False).values_list("path", "size_bytes", "version", "sha256").first()
    return None if row is None else NamespaceFileInfo(*row)


def read_namespace_file(tenant: str, namespace: str, path: str, version: int | None = None) -> Iterable[bytes]:
    """Chunks of the current or a given version. Raises FileMissing."""
    path = require_file_path(path)
    if version is None:
        row = _current(tenant, namespace).filter(path=path, folder=False).first()
    else:
        row = NamespaceFile.objects.filter(
            tenant_id=tenant, namespace=namespace, path=path, version=version, folder=False, deleted=False
        ).first()
    if row is None:
        raise FileMissing(f"file '{path}' not found in namespace '{namespace}'")
    return storage.open_file(tenant, row.blob)


def make_folder(tenant: str, namespace: str, path: str) -> None:
    """Creates a folder with all above it. Raises UnsafePath, Conflict."""
    require_namespace(namespace)
    path = clean_path(path)
    if path:
        with transaction.atomic():
            _make_folders(tenant, namespace, f"{path}/x", now_us())


def delete_path(tenant: str, namespace: str, path: str) -> None:
    """Deletes a file, or a folder with all below it; versions stay. Raises FileMissing."""
    path = clean_path(path)
    with transaction.atomic():
        rows = list(_current(tenant, namespace).filter(_below(path)).select_for_update())
        if not rows:
            raise FileMissing(f"'{path}' not found in namespace '{namespace}'")
        now = now_us()
        for row in rows:
            _add_version(tenant, namespace, row.path, row, now, deleted=True, folder=row.folder)


def move_path(tenant: str, namespace: str, source: str, target: str) -> None:
    """Moves a file or a tree. Raises FileMissing, Conflict when the target exists, UnsafePath."""
    source, target = require_file_path(source.rstrip("/")), require_file_path(target.rstrip("/"))
    if target == source or target.startswith(f"{source}/"):
        raise UnsafePath(f"'{source}' cannot be moved into itself")
    with transaction.atomic():
        rows = list(_current(tenant, namespace).filter(_below(source)).select_for_update())
        if not rows:
            raise FileMissing(f"'{source}' not found in namespace '{namespace}'")
        if _current(tenant, namespace).filter(path=target).exists():
            raise Conflict(f"'{target}' exists already", code="file.exists")
        now = now_us()
        _make_folders(tenant, namespace, target, now)
        for row in rows:
            path = target + row.path.removeprefix(source)
            _add_version(
                tenant,
                namespace,
                path,
                _last(tenant, namespace, path),
                now,
                folder=row.folder,
                size_bytes=row.size_bytes,
                sha256=row.sha256,
                blob=row.blob,
            )
            _add_version(tenant, namespace, row.path, row, now, deleted=True, folder=row.folder)


def _make_folders(tenant: str, namespace: str, path: str, now: int) -> None:
    """Every folder above `path` exists afterwards."""
    names = path.split("/")[:-1]
    folders = ["/".join(names[: depth + 1]) for depth in range(len(names))]
    present = dict(_current(tenant, namespace).filter(path__in=folders).values_list("path", "folder"))
    for folder in folders:
        if folder not in present:
            _add_version(tenant, namespace, folder, _last(tenant, namespace, folder), now, folder=True)
        elif not present[folder]:
            raise Conflict(f"'{folder}' is a file; it cannot hold '{path}'", code="file.is_file")


def _last(tenant: str, namespace: str, path: str) -> NamespaceFile | None:
    return NamespaceFile.objects.select_for_update().filter(tenant_id=tenant, namespace=namespace, path=path, last=True).first()


def _add_version(tenant: str, namespace: str, path: str, row: NamespaceFile | None, now: int, **values: Any) -> NamespaceFile:
    """The next version of a path. A path that was deleted begins a new life, with its numbers continued."""
    version, created = 1, now
    if row is not None:
        version = row.version + 1
        created = now if row.deleted else row.created_at_us
        NamespaceFile.objects.filter(tenant_id=tenant, namespace=namespace, path=path, last=True).update(last=False)
    added = NamespaceFile(
        tenant_id=tenant, namespace=namespace, path=path, version=version, created_at_us=created, updated_at_us=now, **values
    )
    added.save(force_insert=True)
    return added


def list_folder(tenant: str, namespace: str, path: str) -> list[dict[str, Any]]:
    """What lies directly in a folder, folders first. Raises FileMissing for a missing sub-folder; the root always exists."""
    path = clean_path(path)
    rows = _current(tenant, namespace)
    if path:
        if not rows.filter(path=path, folder=True).exists():
            raise FileMissing(f"folder '{path}' not found in namespace '{namespace}'")
        rows = rows.filter(path__startswith=f"{path}/")
    start = len(path) + 1 if path else 0
    direct = [row for row in rows.order_by("path") if "/" not in row.path[start:]]
    return [attributes(row) for row in sorted(direct, key=lambda row: (not row.folder, row.path))]


def path_stats(tenant: str, namespace: str, path: str) -> dict[str, Any]:
    """Attributes of one file or folder. Raises FileMissing."""
    path = clean_path(path)
    row = _current(tenant, namespace).filter(path=path).first() if path else None
    if row is not None:
        return attributes(row)
    if path:
        raise FileMissing(f"'{path}' not found in namespace '{namespace}'")
    newest = _current(tenant, namespace).aggregate(at=Max("updated_at_us"))["at"] or 0
    return {
        "fileName": "_files",
        "type": "Directory",
        "size": 0,
        "lastModifiedTime": newest // 1000,
        "creationTime": newest // 1000,
    }


def search_paths(tenant: str, namespace: str, q: str) -> list[str]:
    """Absolute paths of files that contain `q`."""
    rows = _current(tenant, namespace).filter(folder=False, path__icontains=q).order_by("path")
    return [f"/{path}" for path in rows.values_list("path", flat=True)]


def path_revisions(tenant: str, namespace: str, path: str) -> list[dict[str, Any]]:
    """All versions of a file, oldest first. Raises FileMissing."""
    path = require_file_path(path)
    rows: Sequence[NamespaceFile] = list(
        NamespaceFile.objects.filter(tenant_id=tenant, namespace=namespace, path=path, folder=False).order_by("version")
    )
    if not rows:
        raise FileMissing(f"file '{path}' not found in namespace '{namespace}'")
    return [
        {"revision": row.version, "date": iso(row.updated_at_us), "size": row.size_bytes, "deleted": row.deleted} for row in rows
    ]


def attributes(row: NamespaceFile) -> dict[str, Any]:
    """A file or folder as clients know it. Times are epoch milliseconds."""
    return {
        "fileName": row.path.rpartition("/")[2],
        "type": "Directory" if row.folder else "File",
        "size": row.size_bytes,
        "lastModifiedTime": row.updated_at_us // 1000,
        "creationTime": row.created_at_us // 1000,
    }
