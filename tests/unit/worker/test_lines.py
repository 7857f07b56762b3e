"""Every line of a task arrives once, in order, whole or in declared pieces."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wire import gateway
from worker import limits
from worker.lines import LineSplitter, ProtocolReader
from worker.logship import DEBUG, INFO, WARN, AttemptLog
from worker.masking import Masker


def split(blocks: list[bytes], on_protocol: Any = lambda _: None) -> list[str]:
    splitter = LineSplitter(Masker(), on_protocol)
    return [line for block in blocks for line in splitter.feed(block)] + splitter.close()


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=40), max_size=20),
    st.lists(st.integers(0, 500), max_size=8),
)
def test_lines_are_the_same_however_the_stream_is_cut(lines: list[str], cuts: list[int]) -> None:
    data = "".join(line + "\n" for line in lines).encode()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    blocks = [data[start:end] for start, end in pairwise(places)]
    expected = [line for line in lines if not line.startswith("::{")]
    assert split(blocks) == expected


@given(st.binary(max_size=300))
def test_any_bytes_become_text_that_protobuf_takes(data: bytes) -> None:
    for line in split([data]):
        gateway.LogLine(text=line)


def test_an_overlong_line_comes_in_pieces_that_add_up() -> None:
    text = "0123456789" * 5_000
    pieces = split([text[:7].encode(), text[7:30_000].encode(), text[30_000:].encode(), b"\nnext\n"])
    assert pieces[-1] == "next"
    assert "".join(pieces[:-1]) == text
    assert max(map(len, pieces)) <= limits.LINE_CHARACTERS_MAX


def test_ten_megabytes_without_a_line_break_do_not_gather_in_memory() -> None:
    splitter = LineSplitter(Masker(), lambda _: None)
    for _ in range(40):
        splitter.feed(b"x" * 262_144)
        assert len(splitter._tail) <= limits.LINE_CHARACTERS_MAX


def test_the_last_line_needs_no_line_break_and_carriage_returns_go() -> None:
    assert split([b"one\r\ntwo\r\nthr", b"ee"]) == ["one", "two", "three"]


def test_protocol_lines_are_heard_and_not_logged() -> None:
    said: list[str] = []
    lines = split([b'a\n::{"outputs": {"x": 1}}::\nprefix ::{"outputs": {}}::\n::{"out', b'puts": {"y": 2}}::\n'], said.append)
    assert lines == ["a", 'prefix ::{"outputs": {}}::']
    assert said == ['{"outputs": {"x": 1}}', '{"outputs": {"y": 2}}']


def test_large_outputs_by_protocol_are_not_split() -> None:
    said: list[str] = []
    value = "v" * 100_000
    data = ('::{"outputs": {"x": "' + value + '"}}::\n').encode()
    assert split([data[:60_000], data[60_000:]], said.append) == []
    assert len(said[0]) > 100_000


def test_later_outputs_override_earlier_ones_and_bad_json_warns() -> None:
    logged: list[tuple[str, str]] = []
    reader = ProtocolReader(lambda level, text: logged.append((level, text)))
    reader.take('{"outputs": {"a": 1, "b": 1}}')
    reader.take('{"outputs": {"b": 2}, "metrics": [{"name": "n", "type": "counter", "value": 1}]}')
    reader.take('{"logs": [{"level": "warn", "message": "m"}]}')
    reader.take("{nonsense}")
    assert reader.outputs == {"a": 1, "b": 2}
    assert reader.metrics == [{"name": "n", "type": "counter", "value": 1}]
    assert [level for level, _ in logged] == ["WARN", "WARN"]
    assert logged[0][1] == "m"


class Shipped:
    def __init__(self) -> None:
        self.batches: list[gateway.LogBatch] = []
        self.room = True

    def __call__(self, batch: gateway.LogBatch, reserve: bool) -> bool:
        if self.room or reserve:
            self.batches.append(batch)
            return True
        return False

    @property
    def texts(self) -> list[str]:
        numbers: list[int] = []
        texts: list[str] = []
        for batch in self.batches:
            numbers += range(batch.first, batch.first + len(batch.lines))
            texts += [line.text for line in batch.lines]
        assert numbers == list(range(len(texts))), "numbers have gaps or repetitions"
        return texts


def make_log(shipped: Shipped, masker: Masker | None = None) -> AttemptLog:
    return AttemptLog(gateway.AttemptToken(lease_id="l"), shipped, masker or Masker(), clock=lambda: 5)


def test_lines_are_numbered_without_gaps_in_batches_of_a_thousand() -> None:
    shipped = Shipped()
    log = make_log(shipped)
    log.lines(INFO, [f"line {number}" for number in range(2_500)])
    log.line(INFO, "last")
    log.flush(last=True)
    assert len(shipped.texts) == log.lines_count == 2_501
    assert max(len(batch.lines) for batch in shipped.batches) == limits.LOG_BATCH_LINES_MAX


def test_batches_of_long_lines_stay_below_a_message() -> None:
    shipped = Shipped()
    log = make_log(shipped)
    log.lines(INFO, ["\N{SNOWMAN}" * limits.LINE_CHARACTERS_MAX] * 500)
    log.flush(last=True)
    assert len(shipped.texts) == 500
    assert max(batch.ByteSize() for batch in shipped.batches) < limits.MESSAGE_BYTES_MAX


def test_dropped_lines_are_declared_with_their_number() -> None:
    shipped = Shipped()
    log = make_log(shipped)
    log.line(INFO, "kept")
    log.flush()
    shipped.room = False
    for _ in range(3):
        log.line(INFO, "lost")
        log.flush()
    shipped.room = True
    log.line(INFO, "kept again")
    log.flush()
    assert shipped.texts[0] == "kept"
    assert shipped.texts[1].startswith("3 log lines were dropped")
    assert shipped.texts[2] == "kept again"


def test_lines_dropped_at_the_very_end_are_declared_too() -> None:
    shipped = Shipped()
    log = make_log(shipped)
    shipped.room = False
    log.line(INFO, "lost")
    log.line(INFO, "lost")
    log.flush(last=True)
    assert log.lines_count == 1
    assert shipped.texts[0].startswith("2 log lines were dropped")
    assert shipped.batches[0].lines[0].level == WARN


def test_levels_below_the_tasks_own_are_not_kept() -> None:
    shipped = Shipped()
    log = make_log(shipped)
    log.level_min = WARN
    log.line(DEBUG, "no")
    log.lines(INFO, ["no"])
    log.line(WARN, "yes")
    log.flush(last=True)
    assert shipped.texts == ["yes"]


def test_lone_surrogates_do_not_stop_a_log() -> None:
    shipped = Shipped()
    log = make_log(shipped)
    log.line(INFO, "broken \ud800 text")
    log.flush(last=True)
    assert shipped.texts == ["broken ? text"]
