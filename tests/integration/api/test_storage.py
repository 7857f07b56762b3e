"""Internal storage: whole files or none, one folder a tenant, no way out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from controlplane.files import storage
from controlplane.files.paths import UnsafePath

PLACE = ("acme.data", "hello", "0123456789012345678901", "task", "0123456789012345678902")


def test_a_task_file_has_the_documented_address() -> None:
    stored = storage.put_task_file("main", *PLACE, "out/räsult 1.csv", [b"a,b\n", b"1,2\n"])
    assert stored.size_bytes == 8
    assert stored.uri == (
        "kestra:///acme/data/hello/executions/0123456789012345678901/tasks/task/0123456789012345678902/out/r%C3%A4sult%201.csv"
    )
    assert b"".join(storage.open_file("main", stored.uri)) == b"a,b\n1,2\n"
    assert storage.file_size("main", stored.uri) == 8
    assert storage.belongs_to(stored.uri, *PLACE[:3])
    assert not storage.belongs_to(stored.uri, "acme.data", "hello", "0123456789012345678909")
    with pytest.raises(storage.FileMissing):
        storage.open_file("second", stored.uri)


def test_an_upload_that_breaks_off_leaves_nothing() -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        storage.put_task_file("main", *PLACE, "x.bin", broken())
    with pytest.raises(storage.FileDamaged):
        storage.put_task_file("main", *PLACE, "x.bin", [b"data"], sha256=hashlib.sha256(b"other").hexdigest())
    assert [path for path in Path(settings.HEADRACE_DATA).rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "uri",
    [
        "kestra:///../../etc/passwd",
        "kestra:///acme/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "kestra://host/etc/passwd",
        "file:///etc/passwd",
        "kestra:///acme/..%2f..%2fx",
        "/../x",
    ],
)
def test_addresses_that_lead_out_are_refused(uri: str) -> None:
    with pytest.raises(UnsafePath):
        storage.open_file("main", uri)
    assert not storage.belongs_to(uri, *PLACE[:3])


def test_a_link_inside_the_storage_is_not_followed_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    root = storage.storage_root("main")
    root.mkdir(parents=True)
    (root / "way").symlink_to(tmp_path)
    with pytest.raises(UnsafePath):
        storage.open_file("main", "kestra:///way/secret.txt")


def test_a_tenant_is_no_path() -> None:
    for tenant in ("..", "a/b", "", "A"):
        with pytest.raises(UnsafePath):
            storage.put_file(tenant, "x", [b"1"])
