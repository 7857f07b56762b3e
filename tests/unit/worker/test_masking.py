"""No known secret reaches a log, however it is written, however the stream is cut."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from worker import limits
from worker.lines import LineSplitter
from worker.masking import MASK, Masker

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="*\u2028\u2029\x85"), max_size=30)
SECRET = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="*\u2028\u2029\x85"), min_size=6, max_size=40)


def encodings(secret: str) -> list[str]:
    data = secret.encode()
    return [
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(data).decode(),
        data.hex(),
    ]


@given(SECRET, TEXT, TEXT, st.integers(0, 6))
def test_no_form_of_a_secret_survives_in_a_text(secret: str, before: str, after: str, form: int) -> None:
    written = encodings(secret)[form]
    assert written not in Masker([secret]).mask(before + written + after)


@given(SECRET, TEXT, TEXT, st.lists(st.integers(0, 400), max_size=6), st.integers(0, 6))
def test_no_form_survives_however_the_stream_is_cut(secret: str, before: str, after: str, cuts: list[int], form: int) -> None:
    written = encodings(secret)[form]
    data = f"{before}{written}{after}\n{written}".encode()
    lines = split(Masker([secret]), data, cuts)
    assert not any(written in line for line in lines)


@given(
    SECRET,
    st.integers(limits.LINE_CHARACTERS_MAX - 60, limits.LINE_CHARACTERS_MAX + 60),
    st.lists(st.integers(0, 12_000), max_size=4),
)
def test_no_secret_survives_the_splitting_of_an_overlong_line(secret: str, at: int, cuts: list[int]) -> None:
    data = ("x" * at + secret + "y" * 15_000).encode()
    assert secret not in "".join(split(Masker([secret]), data, cuts))


@given(TEXT, SECRET)
def test_text_without_the_secret_is_unchanged(text: str, secret: str) -> None:
    masker = Masker([secret])
    if not any(form in text for form in masker._forms):
        assert masker.mask(text) == text


@given(st.binary(min_size=8, max_size=40), st.binary(max_size=12), st.binary(max_size=12))
def test_base64_of_a_longer_text_does_not_carry_the_secret(secret: bytes, before: bytes, after: bytes) -> None:
    text = secret.hex()  # any secret that is a text
    encoded = base64.b64encode(before + text.encode() + after).decode()
    masked = Masker([text]).mask(encoded)
    assert MASK in masked
    # What is left around the mask are the neighbours and at most a few bits of the secret's ends.
    left = len(encoded) - len(masked) + len(MASK)
    assert left >= len(text) * 4 / 3 - 6


def test_each_line_of_a_long_secret_is_masked() -> None:
    masker = Masker(["-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----"])
    assert masker.mask("found ijklmnop here") == f"found {MASK} here"


def test_words_of_one_or_two_characters_are_not_torn_apart() -> None:
    assert Masker(["ab"]).mask("absolutely") == "absolutely"


def test_secrets_learnt_later_are_masked_from_then_on() -> None:
    masker = Masker(["first-secret"])
    masker.add("second-secret")
    assert masker.mask("first-secret second-secret") == f"{MASK} {MASK}"


def test_values_are_masked_in_depth_keys_included() -> None:
    masker = Masker(["s3cr3t"])
    assert masker.mask_value({"a": ["s3cr3t", 1, None], "s3cr3t": True}) == {"a": [MASK, 1, None], MASK: True}


def split(masker: Masker, data: bytes, cuts: list[int]) -> list[str]:
    splitter = LineSplitter(masker, lambda _: None)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    lines = [line for start, end in pairwise(places) for line in splitter.feed(data[start:end])]
    return lines + splitter.close()
