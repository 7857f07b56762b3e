"""`headrace`: the list of commands and their options. What they do is in the modules they import."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(name="headrace", help="Headrace: orchestration in YAML.", no_args_is_help=True, pretty_exceptions_enable=False)
flow_app = typer.Typer(help="Flows: check, store and run them.", no_args_is_help=True)
app.add_typer(flow_app, name="flow")

Data = Annotated[Path, typer.Option("--data", help="Folder for database, files and keys.", envvar="HEADRACE_DATA")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port of REST and console.", min=0, max=65535)]
ManagementPort = Annotated[int, typer.Option(help="Port of /health.", min=0, max=65535)]
GrpcPort = Annotated[int, typer.Option(help="Port of the workers' door.", min=0, max=65535)]
Server = Annotated[str, typer.Option(help="Address of a running Headrace.", envvar="HEADRACE_SERVER")]
Tenant = Annotated[str, typer.Option(help="Tenant.", envvar="HEADRACE_TENANT")]
Login = Annotated[str, typer.Option("--user", help="user:password, or an API token.", envvar="HEADRACE_USER")]


@app.command()
def up(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    management_port: ManagementPort = 8081,
    grpc_port: GrpcPort = 50051,
    data: Data = Path(".headrace"),
    database: Annotated[
        str, typer.Option(help="postgresql://… (default: SQLite in the data folder).", envvar="HEADRACE_DATABASE")
    ] = "",
    workers: Annotated[int, typer.Option(help="Worker processes beside the control plane.", min=0)] = 1,
    demo: Annotated[bool, typer.Option("--demo", help="Create an administrator with a generated password.")] = False,
) -> None:
    """Starts the whole platform in this process, and workers beside it."""
    from cli.up import Options
    from cli.up import up as start

    start(Options(host, port, management_port, grpc_port, data, database, workers, demo))


@app.command()
def worker(
    plane: Annotated[str, typer.Option(help="HOST:PORT of the workers' door.")],
    data: Annotated[Path, typer.Option("--data", help="Folder for the credential, the spool and task files.")],
    join_token: Annotated[str, typer.Option(help="Permission to enrol, needed once.", envvar="HEADRACE_JOIN_TOKEN")] = "",
    name: Annotated[str, typer.Option(help="Name shown in the control plane (default: the host's).")] = "",
    process_slots: Annotated[int, typer.Option(help="Tasks with a process of their own at a time (0: by the cores).", min=0)] = 0,
    light_slots: Annotated[int, typer.Option(help="Light tasks at a time (0: as many as the agent thinks right).", min=0)] = 0,
) -> None:
    """Runs a worker: it connects out to the control plane, takes tasks and runs them."""
    from cli.worker import run_worker

    sys.exit(run_worker(plane, data, join_token, name, process_slots, light_slots))


@flow_app.command("validate")
def flow_validate(
    paths: Annotated[list[Path], typer.Argument(help="Flow files, or folders of them.", exists=True)],
    output: Annotated[Literal["text", "json"], typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Checks flows here, without a server: every problem with line and column, and how to mend it."""
    from cli.validate import validate
    from wire.plugins import discover

    sys.exit(validate(paths, discover(), output))


@flow_app.command("simulate")
def flow_simulate(
    files: Annotated[list[Path], typer.Argument(help="Flow files.", exists=True, dir_okay=False)],
    start: Annotated[str, typer.Option("--from", help="First day or instant, such as 2026-01-01 (default: now).")] = "",
    days: Annotated[int, typer.Option(help="Days to look ahead.", min=1, max=3_660)] = 30,
    timezone: Annotated[str, typer.Option(help="Zone of schedules that name none.")] = "UTC",
    seed: Annotated[int, typer.Option(help="For random values in inputs: the same seed, the same plan.")] = 0,
    output: Annotated[Literal["table", "json"], typer.Option("--format", help="table or json.")] = "table",
    run: Annotated[bool, typer.Option("--run", help="Run the executions too, in virtual time.")] = False,
    task_seconds: Annotated[float, typer.Option(help="With --run: how long a task takes on average.", min=0)] = 5.0,
    failures: Annotated[float, typer.Option(help="With --run: chance that an attempt fails.", min=0, max=1)] = 0.0,
) -> None:
    """Shows when the schedules of flow files will fire, and with --run what becomes of it; without a server."""
    from datetime import UTC, datetime

    from cli.simulate import executions, schedules

    begin = start or datetime.now(UTC).isoformat(timespec="seconds")
    if run:
        sys.exit(executions(files, begin, days, timezone, seed, output, seconds=task_seconds, failures=failures))
    sys.exit(schedules(files, begin, days, timezone, seed, output))


