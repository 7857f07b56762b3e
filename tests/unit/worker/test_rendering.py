"""Tasks get their properties rendered and typed; what depends on the text alone is worked out once."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from flows.errors import ExpressionError
from flows.expressions import Scope
from flows.plugins import Catalogue, Dynamic, TaskType
from wire import gateway
from worker.errors import TaskFailed
from worker.rendering import Plans, timeout_seconds
from worker.secrets import names_found


class Sample(TaskType):
    types: ClassVar[tuple[str, ...]] = ("tests.Sample",)
    unrendered: ClassVar[frozenset[str]] = frozenset({"raw"})

    count: Dynamic[int] = 0
    items: Dynamic[list[str]] = []
    text: Dynamic[str] = ""
    raw: str = ""


def plans() -> Plans:
    catalogue = Catalogue()
    catalogue.register(Sample)
    return Plans(catalogue)


def assign(**properties: Any) -> gateway.Assign:
    task = {"id": "s", "type": "tests.Sample", **properties}
    return gateway.Assign(task_type="tests.Sample", task_id="s", task_json=json.dumps(task).encode())


def render(variables: dict[str, Any], **properties: Any) -> Sample:
    task = plans().of(assign(**properties)).task(Scope(variables))
    assert isinstance(task, Sample)
    return task


def test_a_number_written_as_an_expression_becomes_a_number() -> None:
    assert render({"n": 3}, count="{{ n + 1 }}").count == 4


def test_a_list_written_as_one_expression_becomes_a_list() -> None:
    assert render({"l": ["a", "b"]}, items="{{ l }}").items == ["a", "b"]


def test_each_element_of_a_list_is_rendered() -> None:
    assert render({"x": "1"}, items=["{{ x }}", "plain"]).items == ["1", "plain"]


def test_properties_that_a_task_renders_itself_stay_as_they_are() -> None:
    assert render({}, raw="{{ later }}", text="{{ 1 }}").raw == "{{ later }}"


def test_what_the_machine_reads_is_not_rendered_for_the_task() -> None:
    assert render({}, runIf="{{ nothing.here }}", description="{{ no }}", text="x").text == "x"


def test_a_task_without_expressions_is_made_once() -> None:
    made = plans()
    work = assign(text="x")
    first = made.of(work)
    assert first.whole is not None
    assert made.of(assign(text="x")).task(Scope({})) is first.task(Scope({}))


def test_a_rendered_property_that_does_not_fit_is_named() -> None:
    with pytest.raises(TaskFailed, match="count") as caught:
        render({"n": "many"}, count="{{ n }}")
    assert caught.value.code == "task.property_invalid"


def test_what_may_wait_for_the_plane_is_known_before() -> None:
    assert not plans().of(assign(text="{{ x }}")).waits
    assert plans().of(assign(text="{{ secret('A') }}")).waits
    assert plans().of(assign(text="{{ render(x) }}")).waits


def test_a_template_that_cannot_be_read_is_an_expression_error() -> None:
    with pytest.raises(ExpressionError):
        plans().of(assign(text="{{ 1 + }}"))


def test_secrets_named_literally_are_found_before_rendering() -> None:
    value = {"a": "{{ secret('ONE') }}", "b": ['{{ secret( "TWO" ) }} {{ secret(name) }}'], "secret('KEY')": 1}
    assert names_found(value) == {"ONE", "TWO", "KEY"}


@pytest.mark.parametrize("text", ["PT0S", "soon", "-PT5S"])
def test_a_timeout_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(TaskFailed, match="timeout"):
        timeout_seconds(text)
