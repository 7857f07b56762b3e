"""The grammar of filters in query strings."""

from __future__ import annotations

import pytest
from django.db.models import Q

from controlplane.platform.errors import BadRequest
from controlplane.platform.filters import (
    NAMES,
    Condition,
    FilterField,
    Group,
    canonical,
    filters_from_json,
    free_text,
    parse_filters,
    text_field,
    to_q,
)

FIELDS = {"flowid": text_field("flow_id", NAMES), "labels": FilterField(frozenset({"EQUALS"}), lambda one: Q(labels=one.value))}


@pytest.mark.parametrize("name", ["flowId", "FLOW_ID", "flowid", "flow_id"])
def test_spellings_of_a_field_are_one(name: str) -> None:
    assert canonical(name) == "flowid"


def test_constants_with_another_wire_name_are_translated() -> None:
    assert [canonical(name) for name in ("QUERY", "MIN_LEVEL", "LEVEL", "q")] == ["q", "level", "level", "q"]


def test_plain_filters_are_anded_and_may_repeat() -> None:
    group = parse_filters([("filters[startDate][GREATER_THAN]", "a"), ("page", "1"), ("filters[START_DATE][LESS_THAN]", "b")])
    assert group.items == [Condition("startdate", "GREATER_THAN", "a"), Condition("startdate", "LESS_THAN", "b")]


def test_keys_of_one_map_belong_together() -> None:
    group = parse_filters([("filters[labels][EQUALS][a]", "1"), ("filters[labels][EQUALS][b.c]", "2")])
    assert group.items == [Condition("labels", "EQUALS", {"a": "1", "b.c": "2"})]


def test_groups_nest_once_and_indexes_may_be_sparse() -> None:
    group = parse_filters(
        [
            ("filters[or][0][flowId][EQUALS]", "a"),
            ("filters[or][7][and][1][flowId][EQUALS]", "b"),
            ("filters[or][7][and][3][flowId][NOT_EQUALS]", "c"),
        ]
    )
    (joined,) = group.items
    assert isinstance(joined, Group)
    assert joined.joint == "or"
    assert [condition.text for condition in group.conditions()] == ["a", "b", "c"]
    expected = Q(flow_id="a") | (Q(flow_id="b") & ~Q(flow_id="c"))
    assert to_q(group, FIELDS) == Q() & expected


@pytest.mark.parametrize(
    "key",
    [
        "filters",
        "filters[flowId]",
        "filters[a][b][c][d]",
        "filters[or][x][flowId][EQUALS]",
        "filters[or][0][and][0][or][0][flowId][EQUALS]",
        "filters[flowId][EQUALS",
    ],
)
def test_anything_else_is_refused(key: str) -> None:
    with pytest.raises(BadRequest):
        parse_filters([(key, "x")])


def test_unknown_fields_and_operations_say_what_is_known() -> None:
    with pytest.raises(BadRequest, match="known are flowid, labels"):
        to_q(parse_filters([("filters[state][EQUALS]", "x")]), FIELDS)
    with pytest.raises(BadRequest, match="it knows"):
        to_q(parse_filters([("filters[labels][REGEX]", "x")]), FIELDS)
    with pytest.raises(BadRequest, match="regular expression"):
        to_q(parse_filters([("filters[flowId][REGEX]", "(")]), FIELDS)


def test_json_filters_unwrap_values() -> None:
    group = filters_from_json(
        [
            {"field": "FLOW_ID", "operation": "IN", "value": {"value": ["a", "b"]}},
            {"field": "locked", "operation": "EQUALS", "value": True},
        ]
    )
    assert group.items == [Condition("flowid", "IN", "a,b"), Condition("locked", "EQUALS", "true")]


def test_free_text_needs_every_token_somewhere() -> None:
    assert free_text("*", ["a"]) == Q()
    assert free_text("hello mcp", ["id"]) == Q(id__icontains="hello") & Q(id__icontains="mcp")