@flow_app.command("test")
def flow_test(
    files: Annotated[list[Path], typer.Argument(help="Unit-test documents.", exists=True, dir_okay=False)],
    flows: Annotated[
        list[Path] | None, typer.Option("--flows", help="Flow files or folders (default: the documents' folders).", exists=True)
    ] = None,
    seed: Annotated[int, typer.Option(help="For random values: the same seed, the same results.")] = 0,
    output: Annotated[Literal["table", "json"], typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Runs unit tests of flows in memory, without a server and without a network."""
    from cli.flow_test import run_tests

    sys.exit(run_tests(files, flows or [], seed, output))


@flow_app.command("apply")
def flow_apply(
    files: Annotated[list[Path], typer.Argument(help="Flow files.", exists=True, dir_okay=False)],
    user: Login,
    server: Server = "http://127.0.0.1:8080",
    tenant: Tenant = "main",
) -> None:
    """Creates or updates flows on a server."""
    from cli.flow import apply

    sys.exit(apply(files, server, tenant, user))


@flow_app.command("run")
def flow_run(
    flow: Annotated[str, typer.Argument(help="namespace/id of the flow.")],
    user: Login,
    inputs: Annotated[list[str] | None, typer.Option("--input", "-i", help="id=value, again for each input.")] = None,
    server: Server = "http://127.0.0.1:8080",
    tenant: Tenant = "main",
) -> None:
    """Starts an execution, follows it, and ends with its exit status."""
    from cli.flow import run_flow

    sys.exit(run_flow(flow, inputs or [], server, tenant, user))


@app.command()
def demo(
    data: Data = Path(".data"),
    port: Port = 8080,
    management_port: ManagementPort = 8081,
    grpc_port: GrpcPort = 50051,
    database: Annotated[str, typer.Option(help="postgresql://… (default: SQLite in the data folder).")] = "",
    players: Annotated[str, typer.Option(help="chess.com user names, comma separated.")] = "",
    base_url: Annotated[
        str, typer.Option(help="Address of the chess API (default: chess.com, or the recording without internet).")
    ] = "",
    flow: Annotated[Path | None, typer.Option(help="Another flow file to run instead.", exists=True, dir_okay=False)] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask chess.com: use the recording.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End with the pipeline's exit status instead of serving on.")] = False,
) -> None:
    """Starts the platform and runs the chess pipeline on it, live in the terminal."""
    from cli.demo.drive import DemoOptions, drive

    sys.exit(drive(DemoOptions(data, port, management_port, grpc_port, database, players, base_url, flow, offline, once)))


def run() -> None:
    """Entry point. A failure that has a cause is one message on stderr and status 1 or 2, never a traceback."""
    from cli.failures import CommandFailed
    from flows.errors import HeadraceError

    try:
        app()
    except HeadraceError as error:
        typer.secho(str(error), fg=typer.colors.RED, err=True)
        sys.exit(error.status if isinstance(error, CommandFailed) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        # A fault of ours. The trace is for whoever mends it, and asked for; a user gets the sentence.
        if os.environ.get("HEADRACE_TRACEBACK"):
            raise
        message = f"internal error: {type(error).__name__}: {error} (HEADRACE_TRACEBACK=1 shows where; please report it)"
        typer.secho(message, fg=typer.colors.RED, err=True)
        sys.exit(70)


if __name__ == "__main__":
    run()
