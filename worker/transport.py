"""gRPC carrying the session: one stream, one reader, one writer that sends what has gathered while it wrote."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from wire import gateway
from worker.door import CHANNEL_OPTIONS, SERVICE
from worker.errors import WorkerCannotStart
from worker.session import WorkerSession

_log = logging.getLogger("headrace.worker")
BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_MAX_SECONDS = 5.0
_REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


def open_channel(plane: str, *, tls: bool, tls_ca: Path | None) -> grpc.aio.Channel:
    """A channel to the plane's door. Raises WorkerCannotStart when the authority's file cannot be read."""
    if not tls and tls_ca is None:
        return grpc.aio.insecure_channel(plane, options=list(CHANNEL_OPTIONS))
    try:
        roots = tls_ca.read_bytes() if tls_ca is not None else None
    except OSError as error:
        raise WorkerCannotStart(f"The authority's file {tls_ca} cannot be read: {error.strerror}.") from None
    return grpc.aio.secure_channel(plane, grpc.ssl_channel_credentials(roots), options=list(CHANNEL_OPTIONS))


class Transport:
    """Keeps a stream open and moves messages between it and the session.

    `acted` is called after every received message: the session may have actions. `refused` when the plane does not know the
    credential; it returns new metadata or raises WorkerCannotStart.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        session: WorkerSession,
        metadata: Sequence[tuple[str, str]],
        acted: Callable[[], None],
    ) -> None:
        self._session = session
        self.metadata = tuple(metadata)
        self._acted = acted
        self._wake = asyncio.Event()
        self._call: Any = None
        self._open = channel.stream_stream(
            SERVICE + "Session",
            request_serializer=gateway.ToPlane.SerializeToString,
            response_deserializer=gateway.ToWorker.FromString,
        )

    def wake(self) -> None:
        """The session may have something to send."""
        self._wake.set()

    def reconnect(self, reason: str) -> None:
        """Gives the present stream up; another one follows."""
        _log.warning("opening a new stream: %s", reason)
        if self._call is not None:
            self._call.cancel()

    async def run(self) -> None:
        """Streams, one after the other, until cancelled. Raises PermissionError when the credential is refused."""
        pause = BACKOFF_FIRST_SECONDS
        while True:
            began = time.monotonic()
            refused = await self._stream()
            if refused is not None:
                raise PermissionError(refused)
            if time.monotonic() - began > 10:
                pause = BACKOFF_FIRST_SECONDS
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, BACKOFF_MAX_SECONDS)

    async def _stream(self) -> str | None:
        """One stream from open to end. Returns why the plane refused the credential, None for any other end."""
        call = self._call = self._open(metadata=self.metadata)
        self._session.connected(time.monotonic())
        writer = asyncio.create_task(self._write(call))
        try:
            async for message in call:
                was_ready = self._session.ready
                self._session.received(message, time.monotonic())
                if self._session.ready and not was_ready:
                    _log.info("connected to the plane")
                self._acted()
                self._wake.set()
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                return error.details() or error.code().name
            _log.info("stream ended: %s", error.details() or error.code().name)
        except asyncio.CancelledError:
            if not call.cancelled():
                call.cancel()
            if asyncio.current_task() is not None and asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
        finally:
            self._session.disconnected()
            self._call = None
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return None

    async def _write(self, call: Any) -> None:
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            # While a write is under way, results and lines gather; the next one takes them all.
            try:
                for message in self._session.take_outgoing():
                    await call.write(message)
            except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
                return  # the stream is over; its reader says why
            except Exception:  # noqa: BLE001
                # A stream that hears and cannot speak would look alive: give it up and say what happened.
                _log.exception("nothing can be written to the plane")
                call.cancel()
                return
