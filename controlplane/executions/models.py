"""Rows of the engine. They are written by `controlplane.engine` in set-based statements and read by the API.

Times are whole microseconds since 1970 (UTC) in columns ending in `_at_us`: the same on every database, exact, and cheap to
compare. Documents that are only carried (history, attempts, outputs …) are JSON texts. Every key begins with the tenant.
"""

from __future__ import annotations

from django.db import models


class Execution(models.Model):
    """One run of a flow revision. `version` grows with every write: what a cache compares."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.CharField(max_length=100)
    id = models.CharField(max_length=22)
    namespace = models.CharField(max_length=150)
    flow_id = models.CharField(max_length=100)
    flow_revision = models.IntegerField()
    state = models.CharField(max_length=12)
    history = models.TextField()  # [["CREATED", at_us], …]
    labels = models.JSONField(default=list)  # [{"key", "value"}, …]
    inputs = models.TextField(null=True)
    outputs = models.TextField(null=True)
    variables = models.TextField(null=True)
    trigger = models.TextField(null=True)
    cursor = models.TextField()
    error = models.TextField(null=True)  # {"code", "message"}
    version = models.BigIntegerField(default=0)
    task_run_count = models.IntegerField(default=0)
    parent_id = models.CharField(max_length=22, null=True)
    original_id = models.CharField(max_length=22, null=True)
    kind = models.CharField(max_length=20, default="NORMAL")  # NORMAL | TEST | PLAYGROUND | LOOP
    parent_execution_id = models.CharField(max_length=22, null=True)  # the execution that started it and is told of its end
    parent_task_run_id = models.CharField(max_length=22, null=True)
    child_index = models.IntegerField(null=True)  # position among the executions of that task run
    schedule_at_us = models.BigIntegerField(null=True)
    cause = models.TextField(null=True)  # why it exists: {"kind", …}
    extra = models.TextField(null=True)  # what few have: breakpoints, held task runs, the waiter …
    created_at_us = models.BigIntegerField()
    started_at_us = models.BigIntegerField(null=True)
    ended_at_us = models.BigIntegerField(null=True)

    class Meta:
        db_table = "execution"
        indexes = [
            models.Index(fields=["tenant_id", "created_at_us"], name="execution_by_date"),
            models.Index(fields=["tenant_id", "namespace", "flow_id", "created_at_us"], name="execution_by_flow"),
            models.Index(
                # With the flow behind the state: places under a concurrency limit are counted here.
                fields=["tenant_id", "state", "namespace", "flow_id"],
                name="execution_open",
                condition=~models.Q(state__in=["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED"]),
            ),
            models.Index(
                fields=["tenant_id", "namespace", "flow_id", "created_at_us"],
                name="execution_queued",
                condition=models.Q(state="QUEUED"),
            ),
            models.Index(
                fields=["tenant_id", "parent_execution_id", "parent_task_run_id", "child_index"],
                name="execution_children",
                condition=models.Q(parent_execution_id__isnull=False),
            ),
        ]


class TaskRun(models.Model):
    """One task inside an execution. `seq` is the order of creation within the execution."""

    pk = models.CompositePrimaryKey("tenant_id", "execution_id", "id")
    tenant_id = models.CharField(max_length=100)
    execution_id = models.CharField(max_length=22)
    id = models.CharField(max_length=22)
    seq = models.IntegerField()
    task_id = models.CharField(max_length=256)
    parent_id = models.CharField(max_length=22, null=True)
    value = models.TextField(null=True)
    iteration = models.IntegerField(null=True)
    path = models.TextField(null=True)  # JSON list: values of its ancestors that have one, outermost first
    state = models.CharField(max_length=12)
    history = models.TextField()
    attempt = models.IntegerField()  # number of the current or last attempt, from 1; 0 = none yet
    attempts = models.TextField()  # [{"state", "history", "workerId", "logLines", "error"}, …]
    outputs = models.TextField(null=True)
    cursor = models.TextField(null=True)  # flowables: where they stand
    place = models.TextField(null=True)  # the same and its own value, as a key (`store.place_key`)
    items = models.TextField(null=True)  # ForEach: its values, written once
    dynamic = models.BooleanField(default=False)  # reported by a worker as a step of a task
    created_at_us = models.BigIntegerField()
    started_at_us = models.BigIntegerField(null=True)
    ended_at_us = models.BigIntegerField(null=True)

    class Meta:
        db_table = "task_run"
        indexes = [
            # Not beginning with the tenant on purpose: beside the primary key an index with the same first columns would be
            # taken for updates by key, and every change of a state would have to touch it.
            models.Index(
                fields=["execution_id", "task_id", "place"],
                name="task_run_outputs",
                opclasses=["", "", "text_pattern_ops"],  # ordered byte by byte: what lies below a place is one range
                condition=models.Q(outputs__isnull=False),
            ),
        ]


class HandOut(models.Model):
    """What waits for, or is leased to, a worker. Gone when the attempt's result is recorded.

    `lease_id` null = waiting. `stop` = a kill was asked for; the gateway tells the worker.
    """

    pk = models.CompositePrimaryKey("tenant_id", "task_run_id")
    tenant_id = models.CharField(max_length=100)
    task_run_id = models.CharField(max_length=22)
    execution_id = models.CharField(max_length=22)
    attempt = models.IntegerField()
    namespace = models.CharField(max_length=150)
    flow_id = models.CharField(max_length=100)
    flow_revision = models.IntegerField()
    task_id = models.CharField(max_length=256)
    worker_group = models.CharField(max_length=100)
    light = models.BooleanField()
    context = models.TextField()
    seq = models.BigIntegerField()  # waiting order
    lease_id = models.CharField(max_length=22, null=True)
    worker_id = models.CharField(max_length=22, null=True)
    lease_until_us = models.BigIntegerField(null=True)
    stop = models.BooleanField(default=False)
    fallback = models.CharField(max_length=10, null=True)  # FAIL | CANCEL: while nobody of the group is connected; null = wait

    class Meta:
        db_table = "hand_out"
        indexes = [
            models.Index(
                fields=["tenant_id", "worker_group"],
                name="hand_out_fallback",
                condition=models.Q(lease_id__isnull=True, fallback__isnull=False),
            ),
            models.Index(
                fields=["tenant_id", "worker_group", "light", "seq"],
                name="hand_out_waiting",
                condition=models.Q(lease_id__isnull=True),
            ),
            models.Index(fields=["lease_until_us"], name="hand_out_leases", condition=models.Q(lease_id__isnull=False)),
        ]


class Timer(models.Model):
    """Something the machine must be told at a time: a retry that is due, an attempt that outlived its timeout.

    `task_run_id` empty: a timer of the execution itself.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.CharField(max_length=100)
    execution_id = models.CharField(max_length=22)
    task_run_id = models.CharField(max_length=22)
    attempt = models.IntegerField()
    kind = models.CharField(max_length=300)  # retry | timeout | pause | round | start | sla:<id> …
    due_at_us = models.BigIntegerField()

    class Meta:
        db_table = "timer"
        indexes = [
            models.Index(fields=["due_at_us"], name="timer_due"),
            models.Index(fields=["tenant_id", "execution_id", "task_run_id"], name="timer_by_task_run"),
        ]


class Outbox(models.Model):
    """What a step has to tell somebody else: another execution, or a part of the control plane.

    Written in the step's transaction, deleted in the transaction of what it causes: at least once delivered, applied once.
    """

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.CharField(max_length=100)
    id = models.CharField(max_length=22)
    execution_id = models.CharField(max_length=22, null=True)  # whom it is for; null = a consumer of its kind
    kind = models.CharField(max_length=40)
    payload = models.TextField()
    created_at_us = models.BigIntegerField()
    seq = models.BigIntegerField()

    class Meta:
        db_table = "outbox"
        indexes = [models.Index(fields=["created_at_us", "seq"], name="outbox_by_date")]


class Metric(models.Model):
    """A number a task run reported."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.CharField(max_length=100)
    execution_id = models.CharField(max_length=22)
    task_run_id = models.CharField(max_length=22)
    task_id = models.CharField(max_length=256)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10)  # counter | timer | gauge
    value = models.FloatField()
    tags = models.TextField()  # JSON object
    at_us = models.BigIntegerField()

    class Meta:
        db_table = "metric"
        indexes = [models.Index(fields=["tenant_id", "execution_id"], name="metric_by_execution")]
