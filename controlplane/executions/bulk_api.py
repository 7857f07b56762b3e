"""REST of commands on many executions: `…/X/by-ids` with a list of ids, `…/X/by-query` with filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from controlplane.accounts.access import Need
from controlplane.accounts.actor import Actor
from controlplane.accounts.views import TenantView, plain
from controlplane.engine import get_engine, rewinding
from controlplane.engine.items import Item
from controlplane.engine.store import Key
from controlplane.executions import bulk, commands, queries
from controlplane.executions.commands_api import read_state
from controlplane.executions.deletion import Leftovers, delete_executions
from controlplane.openapi.components import listed, ref
from controlplane.openapi.describe import answer, body, query
from controlplane.platform.errors import ApiError, BadRequest
from controlplane.platform.filters import parse_filters, query_items, to_q
from controlplane.platform.parsers import flag, json_body, json_object
from controlplane.platform.rendering import json_response
from flows.errors import HeadraceError
from flows.machine.states import State
from wire.ids import new_id

T = TypeVar("T")
_TAGS = ["Executions"]
_IDS = {"application/json": listed({"type": "string"})}
FLAT = ("namespace", "flowId", "state", "labels", "startDate", "endDate", "timeRange", "q", "query", "scope", "childFilter")
"""Filters of older searches. A change that passed one over would reach further than its caller meant."""


def read_query(request: HttpRequest) -> Q:
    """The filters of a change by query; none = all of the tenant. Raises BadRequest."""
    flat = [name for name in (*FLAT, "triggerExecutionId", "minLevel") if name in request.GET]
    if flat:
        raise BadRequest(f"{flat[0]} is not evaluated here; use filters[{flat[0]}][EQUALS]=…", code="filter.flat")
    return to_q(parse_filters(query_items(request)), queries.EXECUTION_FIELDS)


class BulkView(TenantView):
    """Base. `command` reads what the request says beside ids and filters, and gives the command for each execution."""

    states: ClassVar[frozenset[State] | None] = None

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        """What is done to each."""
        raise NotImplementedError

    def carry_out(self, tenant: str, ids: Sequence[str], request: HttpRequest) -> HttpResponse:
        """Has it done."""
        return json_response(bulk.carry_out(tenant, ids, self.command(request)))


class ByIds(BulkView):
    """Executions named in the body."""

    def apply(self, request: Request, tenant: str) -> HttpResponse:
        """To each of them, or to none."""
        http = plain(request)
        self.command(http)  # says what is wrong with the request before it looks at executions
        ids = bulk.named(self.actor, tenant, self.ids(http), self.states)
        return self.carry_out(tenant, ids, http)

    def ids(self, request: HttpRequest) -> Any:
        """The ids in the body."""
        return json_body(request)


class ByQuery(BulkView):
    """Executions that meet the filters."""

    def apply(self, request: Request, tenant: str) -> HttpResponse:
        """To each of them that is in a state for it."""
        http = plain(request)
        self.command(http)
        ids = bulk.found_by(self.actor, tenant, read_query(http), self.states)
        return self.carry_out(tenant, ids, http)


class ByIdsView(ByIds):
    """A command on executions named in the body."""

    def post(self, request: Request, tenant: str) -> HttpResponse:
        """To each of them, or to none."""
        return self.apply(request, tenant)


class ByQueryView(ByQuery):
    """A command on executions that meet the filters."""

    def post(self, request: Request, tenant: str) -> HttpResponse:
        """To each of them that is in a state for it."""
        return self.apply(request, tenant)


def _ids(operation: str, *parameters: Any, **more: Any) -> Callable[[T], T]:
    more.setdefault("request", _IDS)
    return _described(operation, parameters, more)


def _query(operation: str, *parameters: Any, **more: Any) -> Callable[[T], T]:
    more.setdefault("request", None)
    parameters = (query("filters", about="`filters[field][OPERATION]=value`, repeated; none = all."), *parameters)
    return _described(operation, parameters, more)


def _described(operation: str, parameters: Sequence[Any], more: dict[str, Any]) -> Callable[[T], T]:
    found = extend_schema(
        operation_id=operation, tags=_TAGS, parameters=list(parameters), responses=answer("BulkReceipt"), **more
    )

    def describe(target: Any) -> Any:
        return extend_schema_view(post=found)(target) if isinstance(target, type) else found(target)

    return describe


class _Kill(BulkView):
    states = commands.OPEN

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        cascade = flag(request, "isOnKillCascade", default=True)
        return lambda key: commands.kill(key, cascade=cascade)


class KillByIdsView(_Kill, ByIds):
    """Kill."""

    @_ids("killExecutionsByIds")
    def delete(self, request: Request, tenant: str) -> HttpResponse:
        """Ends each of them."""
        return self.apply(request, tenant)


class KillByQueryView(_Kill, ByQuery):
    """Kill."""

    @_query("killExecutionsByQuery")
    def delete(self, request: Request, tenant: str) -> HttpResponse:
        """Ends each of them."""
        return self.apply(request, tenant)


class _Pause(BulkView):
    states = commands.PAUSABLE

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        return commands.pause


@_ids("pauseExecutionsByIds")
class PauseByIdsView(_Pause, ByIdsView):
    """Pauses each of them."""


@_query("pauseExecutionsByQuery")
class PauseByQueryView(_Pause, ByQueryView):
    """Pauses each of them that runs."""


class _Resume(BulkView):
    states = frozenset({State.PAUSED})

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        by = self.actor.username
        return lambda key: commands.resume(key, by)


@_ids("resumeExecutionsByIds")
class ResumeByIdsView(_Resume, ByIdsView):
    """Resumes each of them, without inputs."""


@_query("resumeExecutionsByQuery")
class ResumeByQueryView(_Resume, ByQueryView):
    """Resumes each of them that is paused, without inputs."""


class _ForceRun(BulkView):
    states = commands.OPEN

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        return commands.force_run


@_ids("forceRunByIds")
class ForceRunByIdsView(_ForceRun, ByIdsView):
    """Has each of them run whatever it waits for."""


@_query("forceRunExecutionsByQuery")
class ForceRunByQueryView(_ForceRun, ByQueryView):
    """Has each of them run whatever it waits for."""


class _Unqueue(BulkView):
    states = frozenset({State.QUEUED})

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        text = request.GET.get("state") or request.GET.get("newState")
        state = read_state(text, "state") if text else State.RUNNING
        commands.unqueue(("", ""), state)  # raises Invalid now
        return lambda key: commands.unqueue(key, state)


@_ids("unqueueExecutionsByIds", query("state", ref("StateName")))
class UnqueueByIdsView(_Unqueue, ByIdsView):
    """Takes each of them out of its line."""


@_query("unqueueExecutionsByQuery", query("newState", ref("StateName")))
class UnqueueByQueryView(_Unqueue, ByQueryView):
    """Takes each of them out of its line."""


class _ChangeStatus(BulkView):
    states = commands.OVER

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        state = read_state(request.GET.get("newStatus"), "newStatus")
        commands.change_status(("", ""), state)  # raises Invalid now
        return lambda key: commands.change_status(key, state)


_NEW_STATUS = query("newStatus", ref("StateName"), required=True)


@_ids("updateExecutionsStatusByIds", _NEW_STATUS)
class ChangeStatusByIdsView(_ChangeStatus, ByIdsView):
    """Gives each of them another end."""


@_query("updateExecutionsStatusByQuery", _NEW_STATUS)
class ChangeStatusByQueryView(_ChangeStatus, ByQueryView):
    """Gives each of them that is over another end."""


class _Restart(BulkView):
    states = frozenset({State.FAILED, State.PAUSED, State.WARNING, State.KILLED, State.CANCELLED, State.SUCCESS, State.RETRIED})

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        return rewinding.restart


@_ids("restartExecutionsByIds")
class RestartByIdsView(_Restart, ByIdsView):
    """Runs again, in place, what failed of each of them."""


@_query("restartExecutionsByQuery")
class RestartByQueryView(_Restart, ByQueryView):
    """Runs again, in place, what failed of each of them."""

    states = frozenset({State.FAILED, State.PAUSED})


class _Replay(BulkView):
    states = commands.OVER

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        flag(request, "latestRevision")
        return lambda key: _replay(self.actor, key, newest=False)

    def carry_out(self, tenant: str, ids: Sequence[str], request: HttpRequest) -> HttpResponse:
        """A replay is composed from the execution it repeats; one that cannot be is passed over."""
        newest = flag(request, "latestRevision")
        items = []
        for execution_id in ids:
            try:
                items.append(_replay(self.actor, (tenant, execution_id), newest=newest))
            except (ApiError, HeadraceError):  # deleted, or no longer over, since it was looked at; or its flow is gone
                continue
        answers = get_engine().call_all(items)
        return json_response(bulk.receipt(len(ids), sum(one == "applied" for one in answers)))


def _replay(actor: Actor, key: Key, *, newest: bool) -> Item:
    row = queries.find_execution(*key)
    revision = queries.newest_revision_of(row) if newest else None
    return commands.replay_item(actor, row, new_id(), revision=revision)


_LATEST = query("latestRevision", bool)


@_ids("replayExecutionsByIds", _LATEST)
class ReplayByIdsView(_Replay, ByIdsView):
    """A new execution like each of them."""


@_query("replayExecutionsByQuery", _LATEST)
class ReplayByQueryView(_Replay, ByQueryView):
    """A new execution like each of them that is over."""


class _Labels(BulkView):
    states = commands.OVER

    def labels(self, request: HttpRequest) -> Any:
        """The labels in the body."""
        return json_body(request)

    def command(self, request: HttpRequest) -> Callable[[Key], Item]:
        labels = commands.checked_labels(self.labels(request))
        return lambda key: commands.set_labels(key, labels)


@_ids("setLabelsOnTerminatedExecutionsByIds", request=body("BulkLabelsRequest"))
class LabelsByIdsView(_Labels, ByIdsView):
    """Sets labels of each of them."""

    def labels(self, request: HttpRequest) -> Any:
        """`executionLabels` of the body."""
        return json_object(request).get("executionLabels")

    def ids(self, request: HttpRequest) -> Any:
        """`executionsId` of the body."""
        return json_object(request).get("executionsId")


@_query("setLabelsOnTerminatedExecutionsByQuery", request={"application/json": listed(ref("Label"))})
class LabelsByQueryView(_Labels, ByQueryView):
    """Sets labels of each of them that is over."""


_DELETE = [
    query("includeNonTerminated", bool),
    query("deleteLogs", bool),
    query("deleteMetrics", bool),
    query("deleteStorage", bool),
]


class _Delete(TenantView):
    def delete_all(self, request: HttpRequest, tenant: str, ids: Sequence[str], *, open_too: bool) -> HttpResponse:
        """Deletes them. `{count}`."""
        return json_response({"count": delete_executions(tenant, ids, read_leftovers(request), open_too=open_too)})


def read_leftovers(request: HttpRequest) -> Leftovers:
    """What goes with an execution."""
    return Leftovers(
        logs=flag(request, "deleteLogs", default=True),
        metrics=flag(request, "deleteMetrics", default=True),
        files=flag(request, "deleteStorage", default=True),
    )


class DeleteByIdsView(_Delete):
    """Deletion."""

    @extend_schema(
        operation_id="deleteExecutionsByIds", tags=_TAGS, parameters=_DELETE, request=_IDS, responses=answer("BulkCount")
    )
    def delete(self, request: Request, tenant: str) -> HttpResponse:
        """Deletes each of them; those that are not over only with `includeNonTerminated`."""
        http = plain(request)
        open_too = flag(http, "includeNonTerminated")
        ids = bulk.named(self.actor, tenant, json_body(http), None if open_too else commands.OVER, Need.DELETE)
        return self.delete_all(http, tenant, ids, open_too=open_too)


class DeleteByQueryView(_Delete):
    """Deletion."""

    @extend_schema(operation_id="deleteExecutionsByQuery", tags=_TAGS, parameters=_DELETE, responses=answer("BulkCount"))
    def delete(self, request: Request, tenant: str) -> HttpResponse:
        """Deletes each of them that is over; with `includeNonTerminated` all."""
        http = plain(request)
        open_too = flag(http, "includeNonTerminated")
        ids = bulk.found_by(self.actor, tenant, read_query(http), None if open_too else commands.OVER, Need.DELETE)
        return self.delete_all(http, tenant, ids, open_too=open_too)
