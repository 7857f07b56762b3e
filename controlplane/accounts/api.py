"""Setup, sign-in, who am I, API tokens."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts import sessions
from controlplane.accounts.actions import create_api_token, create_first_user, delete_api_token, is_set_up
from controlplane.accounts.authentication import verify_password
from controlplane.accounts.queries import api_token, api_tokens_of, find_user, me, user_detail
from controlplane.accounts.views import InstanceView, PublicView, plain
from controlplane.openapi.describe import answer, body
from controlplane.platform.errors import Invalid, Unauthenticated
from controlplane.platform.parsers import json_object, object_or_form
from controlplane.platform.rendering import json_response, no_content


class SetupView(PublicView):
    """The first user and tenant."""

    @extend_schema(operation_id="getSetup", tags=["Accounts"], responses=answer("SetupState"))
    def get(self, request: Request) -> HttpResponse:
        """Whether setup is done."""
        return json_response({"done": is_set_up(), "repositoryType": "database", "queueType": "database", "storageType": "local"})

    @extend_schema(operation_id="setUp", tags=["Accounts"], request=body("SetupData"), responses=answer("User"))
    def post(self, request: Request) -> HttpResponse:
        """Creates the instance owner and the tenant, once."""
        data = json_object(plain(request))
        tenant = data.get("tenant") or {}
        if not isinstance(tenant, dict):
            raise Invalid("tenant must be an object with id and name")
        user = create_first_user(
            str(data.get("username") or data.get("email") or ""),
            str(data.get("password") or ""),
            str(tenant.get("id") or "main"),
            tenant.get("name"),
        )
        return json_response(user_detail(user))


class LoginView(PublicView):
    """Name and password for a login cookie."""

    @extend_schema(operation_id="login", tags=["Accounts"], request=body("Credentials"), responses=answer("User"))
    def post(self, request: Request) -> HttpResponse:
        """Signs in."""
        http = plain(request)
        data = object_or_form(http)
        user = verify_password(str(data.get("username") or ""), str(data.get("password") or ""))
        if user is None:
            raise Unauthenticated("user name or password is wrong", code="auth.password")
        response = json_response(user_detail(user))
        sessions.set_session(http, response, user)
        return response


class LogoutView(PublicView):
    """Forgets the login cookie."""

    @extend_schema(operation_id="logout", tags=["Accounts"], request=None, responses={200: None})
    def post(self, request: Request) -> HttpResponse:
        """Signs out here."""
        response = json_response({})
        sessions.clear_session(response)
        return response


class MeView(InstanceView):
    """The caller."""

    @extend_schema(operation_id="getCurrentUser", tags=["Accounts"], responses=answer("Me"))
    def get(self, request: Request) -> HttpResponse:
        """Who I am and where I may go."""
        return json_response(me(find_user(self.actor)))


class MyTokensView(InstanceView):
    """API tokens of the caller."""

    @extend_schema(operation_id="listApiTokens", tags=["Accounts"], responses=answer("ApiTokenList"))
    def get(self, request: Request) -> HttpResponse:
        """All of them, without their texts."""
        return json_response({"results": api_tokens_of(self.actor)})

    @extend_schema(
        operation_id="createApiToken", tags=["Accounts"], request=body("NewApiToken"), responses=answer("CreatedApiToken")
    )
    def post(self, request: Request) -> HttpResponse:
        """A new one. Its text is in this answer and nowhere else."""
        data = json_object(plain(request))
        issued = create_api_token(
            self.actor.user_id,
            str(data.get("name") or ""),
            str(data.get("description") or ""),
            data.get("maxAge"),
            bool(data.get("extended")),
        )
        return json_response({**api_token(issued.row), "fullToken": issued.text})


class MyTokenView(InstanceView):
    """One API token of the caller."""

    @extend_schema(operation_id="deleteApiToken", tags=["Accounts"], responses={204: None})
    def delete(self, request: Request, token_id: str) -> HttpResponse:
        """Revokes it."""
        delete_api_token(self.actor, token_id)
        return no_content()


def ping(request: HttpRequest) -> HttpResponse:
    """Alive."""
    return HttpResponse("pong", content_type="text/plain")
