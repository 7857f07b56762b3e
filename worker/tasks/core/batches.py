"""The worker's parts of ForEachItem (execution-semantics §7.2): cutting the items into batches, gathering outputs."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from flows.plugins import Dynamic, Properties, TaskKind, TaskType
from worker.agent_context import AgentContext
from worker.errors import TaskFailed
from worker.tasks.core.pieces import size_of, split

_FLOW = "io.kestra.plugin.core.flow.ForEachItem$"
_STORED_AT_ONCE = 32


class Batch(Properties):
    """How the items are cut. `rows`, `bytes` or `partitions`; one row a batch when none is given."""

    rows: Dynamic[int] | None = None
    bytes: Dynamic[str | int] | None = None
    partitions: Dynamic[int] | None = None
    separator: Dynamic[str] = "\n"

    def modes(self) -> dict[str, int]:
        """The one mode, as arguments of `split`. Raises TaskFailed (`task.property_invalid`)."""
        found: dict[str, int] = {}
        for name, value in (("rows", self.rows), ("partitions", self.partitions)):
            if value is not None:
                found[name] = int(value)
        if self.bytes is not None:
            found["bytes_max"] = size_of(str(self.bytes))
        if len(found) > 1:
            raise TaskFailed("expected exactly one of bytes, partitions and rows", code="task.property_invalid")
        if any(value < 1 for value in found.values()):
            raise TaskFailed("rows and partitions must be at least 1", code="task.property_invalid")
        return found


def stored_batches(context: AgentContext, uri: str, batch: Batch, modes: dict[str, int]) -> list[str]:
    """Cuts a file of internal storage and stores each batch. Returns their addresses, in order."""
    source = context.files.local_copy(uri)
    folder = context.scratch("batches")
    uris: list[str] = []
    waiting: dict[str, Any] = {}
    for path in split(source, folder, str(batch.separator).encode(), **modes):
        waiting[path.name] = path
        if len(waiting) >= _STORED_AT_ONCE:
            uris += _stored(context, waiting)
    return uris + _stored(context, waiting)


def _stored(context: AgentContext, waiting: dict[str, Any]) -> list[str]:
    stored = context.files.output_files(waiting)
    uris = [stored[name] for name in waiting]
    for path in waiting.values():
        path.unlink()
    waiting.clear()
    return uris


class SplitOutputs(Properties):
    """`splits`: address of a file that lists the batches' addresses, one a line."""

    splits: str


class ForEachItemSplit(TaskType):
    """Cuts the items of a ForEachItem into batches. Written by ForEachItem, not by people."""

    types: ClassVar[tuple[str, ...]] = (_FLOW + "ForEachItemSplit",)
    kind: ClassVar[TaskKind] = "light"
    title: ClassVar[str] = "Cut items into batches (part of ForEachItem)"
    outputs: ClassVar[type[Properties]] = SplitOutputs
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: each_split\ntype: io.kestra.plugin.core.flow.ForEachItem$ForEachItemSplit\nitems: '{{ inputs.file }}'\n"
            "batch:\n  rows: 100\n"
        ),
    )

    items: Dynamic[str]
    batch: Dynamic[Batch] = Field(default_factory=Batch)

    def run(self, context: AgentContext) -> SplitOutputs:
        """Stores the batches and their list. Raises TaskFailed (`task.property_invalid`) for items that are no stored file."""
        uri = str(self.items).strip()
        if not uri.startswith("kestra://"):
            message = f"items: expected the address of a stored file (kestra:///…), found {uri[:100]!r}"
            raise TaskFailed(message, code="task.property_invalid")
        modes = self.batch.modes() or {"rows": 1}
        uris = stored_batches(context, uri, self.batch, modes)
        context.metric("batches", len(uris))
        listing = context.scratch("listing") / "splits.ion"
        listing.write_text("".join(f"{one}\n" for one in uris), encoding="utf-8")
        return SplitOutputs(splits=context.output_file(listing))


class MergeOutputs(Properties):
    """`subflowOutputs`: address of a file with one line per batch; null when the executions gave none."""

    subflow_outputs: str | None = None


class ForEachItemMergeOutputs(TaskType):
    """Gathers the outputs of a ForEachItem's executions. Written by ForEachItem, not by people."""

    types: ClassVar[tuple[str, ...]] = (_FLOW + "ForEachItemMergeOutputs",)
    kind: ClassVar[TaskKind] = "light"
    title: ClassVar[str] = "Gather outputs (part of ForEachItem)"
    outputs: ClassVar[type[Properties]] = MergeOutputs
    examples: ClassVar[tuple[str, ...]] = (
        (
            "id: each_merge\ntype: io.kestra.plugin.core.flow.ForEachItem$ForEachItemMergeOutputs\n"
            "subflowOutputs: '{{ outputs.each_items.subflowOutputsBaseUri }}'\n"
        ),
    )

    subflow_outputs: Dynamic[str] | None = None

    def run(self, context: AgentContext) -> MergeOutputs:
        """Stores the file of all outputs as one of its own."""
        uri = str(self.subflow_outputs or "").strip()
        if not uri or uri == "null":
            return MergeOutputs()
        return MergeOutputs(subflow_outputs=context.output_file(context.files.local_copy(uri), "subflow-outputs.ion"))


TASKS = (ForEachItemSplit, ForEachItemMergeOutputs)
