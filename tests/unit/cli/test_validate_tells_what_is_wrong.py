"""`headrace flow validate`: files and folders, what is passed over, the two forms of its answer, its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.validate import check_files, no_flow, validate
from wire.plugins import discover

GOOD = "id: good\nnamespace: acme\ntasks:\n  - {id: a, type: io.kestra.plugin.core.log.Log, message: hi}\n"
BAD = """\
id: bad
namespace: acme
tasks:
  - id: a
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.b.value }}"
    mesage: x
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub" / "files").mkdir(parents=True)
    (tmp_path / "good.yml").write_text(GOOD)
    (tmp_path / "sub" / "bad.yaml").write_text(BAD)
    (tmp_path / "sub" / "files" / "config.yml").write_text("any: thing\n")
    (tmp_path / "tests.yml").write_text("id: t\nnamespace: acme\nflowId: good\ntestCases: []\n")
    (tmp_path / "notes.txt").write_text("no flow")
    return tmp_path


def test_folder_is_searched_and_what_is_no_flow_is_passed_over(folder: Path) -> None:
    checked = {one.path.name: one for one in check_files([folder], discover())}
    assert checked.keys() == {"good.yml", "bad.yaml", "tests.yml"}
    assert checked["tests.yml"].skipped == "unit tests of a flow"
    assert (checked["good.yml"].failed, checked["bad.yaml"].failed) == (False, True)


def test_every_problem_has_its_place_its_code_and_its_hint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate([folder], discover()) == 1
    lines = capsys.readouterr().out.splitlines()
    bad = folder / "sub" / "bad.yaml"
    assert f"{folder / 'good.yml'}: ok" in lines
    assert f"{bad}:6:14 flow.unknown_reference tasks[0].message: `outputs.b` is used, but the flow has no task `b`" in lines
    assert f"{bad}:7:5 flow.unknown_property tasks[0].mesage: Unknown property `mesage` (did you mean `message`?)" in lines
    assert lines[-1] == "flows: 1 ok, 1 with errors"


def test_json_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate([folder / "good.yml", folder / "sub" / "bad.yaml"], discover(), "json") == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["valid"], good["problems"]) == (True, [])
    assert [(one["line"], one["code"], one["severity"]) for one in bad["problems"]] == [
        (6, "flow.unknown_reference", "error"),
        (7, "flow.unknown_property", "error"),
    ]


def test_warnings_do_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.yml").write_text(GOOD.replace("hi", '"{{ outputs.gone.value ?? 1 }}"'))
    assert validate([tmp_path], discover()) == 0
    assert "w.yml:4:59 flow.unknown_reference warning: " in capsys.readouterr().out


def test_calls_between_the_given_flows_are_checked(tmp_path: Path) -> None:
    (tmp_path / "child.yml").write_text(GOOD.replace("tasks:", "inputs: [{id: day, type: DATE}]\ntasks:"))
    call = "{id: c, type: io.kestra.plugin.core.flow.Subflow, namespace: acme, flowId: good}"
    (tmp_path / "parent.yml").write_text(f"id: parent\nnamespace: acme\ntasks:\n  - {call}\n")
    _, parent = check_files([tmp_path], discover())
    assert [problem.code for problem in parent.problems] == ["flow.missing_input"]


def test_file_that_cannot_be_read_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_bytes(b"id: \xff\n")
    (checked,) = check_files([tmp_path], discover())
    assert [(one.code, one.line) for one in checked.problems] == [("yaml.encoding", 1)]


def test_file_that_is_named_is_checked_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    path.write_text("any: thing\n")
    (checked,) = check_files([path], discover())
    assert checked.failed


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (GOOD, None),
        ("a: [", None),
        ("- a\n", "a list or a text, no flow"),
        ("any: thing\n", "no flow: it has neither `namespace` nor `tasks`"),
        ("id: d\ncharts: []\n", "a dashboard"),
        ("testCases: []\n", "unit tests of a flow"),
    ],
)
def test_what_is_plainly_no_flow(source: str, reason: str | None) -> None:
    assert no_flow(source) == reason
