"""No name leads out of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import FileRefused
from worker.names import files_below, matches, place, safe_name, write_file

PARTS = ["..", ".", "", "/", "\\", "..\\", "a\\b", "\0", "\n", "\x7f", "C:", "C:\\x", "x" * 300, "\ud800"]
FRAMES = ["{}", "a/{}", "{}/a", "a/{}/b", "/{}", "../{}", "{0}/../{0}", "a/../../{}"]
FINE_DEEPER = {"a/C:", "a/C:/b"}  # a drive is one only in front
BAD = sorted({frame.format(part) for part in PARTS for frame in FRAMES} - FINE_DEEPER, key=repr)
GOOD = [
    "a",
    "a.txt",
    "dir/a.csv",
    "...",
    "..a",
    "a..",
    "-rf",
    "%2e%2e/x",
    "~",
    "~/x",
    "$HOME",
    "\N{TWO DOT LEADER}",
    "\uff0e\uff0e/x",
    "ünïcode/ß",
    "a b",
    "con",
    "a:b",
]


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_a_name_that_leaves_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileRefused):
        place(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_other_names_stay_inside(name: str, tmp_path: Path) -> None:
    target = write_file(tmp_path, name, b"content")
    assert target.resolve().is_relative_to(tmp_path.resolve())
    assert target.read_bytes() == b"content"
    assert safe_name(name) == name
    assert list(files_below(tmp_path)) == [name]


def test_a_link_on_the_way_is_not_followed_outside(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    with pytest.raises(FileRefused):
        write_file(inside, "link/file", b"x")
    with pytest.raises(FileRefused):
        write_file(inside, "link/new/file", b"x")
    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(tmp_path: Path) -> None:
    inside, secret = tmp_path / "in", tmp_path / "secret"
    inside.mkdir()
    secret.write_text("secret")
    (inside / "file").symlink_to(secret)
    write_file(inside, "file", b"new")
    assert secret.read_text() == "secret"
    assert (inside / "file").read_text() == "new"


def test_links_to_the_outside_are_no_output_files(tmp_path: Path) -> None:
    inside, secret = tmp_path / "in", tmp_path / "secret"
    inside.mkdir()
    secret.write_text("secret")
    (inside / "stolen.txt").symlink_to(secret)
    (inside / "own.txt").write_text("own")
    (inside / "alias.txt").symlink_to(inside / "own.txt")
    assert list(files_below(inside)) == ["alias.txt", "own.txt"]


def test_a_file_in_the_place_of_a_folder_is_a_clear_error(tmp_path: Path) -> None:
    write_file(tmp_path, "a", b"")
    with pytest.raises(FileRefused, match="a file stands where its folder should be"):
        write_file(tmp_path, "a/b", b"")


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("*.csv", ["a.csv"], ["a.txt", "dir/a.csv"]),
        ("**/*.csv", ["a.csv", "x/y/a.csv"], ["a.txt"]),
        ("dir/**", ["dir/a", "dir/b/c"], ["a", "dirx/a"]),
        ("dir", ["dir/a", "dir/b/c"], ["dirx"]),
        ("dir/", ["dir/a"], ["a"]),
        ("a?.txt", ["ab.txt"], ["a.txt", "abc.txt", "a/.txt"]),
        ("*.{json,csv}", ["a.json", "a.csv"], ["a.txt"]),
        ("[ab].txt", ["a.txt", "b.txt"], ["c.txt"]),
        ("[!ab].txt", ["c.txt"], ["a.txt"]),
        ("./out.json", ["out.json"], ["outxjson"]),
        ("glob:*.txt", ["a.txt"], ["a.csv"]),
        ("a+b(1).txt", ["a+b(1).txt"], ["aab1.txt"]),
    ],
)
def test_globs_choose_as_written(pattern: str, names: list[str], others: list[str]) -> None:
    assert all(matches(pattern, name) for name in names)
    assert not any(matches(pattern, name) for name in others)
