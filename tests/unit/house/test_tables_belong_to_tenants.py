"""Tenants are kept apart by keys: what belongs to a tenant is found by its tenant first."""

from __future__ import annotations

import os

import django
import pytest
from django.apps import apps
from django.db import models

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup()

TENANT = ("tenant_id", "tenant")
BEFORE_THE_TENANT_IS_KNOWN = {("join_token", ("digest",)), ("worker", ("digest",))}
"""Secrets are looked up by their digest to learn whose they are."""

OWNED = [
    model
    for model in apps.get_models()
    if model.__module__.startswith("controlplane.") and any(field.attname in TENANT for field in model._meta.concrete_fields)
]


def _keys(model: type[models.Model]) -> list[tuple[str, ...]]:
    meta = model._meta
    found = [tuple(names) for names in meta.unique_together]
    found += [tuple(one.fields) for one in meta.constraints if isinstance(one, models.UniqueConstraint)]
    found += [(field.attname,) for field in meta.concrete_fields if field.unique and not isinstance(field, models.AutoField)]
    primary = meta.pk
    if isinstance(primary, models.CompositePrimaryKey):
        found.append(tuple(primary.field_names))
    return found


@pytest.mark.parametrize("model", OWNED, ids=lambda model: model._meta.db_table)
def test_unique_keys_of_a_tenants_table_begin_with_the_tenant(model: type[models.Model]) -> None:
    table = model._meta.db_table
    loose = [key for key in _keys(model) if key[0] not in TENANT and (table, key) not in BEFORE_THE_TENANT_IS_KNOWN]
    assert not loose, (
        f"{model._meta.label}: a key that does not begin with the tenant lets one tenant's row stand in another's way, "
        f"and cannot be partitioned. Put tenant_id first in: {loose}"
    )


def test_there_are_tables_to_look_at() -> None:
    assert len(OWNED) >= 5
