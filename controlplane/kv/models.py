"""Small values that outlive an execution: keys of a namespace, and results of tasks that need not run again."""

from __future__ import annotations

from django.db import models


class KeyValue(models.Model):
    """One key of a namespace. `value`: JSON text; `kind`: see `controlplane.kv.values.KINDS`."""

    pk = models.CompositePrimaryKey("tenant_id", "namespace", "key")
    tenant_id = models.CharField(max_length=100)
    namespace = models.CharField(max_length=150)
    key = models.CharField(max_length=250)
    kind = models.CharField(max_length=10)
    value = models.TextField()
    description = models.TextField(default="")
    version = models.IntegerField(default=1)  # counts the writes
    expires_at_us = models.BigIntegerField(null=True)
    created_at_us = models.BigIntegerField()
    updated_at_us = models.BigIntegerField()

    class Meta:
        db_table = "key_value"


class CachedResult(models.Model):
    """How a task with `taskCache` ended, by the digest of its rendered properties. The newest one stands."""

    pk = models.CompositePrimaryKey("tenant_id", "namespace", "flow_id", "task_id", "digest")
    tenant_id = models.CharField(max_length=100)
    namespace = models.CharField(max_length=150)
    flow_id = models.CharField(max_length=100)
    task_id = models.CharField(max_length=256)
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=12)
    outputs = models.TextField(null=True)
    stored_at_us = models.BigIntegerField()

    class Meta:
        db_table = "cached_result"
