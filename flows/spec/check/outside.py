"""Secrets, keys and files that a flow names: are they there, as far as the caller can tell?"""

from __future__ import annotations

from flows.spec.check.known import Known
from flows.spec.check.mentions import UNKNOWN, Called
from flows.spec.faults import Findings, Path
from flows.spec.source import ScalarNode
from flows.spec.templates import spot

FILE_FUNCTIONS = frozenset({"read", "fileURI", "fileSize", "fileEmpty", "isFileEmpty"})
NAMESPACE_FILE = "nsfile:///"


def check_outside(call: Called, namespace: str, known: Known, node: ScalarNode, path: Path, findings: Findings) -> None:
    """Notes what a call will not find. What the template absorbs (`??`) is no concern."""
    if call.kind != "function" or call.guarded or call.name not in FILE_FUNCTIONS | {"secret", "kv"}:
        return
    name = call.argument("key" if call.name in ("secret", "kv") else "path", 0)
    where = call.argument("namespace", 1 if call.name == "kv" else None)
    if not isinstance(name, str) or where is UNKNOWN:
        return
    place = where if isinstance(where, str) else namespace
    if call.name == "secret":
        if known.secret(place, name) is False:
            message = f"The namespace `{place}` has no secret `{name}`"
            findings.error("flow.missing_secret", message, spot(node, call.line), path, "add it to the namespace, or to a parent")
    elif call.name == "kv":
        if call.argument("errorOnMissing", 2) is not False and known.kv(place, name) is False:
            message = f"The namespace `{place}` has no key `{name}`"
            findings.warn("flow.missing_key", message, spot(node, call.line), path, "a task may set it before it is read")
    else:
        check_file(name, place, known, node, call.line, path, findings)


def check_file(name: str, namespace: str, known: Known, node: ScalarNode, line: int, path: Path, findings: Findings) -> None:
    """Notes a namespace file that is not there; other schemes are not looked at."""
    relative = name.removeprefix(NAMESPACE_FILE).lstrip("/")
    if "://" in relative or ":/" in relative or not relative:
        return
    if known.file(namespace, relative) is False:
        message = f"The namespace `{namespace}` has no file `{relative}`"
        findings.error("flow.missing_file", message, spot(node, line), path, "upload it, or mend the path")
