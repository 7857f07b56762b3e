"""Triggers as a test writes them: a YAML map becomes the value that the language's reader would make of it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

import yaml

from flows.schedule.due import DEFAULT_SERVER, ScheduleRule, Server
from flows.schedule.facts import FlowFacts
from flows.schedule.label_match import label_texts
from flows.schedule.triggers import TRIGGERS
from flows.spec.model import Trigger

FLOW = FlowFacts("company.team", "report", revision=3, labels={"team": "data"}, variables={"region": "eu"})
SCHEDULE = "io.kestra.plugin.core.trigger.Schedule"
CONDITION = "io.kestra.plugin.core.condition."

TYPES = {name: trigger for trigger in TRIGGERS for name in trigger.types}


def at(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text)


def trigger(source: str | dict[str, Any], **more: Any) -> Trigger:
    """The trigger of a YAML map, validated by its class."""
    data: dict[str, Any] = {"id": "it", **(yaml.load(source, yaml.BaseLoader) if isinstance(source, str) else source), **more}
    kind = TYPES[data["type"]]
    kind.model_validate(data)
    return Trigger(
        id=data["id"],
        type=data["type"],
        kind=kind.kind,
        properties=data,
        disabled=bool(data.get("disabled", False)),
        conditions=tuple(data.get("conditions", ())),
        when=data.get("when"),
        labels=label_texts(data.get("labels") or {}),
        inputs=data.get("inputs", {}),
        stop_after=tuple(data.get("stopAfter", ())),
        allow_concurrent=bool(data.get("allowConcurrent", False)),
        digest=hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest(),
    )


def schedule(cron: str, *, flow: FlowFacts = FLOW, server: Server = DEFAULT_SERVER, **more: Any) -> ScheduleRule:
    """The rule of a Schedule."""
    return ScheduleRule.of(trigger({"type": SCHEDULE, "cron": cron, **more}), flow, server)


def condition(name: str, **properties: Any) -> dict[str, Any]:
    """A condition as written."""
    return {"type": CONDITION + name, **properties}
