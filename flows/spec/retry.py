"""The `retry` of a task or flow (flow-language §11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flows.expressions.printing import duration_text
from flows.spec import dialects, shapes
from flows.spec.faults import Findings, Path, as_map, checked, found_text, nearest
from flows.spec.model import Retry
from flows.spec.source import MapNode, Node, ScalarNode


def read_retry(node: Node, path: Path, findings: Findings) -> Retry | None:
    """The retry at a node; None with problems, or for null."""
    if isinstance(node, ScalarNode) and node.value is None:
        return None
    entry = as_map(node, path, findings, "`retry`")
    if entry is None:
        return None
    entry = dialects.renamed(entry, dialects.RETRY_NAMES)
    kind = entry.get("type")
    name = kind.text if isinstance(kind, ScalarNode) else ""
    model = shapes.RETRIES.get(name)
    if model is None:
        known = ", ".join(shapes.RETRIES)
        found = found_text(kind) if kind is not None else "nothing"
        findings.error(
            "flow.wrong_value",
            f"`type` of a retry must be one of {known}, found {found}",
            kind or entry,
            (*path, "type"),
            nearest(name, shapes.RETRIES),
        )
        return None
    shape, _ = checked(model, entry, path, findings)
    if shape is None:
        return None
    retry = Retry(
        attempts_max=shape.max_attempts,
        duration_max=shape.max_duration,
        warning_on_retry=shape.warning_on_retry,
        behavior=shape.behavior,
        **_waits(shape),
    )
    _check_order(retry, entry, path, findings)
    return retry


def _waits(shape: shapes.Retry) -> dict[str, Any]:
    if isinstance(shape, shapes.ConstantRetry):
        return {"type": "constant", "interval": shape.interval}
    if isinstance(shape, shapes.ExponentialRetry):
        return {
            "type": "exponential",
            "interval": shape.interval,
            "interval_max": shape.max_interval,
            "delay_factor": shape.delay_factor,
        }
    assert isinstance(shape, shapes.RandomRetry)
    return {
        "type": "random",
        "interval": shape.min_interval,
        "interval_min": shape.min_interval,
        "interval_max": shape.max_interval,
    }


def _check_order(retry: Retry, node: MapNode, path: Path, findings: Findings) -> None:
    first = "minInterval" if retry.type == "random" else "interval"
    durations = {first: retry.interval, "maxInterval": retry.interval_max, "maxDuration": retry.duration_max}
    pairs = [(first, "maxDuration"), (first, "maxInterval")]
    if retry.type == "random":
        pairs.append(("maxInterval", "maxDuration"))
    for lower, upper in pairs:
        small, great = durations[lower], durations[upper]
        if small is not None and great is not None and small >= great:
            place = node.entries.get(lower) or node
            findings.error(
                "flow.retry", f"'{lower}' must be less than '{upper}' but is {duration_text(small)}", place, (*path, lower)
            )
    for name, duration in durations.items():
        if duration is not None and duration < timedelta(0):
            findings.error("flow.retry", f"'{name}' must not be negative", node.entries.get(name) or node, (*path, name))
