"""REST of what may be done to one execution. Canonical at `…/actions/X`; older clients leave `/actions` out.

An older address has the shape of a creation, `executions/{namespace}/{flowId}`: it is a command only when the execution exists.
"""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from controlplane.accounts.access import Need
from controlplane.accounts.views import TenantView, plain
from controlplane.engine.store import Key
from controlplane.executions import commands, queries
from controlplane.executions.access import access_execution
from controlplane.executions.api import CreateExecutionView, public_url, read_given
from controlplane.executions.evaluation import evaluate
from controlplane.executions.explain import explain
from controlplane.openapi.components import listed, ref
from controlplane.openapi.describe import UPLOAD, answer, body, query
from controlplane.platform.errors import BadRequest, Invalid
from controlplane.platform.parsers import flag, json_body, json_object, number, text_body
from controlplane.platform.parsers import listed as listed_parameter
from controlplane.platform.rendering import json_bytes, json_response
from flows.machine.states import State

_TAGS = ["Executions"]
_STATE = ref("StateName")


def read_state(text: str | None, name: str) -> State:
    """A state of a request. Raises BadRequest when it is absent, Invalid when it is none."""
    if not text:
        raise BadRequest(f"the parameter {name} is missing; it is a state, e.g. SUCCESS")
    found = {"CANCELED": "CANCELLED"}.get(text.upper(), text.upper())
    if found not in State.__members__:
        raise Invalid(f"{name}: {text[:40]!r} is no state; states are {', '.join(State.__members__)}", code="execution.state")
    return State(found)


