"""Namespace files over REST: versions, folders, archives, and names that try to get out."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.integration.api.client import Api

BASE = "/api/v1/main/namespaces/acme.data/files"


def put(api: Api, path: str, content: bytes, name: str = "file.txt", expect: int = 200) -> None:
    answer = api(
        "POST", f"{BASE}?path={quote(path)}", {"fileContent": SimpleUploadedFile(name, content)}, "multipart", expect=expect
    )
    assert expect != 200 or answer == ""


def test_a_file_is_stored_read_listed_and_versioned(api: Api) -> None:
    assert api("GET", f"{BASE}/directory") == []
    put(api, "/sql//last loads.sql", b"select 1")
    assert api("GET", f"{BASE}?path=sql/last%20loads.sql") == "select 1"
    assert api("GET", f"{BASE}?path=/sql//last%20loads.sql") == "select 1"
    folder = api("GET", f"{BASE}/directory")[0]
    assert (folder["fileName"], folder["type"]) == ("sql", "Directory")
    entry = api("GET", f"{BASE}/directory?path=/sql")[0]
    assert (entry["fileName"], entry["type"], entry["size"]) == ("last loads.sql", "File", 8)
    assert entry["lastModifiedTime"] > 1_500_000_000_000
    put(api, "sql/last loads.sql", b"select 1")
    put(api, "sql/last loads.sql", b"select 22")
    revisions = api("GET", f"{BASE}/revisions?path=sql/last%20loads.sql")
    assert [(row["revision"], row["size"]) for row in revisions] == [(1, 8), (2, 9)]
    assert api("GET", f"{BASE}?path=sql/last%20loads.sql&revision=1") == "select 1"
    assert api("GET", f"{BASE}/search?q=last") == ["/sql/last loads.sql"]
    assert api("GET", f"{BASE}/stats?path=sql")["type"] == "Directory"


def test_moving_and_deleting_take_whole_trees(api: Api) -> None:
    put(api, "a/b/one.txt", b"1")
    put(api, "a/two.txt", b"2")
    assert api("PUT", f"{BASE}?from=/a&to=/c/d") == ""
    assert api("GET", f"{BASE}/search") == ["/c/d/b/one.txt", "/c/d/two.txt"]
    api("GET", f"{BASE}?path=a/two.txt", expect=404)
    assert api("GET", f"{BASE}?path=c/d/b/one.txt") == "1"
    assert api("DELETE", f"{BASE}?path=/c") == ""
    assert api("GET", f"{BASE}/search") == []
    api("DELETE", f"{BASE}?path=/c", expect=404)
    put(api, "c", b"a file where a folder was")
    assert api("GET", f"{BASE}?path=c") == "a file where a folder was"
    assert api("GET", f"{BASE}/directory?path=nothing", expect=404)["code"] == "file.missing"
    api("POST", f"{BASE}/directory?path=/x/y")
    assert [row["fileName"] for row in api("GET", f"{BASE}/directory?path=x")] == ["y"]


def test_a_file_cannot_be_a_folder(api: Api) -> None:
    put(api, "a", b"1")
    put(api, "a/b", b"2", expect=409)
    put(api, "d/e", b"2")
    put(api, "d", b"2", expect=409)


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "a/..",
        "..",
        ".",
        "a/./b",
        "a\\..\\b",
        "a\x00b",
        "a\nb",
        "x" * 300,
        "/".join("d" * 9 for _ in range(200)),
        "a/",
    ],
)
def test_paths_that_lead_out_are_refused(api: Api, path: str, tmp_path: Path) -> None:
    before = sorted(str(found) for found in tmp_path.rglob("*"))
    put(api, path, b"evil", expect=422)
    assert sorted(str(found) for found in tmp_path.rglob("*")) == before


def test_an_archive_is_unpacked_and_a_hostile_one_is_not(api: Api) -> None:
    good = io.BytesIO()
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("dlt/pipeline.py", "print(1)")
        archive.writestr("readme.md", "# hi")
    put(api, "ignored", good.getvalue(), "Files.ZIP")
    assert api("GET", f"{BASE}/search") == ["/dlt/pipeline.py", "/readme.md"]
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("fine.txt", "1")
        archive.writestr("../../escape.txt", "2")
    put(api, "ignored", evil.getvalue(), "evil.zip", expect=422)
    put(api, "ignored", b"no zip at all", "broken.zip", expect=422)
    assert api("GET", f"{BASE}/search") == ["/dlt/pipeline.py", "/readme.md"]
    exported = api.raw("GET", f"{BASE}/export")
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        assert sorted(archive.namelist()) == ["dlt/pipeline.py", "readme.md"]


def test_files_of_another_tenant_are_not_seen(api: Api) -> None:
    from controlplane.tenants.models import Tenant

    Tenant.objects.create(id="second", name="Second", created_at_us=0)
    put(api, "mine.txt", b"1")
    assert api("GET", "/api/v1/second/namespaces/acme.data/files/search") == []
    api("GET", "/api/v1/second/namespaces/acme.data/files?path=mine.txt", expect=404)


def test_a_worker_sees_current_files_with_their_digests(api: Api) -> None:
    from controlplane.files.namespace_files import namespace_files, read_namespace_file

    put(api, "a.txt", b"one")
    put(api, "a.txt", b"two")
    put(api, "gone.txt", b"x")
    api("DELETE", f"{BASE}?path=gone.txt")
    (found,) = namespace_files("main", "acme.data")
    assert (found.path, found.size_bytes, found.version) == ("a.txt", 3, 2)
    assert len(found.sha256) == 64
    assert b"".join(read_namespace_file("main", "acme.data", "a.txt", 1)) == b"one"
