"""Tenants: the first part of every key."""

from __future__ import annotations

from django.db import models


class Tenant(models.Model):
    """A house of its own on this installation."""

    id = models.CharField(primary_key=True, max_length=100)
    name = models.CharField(max_length=200)
    created_at_us = models.BigIntegerField()

    class Meta:
        db_table = "tenant"
