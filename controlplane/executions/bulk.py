"""Commands on many executions, named by id or found by a query.

By id: all or nothing before anything is done; an id that is unknown or stands in a state that forbids the command is answered
400 with a row for each. By query: executions in another state are passed over, and so are those that change in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.models import Q, QuerySet

from controlplane.accounts.access import Need, access_namespace
from controlplane.accounts.actor import Actor
from controlplane.engine import get_engine
from controlplane.engine.items import Item
from controlplane.engine.store import Key
from controlplane.executions.models import Execution
from controlplane.executions.queries import executions_of
from controlplane.platform.errors import BadRequest, Invalid
from flows.machine.states import State
from wire.ids import new_id

IDS_MAX = 10_000
"""Executions one request may name, or its query may find in one go; the rest of a query follows in further rounds."""

Command = Callable[[Key], Item]


def named(actor: Actor, tenant: str, ids: Any, states: Iterable[State] | None, need: Need = Need.EXECUTE) -> list[str]:
    """The ids of a request body, each checked. Raises Invalid, BadRequest with `invalids`, Forbidden."""
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise Invalid('the body must be a list of execution ids, ["…"]', code="execution.ids")
    if len(ids) > IDS_MAX:
        raise Invalid(f"at most {IDS_MAX} ids at a time, not {len(ids)}", code="execution.ids")
    wanted = list(dict.fromkeys(ids))
    allowed = None if states is None else {state.value for state in states}
    found: dict[str, str] = {}
    namespaces: set[str] = set()
    for start in range(0, len(wanted), 500):
        rows = executions_of(tenant).filter(id__in=wanted[start : start + 500])
        for execution_id, state, namespace in rows.values_list("id", "state", "namespace"):
            found[execution_id] = state
            namespaces.add(namespace)
    invalids = []
    for execution_id in wanted:
        if execution_id not in found:
            invalids.append({"message": "execution not found", "invalidValue": execution_id})
        elif allowed is not None and found[execution_id] not in allowed:
            message = f"execution is {found[execution_id]}; this needs {', '.join(sorted(allowed))}"
            invalids.append({"message": message, "invalidValue": execution_id})
    if invalids:
        raise BadRequest("invalid bulk request; nothing was changed", code="execution.bulk", body={"invalids": invalids})
    for namespace in sorted(namespaces):
        access_namespace(actor, tenant, namespace, need)
    return wanted


def found_by(actor: Actor, tenant: str, condition: Q, states: Iterable[State] | None, need: Need = Need.EXECUTE) -> list[str]:
    """Ids of the executions a query finds that are in one of these states. Raises Forbidden."""
    rows: QuerySet[Execution] = executions_of(tenant).filter(condition)
    if states is not None:
        rows = rows.filter(state__in=[state.value for state in states])
    for namespace in sorted(set(rows.order_by().values_list("namespace", flat=True).distinct())):
        access_namespace(actor, tenant, namespace, need)
    return list(rows.order_by("created_at_us", "id").values_list("id", flat=True))


def carry_out(tenant: str, ids: Sequence[str], command: Command) -> dict[str, Any]:
    """One command for all. `{operationId, totalItems, count}`: how many were asked, how many it was done to."""
    count = 0
    for start in range(0, len(ids), IDS_MAX):
        items = [command((tenant, execution_id)) for execution_id in ids[start : start + IDS_MAX]]
        count += sum(answer == "applied" for answer in get_engine().call_all(items))
    return receipt(len(ids), count)


def receipt(total: int, count: int) -> dict[str, Any]:
    """The answer to a bulk command."""
    return {"operationId": new_id(), "totalItems": total, "count": count}
