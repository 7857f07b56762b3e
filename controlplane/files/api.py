"""REST of namespace files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.access import Need, access_namespace
from controlplane.accounts.views import TenantView, plain
from controlplane.files import namespace_files as files
from controlplane.files.paths import require_file_path
from controlplane.openapi.components import TEXT, listed
from controlplane.openapi.describe import UPLOAD, answer, answers, data, query
from controlplane.platform.errors import BadRequest, Invalid
from controlplane.platform.parsers import content_type, form_parts, number
from controlplane.platform.rendering import json_response

_TAGS = ["Files"]
_PATH = query("path", required=True)

ARCHIVE_BYTES_MAX = 500_000_000
"""Bytes an uploaded archive may unpack to."""
ARCHIVE_FILES_MAX = 5_000


def _done() -> HttpResponse:
    """200 with no body: clients check that it is empty."""
    return HttpResponse(status=200, content_type="application/json")


class _FilesView(TenantView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        need = Need.READ if request.method in ("GET", "HEAD", "OPTIONS") else Need.UPDATE
        access_namespace(self.actor, kwargs["tenant"], kwargs["namespace"], need)

    def text(self, request: Request, name: str) -> str:
        """A required query parameter. Raises BadRequest."""
        value = plain(request).GET.get(name)
        if not value:
            raise BadRequest(f"the query parameter {name} is missing")
        return value


class NamespaceFilesView(_FilesView):
    """One file, or a tree."""

    @extend_schema(
        operation_id="getNamespaceFile", tags=_TAGS, parameters=[_PATH, query("revision", OpenApiTypes.INT)], responses=data()
    )
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponseBase:
        """Its bytes."""
        path = self.text(request, "path")
        chunks = files.read_namespace_file(tenant, namespace, path, number(plain(request), "revision"))
        return StreamingHttpResponse(chunks, content_type="application/octet-stream")

    @extend_schema(operation_id="createNamespaceFile", tags=_TAGS, parameters=[_PATH], request=UPLOAD, responses={200: None})
    def post(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """A new version from the part `fileContent`. An archive (`….zip`) is unpacked at the root."""
        http = plain(request)
        content: bytes | Iterable[bytes]
        if content_type(http) == "multipart/form-data":
            part = dict(form_parts(http)).get("fileContent")
            if part is None:
                raise Invalid("the multipart body needs a part named fileContent", code="file.part")
            if isinstance(part, UploadedFile):
                if (part.name or "").lower().endswith(".zip"):
                    _unpack(tenant, namespace, part)
                    return _done()
                content = part.chunks()
            else:
                content = part.encode()
        else:
            content = http.body
        files.put_namespace_file(tenant, namespace, self.text(request, "path"), content)
        return _done()

    @extend_schema(
        operation_id="moveNamespaceFile",
        tags=_TAGS,
        parameters=[query("from", required=True), query("to", required=True)],
        request=None,
        responses={200: None},
    )
    def put(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Moves a file or a tree."""
        files.move_path(tenant, namespace, self.text(request, "from"), self.text(request, "to"))
        return _done()

    @extend_schema(operation_id="deleteNamespaceFile", tags=_TAGS, parameters=[_PATH], responses={200: None})
    def delete(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Deletes a file or a tree; versions stay."""
        files.delete_path(tenant, namespace, self.text(request, "path"))
        return _done()


class NamespaceFolderView(_FilesView):
    """Folders."""

    @extend_schema(
        operation_id="listNamespaceFolder", tags=_TAGS, parameters=[query("path")], responses=answers("FileAttributes")
    )
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """What lies in it."""
        return json_response(files.list_folder(tenant, namespace, plain(request).GET.get("path") or ""))

    @extend_schema(operation_id="createNamespaceFolder", tags=_TAGS, parameters=[_PATH], request=None, responses={200: None})
    def post(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Creates it, with all above it."""
        files.make_folder(tenant, namespace, self.text(request, "path"))
        return _done()


class NamespaceFileStatsView(_FilesView):
    """Attributes."""

    @extend_schema(
        operation_id="getNamespaceFileStats", tags=_TAGS, parameters=[query("path")], responses=answer("FileAttributes")
    )
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Of one file or folder."""
        return json_response(files.path_stats(tenant, namespace, plain(request).GET.get("path") or ""))


class NamespaceFileSearchView(_FilesView):
    """Search by path."""

    @extend_schema(
        operation_id="searchNamespaceFiles",
        tags=_TAGS,
        parameters=[query("q")],
        responses={(200, "application/json"): listed(TEXT)},
    )
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Absolute paths that contain `q`."""
        return json_response(files.search_paths(tenant, namespace, plain(request).GET.get("q") or ""))


class NamespaceFileRevisionsView(_FilesView):
    """Versions."""

    @extend_schema(operation_id="listNamespaceFileRevisions", tags=_TAGS, parameters=[_PATH], responses=answers("FileRevision"))
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """Of one file, oldest first."""
        return json_response(files.path_revisions(tenant, namespace, self.text(request, "path")))


class NamespaceFileExportView(_FilesView):
    """All of it."""

    @extend_schema(operation_id="exportNamespaceFiles", tags=_TAGS, responses=data())
    def get(self, request: Request, tenant: str, namespace: str) -> HttpResponse:
        """A zip of every current file."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for info in files.namespace_files(tenant, namespace):
                archive.writestr(info.path, b"".join(files.read_namespace_file(tenant, namespace, info.path)))
        response = HttpResponse(buffer.getvalue(), content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{namespace}_files.zip"'
        return response


def _unpack(tenant: str, namespace: str, upload: UploadedFile[Any]) -> None:
    """Every file of an archive, all names checked and sizes bounded before the first is stored. Raises Invalid."""
    try:
        archive = zipfile.ZipFile(upload)
    except zipfile.BadZipFile:
        raise Invalid("the upload is called .zip but is no zip archive", code="file.archive") from None
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > ARCHIVE_FILES_MAX or sum(member.file_size for member in members) > ARCHIVE_BYTES_MAX:
            raise Invalid(
                f"an archive may hold {ARCHIVE_FILES_MAX} files and {ARCHIVE_BYTES_MAX // 1_000_000} MB", code="file.archive"
            )
        names = [require_file_path(member.filename, what="name in the archive") for member in members]
        for member, name in zip(members, names, strict=True):
            with archive.open(member) as content:
                files.put_namespace_file(tenant, namespace, name, _pieces(content))


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    while piece := content.read(65536):
        yield piece
