"""Log lines, stored as compressed chunks: one row holds up to a few thousand numbered lines of one attempt."""

from __future__ import annotations

from django.db import models


class LogChunk(models.Model):
    """Lines `first` … `first + count - 1` of an attempt. `data`: zlib of a JSON list [[at_us, level, text], …].

    Unique per (attempt, first): a batch that arrives twice is stored once.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.CharField(max_length=100)
    execution_id = models.CharField(max_length=22)
    task_run_id = models.CharField(max_length=22)
    task_id = models.CharField(max_length=256)
    attempt = models.IntegerField()
    first = models.BigIntegerField()
    count = models.IntegerField()
    levels = models.IntegerField()  # bit set: 1 << level
    min_at_us = models.BigIntegerField()
    max_at_us = models.BigIntegerField()
    data = models.BinaryField()

    class Meta:
        db_table = "log_chunk"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "execution_id", "task_run_id", "attempt", "first"], name="log_chunk_lines"
            ),
        ]
