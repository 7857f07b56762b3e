"""The declarative dlt task: a source, a destination, a contract. Order: sync, extract, normalise, check the contract, load.

Nothing reaches the destination before the last step. What fails earlier leaves no trace; what fails while loading keeps its
packages in the task run's state folder, and the next attempt of the same task run loads exactly those.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from flows.plugins import Dynamic, Properties, TaskKind, TaskType
from worker.errors import TaskFailed
from worker.python_env.environment import BEHIND
from worker.tasks.bring_in import NamespaceFiles, bring_in, require_library
from worker.tasks.dlt import contract as contracts
from worker.tasks.dlt.destinations import Destination, open_destination
from worker.tasks.dlt.failures import explain
from worker.tasks.dlt.report import describe_change, metrics_of, sum_rows
from worker.tasks.dlt.sources import Source, open_source

_CHANGES_NAMED_MAX = 20
_TABLES_NAMED_MAX = 12


class PipelineOutputs(Properties):
    """What the run did. The same structure stands under `outputs.<task>.dlt` of a script that uses dlt."""

    model_config = {**Properties.model_config, "extra": "allow"}

    pipeline_name: str
    destination: str | None = None
    dataset: str | None = None
    transaction_id: str | None = None
    state: str = "loaded"
    first_run: bool = False
    steps: list[dict[str, Any]] = []
    load_ids: list[str] = []
    rows: dict[str, int] = Field(default={}, description="Rows per table in this run, dlt's own tables left out.")
    packages: list[dict[str, Any]] = []
    schema_changes: list[dict[str, Any]] = []
    cursors: list[dict[str, Any]] = []
    pending: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []


class Pipeline(TaskType):
    """Loads a source into a destination with dlt and tells everything an orchestrator wants to know about it."""

    types: ClassVar[tuple[str, ...]] = ("io.headrace.plugin.dlt.Pipeline",)
    kind: ClassVar[TaskKind] = "process"
    title: ClassVar[str] = "Load data with dlt"
    outputs: ClassVar[type[Properties]] = PipelineOutputs
    examples: ClassVar[tuple[str, ...]] = (
        """\
id: load_players
type: io.headrace.plugin.dlt.Pipeline
pipelineName: chess
dataset: chess
source:
  type: rest_api
  config:
    client: {base_url: "https://api.chess.com/pub/"}
    resource_defaults: {primary_key: player_id, write_disposition: merge}
    resources:
      - name: players
        endpoint: {path: "player/{{ inputs.player }}"}
destination:
  type: duckdb
  path: "{{ envs.data_dir }}/warehouse.duckdb"
schemaContract: alert
""",
        """\
