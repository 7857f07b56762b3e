"""Namespace files, in and out (tasks §5): for flows that publish code, queries or settings to others."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties
from worker.agent_context import AgentContext
from worker.errors import TaskFailed
from worker.names import files_below, matches
from worker.tasks.bring_in import as_map
from worker.tasks.core.storage import StorageTask

_NAMESPACE = "io.kestra.plugin.core.namespace."


class FilesOutputs(Properties):
    """`files`: address of each file by its path."""

    files: dict[str, str]


def _patterns(files: Any) -> list[str]:
    return [files] if isinstance(files, str) else [str(one) for one in files or ()]


class UploadFiles(StorageTask):
    """Puts files of the working directory, or stored ones by name, into a namespace."""

    types: ClassVar[tuple[str, ...]] = (_NAMESPACE + "UploadFiles",)
    title: ClassVar[str] = "Upload namespace files"
    outputs: ClassVar[type[Properties]] = FilesOutputs
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: publish\ntype: io.kestra.plugin.core.namespace.UploadFiles\nnamespace: company.team\n"
            "filesMap:\n  sql/report.sql: '{{ outputs.made.uri }}'\ndestination: reports\n"
        ),
    )

    namespace: Dynamic[str]
    files: Dynamic[list[str] | str] | None = None
    files_map: Dynamic[dict[str, Any] | str] | None = None
    destination: Dynamic[str] = "/"
    conflict: Dynamic[Literal["OVERWRITE", "ERROR", "SKIP"]] = "OVERWRITE"

    def run(self, context: AgentContext) -> FilesOutputs:
        """Uploads them. Raises TaskFailed (`file.exists`) for a present file with `conflict: ERROR`."""
        patterns = _patterns(self.files)
        found: dict[str, Path] = {}
        if patterns:
            present = files_below(context.workdir)
            found = {name: path for name, path in present.items() if any(matches(one.lstrip("/"), name) for one in patterns)}
        for name, uri in as_map(self.files_map or {}, "filesMap").items():
            found[name.lstrip("/")] = context.files.local_copy(str(uri))
        if not found and self.files_map is None and not patterns:
            raise TaskFailed("expected `files` or `filesMap`", code="task.property_invalid")
        folder = str(self.destination).strip("/")
        uploaded = {}
        for name, path in sorted(found.items()):
            target = str(PurePosixPath(folder, name)) if folder else name
            uploaded[target] = context.files.put_namespace_file(str(self.namespace), target, path, str(self.conflict))
        return FilesOutputs(files=uploaded)


class DownloadFiles(StorageTask):
    """Takes files of a namespace into internal storage."""

    types: ClassVar[tuple[str, ...]] = (_NAMESPACE + "DownloadFiles",)
    title: ClassVar[str] = "Download namespace files"
    outputs: ClassVar[type[Properties]] = FilesOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: queries\ntype: io.kestra.plugin.core.namespace.DownloadFiles\nnamespace: company.team\nfiles: ['sql/**']\n",
    )

    namespace: Dynamic[str]
    files: Dynamic[list[str] | str]
    destination: Dynamic[str] = ""

    def run(self, context: AgentContext) -> FilesOutputs:
        """Stores a copy of each as a file of the task run."""
        namespace = str(self.namespace)
        folder = str(self.destination).strip("/")
        names = context.files.listed(namespace, _patterns(self.files))
        found = {}
        for name in names:
            target = str(PurePosixPath(folder, name)) if folder else name
            found[target] = context.files.local_copy("nsfile:///" + name, namespace)
        return FilesOutputs(files=context.files.output_files(found))


class DeleteFiles(StorageTask):
    """Removes files of a namespace."""

    types: ClassVar[tuple[str, ...]] = (_NAMESPACE + "DeleteFiles",)
    title: ClassVar[str] = "Delete namespace files"
    outputs: ClassVar[type[Properties]] = FilesOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: clean\ntype: io.kestra.plugin.core.namespace.DeleteFiles\nnamespace: company.team\nfiles: ['tmp/**']\n",
    )

    namespace: Dynamic[str]
    files: Dynamic[list[str] | str]
    delete_parent_folder: Dynamic[bool] = Field(default=False, description="Folders that become empty go too.")

    def run(self, context: AgentContext) -> FilesOutputs:
        """Removes them; `files` names what went."""
        namespace = str(self.namespace)
        gone: dict[str, str] = {}
        for name in context.files.listed(namespace, _patterns(self.files)):
            if context.files.delete("nsfile:///" + name, namespace):
                gone[name] = f"kestra:///{namespace.replace('.', '/')}/_files/{name}"
        if self.delete_parent_folder and gone:
            left = context.files.listed(namespace, [])
            folders = {str(parent) for name in gone for parent in PurePosixPath(name).parents if str(parent) != "."}
            for folder in sorted(folders, reverse=True):
                if not any(name.startswith(folder + "/") for name in left):
                    context.files.delete("nsfile:///" + folder, namespace)
        return FilesOutputs(files=gone)


TASKS = (UploadFiles, DownloadFiles, DeleteFiles)
