"""From the property `destination` to a dlt destination. dlt is imported inside the function only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from flows.plugins import Dynamic, Properties
from worker.errors import TaskFailed
from worker.tasks.duckdb.database import connect


class Destination(Properties):
    """Where dlt loads to. `type` is dlt's name: duckdb, filesystem, postgres, snowflake, bigquery, motherduck …"""

    type: Dynamic[str]
    path: Dynamic[str] | None = Field(
        default=None, description="duckdb: the database file; relative paths lie in the worker's data folder of the tenant."
    )
    bucket_url: Dynamic[str] | None = Field(default=None, description="filesystem: folder or URL such as s3://bucket/path.")
    credentials: Dynamic[dict[str, Any] | str] | None = Field(
        default=None, description="Connection string, or a mapping in dlt's names (host, username, password …)."
    )
    lock_timeout: Dynamic[timedelta] = Field(
        default=timedelta(seconds=10), description="duckdb: how long to wait while another process has the file open."
    )
    options: Dynamic[dict[str, Any]] = Field(default={}, description="Further options of the destination, in dlt's names.")


def open_destination(destination: Destination, pipeline_name: str, dataset: str, data_dir: Path) -> tuple[Any, str]:
    """A dlt destination and a text that says where it is (no secrets). Raises TaskFailed (`dlt.destination_invalid`)."""
    import dlt

    options = dict(destination.options)
    credentials: Any = destination.credentials
    if destination.type == "duckdb":
        if credentials is None:
            path = data_dir / (destination.path or f"{pipeline_name}_data.duckdb")
            if path.stem.lower() == dataset.lower():
                raise TaskFailed(
                    f"The DuckDB file {path.name} and the dataset {dataset} have the same name, and DuckDB cannot tell the two "
                    "apart in `name.table`. Give the file or the dataset another name.",
                    code="dlt.destination_invalid",
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            credentials = str(path)
            if path.exists():
                # Waits while another task of this worker is busy with the file; raises `duckdb.locked` after that.
                connect(str(path), {}, destination.lock_timeout.total_seconds()).close()
        place = str(credentials) if isinstance(credentials, str) else "duckdb"
    elif destination.type == "filesystem":
        url = destination.bucket_url or destination.path
        if not url:
            raise TaskFailed(
                "destination.bucketUrl is missing: a filesystem destination needs a folder or bucket.",
                code="dlt.destination_invalid",
            )
        if "://" not in url:
            url = (data_dir / url).resolve().as_uri()
        options["bucket_url"] = place = url
    else:
        place = destination.type
    if credentials is not None:
        options["credentials"] = credentials
    factory = getattr(dlt.destinations, destination.type, None)
    if not callable(factory) or destination.type.startswith("_"):
        known = ", ".join(sorted(name for name in dlt.destinations.__all__ if name != "destination"))
        raise TaskFailed(
            f"destination.type {destination.type!r} is unknown to dlt. Known: {known}.", code="dlt.destination_invalid"
        )
    try:
        return factory(**options), place
    except TypeError as error:
        raise TaskFailed(
            f"destination.options do not fit {destination.type}: {error}.", code="dlt.destination_invalid"
        ) from error
