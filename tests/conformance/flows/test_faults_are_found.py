"""The static check finds what people do wrong before a flow runs, and says nothing of flows that are right."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from flows.plugins import ConditionType, TriggerType
from flows.spec.check import check_flow
from tests.conformance.flows.corpus import ALL, VALID, source
from tests.conformance.flows.faults import KINDS, faulty_flows
from wire.plugins import discover

SEED = 20_26


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_good_flow_raises_no_alarm(path: Path) -> None:
    assert check_flow(source(path), discover()) == []


def test_corpus_is_large_and_has_both_spellings() -> None:
    texts = [source(path) for path in VALID]
    assert len(texts) >= 40
    for old, new in (
        ("runIf:", "when:"),
        ("ForEach\n", "Loop\n"),
        ("type: BOOLEAN", "type: BOOL,"),
        ("type: ENUM", "type: SELECT"),
        ("conditions:", "when:"),
        ("preconditions:", "dependsOn:\n"),
        ("workerGroup:", "workerSelector:"),
        ("{condition:", "{when:"),
        ("| json", "| toJson"),
        ("WaitFor", "LoopUntil"),
        ("maxAttempt:", "maxAttempts:"),
        ("taskDefaults:", "pluginDefaults:"),
    ):
        assert any(old in text for text in texts), old
        assert any(new in text for text in texts), new


def test_corpus_uses_every_type_of_the_language() -> None:
    whole = "\n".join(source(path) for path in ALL)
    catalogue = discover()
    own = "io.kestra.plugin.core."
    wanted = {
        one.types[0]
        for one in catalogue
        if one.types[0].startswith((own + "flow.", own + "execution.")) and "$" not in one.types[0]
    }
    starts: list[type[TriggerType | ConditionType]] = [*catalogue.triggers.values(), *catalogue.conditions.values()]
    wanted |= {one.types[0] for one in starts if one.types[0].startswith(own)}
    missing = {name for name in wanted if f".{name.rsplit('.', 1)[-1]}" not in whole}
    assert not missing, "no flow of the corpus shows " + ", ".join(sorted(missing))


def test_faults_are_found_before_the_run_each_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    flows = faulty_flows([(path.name, source(path)) for path in ALL], SEED, 2)
    kinds = {kind for _, kind, _ in flows}
    assert kinds == KINDS.keys(), "no flow offers a place for: " + ", ".join(KINDS.keys() - kinds)
    missed: Counter[str] = Counter()
    without_line: list[str] = []
    near = 0
    for name, kind, fault in flows:
        problems = check_flow(fault.source, discover())
        if not problems:
            missed[f"{kind} ({name}:{fault.line})"] += 1
            continue
        near += any(problem.line is not None and abs(problem.line - fault.line) <= 1 for problem in problems)
        without_line += [f"{name}: {problem}" for problem in problems if not problem.line]
    found = len(flows) - sum(missed.values())
    with capsys.disabled():
        places = f"{near} at the line or next to it"
        print(f"\nseeded faults: {found} of {len(flows)} found ({len(kinds)} kinds), {places}; missed: {sorted(missed)}")
    assert len(flows) >= 200
    assert len(kinds) >= 20
    assert found / len(flows) >= 0.95
    assert near / len(flows) >= 0.9
    assert without_line == []


def test_same_seed_gives_the_same_faults() -> None:
    flows = [(path.name, source(path)) for path in ALL[:5]]
    assert faulty_flows(flows, 1, 1) == faulty_flows(flows, 1, 1)
    assert faulty_flows(flows, 1, 1) != faulty_flows(flows, 2, 1)


def test_check_answers_whatever_a_text_looks_like() -> None:
    random = Random(SEED)
    texts = [source(path) for path in ALL]
    pieces = ["{", "}", "[", "]", ": ", "- ", "{{", "}}", "'", '"', "\n", "  ", "null", "id", "type", "tasks", "&a ", "*a "]
    for _ in range(1_000):
        text = random.choice(texts)
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(text))
            cut = random.randint(0, 40) if random.random() < 0.5 else 0
            text = text[:at] + random.choice(pieces) + text[at + cut :]
        assert all(problem.line for problem in check_flow(text, discover())), text
