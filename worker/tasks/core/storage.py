"""Files of internal storage: joining, cutting, reversing, measuring, writing and removing them (tasks §6)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from flows.plugins import Dynamic, Properties, TaskKind, TaskType
from worker.agent_context import AgentContext
from worker.errors import TaskFailed
from worker.names import files_below, matches
from worker.tasks.bring_in import as_map
from worker.tasks.core.batches import Batch, stored_batches
from worker.tasks.core.pieces import rows_of

_STORAGE = "io.kestra.plugin.core.storage."


class StorageTask(TaskType):
    """What the tasks on files share: they wait for disks and the plane, in a thread of the agent."""

    kind: ClassVar[TaskKind] = "light"


class UriOutputs(Properties):
    """`uri`: address of the new file."""

    uri: str


class Concat(StorageTask):
    """Joins files. The separator is written after every file, the last one included."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "Concat", "io.kestra.core.tasks.storages.Concat")
    title: ClassVar[str] = "Join files"
    outputs: ClassVar[type[Properties]] = UriOutputs
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: join\ntype: io.kestra.plugin.core.storage.Concat\nfiles:\n  - '{{ outputs.one.uri }}'\n"
            "  - '{{ outputs.two.uri }}'\nseparator: \"\\n\"\n"
        ),
    )

    files: Dynamic[list[Any] | str]
    separator: Dynamic[str] | None = None
    extension: Dynamic[str] = ".tmp"

    def run(self, context: AgentContext) -> UriOutputs:
        """Joins them, streaming."""
        target = context.scratch("joined") / f"concat{self.extension}"
        with target.open("wb") as out:
            for uri in _addresses(self.files):
                with context.files.local_copy(uri).open("rb") as source:
                    shutil.copyfileobj(source, out, 1_000_000)
                out.write(str(self.separator or "").encode())
        return UriOutputs(uri=context.output_file(target))


class SplitOutputs(Properties):
    """`uris`: addresses of the parts, in order."""

    uris: list[str]


class Split(StorageTask):
    """Cuts a file into parts, by `bytes`, `rows` or `partitions`: exactly one of them."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "Split", "io.kestra.core.tasks.storages.Split")
    title: ClassVar[str] = "Cut a file into parts"
    outputs: ClassVar[type[Properties]] = SplitOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: parts\ntype: io.kestra.plugin.core.storage.Split\nfrom: '{{ outputs.export.uri }}'\nrows: 1000\n",
    )

    from_: Dynamic[str] = Field(alias="from")
    rows: Dynamic[int] | None = None
    bytes: Dynamic[str | int] | None = None
    partitions: Dynamic[int] | None = None
    separator: Dynamic[str] = "\n"

    def run(self, context: AgentContext) -> SplitOutputs:
        """Stores the parts. Raises TaskFailed (`task.property_invalid`) unless exactly one mode is given."""
        batch = Batch(rows=self.rows, bytes=self.bytes, partitions=self.partitions, separator=self.separator)
        modes = batch.modes()
        if not modes:
            raise TaskFailed("expected exactly one of bytes, partitions and rows", code="task.property_invalid")
        return SplitOutputs(uris=stored_batches(context, str(self.from_), batch, modes))


class SizeOutputs(Properties):
    """`size`: bytes."""

    size: int


class Size(TaskType):
    """Says how large a file is, without fetching it."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "Size", "io.kestra.core.tasks.storages.Size")
    kind: ClassVar[TaskKind] = "light"
    title: ClassVar[str] = "Measure a file"
    outputs: ClassVar[type[Properties]] = SizeOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: size\ntype: io.kestra.plugin.core.storage.Size\nuri: '{{ outputs.export.uri }}'\n",
    )

    uri: Dynamic[str]

    def run(self, context: AgentContext) -> SizeOutputs:
        """Its bytes. Raises TaskFailed (`file.missing`)."""
        return SizeOutputs(size=context.functions.file_size(str(self.uri)))


