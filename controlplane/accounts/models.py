"""Who may call: users and their API tokens."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models

from wire.ids import new_id


class UserManager(BaseUserManager["User"]):
    """Finds users by the name they sign in with."""

    def get_by_natural_key(self, username: str | None) -> User:
        """The user of that name, in any case of letters. Raises User.DoesNotExist."""
        return self.get(username__iexact=username)


class User(AbstractBaseUser):
    """A person. Instance-wide: what they may do in a tenant is decided by `accounts.access`.

    `session_epoch` is part of every login cookie: raising it signs the user out everywhere.
    """

    id = models.CharField(primary_key=True, max_length=22, default=new_id)
    username = models.CharField(max_length=256, unique=True)
    email = models.CharField(max_length=256, blank=True, default="")
    first_name = models.CharField(max_length=150, blank=True, default="")
    last_name = models.CharField(max_length=150, blank=True, default="")
    instance_owner = models.BooleanField(default=False)
    session_epoch = models.IntegerField(default=0)
    created_at_us = models.BigIntegerField()

    USERNAME_FIELD = "username"
    objects = UserManager()

    class Meta:
        db_table = "account_user"


class ApiToken(models.Model):
    """A bearer token. Only its digest is kept; `prefix` is what people recognise it by."""

    id = models.CharField(primary_key=True, max_length=22, default=new_id)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=63)
    description = models.CharField(max_length=500, blank=True, default="")
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)  # sha256 hex of the whole token
    issued_at_us = models.BigIntegerField()
    expires_at_us = models.BigIntegerField(null=True)
    lifetime_us = models.BigIntegerField(null=True)  # with `extended`: each use moves the expiry this far ahead
    extended = models.BooleanField(default=False)
    used_at_us = models.BigIntegerField(null=True)

    class Meta:
        db_table = "account_api_token"
