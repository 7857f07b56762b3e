"""Workers and how they enrol."""

from __future__ import annotations

from django.db import models


class JoinToken(models.Model):
    """Short-lived permission to enrol workers of one group. Stored hashed."""

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.CharField(max_length=100)
    worker_group = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)  # sha256 hex
    uses_left = models.IntegerField()
    expires_at_us = models.BigIntegerField()

    class Meta:
        db_table = "join_token"


class Worker(models.Model):
    """An enrolled worker. `epoch` grows with each session: an older session is answered, not obeyed."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.CharField(max_length=100)
    id = models.CharField(max_length=22)
    worker_group = models.CharField(max_length=100)
    name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, unique=True)  # of its credential, sha256 hex
    labels = models.TextField(default="{}")
    version = models.CharField(max_length=40, default="")
    epoch = models.BigIntegerField(default=0)
    light_slots = models.IntegerField(default=0)
    process_slots = models.IntegerField(default=0)
    enrolled_at_us = models.BigIntegerField()
    seen_at_us = models.BigIntegerField(default=0)
    revoked_at_us = models.BigIntegerField(null=True)

    class Meta:
        db_table = "worker"
