"""Flows and all their revisions."""

from __future__ import annotations

from django.db import models


class Flow(models.Model):
    """The newest revision of a flow, as far as lists and look-ups need it. The rest is in its `FlowRevision`."""

    pk = models.CompositePrimaryKey("tenant_id", "namespace", "id")
    tenant_id = models.CharField(max_length=100)
    namespace = models.CharField(max_length=150)
    id = models.CharField(max_length=100)
    revision = models.IntegerField()
    digest = models.CharField(max_length=64)  # sha256 hex of the source
    deleted = models.BooleanField(default=False)
    disabled = models.BooleanField(default=False)
    draft = models.BooleanField(default=False)
    labels = models.JSONField(default=list)  # [{"key", "value"}, …]
    words = models.TextField(default="")  # id, namespace and description: what free text search looks at
    definition = models.TextField()  # of this revision, so that lists need no second look-up
    updated_at_us = models.BigIntegerField()

    class Meta:
        db_table = "flow"


class FlowRevision(models.Model):
    """One saved text of a flow. `source` is kept byte for byte; `definition` is the same as JSON, so that nobody parses twice.

    A deletion is a revision too (`deleted`), with the text of the one before.
    """

    pk = models.CompositePrimaryKey("tenant_id", "namespace", "flow_id", "revision")
    tenant_id = models.CharField(max_length=100)
    namespace = models.CharField(max_length=150)
    flow_id = models.CharField(max_length=100)
    revision = models.IntegerField()
    source = models.TextField()
    definition = models.TextField()
    digest = models.CharField(max_length=64)
    deleted = models.BooleanField(default=False)
    draft = models.BooleanField(default=False)
    created_at_us = models.BigIntegerField()
    created_by = models.CharField(max_length=256, default="")

    class Meta:
        db_table = "flow_revision"
