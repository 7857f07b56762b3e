"""From the property `source` to something dlt can extract. dlt is imported inside the functions only."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties
from worker.errors import TaskFailed


class RestApi(Properties):
    """A REST API, described in dlt's own `rest_api` configuration: `client`, `resource_defaults`, `resources`."""

    type: Literal["rest_api"]
    config: Dynamic[dict[str, Any]]


class Function(Properties):
    """A function in a Python file: it returns a dlt source, resources, or plain rows."""

    type: Literal["function"]
    file: Dynamic[str] = Field(description="Path in the working directory: a namespace file or an input file.")
    function: Dynamic[str]
    arguments: Dynamic[dict[str, Any]] = {}
    table: Dynamic[str] | None = Field(default=None, description="Table for plain rows; the function's name otherwise.")


class Filesystem(Properties):
    """Files in a folder or bucket."""

    type: Literal["filesystem"]
    bucket_url: Dynamic[str] = Field(description="Folder (relative to the working directory) or URL such as s3://bucket/path.")
    file_glob: Dynamic[str] = "**/*"
    format: Dynamic[Literal["csv", "jsonl", "parquet"]]
    table: Dynamic[str] | None = None
    incremental: Dynamic[bool] = Field(default=True, description="Read only files modified since the last load.")
    credentials: Dynamic[dict[str, Any] | str] | None = None


class SqlTable(Properties):
    """One table to read; with a cursor only rows beyond the last value loaded."""

    name: Dynamic[str]
    cursor: Dynamic[str] | None = Field(default=None, description="Column that grows with every change.")
    initial_value: Any = None
    primary_key: Dynamic[str | list[str]] | None = None


class SqlDatabase(Properties):
    """Tables of a SQL database, by its SQLAlchemy URL."""

    type: Literal["sql_database"]
    url: Dynamic[str]
    schema_name: Dynamic[str] | None = Field(default=None, alias="schema")
    tables: Dynamic[list[str | SqlTable]] = []


Source = Annotated[RestApi | Function | Filesystem | SqlDatabase, Field(discriminator="type")]


def open_source(source: Source, name: str, workdir: Path, resources: Sequence[str], replace: bool) -> Any:
    """What dlt extracts: a source or a resource, narrowed to `resources` when given.

    `name`: the pipeline's, under which dlt keeps the schema and the state of sources that have no name of their own.
    `replace`: all rows are wanted, so no cursor is set. Raises TaskFailed (`dlt.source_invalid`) with what to change.
    """
    if isinstance(source, RestApi):
        opened = _rest_api(source, name)
    elif isinstance(source, Function):
        opened = _function(source, workdir)
    elif isinstance(source, Filesystem):
        opened = _filesystem(source, workdir, replace)
    else:
        opened = _sql_database(source, name, replace)
    return _narrowed(opened, resources) if resources else opened


def _rest_api(source: RestApi, name: str) -> Any:
    from dlt.common.exceptions import DictValidationException
    from dlt.sources.rest_api import rest_api_source

    try:
        return rest_api_source(source.config, name=name)  # type: ignore[arg-type] # dlt checks the mapping itself
    except (DictValidationException, ValueError, KeyError, TypeError) as error:
        raise TaskFailed(
            f"source.config is no valid rest_api configuration: {_first_lines(error)}. Expected `client` with `base_url` and a "
            "list `resources`, as dlt's rest_api source describes them.",
            code="dlt.source_invalid",
        ) from error


