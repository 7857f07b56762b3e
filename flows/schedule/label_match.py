"""Labels as a typed property of triggers and conditions: a map, or a list of `{key, value}`; values become texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from flows.spec.labels import SYSTEM_PREFIX


def label_texts(value: Any) -> dict[str, str]:
    """The labels as texts, without empty keys and null values. Raises ValueError with what was expected."""
    if isinstance(value, Mapping):
        pairs = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and all(isinstance(one, Mapping) and {"key", "value"} == one.keys() for one in value):
        pairs = [(str(one["key"]), one["value"]) for one in value]
    else:
        raise ValueError("expected labels as a map, or as a list of key and value")
    texts: dict[str, str] = {}
    for key, item in pairs:
        if isinstance(item, (Mapping, list)):
            raise ValueError(f"the label `{key[:60]}` must be a text, a number or a boolean")
        if key and item is not None:
            texts[key] = ("true" if item else "false") if isinstance(item, bool) else str(item)
    return texts


def own_labels(value: Any) -> dict[str, str]:
    """The same for labels that a flow's author sets: none of the platform's own (trap 23)."""
    texts = label_texts(value)
    for key in texts:
        if key.startswith(SYSTEM_PREFIX):
            raise ValueError(f"System labels can only be set by the platform itself, offending label: {key}={texts[key][:60]}")
    return texts


_SHAPE = dict[str, Any] | list[dict[str, Any]]
Labels = Annotated[dict[str, str], BeforeValidator(label_texts, json_schema_input_type=_SHAPE)]
OwnLabels = Annotated[dict[str, str], BeforeValidator(own_labels, json_schema_input_type=_SHAPE)]