class Reverse(StorageTask):
    """Turns the order of a file's rows around."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "Reverse", "io.kestra.core.tasks.storages.Reverse")
    title: ClassVar[str] = "Reverse the rows of a file"
    outputs: ClassVar[type[Properties]] = UriOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: newest_first\ntype: io.kestra.plugin.core.storage.Reverse\nfrom: '{{ outputs.export.uri }}'\n",
    )

    from_: Dynamic[str] = Field(alias="from")
    separator: Dynamic[str] = "\n"
    charset: Dynamic[str] = "UTF-8"

    def run(self, context: AgentContext) -> UriOutputs:
        """Rows are remembered by their place in the file, so that memory grows with their number, not with their size."""
        try:
            separator = str(self.separator).encode(str(self.charset))
        except LookupError:
            raise TaskFailed(f"charset: {self.charset!r} is unknown", code="task.property_invalid") from None
        source = context.files.local_copy(str(self.from_))
        places: list[tuple[int, int]] = []
        at = 0
        for row in rows_of(source, separator):
            places.append((at, len(row)))
            at += len(row) + len(separator)
        target = context.scratch("reversed") / f"reverse{source.suffix or '.ion'}"
        with source.open("rb") as rows, target.open("wb") as out:
            for start, length in reversed(places):
                rows.seek(start)
                out.write(rows.read(length) + separator)
        return UriOutputs(uri=context.output_file(target))


class DeleteOutputs(Properties):
    """`deleted`: whether it was there."""

    uri: str
    deleted: bool


class Delete(TaskType):
    """Removes a file of the execution."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "Delete", "io.kestra.core.tasks.storages.Delete")
    kind: ClassVar[TaskKind] = "light"
    title: ClassVar[str] = "Delete a file"
    outputs: ClassVar[type[Properties]] = DeleteOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: away\ntype: io.kestra.plugin.core.storage.Delete\nuri: '{{ outputs.export.uri }}'\n",
    )

    uri: Dynamic[str]
    error_on_missing: Dynamic[bool] = False

    def run(self, context: AgentContext) -> DeleteOutputs:
        """Removes it. Raises TaskFailed (`file.missing`) when it is missing and that is an error."""
        deleted = context.files.delete(str(self.uri))
        if not deleted and self.error_on_missing:
            raise TaskFailed(f"There is no file {self.uri}.", code="file.missing")
        return DeleteOutputs(uri=str(self.uri), deleted=deleted)


class Write(TaskType):
    """Stores a text as a file."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "Write",)
    kind: ClassVar[TaskKind] = "light"
    title: ClassVar[str] = "Write a file"
    outputs: ClassVar[type[Properties]] = UriOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: note\ntype: io.kestra.plugin.core.storage.Write\ncontent: 'Hello, {{ inputs.name }}'\nextension: .txt\n",
    )

    content: Dynamic[str]
    extension: Dynamic[str] = ".txt"

    def run(self, context: AgentContext) -> UriOutputs:
        """Stores it."""
        path = context.scratch("written") / f"write{self.extension}"
        path.write_text(str(self.content), encoding="utf-8", errors="surrogatepass")
        return UriOutputs(uri=context.output_file(path))


class LocalFilesOutputs(Properties):
    """`uris`: address of each captured file by its name."""

    uris: dict[str, str]


class LocalFiles(StorageTask):
    """The deprecated way to put files into a WorkingDirectory and to take them out."""

    types: ClassVar[tuple[str, ...]] = (_STORAGE + "LocalFiles", "io.kestra.core.tasks.storages.LocalFiles")
    title: ClassVar[str] = "Exchange files with the working directory (deprecated; use inputFiles and outputFiles)"
    outputs: ClassVar[type[Properties]] = LocalFilesOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: files\ntype: io.kestra.plugin.core.storage.LocalFiles\ninputs:\n  note.txt: Hello\n",
    )

    inputs: Dynamic[dict[str, Any]] | None = None
    outputs_: Dynamic[list[str]] = Field(default=[], alias="outputs")

    def run(self, context: AgentContext) -> LocalFilesOutputs:
        """Writes the inputs, captures the outputs."""
        for name, content in as_map(self.inputs or {}, "inputs").items():
            context.input_file(str(content), name)
        patterns: Any = self.outputs_
        present: dict[str, Path] = files_below(context.workdir) if patterns else {}
        found = {name: path for name, path in present.items() if any(matches(pattern, name) for pattern in patterns)}
        return LocalFilesOutputs(uris=context.files.output_files(found))


def _addresses(files: Any) -> list[str]:
    """A list of addresses, or JSON text of one. Raises TaskFailed (`task.property_invalid`)."""
    if isinstance(files, str):
        try:
            files = json.loads(files)
        except ValueError:
            files = [files]
    if not isinstance(files, list):
        raise TaskFailed("files: expected a list of addresses, or JSON text of one", code="task.property_invalid")
    return [str(uri) for uri in files]


TASKS = (Concat, Split, Size, Reverse, Delete, Write, LocalFiles)
