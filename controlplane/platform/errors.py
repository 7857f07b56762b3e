"""One error body for every client, and the way every exception becomes one. No traceback ever leaves the house."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from rest_framework import exceptions as drf

from flows.errors import ExpressionError, FlowInvalid, HeadraceError, InputInvalid

log = logging.getLogger("headrace.api")

Detail = Mapping[str, Any]

_UNAVAILABLE = frozenset({"engine.unavailable"})
"""Codes of errors that pass by themselves: answered 503, clients try again."""


class ApiError(HeadraceError):
    """A refusal: HTTP status, stable code, a sentence that says what to do. `errors` names places, `body` adds fields."""

    status = 400
    code = "request.invalid"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        errors: Sequence[Detail] = (),
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        if status is not None:
            self.status = status
        self.errors = tuple(errors)
        self.body = dict(body or {})


class BadRequest(ApiError):
    """A parameter that cannot be read (400)."""


class Unauthenticated(ApiError):
    """No or wrong credentials (401)."""

    status = 401
    code = "auth.required"


class Forbidden(ApiError):
    """Known, but not permitted (403)."""

    status = 403
    code = "auth.forbidden"


class Missing(ApiError):
    """No such thing here (404)."""

    status = 404
    code = "resource.missing"


class Conflict(ApiError):
    """The thing is in a state that forbids this (409)."""

    status = 409
    code = "resource.conflict"


class Invalid(ApiError):
    """Well-formed, but not acceptable (422)."""

    status = 422
    code = "request.unacceptable"


def request_id(request: HttpRequest) -> str:
    """The id of this request, made on first use. It is in the answer's header, in error bodies and in our log."""
    present: str | None = getattr(request, "headrace_id", None)
    if present is None:
        present = uuid.uuid4().hex[:16]
        request.headrace_id = present  # type: ignore[attr-defined]
    return present


def error_response(
    request: HttpRequest,
    status: int,
    message: str,
    code: str,
    errors: Sequence[Detail] = (),
    body: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """The error body that all client generations can read."""
    title = HTTPStatus(status).phrase
    path = request.path
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": message,
        "instance": path,
        "message": f"{title}: {message}",
        "code": code,
        "requestId": request_id(request),
        "_links": {"self": {"href": path, "templated": False}},
    }
    if errors:
        rows = [{name: value for name, value in row.items() if value is not None} for row in errors]
        content["errors"] = rows
        content["_embedded"] = {"errors": rows}
    content.update(body or {})
    response = HttpResponse(orjson.dumps(content), status=status, content_type="application/json")
    response["X-Request-Id"] = content["requestId"]
    return response


def respond(request: HttpRequest, error: Exception) -> HttpResponse:
    """Any exception as an answer. What nobody foresaw is logged with its traceback and answered 500 in general words."""
    if isinstance(error, ApiError):
        response = error_response(request, error.status, str(error), error.code, error.errors, error.body)
        if error.status == 401:
            response["WWW-Authenticate"] = "Bearer"
        return response
    if isinstance(error, FlowInvalid):
        rows = [
            {"message": str(problem), "path": problem.path, "code": problem.code, "line": problem.line, "column": problem.column}
            for problem in error.problems
        ]
        return error_response(request, 422, str(error), error.code, rows)
    if isinstance(error, InputInvalid):
        return error_response(request, 422, str(error), error.code, [{"message": str(error), "path": error.input_id}])
    if isinstance(error, ExpressionError):
        return error_response(request, 422, str(error), error.code)
    if isinstance(error, HeadraceError) and error.code in _UNAVAILABLE:
        response = error_response(request, 503, str(error), error.code)
        response["Retry-After"] = "1"
        return response
    status, code, message = _foreign(error)
    if status >= 500:
        log.error("request %s failed: %s %s", request_id(request), request.method, request.path, exc_info=error)
    return error_response(request, status, message, code)


def _foreign(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, Http404):
        return 404, "resource.missing", "nothing is found at this address"
    if isinstance(error, drf.MethodNotAllowed):
        return 405, "request.method", str(error.detail)
    if isinstance(error, RequestDataTooBig):
        return 413, "request.too_large", "the body is larger than this address accepts"
    if isinstance(error, MultiPartParserError):
        return 422, "request.multipart", f"the multipart body cannot be read: {error}"
    if isinstance(error, UnreadablePostError):
        return 400, "request.broken", "the connection ended before the body did"
    if isinstance(error, SuspiciousOperation):
        return 400, "request.suspicious", "the request is malformed"
    if isinstance(error, (DataError, OverflowError)):
        return 400, "request.value", "a value is out of the range that can be stored: a NUL character, or a number too large"
    if isinstance(error, drf.APIException):
        return error.status_code, "request.invalid", str(error.detail)
    return 500, "internal", "something went wrong on our side; the server's log knows more under this request id"


def answer_exception(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's exception handler."""
    request = context["request"]
    return respond(getattr(request, "_request", request), error)