class CommandView(TenantView):
    """Base: finds the execution, has the command done, answers with the execution as it is then."""

    action: ClassVar[str] = ""

    def post(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """The command; or, at an older address and without such an execution, the start of a flow with that name."""
        if self.legacy and not queries.executions_of(tenant).filter(id=execution_id).exists():
            creation = CreateExecutionView.as_view()
            found: HttpResponse = creation(plain(request), tenant=tenant, namespace=execution_id, flow_id=self.action)
            return found
        row = access_execution(self.actor, tenant, execution_id, Need.EXECUTE)
        shown = self.act(plain(request), row, (tenant, execution_id))
        return self.answer(plain(request), tenant, shown or execution_id)

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> str | None:
        """Carries the command out. Returns the id of another execution to answer with."""
        raise NotImplementedError

    def answer(self, request: HttpRequest, tenant: str, execution_id: str) -> HttpResponse:
        """The whole execution."""
        row = queries.find_execution(tenant, execution_id)
        return json_bytes(queries.full_json(row, public_url(request, row)))


class KillView(TenantView):
    """Kill."""

    @extend_schema(
        operation_id="killExecution", tags=_TAGS, parameters=[query("isOnKillCascade", bool)], responses=answer("Execution")
    )
    def delete(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Asks for its end: KILLING, then KILLED; with the executions it started. 409 when it is over."""
        access_execution(self.actor, tenant, execution_id, Need.EXECUTE)
        http = plain(request)
        commands.carry_out(commands.kill((tenant, execution_id), cascade=flag(http, "isOnKillCascade", default=True)))
        row = queries.find_execution(tenant, execution_id)
        # Clients of the older spelling tell "requested" (202) from "done" (200).
        return json_bytes(queries.full_json(row, public_url(http, row)), status=202 if self.legacy else 200)


@extend_schema_view(post=extend_schema(operation_id="pauseExecution", tags=_TAGS, request=None, responses=answer("Execution")))
class PauseView(CommandView):
    """Nothing new starts; what runs goes on. 409 when it does not run."""

    action = "pause"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> None:
        """Pauses it."""
        commands.carry_out(commands.pause(key))


@extend_schema_view(post=extend_schema(operation_id="resumeExecution", tags=_TAGS, request=UPLOAD, responses=answer("Execution")))
class ResumeView(CommandView):
    """Lets a paused execution go on, with the inputs its Pause asks for. 409 when it is not paused, 422 for a bad input."""

    action = "resume"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> None:
        """Resumes it."""
        commands.resume_with_inputs(self.actor, row, read_given(request))


class ResumeValidationView(TenantView):
    """Inputs of a resume, looked at."""

    @extend_schema(
        operation_id="validateResumeExecutionInputs",
        tags=_TAGS,
        request=UPLOAD,
        responses={(200, "application/json"): listed(ref("ValidatedInputs"))},
    )
    def post(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """What a resume with these values would make of each input. Nothing is stored."""
        row = access_execution(self.actor, tenant, execution_id, Need.EXECUTE)
        rows = commands.looked_at_resume(row, read_given(plain(request)))
        return json_response([{"id": row["flow_id"], "namespace": row["namespace"], "inputs": rows, "checks": []}])


@extend_schema_view(
    post=extend_schema(
        operation_id="restartExecution",
        tags=_TAGS,
        request=None,
        parameters=[query("revision", OpenApiTypes.INT)],
        responses=answer("Execution"),
    )
)
class RestartView(CommandView):
    """Runs again what failed, in place; with another revision in a new execution. 409 when there is nothing to restart."""

    action = "restart"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> str:
        """Restarts it."""
        return commands.restart(self.actor, row, number(request, "revision") or None)


_REPLAY = [query("taskRunId"), query("revision", OpenApiTypes.INT), query("breakpoints", about="Ids of tasks, comma-separated.")]


@extend_schema_view(
    post=extend_schema(
        operation_id="replayExecution", tags=_TAGS, request=None, parameters=_REPLAY, responses=answer("Execution")
    )
)
class ReplayView(CommandView):
    """A new execution like this one, from the beginning or from a task run on."""

    action = "replay"
    with_inputs: bool = False

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> str:
        """Replays it."""
        return commands.replay(
            self.actor,
            row,
            task_run_id=request.GET.get("taskRunId") or None,
            revision=number(request, "revision") or None,
            breakpoints=listed_parameter(request, "breakpoints"),
            given=read_given(request) if self.with_inputs else None,
        )


@extend_schema_view(
    post=extend_schema(
        operation_id="replayExecutionWithinputs", tags=_TAGS, request=UPLOAD, parameters=_REPLAY, responses=answer("Execution")
    )
)
class ReplayWithInputsView(ReplayView):
    """The same with other inputs; those not given keep their value."""

    with_inputs = True


@extend_schema_view(
    post=extend_schema(
        operation_id="updateTaskRunState", tags=_TAGS, request=body("TaskRunStateRequest"), responses=answer("Execution")
    )
)
class TaskRunStateView(CommandView):
    """Another end for a task run; the execution goes on from there."""

    action = "state"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> None:
        """Changes it."""
        given = json_object(request)
        run_id = given.get("taskRunId")
        if not isinstance(run_id, str) or not run_id:
            raise Invalid("the body needs taskRunId and state", code="task_run.state")
        commands.change_task_run_state(row, run_id, read_state(str(given.get("state") or ""), "state"))


@extend_schema_view(
    post=extend_schema(
        operation_id="updateExecutionStatus",
        tags=_TAGS,
        request=None,
        parameters=[query("status", _STATE, required=True)],
        responses=answer("Execution"),
    )
)
class ChangeStatusView(CommandView):
    """Another end for an execution that is over. Nothing runs again."""

    action = "change-status"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> None:
        """Changes it."""
        commands.carry_out(commands.change_status(key, read_state(request.GET.get("status"), "status")))


@extend_schema_view(post=extend_schema(operation_id="forceRunExecution", tags=_TAGS, request=None, responses=answer("Execution")))
class ForceRunView(CommandView):
    """It runs whatever it waits for: a start date, a place under the limit, a pause."""

    action = "force-run"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> None:
        """Has it run."""
        commands.carry_out(commands.force_run(key))


@extend_schema_view(
    post=extend_schema(
        operation_id="unqueueExecution",
        tags=_TAGS,
        request=None,
        parameters=[query("state", _STATE)],
        responses=answer("Execution"),
    )
)
class UnqueueView(CommandView):
    """Takes a queued execution out of the line: to run, or straight to an end."""

    action = "unqueue"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> None:
        """Takes it out."""
        text = request.GET.get("state")
        commands.carry_out(commands.unqueue(key, read_state(text, "state") if text else State.RUNNING))


@extend_schema_view(
    post=extend_schema(
        operation_id="resumeExecutionFromBreakpoint",
        tags=_TAGS,
        request=None,
        parameters=[query("breakpoints", about="Those that stay; absent = all.")],
        responses=answer("Execution"),
    )
)
class ResumeFromBreakpointView(CommandView):
    """Lets an execution go on past its breakpoint."""

    action = "resume-from-breakpoint"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> None:
        """Lets it go on."""
        stay = listed_parameter(request, "breakpoints") if "breakpoints" in request.GET else None
        commands.carry_out(commands.resume_from_breakpoint(key, stay))


@extend_schema_view(
    post=extend_schema(
        operation_id="setLabelsOnTerminatedExecution",
        tags=_TAGS,
        request={"application/json": listed(ref("Label"))},
        responses=answer("Execution"),
    )
)
class LabelsView(CommandView):
    """Adds labels to an execution that is over, or overwrites them; the others stay."""

    action = "labels"

    def act(self, request: HttpRequest, row: queries.Row, key: Key) -> None:
        """Sets them."""
        present = queries.stored_execution(*key).labels
        commands.carry_out(commands.set_labels(key, commands.checked_labels(json_body(request), present)))


class EvaluationView(TenantView):
    """A template in the context of an execution."""

    @extend_schema(
        operation_id="evalExpression",
        tags=_TAGS,
        request={"text/plain": {"type": "string"}},
        responses=answer("EvaluationResult"),
    )
    def post(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """`{result}` or `{error}`, always 200."""
        access_execution(self.actor, tenant, execution_id, Need.EXECUTE)
        return json_response(evaluate(tenant, execution_id, text_body(plain(request))))


class TaskRunEvaluationView(TenantView):
    """A template in the context of a task run."""

    @extend_schema(
        operation_id="evalTaskRunExpression",
        tags=_TAGS,
        request={"text/plain": {"type": "string"}},
        responses=answer("EvaluationResult"),
    )
    def post(self, request: Request, tenant: str, execution_id: str, task_run_id: str) -> HttpResponse:
        """`{result}` or `{error}`, always 200; 404 for an unknown task run."""
        access_execution(self.actor, tenant, execution_id, Need.EXECUTE)
        return json_response(evaluate(tenant, execution_id, text_body(plain(request)), task_run_id))


class ExplainView(TenantView):
    """Why an execution stands where it stands."""

    @extend_schema(operation_id="explainExecution", tags=_TAGS, responses=answer("Explanation"))
    def get(self, request: Request, tenant: str, execution_id: str) -> HttpResponse:
        """Its cause, and for everything that is not over what it waits for, until when, and what would let it go on."""
        return json_response(explain(access_execution(self.actor, tenant, execution_id)))
