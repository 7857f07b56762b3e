"""Keys of namespaces (`kv.*`) and the state of flows, which is kept in such keys (`state.*`). Rules: tasks §5."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties, TaskKind, TaskType
from flows.spec.durations import parse_duration
from worker.agent_context import AgentContext
from worker.errors import TaskFailed

_KV = "io.kestra.plugin.core.kv."
_STATE = "io.kestra.plugin.core.state."
Kind = Literal["NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON", "STRING"]


class KeyTask(TaskType):
    """What tasks with a key share."""

    kind: ClassVar[TaskKind] = "light"

    namespace: Dynamic[str] | None = Field(default=None, description="The flow's own when absent.")

    @property
    def space(self) -> str:
        """The named namespace; empty for the flow's own."""
        return str(self.namespace or "")


class Set(KeyTask):
    """Sets a key. Without `kvType` the value keeps the type it has when rendered: `{{ 1 }}` is a number, `"1"` a text."""

    types: ClassVar[tuple[str, ...]] = (_KV + "Set",)
    title: ClassVar[str] = "Set a key"
    unrendered: ClassVar[frozenset[str]] = frozenset({"value"})
    examples: ClassVar[tuple[str, ...]] = (
        "id: remember\ntype: io.kestra.plugin.core.kv.Set\nkey: last_run\nvalue: '{{ execution.startDate }}'\nkvType: DATETIME\n",
        "id: short\ntype: io.kestra.plugin.core.kv.Set\nkey: token\nvalue: abc\nttl: PT1H\noverwrite: false\n",
    )

    key: Dynamic[str]
    value: Any
    kv_type: Dynamic[Kind] | None = None
    ttl: Dynamic[str] | None = None
    overwrite: Dynamic[bool] = True
    kv_description: Dynamic[str] | None = None

    def run(self, context: AgentContext) -> None:
        """Sets it. Raises TaskFailed (`kv.exists`, `kv.value_invalid`, …)."""
        context.keys.set(
            str(self.key),
            context.evaluate(self.value),
            namespace=self.space,
            kind=str(self.kv_type or ""),
            ttl_ms=_milliseconds(self.ttl),
            overwrite=bool(self.overwrite),
            description=str(self.kv_description or ""),
        )


class GetOutputs(Properties):
    """`value`: typed; null when the key is missing and that is no error."""

    value: Any = None


class Get(KeyTask):
    """Gets a key, of the flow's namespace or the nearest parent that has it. A missing one is an error, as since 0.22."""

    types: ClassVar[tuple[str, ...]] = (_KV + "Get",)
    title: ClassVar[str] = "Get a key"
    outputs: ClassVar[type[Properties]] = GetOutputs
    examples: ClassVar[tuple[str, ...]] = (
        "id: last\ntype: io.kestra.plugin.core.kv.Get\nkey: last_run\nerrorOnMissing: false\n",
    )

    key: Dynamic[str]
    error_on_missing: Dynamic[bool] = True

    def run(self, context: AgentContext) -> GetOutputs:
        """The value. Raises TaskFailed (`kv.missing`, `kv.expired`: an expired key is an error in any case)."""
        from wire import gateway

        key, missing_is_error = str(self.key), bool(self.error_on_missing)
        if not missing_is_error and context.keys.find(key, self.space).presence == gateway.KvEntry.EXPIRED:
            missing_is_error = True
        return GetOutputs(value=context.keys.get(key, self.space, error_on_missing=missing_is_error))


class GetKeysOutputs(Properties):
    """`keys`: in order."""

    keys: list[str]


class GetKeys(KeyTask):
    """Lists keys of a namespace."""

    types: ClassVar[tuple[str, ...]] = (_KV + "GetKeys",)
    title: ClassVar[str] = "List keys"
    outputs: ClassVar[type[Properties]] = GetKeysOutputs
    examples: ClassVar[tuple[str, ...]] = ("id: marks\ntype: io.kestra.plugin.core.kv.GetKeys\nprefix: mark_\n",)

    prefix: Dynamic[str] | None = None

    def run(self, context: AgentContext) -> GetKeysOutputs:
        """The keys that begin with the prefix."""
        return GetKeysOutputs(keys=context.keys.names(str(self.prefix or ""), self.space))


class DeleteOutputs(Properties):
    """`deleted`: whether it was there."""

    deleted: bool