id: load_games
type: io.headrace.plugin.dlt.Pipeline
pipelineName: games
dataset: games
namespaceFiles: {enabled: true}
source: {type: function, file: dlt/games.py, function: games, arguments: {month: "2014/02"}}
destination: {type: duckdb, path: warehouse.duckdb}
writeDisposition: merge
primaryKey: uuid
schemaContract: {tables: evolve, columns: freeze, dataType: freeze}
""",
    )

    pipeline_name: Dynamic[str] = Field(
        pattern=r"^[A-Za-z0-9_{][^/\\\n]*$", description="Name under which dlt keeps state and schema."
    )
    source: Source
    resources: Dynamic[list[str]] = Field(default=[], description="Only these resources of the source.")
    destination: Destination
    dataset: Dynamic[str]
    write_disposition: Dynamic[Literal["append", "replace", "merge", "skip"] | dict[str, Any]] | None = None
    primary_key: Dynamic[str | list[str]] | None = None
    refresh: Dynamic[Literal["drop_sources", "drop_resources", "drop_data"]] | None = None
    schema_contract: Dynamic[contracts.Mode | contracts.SchemaContract] = Field(
        default="evolve",
        description="evolve: columns and tables are added. alert: loaded, and the task ends WARNING. freeze: nothing is loaded.",
    )
    namespace_files: NamespaceFiles | None = None
    input_files: Dynamic[dict[str, str | None]] | None = None
    env: Dynamic[dict[str, Any]] = {}

    def run(self, context: Any) -> dict[str, Any]:
        """Returns the report. Raises TaskFailed with it as outputs when a step fails or a frozen schema would change."""
        require_library("dlt")
        bring_in(context, self.namespace_files, self.input_files)
        with _place(context, self.env):
            return _Run(self, context).go()


class _Run:
    """One attempt: the pipeline of dlt, where its working folder is, and how far it got."""

    def __init__(self, task: Pipeline, context: Any) -> None:
        self.task = task
        self.context = context
        self.folder = Path(context.state_dir) / "dlt" / "pipelines"
        self.loading = Path(context.state_dir) / "dlt" / f"{task.pipeline_name}.loading.json"
        self.modes = contracts.resolve(task.schema_contract)
        self.step = "sync"
        self.alerts: list[dict[str, Any]] = []

    def go(self) -> dict[str, Any]:
        import dlt
        from dlt.pipeline.exceptions import PipelineStepFailed

        from worker.tasks.dlt.collector import ProgressCollector
        from worker.tasks.dlt.insight import observe

        task, context = self.task, self.context
        destination, place = open_destination(task.destination, task.pipeline_name, task.dataset, Path(context.data_dir))
        resumable = self.loading.exists()
        if not resumable:
            # Left by an attempt that was killed before it loaded: its data was never checked, the source still has it.
            shutil.rmtree(self.folder / task.pipeline_name, ignore_errors=True)
        pipeline = dlt.pipeline(
            task.pipeline_name,
            pipelines_dir=str(self.folder),
            destination=destination,
            dataset_name=task.dataset,
            progress=ProgressCollector(lambda said: context.progress(**said)),
        )
        _log_to(context)
        rows: dict[str, dict[str, int]] = {}
        try:
            if resumable and pipeline.has_pending_data:
                rows = json.loads(self.loading.read_text(encoding="utf-8") or "{}")
                context.log("INFO", "Loading what the attempt before left pending; the source is not read again.")
                self._load(pipeline)
            else:
                self._extract_and_load(pipeline)
        except (TaskFailed, Exception) as error:
            if isinstance(error, PipelineStepFailed):
                self.step = str(error.step)
            report = self._completed(observe(pipeline, error=error), rows)
            if self.step != "load":
                # Also the cursors of this folder have moved on: what comes next starts from the destination's state.
                shutil.rmtree(self.folder / task.pipeline_name, ignore_errors=True)
                report["pending"] = []
            self._emit(report)
            if isinstance(error, TaskFailed):
                raise TaskFailed(str(error), code=error.code, outputs=report) from error
            code, sentence = explain(error, self.step, Path(context.workdir))
            raise TaskFailed(sentence, code=code, outputs=report) from error
        report = self._completed(observe(pipeline), rows)
        shutil.rmtree(self.folder / task.pipeline_name, ignore_errors=True)
        self.loading.unlink(missing_ok=True)
        self._emit(report)
        context.log("INFO", _summary(report, place))
        self._alert(report)
        return report

    def _extract_and_load(self, pipeline: Any) -> None:
        task = self.task
        pipeline.sync_destination()
        before = contracts.tables_with_data(pipeline)
        self.step = "extract"
        replace = task.write_disposition == "replace" or task.refresh is not None
        data = open_source(task.source, task.pipeline_name, Path(self.context.workdir), task.resources, replace)
        pipeline.extract(
            data,
            write_disposition=task.write_disposition,
            primary_key=task.primary_key,
            refresh=task.refresh,
            schema_contract=contracts.for_dlt(self.modes),
        )
        self.step = "normalize"
        info = pipeline.normalize()
        # Without a stored schema there is nothing to hold on to: the first load sets it.
        changes = contracts.changes_between(before, contracts.tables_with_data(pipeline)) if before else []
        frozen = contracts.held_back(changes, self.modes, "freeze")
        if frozen:
            raise TaskFailed(
                f"The schema of dataset {task.dataset} is frozen and the new data would change it: {_phrases(frozen)}. "
                "Nothing was loaded. Set schemaContract to evolve (or alert) for one run to accept this, or correct the source.",
                code="dlt.schema_frozen",
                outputs={"schemaChanges": frozen},
            )
        self.alerts = contracts.on_existing_tables(contracts.held_back(changes, self.modes, "alert"), before)
        self.loading.write_text(json.dumps(_rows_by_load(info)), encoding="utf-8")
        self._load(pipeline)

    def _load(self, pipeline: Any) -> None:
        if pipeline.list_extracted_load_packages():
            self.step = "normalize"
            pipeline.normalize()
        self.step = "load"
        pipeline.load()

    def _alert(self, report: dict[str, Any]) -> None:
        if self.alerts:
            report["alerts"] = self.alerts
            _warn(
                self.context, f"The schema of dataset {self.task.dataset} changed: {_phrases(self.alerts)}. The data was loaded."
            )

    def _completed(self, report: dict[str, Any], rows: dict[str, dict[str, int]]) -> dict[str, Any]:
        """Adds what only an earlier attempt saw: the rows of packages it normalised."""
        for package in report["packages"]:
            package["rows"] = package["rows"] or rows.get(package["loadId"], {})
        if rows and not report["rows"]:
            report["rows"] = sum_rows(package["rows"] for package in report["packages"])
            report["resumed"] = True
        return report

    def _emit(self, report: dict[str, Any]) -> None:
        for name, value, kind, tags in metrics_of(report):
            self.context.metric(name, value, kind, tags)


def _rows_by_load(info: Any) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for load_id, metrics in (info.metrics or {}).items():
        tables = sum_rows({name: one.items_count for name, one in metric["table_metrics"].items()} for metric in metrics)
        found[load_id] = {name: count for name, count in tables.items() if not name.startswith("_dlt_")}
    return found


def _phrases(changes: list[dict[str, Any]]) -> str:
    named = "; ".join(describe_change(change) for change in changes[:_CHANGES_NAMED_MAX])
    return named + (f"; and {len(changes) - _CHANGES_NAMED_MAX} more" if len(changes) > _CHANGES_NAMED_MAX else "")


def _summary(report: dict[str, Any], place: str) -> str:
    rows = report["rows"]
    if not report["loadIds"]:
        return f"Nothing new: no rows were loaded into dataset {report['dataset']} ({place})."
    tables = ", ".join(f"{name} {count}" for name, count in list(rows.items())[:_TABLES_NAMED_MAX])
    rest = f" and {len(rows) - _TABLES_NAMED_MAX} tables more" if len(rows) > _TABLES_NAMED_MAX else ""
    loads = ", ".join(report["loadIds"])
    if not rows:
        return f"No new rows for dataset {report['dataset']} ({place}). Load {loads}."
    return f"Loaded {sum(rows.values())} rows into dataset {report['dataset']} ({place}): {tables}{rest}. Load {loads}."


def _warn(context: Any, text: str) -> None:
    context.log("WARN", text)
    context.warning(text)


@contextmanager
def _place(context: Any, env: dict[str, Any]) -> Iterator[None]:
    """Runs in the task's working directory with its variables; dlt looks for `.dlt/config.toml` there and nowhere else."""
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

    settings = {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DLT_DATA_DIR": str(Path(context.state_dir) / "dlt"),
        **{name: value if isinstance(value, str) else json.dumps(value) for name, value in env.items() if value is not None},
    }
    workdir = str(context.workdir)
    kept = {name: os.environ.get(name) for name in settings}
    here, path = Path.cwd(), list(sys.path)
    os.environ.update(settings)
    os.chdir(workdir)
    sys.path.insert(0, workdir)
    # `from kestra import Kestra` works in every Python file of a task, also in those a source function comes from.
    sys.path.append(str(BEHIND))
    try:
        Container()[PluggableRunContext].reload(workdir)
        yield
    finally:
        os.chdir(here)
        sys.path[:] = path
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _log_to(context: Any) -> None:
    """Dlt's own warnings keep their level in the task's log instead of arriving on the error stream."""
    import logging

    from dlt.common import logger as dlt_logger

    class Forward(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            level = "ERROR" if record.levelno >= logging.ERROR else "WARN" if record.levelno >= logging.WARNING else "DEBUG"
            context.log(level, record.getMessage())

    logger = dlt_logger.LOGGER
    if logger is not None:
        logger.handlers[:] = [Forward()]
