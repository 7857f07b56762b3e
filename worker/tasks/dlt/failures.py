"""From dlt's chains of exceptions to one sentence a person can act on, with a stable code."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from worker.tasks.duckdb.database import explain_lock

_STEP_CODES = {
    "extract": "dlt.extract_failed",
    "normalize": "dlt.normalize_failed",
    "load": "dlt.load_failed",
    "sync": "dlt.load_failed",
}
_STEP_WORDS = {
    "extract": "reading the source",
    "normalize": "preparing the rows",
    "load": "loading",
    "sync": "reading the destination's state",
}
_TEXT_CHARS_MAX = 1200


def explain(error: BaseException, step: str, workdir: Path) -> tuple[str, str]:
    """`(code, sentence)` for what a pipeline raised in `step` (extract, normalize, load, sync)."""
    chain = list(_chain(error))
    for link in chain:
        locked = explain_lock(link)
        if locked is not None:
            return "duckdb.locked", locked
    code = _STEP_CODES.get(step, "dlt.failed")
    frozen = next((link for link in chain if type(link).__name__ == "DataValidationError"), None)
    if frozen is not None:
        return "dlt.schema_frozen", f"A contract of the source itself refuses the data: {_shortened(frozen)} Nothing was loaded."
    resource = next(filter(None, (getattr(link, "pipe_name", None) for link in chain)), None)
    where = f"While {_STEP_WORDS.get(step, step)}" + (f", resource `{resource}`" if resource else "")
    # The outermost of a library's errors knows the request; those it grew from do not.
    for link in chain:
        said = _http(link) or _connection(link)
        if said is not None:
            return code, f"{where}: {said}"
    cause = chain[-1]
    place = _place_in(cause, workdir)
    told = _shortened(cause) or type(cause).__name__
    return code, f"{where}: {type(cause).__name__}{f' at {place}' if place else ''}: {told}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or getattr(link, "exception", None) or link.__context__


def _http(error: BaseException) -> str | None:
    """A response with an error status, of requests or httpx."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if response is None or not isinstance(status, int):
        return None
    request: Any = getattr(response, "request", None)
    method, reason = getattr(request, "method", "GET"), getattr(response, "reason", None) or ""
    asked = f"{method} {_public(str(response.url))} answered {status} {reason}".strip()
    if status == 404:
        return f"{asked}. Check base URL, path and parameters of the source: a name that does not exist answers like this too."
    if status in (401, 403):
        return f"{asked}. The credentials of the source are missing, wrong or not allowed to read this."
    if status == 429:
        return f"{asked}: too many requests. Give the task a `retry` with a longer interval, or read fewer resources at once."
    if status >= 500:
        return f"{asked}: the other side failed. Give the task a `retry`, or try again later."
    return f"{asked}. The request is not one the other side understands: check path and parameters of the source."


def _connection(error: BaseException) -> str | None:
    """No answer at all, of requests or httpx."""
    name = type(error).__name__
    module = type(error).__module__
    if not module.startswith(("requests", "httpx", "urllib3")):
        return None
    request: Any = getattr(error, "request", None)
    url = _public(str(getattr(request, "url", "") or "")) or "the source"
    text = str(error)
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service not known" in text:
        return (
            f"{url}: the host's name is not known from this worker. Check the address, and that the worker has network and DNS."
        )
    if "Timeout" in name or "timed out" in text:
        return f"{url} did not answer in time. Check that this worker reaches it; when it is only slow, give the task a `retry`."
    if "SSL" in name or "CERTIFICATE_VERIFY" in text:
        return f"{url}: the certificate is not trusted by this worker. Check the address and the worker's certificates."
    if "Connection" in name or "Connect" in name or "MaxRetry" in name:
        return f"no connection to {url}. Check host and port, and that this worker may reach it."
    return None


def _public(url: str) -> str:
    """The address without user, password, query and fragment: those may hold secrets."""
    parts = urlsplit(url)
    if not parts.netloc:
        return url.split("?", 1)[0]
    return urlunsplit((parts.scheme, parts.netloc.rsplit("@", 1)[-1], parts.path, "", ""))


def _place_in(error: BaseException, workdir: Path) -> str | None:
    """File and line, in the task's own files, that the error came from."""
    root = str(workdir.resolve())
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(root):
            return f"{frame.filename[len(root) :].lstrip('/')} line {frame.lineno}"
    return None


def _shortened(error: BaseException) -> str:
    # SQLAlchemy adds a pointer to its own pages.
    text = re.sub(r"\(Background on this error.*?\)", "", " ".join(str(error).split()))
    return text if len(text) <= _TEXT_CHARS_MAX else text[:_TEXT_CHARS_MAX] + " …"
