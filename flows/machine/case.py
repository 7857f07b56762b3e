"""Unit tests of flows: a document with fixtures and assertions, run in memory by the same machine (flow-language §16).

A task that has a fixture is not executed: it takes the fixture's state and outputs. The cheap core tasks are executed here; any
other task without a fixture makes the case an ERROR that names it. Pure: reading documents is the caller's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from pydantic import Field, ValidationError

from flows.errors import ExpressionError, HeadraceError
from flows.expressions import Scope, evaluate_value, names_in
from flows.machine import context
from flows.machine.effects import Effects, HandOut
from flows.machine.house import House, opened
from flows.machine.orders import type_name
from flows.machine.simulate import EVENTS_MAX, Answer, Player, echo, outline
from flows.machine.states import FROZEN, State
from flows.plugins import Properties
from flows.spec.model import Flow

EXECUTED = frozenset({"Log", "Return", "OutputValues", "Fail", "Echo", "Assert", "Sleep", "WorkingDirectory"})
"""Types (last names) that need no worker: what they do is known here. ForEachItem's own parts as well."""

Outcome = Literal["SUCCESS", "FAILED", "ERROR", "SKIPPED"]


class TaskFixture(Properties):
    """What stands for a task: its state and outputs. `value`: only for that value of a loop."""

    id: str
    value: str | None = None
    state: State = State.SUCCESS
    outputs: dict[str, Any] | None = None
    assets: Any = None
    description: str | None = None


class TriggerFixture(Properties):
    """The trigger the execution seems to come from."""

    id: str
    type: str
    variables: dict[str, Any] = Field(default_factory=dict)


class Fixtures(Properties):
    """What a case starts from. `files`: content by name, for `read()` and FILE inputs."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    tasks: list[TaskFixture] = Field(default_factory=list)
    trigger: TriggerFixture | None = None


class Assertion(Properties):
    """One value and what must hold of it; several operators must all hold."""

    value: Any = None
    task_id: str | None = None
    error_message: str | None = None
    description: str | None = None
    equal_to: Any = None
    not_equal_to: Any = None
    contains: Any = None
    starts_with: Any = None
    ends_with: Any = None
    greater_than: Any = None
    greater_than_or_equal_to: Any = None
    less_than: Any = None
    less_than_or_equal_to: Any = None
    in_: list[Any] | None = Field(default=None, alias="in")
    not_in: list[Any] | None = None
    is_null: bool | None = None
    is_not_null: bool | None = None


class TestCase(Properties):
    """One run of the flow."""

    __test__ = False

    id: str
    type: str | None = None
    name: str | None = None
    disabled: bool = False
    description: str | None = None
    fixtures: Fixtures = Field(default_factory=Fixtures)
    assertions: list[Assertion] = Field(default_factory=list)
    expected_state: State = State.SUCCESS


class TestSuite(Properties):
    """A unit-test document."""

    __test__ = False

    id: str
    namespace: str
    flow_id: str
    description: str | None = None
    disabled: bool = False
    test_cases: list[TestCase] = Field(min_length=1)


class SuiteInvalid(HeadraceError):
    """The document is no unit-test document."""

    code = "test.invalid"


@dataclass(frozen=True, slots=True)
class Checked:
    """An assertion that was looked at. `message`: why it does not hold."""

    operator: str
    expected: Any
    actual: Any
    holds: bool
    message: str | None = None
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a case. `state`: of its execution; `errors`: why it is an ERROR."""

    id: str
    outcome: Outcome
    state: State | None = None
    checked: tuple[Checked, ...] = ()
    errors: tuple[str, ...] = ()
    outline: str = ""


def read_suite(data: Any) -> TestSuite:
    """The suite of a document. Raises SuiteInvalid naming each property that does not fit."""
    try:
        return TestSuite.model_validate(data)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'document'}: {one['msg']}" for one in error.errors(include_url=False)
        )
        raise SuiteInvalid(f"not a unit-test document: {found}") from None


