"""Flow triggers: what an execution's change of state starts in other flows, once, on both databases."""

from __future__ import annotations

import time
from typing import Any

import pytest

from controlplane.engine import outbox
from controlplane.triggers import flow_triggers
from controlplane.triggers.actions import set_disabled
from tests.conformance.triggers.world import (
    DAY_US,
    NAMESPACE,
    SECOND_US,
    TENANT,
    WAITING,
    TriggerWorld,
    flow,
    labels_of,
    micros,
)


def after(more: str, trigger_id: str = "after") -> str:
    """A Flow trigger; `more` at its level of indentation."""
    head = f"  - id: {trigger_id}\n    type: io.kestra.plugin.core.trigger.Flow\n"
    return head + "".join(f"    {line}\n" for line in more.splitlines())


OF_A = f"""\
conditions:
  - type: io.kestra.plugin.core.condition.ExecutionFlow
    namespace: {NAMESPACE}
    flowId: a"""
BOTH = f"""\
preconditions:
  id: both
  flows:
    - namespace: {NAMESPACE}
      flowId: a
    - namespace: {NAMESPACE}
      flowId: b"""


def outputs(value: str) -> str:
    """Flow outputs of an upstream flow."""
    return f'outputs:\n  - id: n\n    type: STRING\n    value: "{value}"\n'


def test_the_end_of_an_execution_starts_the_flow_that_waits_for_it(world: TriggerWorld) -> None:
    world.save(flow("a", head=outputs("7")))
    head = "labels:\n  team: core\ninputs:\n  - id: n\n    type: INT\n"
    world.save(flow("listener", after(OF_A + '\ninputs:\n  n: "{{ trigger.outputs.n }}"\nlabels:\n  by: a'), head=head))
    upstream = world.start("a")
    (execution,) = world.wait_for(1, "listener")
    assert execution["inputs"] == {"n": 7}
    found = execution["trigger"]["variables"]
    assert (found["executionId"], found["state"], found["flowId"]) == (upstream, "SUCCESS", "a")
    assert execution["cause"] == {
        "kind": "flow",
        "executionId": upstream,
        "state": "SUCCESS",
        "namespace": NAMESPACE,
        "flowId": "a",
        "trigger": "after",
    }
    labels = labels_of(execution)
    assert (labels["team"], labels["by"]) == ("core", "a")
    # Trap 23: the whole chain shares its correlation id.
    assert labels["system.correlationId"] == upstream
    world.wait_until_over("listener")


def test_trap_15_a_chain_may_go_on_and_a_flow_never_starts_itself(world: TriggerWorld) -> None:
    world.save(flow("a"))
    world.save(flow("b", after(OF_A)))
    world.save(flow("c", after("states: [SUCCESS]")))
    root = world.start("a")
    world.wait_for(1, "b")
    found = world.wait_for(2, "c")
    world.quiet()
    assert len(world.executions("c")) == 2
    assert {labels_of(execution)["system.correlationId"] for execution in found} == {root}


def test_conditions_of_another_flow_start_nothing(world: TriggerWorld) -> None:
    world.save(flow("other"))
    world.save(flow("listener", after(OF_A)))
    world.start("other")
    world.quiet()
    assert world.executions("listener") == []


def test_a_disabled_listener_starts_nothing(world: TriggerWorld) -> None:
    world.save(flow("a"))
    world.save(flow("listener", after(OF_A)))
    set_disabled((TENANT, NAMESPACE, "listener", "after"), True, {"kind": "user", "user": "ada"})
    world.start("a")
    world.quiet()
    assert world.executions("listener") == []
    assert world.codes("after", "listener") == ["trigger.disabled"]


def test_both_upstream_flows_are_needed_and_it_fires_once(world: TriggerWorld) -> None:
    world.save(flow("a"))
    world.save(flow("b"))
    world.save(flow("listener", after(BOTH)))
    world.start("a")
    world.quiet()
    assert world.executions("listener") == []
    (reason,) = world.explain("after", "listener")
    assert (reason["code"], reason["waitingFor"]) == ("flow.window", [f"{NAMESPACE}.b"])
    assert reason["until"].endswith("Z")
    world.start("b")
    (execution,) = world.wait_for(1, "listener")
    assert execution["trigger"]["variables"]["flowId"] == "b"
    # The window's results are dropped: next time both are needed again.
    world.start("a")
    world.quiet()
    assert len(world.executions("listener")) == 1


def test_trap_13_without_reset_each_further_execution_fires_again(world: TriggerWorld) -> None:
    world.save(flow("a"))
    world.save(flow("b"))
    world.save(flow("listener", after(BOTH.replace("id: both", "id: both\n  resetOnSuccess: false"))))
    for flow_id in ("a", "b", "b"):
        world.start(flow_id)
        world.quiet()
    assert len(world.executions("listener")) == 2


def test_trap_12_what_was_met_stays_met_whatever_comes_later(world: TriggerWorld) -> None:
    world.save(flow("a"))
    world.save(flow("b"))
    world.save(flow("listener", after(BOTH.replace("flowId: a", "flowId: a\n      states: [SUCCESS]"))))
    world.start("a")
    world.quiet()
    world.notify(world.start("a", wait=False), "a", "FAILED")
    world.start("b")
    assert len(world.wait_for(1, "listener")) == 1


def test_a_notice_that_is_delivered_twice_starts_one_execution(world: TriggerWorld) -> None:
    world.save(flow("a"))
    world.save(flow("listener", after(OF_A)))
    upstream = world.start("a")
    world.wait_for(1, "listener")
    for _ in range(3):
        world.notify(upstream, "a", "SUCCESS")
    assert len(world.executions("listener")) == 1


