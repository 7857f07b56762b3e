"""Namespace files: a versioned tree in every namespace. The bytes are in the storage, this is the index."""

from __future__ import annotations

from django.db import models


class NamespaceFile(models.Model):
    """One version of a file or folder. `path` has no leading slash. The newest version may say that it was deleted."""

    pk = models.CompositePrimaryKey("tenant_id", "namespace", "path", "version")
    tenant_id = models.CharField(max_length=100)
    namespace = models.CharField(max_length=150)
    path = models.CharField(max_length=1000)
    version = models.IntegerField()
    last = models.BooleanField(default=True)  # the newest version of its path
    deleted = models.BooleanField(default=False)
    folder = models.BooleanField(default=False)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, default="")
    blob = models.CharField(max_length=200, default="")  # storage path of the bytes
    created_at_us = models.BigIntegerField()  # of the first version
    updated_at_us = models.BigIntegerField()

    class Meta:
        db_table = "namespace_file"
        indexes = [
            models.Index(
                fields=["tenant_id", "namespace", "path"],
                name="namespace_file_current",
                condition=models.Q(last=True, deleted=False),
            ),
        ]