@dataclass(slots=True)
class _Worker(Player):
    """Fixtures first, then what is known here; everything else is noted as missing."""

    fixtures: list[TaskFixture]
    functions: Mapping[str, Callable[..., Any]]
    missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        Player.__init__(self, self._answer)

    def answer(self, house: House, hand_out: HandOut) -> Answer:
        fixture = self._fixture(hand_out.task.id, hand_out.run.value, hand_out.run.path)
        if fixture is not None:
            error = {"code": "test.fixture", "message": "the fixture says so"} if fixture.state is State.FAILED else None
            return Answer(fixture.state, 0, fixture.outputs, error)
        kind = type_name(hand_out.task)
        if kind not in EXECUTED and not kind.startswith("ForEachItem$"):
            self.missing.append(f"task `{hand_out.task.id}` ({hand_out.task.type}) needs a fixture: it is not executed in memory")
            return Answer(State.FAILED, 0, error={"code": "test.fixture_missing", "message": self.missing[-1]})
        return super(_Worker, self).answer(house, hand_out)

    def _answer(self, hand_out: HandOut, random: Random) -> Answer:
        return echo(hand_out, self.functions)

    def _fixture(self, task_id: str, value: str | None, path: tuple[str, ...]) -> TaskFixture | None:
        own = value if value is not None else path[-1] if path else None
        exact = [one for one in self.fixtures if one.id == task_id and one.value is not None and one.value == own]
        return next(iter([*exact, *(one for one in self.fixtures if one.id == task_id and one.value is None)]), None)


def run_suite(
    suite: TestSuite,
    flow: Flow,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    beside: tuple[Flow, ...] = (),
    seed: int = 0,
) -> list[CaseResult]:
    """Runs every case. `functions`: what expressions may call beside the pure ones; `beside`: flows it may start."""
    return [run_case(case, flow, suite.disabled, functions or {}, beside, seed) for case in suite.test_cases]


def run_case(
    case: TestCase,
    flow: Flow,
    disabled: bool,
    functions: Mapping[str, Callable[..., Any]],
    beside: tuple[Flow, ...] = (),
    seed: int = 0,
) -> CaseResult:
    """Runs one case in a house of its own."""
    if case.disabled or disabled:
        return CaseResult(case.id, "SKIPPED")
    fixtures = case.fixtures
    available = {**functions, **_file_functions(fixtures.files)}
    worker = _Worker(fixtures.tasks, available)
    house = House([flow, *beside], worker, Random(seed), functions=available)
    house.files.update({f"kestra:///{name}": text.splitlines() for name, text in fixtures.files.items()})
    trigger = None
    if fixtures.trigger is not None:
        trigger = {"id": fixtures.trigger.id, "type": fixtures.trigger.type, "variables": fixtures.trigger.variables}
    try:
        execution = house.create((flow.namespace, flow.id), fixtures.inputs, trigger=trigger, kind="TEST", cause={"kind": "test"})
        house.go(steps_max=EVENTS_MAX)
    except HeadraceError as error:
        return CaseResult(case.id, "ERROR", errors=(str(error),))
    held = house.executions[execution.id]
    text = outline(held)
    if worker.missing:
        return CaseResult(case.id, "ERROR", execution.state, errors=tuple(dict.fromkeys(worker.missing)), outline=text)
    if execution.state in FROZEN:
        message = f"the execution stands at {execution.state}: a unit test cannot resume it; give the task a fixture"
        return CaseResult(case.id, "ERROR", execution.state, errors=(message,), outline=text)

    def value_of(written: Any) -> Any:
        world = house._world(flow, Effects(), held)
        found = context.variables(names_in(written), world, execution)
        return evaluate_value(written, Scope(opened(found), available))

    checked: list[Checked] = []
    if execution.state is not case.expected_state:
        why = f"the execution ended {execution.state}, expected {case.expected_state}"
        checked.append(Checked("expectedState", case.expected_state.value, execution.state.value, False, why))
    for assertion in case.assertions:
        checked.extend(check(assertion, value_of))
    failed = any(not one.holds for one in checked)
    return CaseResult(case.id, "FAILED" if failed else "SUCCESS", execution.state, tuple(checked), outline=text)


