"""What is known of each trigger between two looks at it, and what it has started.

Times are whole microseconds since 1970 (UTC), documents that are only carried are JSON texts, keys begin with the tenant: as in
`controlplane.executions.models`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class TriggerState(models.Model):
    """The state of one trigger of the newest revision of a flow (triggers-and-conditions §3).

    Written with every save of its flow, by the scheduler, by the workers' door and by people; `version` grows with every write,
    and whoever decides something from a row writes it back only when the version is still the one he read.

    `live`: the flow is neither disabled nor a draft, and the trigger is not `disabled` in its text. `disabled`: switched off at
    run time, with `disabled_by` saying by whom. `next_at_us`: when it is looked at next; null = nothing to wait for.
    `execution_id`: the execution that holds the lock. `evaluation_id`: a worker has it (`worker_id`, until
    `evaluation_until_us`). `memory`: the window of a Flow trigger. `reason`: how the last look ended.
    """

    pk = models.CompositePrimaryKey("tenant_id", "namespace", "flow_id", "trigger_id")
    tenant_id = models.CharField(max_length=100)
    namespace = models.CharField(max_length=150)
    flow_id = models.CharField(max_length=100)
    trigger_id = models.CharField(max_length=256)
    kind = models.CharField(max_length=10)  # schedule | polling | realtime | webhook | flow
    type = models.CharField(max_length=256)
    flow_revision = models.IntegerField()
    digest = models.CharField(max_length=64)
    live = models.BooleanField()
    declared_disabled = models.BooleanField(default=False)
    disabled = models.BooleanField(default=False)
    disabled_by = models.TextField(null=True)  # {"kind", …}
    worker_group = models.CharField(max_length=100, default="default")
    evaluated_at_us = models.BigIntegerField(null=True)
    next_at_us = models.BigIntegerField(null=True)
    last_triggered_at_us = models.BigIntegerField(null=True)
    execution_id = models.CharField(max_length=22, null=True)
    locked_at_us = models.BigIntegerField(null=True)
    worker_id = models.CharField(max_length=22, null=True)
    evaluation_id = models.CharField(max_length=22, null=True)
    evaluation_since_us = models.BigIntegerField(null=True)
    evaluation_until_us = models.BigIntegerField(null=True)
    backfill = models.TextField(null=True)  # {"id", "start", "end", "currentDate", "paused", "inputs", "labels", …}
    stop_after = models.TextField(null=True)  # ["FAILED", …]
    memory = models.TextField(null=True)
    reason = models.TextField(null=True)  # {"code", "at", …}
    version = models.BigIntegerField(default=0)
    began_at_us = models.BigIntegerField(null=True)  # when it was first seen with this text
    created_at_us = models.BigIntegerField()
    updated_at_us = models.BigIntegerField()

    class Meta:
        db_table = "trigger_state"
        indexes = [
            models.Index(
                fields=["next_at_us"], name="trigger_due", condition=Q(live=True, disabled=False, next_at_us__isnull=False)
            ),
            models.Index(fields=["execution_id"], name="trigger_locked", condition=Q(execution_id__isnull=False)),
            models.Index(fields=["evaluation_id"], name="trigger_evaluated", condition=Q(evaluation_id__isnull=False)),
            models.Index(fields=["tenant_id"], name="trigger_flow", condition=Q(kind="flow")),
        ]


class Firing(models.Model):
    """One due instant, one event, one upstream change that was dealt with. The primary key is the promise: never twice.

    Written in the transaction that creates the execution (`execution_id` null: dealt with, and nothing was to start).
    """

    pk = models.CompositePrimaryKey("tenant_id", "namespace", "flow_id", "trigger_id", "due_key")
    tenant_id = models.CharField(max_length=100)
    namespace = models.CharField(max_length=150)
    flow_id = models.CharField(max_length=100)
    trigger_id = models.CharField(max_length=256)
    due_key = models.CharField(max_length=200)  # @<instant>, @<instant>#<backfill>, event:<id>, @<execution>:<state>
    execution_id = models.CharField(max_length=22, null=True)
    created_at_us = models.BigIntegerField()

    class Meta:
        db_table = "trigger_firing"
        indexes = [models.Index(fields=["created_at_us"], name="trigger_firing_age")]


class SchedulerClock(models.Model):
    """One row: when some scheduler last ticked. A gap means that none ran, and dates may have been missed."""

    id = models.IntegerField(primary_key=True)
    ticked_at_us = models.BigIntegerField()

    class Meta:
        db_table = "scheduler_clock"