class Delete(KeyTask):
    """Deletes a key."""

    types: ClassVar[tuple[str, ...]] = (_KV + "Delete",)
    title: ClassVar[str] = "Delete a key"
    outputs: ClassVar[type[Properties]] = DeleteOutputs
    examples: ClassVar[tuple[str, ...]] = ("id: forget\ntype: io.kestra.plugin.core.kv.Delete\nkey: last_run\n",)

    key: Dynamic[str]
    error_on_missing: Dynamic[bool] = False

    def run(self, context: AgentContext) -> DeleteOutputs:
        """Deletes it. Raises TaskFailed (`kv.missing`) when it is missing and that is an error."""
        deleted = context.keys.delete(str(self.key), self.space)
        if not deleted and self.error_on_missing:
            raise TaskFailed(f"No value found for the key {self.key!r}.", code="kv.missing")
        return DeleteOutputs(deleted=deleted)


class StateTask(TaskType):
    """What the tasks on a flow's state share: where it is kept. `namespace: true` shares it between flows."""

    kind: ClassVar[TaskKind] = "light"

    name: Dynamic[str] = "default"
    namespace: Dynamic[bool] = False
    taskrun_value: Dynamic[bool] = True

    def place(self, context: AgentContext) -> str:
        """The key: flow unless shared, and name; the plane adds a digest of the loop's value unless that is not wanted."""
        parts = ["" if self.namespace else context.flow_id, "states", str(self.name)]
        return "_".join(part for part in parts if part)

    @property
    def per_value(self) -> bool:
        """Whether each value of a loop has a state of its own."""
        return bool(self.taskrun_value)


class StateSetOutputs(Properties):
    """`count`: entries of the state afterwards; `key`: where it is kept."""

    count: int
    key: str


class SetState(StateTask):
    """Merges entries into the state."""

    types: ClassVar[tuple[str, ...]] = (_STATE + "Set", "io.kestra.core.tasks.states.Set")
    title: ClassVar[str] = "Keep state"
    outputs: ClassVar[type[Properties]] = StateSetOutputs
    unrendered: ClassVar[frozenset[str]] = frozenset({"data"})
    examples: ClassVar[tuple[str, ...]] = (
        "id: keep\ntype: io.kestra.plugin.core.state.Set\ndata:\n  cursor: '{{ outputs.load.vars.cursor }}'\n",
    )

    data: dict[str, Any] | str | None = None

    def run(self, context: AgentContext) -> StateSetOutputs:
        """Adds to what is kept; entries of the same name are replaced."""
        key = self.place(context)
        state = context.keys.get(key, error_on_missing=False, per_value=self.per_value) or {}
        state |= context.evaluate(self.data) or {}
        context.keys.set(key, state, kind="JSON", per_value=self.per_value)
        return StateSetOutputs(count=len(state), key=key)


class StateGetOutputs(Properties):
    """`data`: the state; `count`: its entries."""

    count: int
    key: str
    data: dict[str, Any]


class GetState(StateTask):
    """Gets the state."""

    types: ClassVar[tuple[str, ...]] = (_STATE + "Get", "io.kestra.core.tasks.states.Get")
    title: ClassVar[str] = "Get kept state"
    outputs: ClassVar[type[Properties]] = StateGetOutputs
    examples: ClassVar[tuple[str, ...]] = ("id: kept\ntype: io.kestra.plugin.core.state.Get\n",)

    error_on_missing: Dynamic[bool] = False

    def run(self, context: AgentContext) -> StateGetOutputs:
        """The entries; none when nothing is kept and that is no error."""
        key = self.place(context)
        state = context.keys.get(key, error_on_missing=bool(self.error_on_missing), per_value=self.per_value) or {}
        return StateGetOutputs(count=len(state), key=key, data=state)


class DeleteState(StateTask):
    """Forgets the state."""

    types: ClassVar[tuple[str, ...]] = (_STATE + "Delete", "io.kestra.core.tasks.states.Delete")
    title: ClassVar[str] = "Forget kept state"
    outputs: ClassVar[type[Properties]] = DeleteOutputs
    examples: ClassVar[tuple[str, ...]] = ("id: forget\ntype: io.kestra.plugin.core.state.Delete\n",)

    error_on_missing: Dynamic[bool] = False

    def run(self, context: AgentContext) -> DeleteOutputs:
        """Deletes it. Raises TaskFailed (`kv.missing`) when nothing is kept and that is an error."""
        deleted = context.keys.delete(self.place(context), per_value=self.per_value)
        if not deleted and self.error_on_missing:
            raise TaskFailed(f"No state {self.name!r} is kept.", code="kv.missing")
        return DeleteOutputs(deleted=deleted)


def _milliseconds(ttl: Any) -> int:
    if not ttl:
        return 0
    try:
        found = int(parse_duration(str(ttl)).total_seconds() * 1000)
    except ValueError as error:
        raise TaskFailed(f"ttl: {error}", code="task.property_invalid") from None
    if found <= 0:
        raise TaskFailed(f"ttl: expected a duration above zero, found {str(ttl)!r}", code="task.property_invalid")
    return found


TASKS = (Set, Get, GetKeys, Delete, SetState, GetState, DeleteState)