def _file_functions(files: Mapping[str, str]) -> dict[str, Callable[..., Any]]:
    def read(path: str, *_: Any, **__: Any) -> str:
        for name in (path, path.removeprefix("kestra:///"), path.removeprefix("nsfile:///")):
            if name in files:
                return files[name]
        raise ExpressionError(f"read('{path[:100]}'): the case has no such file; add it to fixtures.files", code="file.missing")

    def file_uri(path: str, *_: Any, **__: Any) -> str:
        return f"kestra:///{path}"

    return {"read": read, "fileURI": file_uri}


def check(assertion: Assertion, value_of: Callable[[Any], Any]) -> list[Checked]:
    """Each operator of an assertion against the rendered value; without any, the value must be true."""
    try:
        actual = value_of(assertion.value)
    except ExpressionError as error:
        return [Checked("value", None, None, False, str(error), assertion.task_id)]
    found: list[Checked] = []
    for name in sorted(assertion.model_fields_set & set(OPERATORS)):
        operator = OPERATORS[name]
        written = getattr(assertion, name)
        shown = assertion.__class__.model_fields[name].alias or name
        try:
            expected = value_of(written)
            holds = operator(actual, expected)
            why = None if holds else f"expected {_shown(actual)} {shown} {_shown(expected)}"
        except (ExpressionError, TypeError, ValueError) as error:
            expected, holds, why = written, False, f"{shown}: {error}"
        message = None if holds else assertion.error_message or why
        found.append(Checked(shown, expected, actual, holds, message, assertion.task_id))
    if not found:
        holds = actual is True or actual == "true"
        message = None if holds else assertion.error_message or f"expected true, found {_shown(actual)}"
        found.append(Checked("isTrue", True, actual, holds, message, assertion.task_id))
    return found


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:200] + "…"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _same(actual: Any, expected: Any) -> bool:
    if actual == expected and isinstance(actual, bool) == isinstance(expected, bool):
        return True
    # Rendered values are often texts: `10` equals `"10"`.
    return actual is not None and expected is not None and _text(actual) == _text(expected)


def _ordered(actual: Any, expected: Any) -> int:
    try:
        left, right = float(actual), float(expected)
    except (TypeError, ValueError):
        left, right = str(actual), str(expected)  # type: ignore[assignment]
    return (left > right) - (left < right)


def _contains(actual: Any, expected: Any) -> bool:
    if isinstance(actual, list | dict):
        return expected in actual or any(_same(one, expected) for one in actual)
    return _text(expected) in _text(actual)


def _null(actual: Any) -> bool:
    return actual is None or actual == ""


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equal_to": _same,
    "not_equal_to": lambda actual, expected: not _same(actual, expected),
    "contains": _contains,
    "starts_with": lambda actual, expected: _text(actual).startswith(_text(expected)),
    "ends_with": lambda actual, expected: _text(actual).endswith(_text(expected)),
    "greater_than": lambda actual, expected: _ordered(actual, expected) > 0,
    "greater_than_or_equal_to": lambda actual, expected: _ordered(actual, expected) >= 0,
    "less_than": lambda actual, expected: _ordered(actual, expected) < 0,
    "less_than_or_equal_to": lambda actual, expected: _ordered(actual, expected) <= 0,
    "in_": lambda actual, expected: any(_same(actual, one) for one in expected),
    "not_in": lambda actual, expected: not any(_same(actual, one) for one in expected),
    "is_null": lambda actual, expected: _null(actual) is bool(expected),
    "is_not_null": lambda actual, expected: (not _null(actual)) is bool(expected),
}
"""By field of an assertion: whether (actual, expected) fit."""
