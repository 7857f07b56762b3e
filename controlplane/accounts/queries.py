"""Accounts as REST shows them."""

from __future__ import annotations

from typing import Any

from controlplane.accounts.actor import Actor
from controlplane.accounts.models import ApiToken, User
from controlplane.platform.clock import iso, now_us
from controlplane.platform.errors import Unauthenticated
from controlplane.platform.rendering import present
from controlplane.tenants.models import Tenant


def find_user(actor: Actor) -> User:
    """The actor's row. Raises Unauthenticated when it has been deleted meanwhile."""
    user = User.objects.filter(id=actor.user_id).first()
    if user is None:
        raise Unauthenticated("this user no longer exists")
    return user


def tenants_of(user: User) -> list[dict[str, Any]]:
    """Tenants the user belongs to."""
    rows = Tenant.objects.order_by("id").values("id", "name") if user.instance_owner else []
    return [dict(row) for row in rows]


def me(user: User) -> dict[str, Any]:
    """Body of `GET /me`."""
    return {
        "id": user.id,
        "superAdmin": user.instance_owner,
        "instanceOwner": user.instance_owner,
        "restricted": False,
        "profile": present(
            username=user.username,
            email=user.email or None,
            firstName=user.first_name or None,
            lastName=user.last_name or None,
        ),
        "tenants": tenants_of(user),
        "auths": [{"type": "BASIC_AUTH", "uid": user.username}],
        "ownedGroups": [],
    }


def user_detail(user: User) -> dict[str, Any]:
    """A user, whole."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email or user.username,
        "displayName": f"{user.first_name} {user.last_name}".strip() or user.username,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "superAdmin": user.instance_owner,
        "instanceOwner": user.instance_owner,
        "restricted": False,
        "tenants": tenants_of(user),
        "groups": [],
        "auths": [{"type": "BASIC_AUTH", "uid": user.username}],
    }


def api_token(row: ApiToken) -> dict[str, Any]:
    """A token without its text."""
    expires = row.expires_at_us
    return present(
        id=row.id,
        name=row.name,
        description=row.description,
        prefix=row.prefix,
        iat=iso(row.issued_at_us),
        exp=None if expires is None else iso(expires),
        lastUsed=None if row.used_at_us is None else iso(row.used_at_us),
        extended=row.extended,
        expired=expires is not None and expires <= now_us(),
    )


def api_tokens_of(actor: Actor) -> list[dict[str, Any]]:
    """The actor's tokens, newest first."""
    return [api_token(row) for row in ApiToken.objects.filter(user_id=actor.user_id).order_by("-issued_at_us")]