def test_a_notice_cut_off_before_its_commit_is_delivered_again_and_starts_one(world: TriggerWorld) -> None:
    world.save(flow("a"))
    world.save(flow("listener", after(OF_A)))
    upstream = world.start("a", wait=False)
    world.wait_for(1, "listener")
    world.connection.execute("DELETE FROM execution WHERE flow_id = 'listener'")
    world.connection.execute("DELETE FROM trigger_firing")

    def cut_off() -> None:
        with world.connection.transaction():
            flow_triggers.on_notice(world.connection, world.notice(upstream, "a", "SUCCESS"))
            raise RuntimeError("the process dies here")

    with pytest.raises(RuntimeError):
        cut_off()
    assert world.executions("listener") == []
    world.notify(upstream, "a", "SUCCESS")
    assert len(world.executions("listener")) == 1


def test_an_execution_stored_by_a_process_that_died_is_begun_by_the_sweeper(world: TriggerWorld) -> None:
    world.save(flow("a"))
    world.save(flow("listener", after(OF_A)))
    upstream = world.start("a")
    world.wait_until_over("listener")
    world.connection.execute("DELETE FROM execution WHERE flow_id = 'listener'")
    world.connection.execute("DELETE FROM trigger_firing")
    with world.connection.transaction():
        told = flow_triggers.on_notice(world.connection, world.notice(upstream, "a", "SUCCESS"))
    assert told is not None  # … and nobody calls it
    (execution,) = world.executions("listener")
    assert execution["state"] == "CREATED"
    items, _ = outbox.stale(world.connection, age_us=0)
    for item in items:
        world.engine.submit(item)
    world.wait_until_over("listener")


def test_tenants_without_flow_triggers_pay_nothing(world: TriggerWorld) -> None:
    world.save(flow("a"))
    assert not flow_triggers.wanted(world.connection, TENANT)
    world.start("a")
    assert world.connection.execute("SELECT count(*) FROM outbox")[0][0] == 0
    world.save(flow("listener", after(OF_A)))
    assert flow_triggers.wanted(world.connection, TENANT)
    world.delete("listener")
    assert not flow_triggers.wanted(world.connection, TENANT)


def test_a_failed_execution_of_a_schedule_is_seen_by_flow_triggers(world: TriggerWorld) -> None:
    more = 'conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: "{{ nothing.of.this }}"'
    from tests.conformance.triggers.world import cron

    world.save(flow("a", cron("0 0 * * *", more=more)))
    world.save(flow("listener", after(OF_A + "\nstates: [FAILED]")))
    world.tick(world.due(flow_id="a"))
    (execution,) = world.wait_for(1, "listener")
    assert execution["trigger"]["variables"]["state"] == "FAILED"


DEPENDS = f"""\
dependsOn:
  - namespace: {NAMESPACE}
    flowId: a
  - namespace: {NAMESPACE}
    flowId: b
"""


def test_the_new_form_joins_the_outputs_of_all_it_depends_on(world: TriggerWorld) -> None:
    world.save(flow("a", head=outputs("1")))
    world.save(flow("b", head=outputs("2")))
    more = 'inputs:\n  sum: "{{ trigger.outputs.a.n }}+{{ trigger.outputs.b.n }}"'
    head = "inputs:\n  - id: sum\n    type: STRING\n"
    world.save(flow("listener", after(DEPENDS + more), head=head))
    world.start("a")
    world.quiet()
    world.start("b")
    assert world.wait_for(1, "listener")[0]["inputs"] == {"sum": "1+2"}


def test_a_deadline_that_passes_unsatisfied_makes_a_failed_execution_once(world: TriggerWorld) -> None:
    more = 'window:\n  deadline: "09:00:00Z"\nonMiss:\n  behavior: FAIL\n  labels:\n    sla: miss'
    world.save(flow("a"))
    world.save(flow("b"))
    world.save(flow("listener", after(DEPENDS + more)))
    first = world.due("after", "listener")
    # The window that was under way when the trigger was saved is not judged; the next one is.
    world.set({"began_at_us": first - SECOND_US}, "after", "listener")
    world.tick(first + SECOND_US)
    assert world.executions("listener") == []
    assert world.due("after", "listener") == first + DAY_US
    world.tick(first + DAY_US + SECOND_US)
    world.tick(first + DAY_US + 2 * SECOND_US)
    (execution,) = world.wait_for(1, "listener")
    assert execution["state"] == "FAILED"
    assert labels_of(execution)["sla"] == "miss"
    assert "missing" in execution["error"]["message"]
    assert world.due("after", "listener") == first + 2 * DAY_US
    assert micros("1970-01-01T09:00:00+00:00") == first % DAY_US


def test_an_upstream_that_waits_for_nobody_is_no_end(world: TriggerWorld) -> None:
    world.save(flow("a", tasks=WAITING))
    world.save(flow("listener", after(OF_A)))
    world.start("a", wait=False)
    world.quiet()
    assert world.executions("listener") == []


def test_a_toggle_task_switches_a_trigger_at_run_time(world: TriggerWorld) -> None:
    from tests.conformance.triggers.world import cron

    world.save(flow("daily", cron("0 0 * * *")))
    toggles = """\
tasks:
  - id: off
    type: io.kestra.plugin.core.trigger.Toggle
    flowId: daily
    trigger: cron
    enabled: false
"""
    world.save(flow("switch", tasks=toggles))
    execution_id = world.start("switch")
    until = time.monotonic() + 5
    while not world.row().disabled and time.monotonic() < until:
        time.sleep(0.01)
    (reason,) = world.explain()
    facts: dict[str, Any] = {"kind": "toggle", "executionId": execution_id}
    assert reason["code"] == "trigger.disabled"
    assert facts.items() <= reason.items()
