"""`headrace flow apply` and `run`: store and run flows on a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from cli.client import Client
from cli.failures import CommandFailed
from cli.live import exit_status, follow


def apply(files: list[Path], server: str, tenant: str, login: str) -> int:
    """Stores the flows of the files."""
    console = Console(highlight=False)
    with Client(server, tenant, login) as client:
        for path in files:
            source = path.read_text(encoding="utf-8")
            namespace, flow_id = flow_identity(source, path)
            stored = client.apply_flow(source, namespace, flow_id)
            console.print(f"{namespace}/{flow_id}: revision {stored['revision']}")
    return 0


def run_flow(flow: str, inputs: list[str], server: str, tenant: str, login: str) -> int:
    """Starts an execution and follows it to its end."""
    namespace, _, flow_id = flow.rpartition("/")
    given = dict(part.split("=", 1) for part in inputs if "=" in part)
    if not namespace or len(given) != len(inputs):
        raise CommandFailed("expected NAMESPACE/ID and inputs as --input id=value", status=2)
    with Client(server, tenant, login) as client:
        started = client.start(namespace, flow_id, given)
        return exit_status(follow(client, started["id"], Console()))


def flow_identity(source: str, path: Path) -> tuple[str, str]:
    """Namespace and id of a flow source. Raises CommandFailed when it has none or is no YAML."""
    try:
        found: Any = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise CommandFailed(f"{path} is no YAML: {error}") from None
    if not isinstance(found, dict) or not found.get("id") or not found.get("namespace"):
        raise CommandFailed(f"{path} is no flow: `id` and `namespace` are needed at its top")
    return str(found["namespace"]), str(found["id"])
