"""Changes of accounts. One action, one transaction."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, connection, transaction

from controlplane.accounts.actor import Actor
from controlplane.accounts.authentication import forget_credentials, token_digest
from controlplane.accounts.models import ApiToken, User
from controlplane.accounts.passwords import require_good_password
from controlplane.platform.clock import now_us, parse_span
from controlplane.platform.errors import ApiError, Invalid, Missing
from controlplane.platform.identifiers import require_tenant
from controlplane.tenants.models import Tenant

TOKEN_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
TOKEN_NAME_CHARACTERS_MAX = 63


class AlreadySetUp(ApiError):
    """The first user exists; there is only one first (405)."""

    status = 405
    code = "setup.done"


def is_set_up() -> bool:
    """Whether the first user exists."""
    return User.objects.exists()


def create_first_user(username: str, password: str, tenant: str = "main", tenant_name: str | None = None) -> User:
    """Creates the instance owner and the first tenant. Raises AlreadySetUp, Invalid."""
    username = username.strip()
    if not username or len(username) > 256 or ":" in username or any(character < " " for character in username):
        raise Invalid("the user name must be 1 to 256 characters without colon", code="user.name")
    require_good_password(password)
    require_tenant(tenant)
    digest = make_password(password)
    try:
        with transaction.atomic():
            if connection.vendor == "postgresql":  # two setups at the same moment; SQLite has one writer anyway
                connection.cursor().execute("LOCK TABLE account_user IN EXCLUSIVE MODE")
            if is_set_up():
                raise AlreadySetUp("setup was done before; sign in instead")
            now = now_us()
            user = User(username=username, password=digest, instance_owner=True, created_at_us=now)
            if "@" in username:
                user.email = username
            Tenant(id=tenant, name=tenant_name or tenant, created_at_us=now).save(force_insert=True)
            user.save(force_insert=True)
    except IntegrityError:
        raise AlreadySetUp("setup was done before; sign in instead") from None
    return user


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token at the only moment its text is known."""

    row: ApiToken
    text: str


def create_api_token(
    user_id: str, name: str, description: str = "", max_age: str | None = None, extended: bool = False
) -> IssuedToken:
    """A new bearer token. `max_age` is an ISO duration, None = for ever. Raises Invalid."""
    if not 1 <= len(name) <= TOKEN_NAME_CHARACTERS_MAX or TOKEN_NAME.fullmatch(name) is None:
        raise Invalid(
            f"{name!r} is no token name: lower-case words joined by dashes, at most {TOKEN_NAME_CHARACTERS_MAX} characters",
            code="token.name",
        )
    lifetime = None
    if max_age:
        try:
            lifetime = parse_span(max_age)
        except ValueError as error:
            raise Invalid(f"maxAge: {error}", code="token.age") from None
        if lifetime <= 0:
            raise Invalid("maxAge must be longer than nothing", code="token.age")
    text = "hr_" + secrets.token_urlsafe(32)
    now = now_us()
    row = ApiToken(
        user_id=user_id,
        name=name,
        description=description[:500],
        prefix=text[:9],
        digest=token_digest(text),
        issued_at_us=now,
        expires_at_us=None if lifetime is None else now + lifetime,
        lifetime_us=lifetime,
        extended=extended,
    )
    row.save(force_insert=True)
    return IssuedToken(row, text)


def delete_api_token(actor: Actor, token_id: str) -> None:
    """Revokes one of the actor's own tokens. Raises Missing."""
    deleted, _ = ApiToken.objects.filter(id=token_id, user_id=actor.user_id).delete()
    if not deleted:
        raise Missing(f"API token '{token_id}' not found", code="token.missing")
    forget_credentials()