def _function(source: Function, workdir: Path) -> Any:
    import dlt

    path = (workdir / source.file).resolve()
    if not path.is_relative_to(workdir.resolve()):
        raise TaskFailed(f"source.file {source.file!r} leaves the working directory.", code="dlt.source_invalid")
    if not path.is_file():
        raise TaskFailed(
            f"source.file {source.file!r} is not in the working directory. Set `namespaceFiles: {{enabled: true}}` and check the "
            "path among the namespace's files, or give the file as `inputFiles`.",
            code="dlt.source_invalid",
        )
    function = getattr(_load_file(path), source.function, None)
    if not callable(function):
        raise TaskFailed(f"{source.file} has no function {source.function!r}.", code="dlt.source_invalid")
    made = function(**source.arguments)
    if isinstance(made, (dlt.sources.DltSource, dlt.sources.DltResource)):
        if source.table and isinstance(made, dlt.sources.DltResource):
            made.apply_hints(table_name=source.table)
        return made
    if isinstance(made, (list, tuple)) and made and all(isinstance(one, dlt.sources.DltResource) for one in made):
        return list(made)
    if made is None:
        raise TaskFailed(
            f"{source.function} in {source.file} returned nothing. Return a dlt source, a resource, or rows (list or generator).",
            code="dlt.source_invalid",
        )
    return dlt.resource(made, name=source.table or source.function)


def _load_file(path: Path) -> ModuleType:
    """Imports the file as the interpreter would run it: its folder comes first on the path."""
    name = re.sub(r"\W", "_", path.stem)
    if name in sys.modules:
        name = f"_source_{name}"
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TaskFailed(f"{path.name} is no Python file: its name has to end in .py.", code="dlt.source_invalid")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _filesystem(source: Filesystem, workdir: Path, replace: bool) -> Any:
    import dlt
    from dlt.sources.filesystem import filesystem, read_csv_duckdb, read_jsonl, read_parquet

    url = source.bucket_url
    if "://" not in url:
        url = (workdir / url).resolve().as_uri()
    given: dict[str, Any] = {"credentials": source.credentials} if source.credentials else {}
    files = filesystem(bucket_url=url, file_glob=source.file_glob, **given)
    if source.incremental and not replace:
        files.apply_hints(incremental=dlt.sources.incremental("modification_date"))
    # DuckDB's reader finds the types of CSV columns; the other CSV reader of dlt wants pandas.
    reader: Any = {"csv": read_csv_duckdb, "jsonl": read_jsonl, "parquet": read_parquet}[source.format]
    table = source.table or re.sub(r"\W+", "_", Path(source.bucket_url.rstrip("/")).name).strip("_") or "files"
    return (files | reader()).with_name(table)


def _sql_database(source: SqlDatabase, name: str, replace: bool) -> Any:
    import dlt
    from dlt.sources.sql_database import sql_database
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError

    tables = [SqlTable(name=table) if isinstance(table, str) else table for table in source.tables]
    names = [table.name for table in tables] or None
    try:
        opened = sql_database.clone(name=name)(credentials=source.url, schema=source.schema_name, table_names=names)
    except NoSuchTableError as error:
        raise TaskFailed(
            f"The database has no table {error}. Check source.tables and source.schema.", code="dlt.source_invalid"
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise TaskFailed(
            f"source.url is no SQLAlchemy URL of a known database ({_first_lines(error)}). Expected "
            "dialect://user:password@host/name, and the dialect's driver installed on the worker.",
            code="dlt.source_invalid",
        ) from error
    for table in tables:
        hints: dict[str, Any] = {}
        if table.cursor and not replace:
            hints["incremental"] = dlt.sources.incremental(table.cursor, initial_value=table.initial_value)
        if table.primary_key:
            hints["primary_key"] = table.primary_key
        if hints:
            opened.resources[table.name].apply_hints(**hints)
    return opened


def _narrowed(opened: Any, resources: Sequence[str]) -> Any:
    import dlt

    if isinstance(opened, dlt.sources.DltSource):
        known: list[str] = list(opened.resources)
        narrowed: Any = opened.with_resources(*resources) if set(resources) <= set(known) else None
    else:
        listed = opened if isinstance(opened, list) else [opened]
        known = [resource.name for resource in listed]
        narrowed = [resource for resource in listed if resource.name in resources] if set(resources) <= set(known) else None
    if narrowed is None:
        missing = ", ".join(sorted(set(resources) - set(known)))
        raise TaskFailed(f"The source has no resource {missing}. It has: {', '.join(known)}.", code="dlt.source_invalid")
    return narrowed


def _first_lines(error: BaseException) -> str:
    return " ".join(str(error).split())[:600].rstrip(".")
