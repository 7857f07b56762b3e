"""No template reaches anything but the data it was given, and none takes more than its budget (guarantee T7)."""

from __future__ import annotations

import os

import pytest

from tests.support.hostile_expressions import CANARY, ESCAPES, Generator, attack, functions, variables

COUNT = 20_000


@pytest.mark.parametrize("source", ESCAPES)
def test_known_payload_shows_nothing_but_data(source: str) -> None:
    context = variables()
    before = repr(context)
    attack(source, context, functions())
    assert repr(context) == before, "a template changed the data it was given"


@pytest.mark.timeout(300)
def test_generated_templates_stay_inside(capsys: pytest.CaptureFixture[str]) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    with capsys.disabled():
        print(f" [expressions: {COUNT} from seed {seed}]", end="", flush=True)
    generator, context, host = Generator(seed), variables(), functions()
    before = repr(context)
    codes: set[str | None] = set()
    for _ in range(COUNT):
        codes.add(attack(generator.template(), context, host).code)
    assert repr(context) == before, "a template changed the data it was given"
    assert {None, "expression.syntax", "expression.undefined", "expression.type"} <= codes, "the generator has become tame"


def test_judge_notices_what_is_no_data() -> None:
    with pytest.raises(AssertionError, match="no data was shown"):
        attack("{{ leak() }}", variables(), {"leak": lambda: f"<class '{CANARY}'>"})
    with pytest.raises(AssertionError, match="came out"):
        attack("{{ leak() }}", variables(), {"leak": lambda: 1 // 0})
