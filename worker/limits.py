"""Every ceiling of a worker, with its unit and the reason beside it."""

from __future__ import annotations

LINE_CHARACTERS_MAX = 10_240
"""Characters of one log line; longer ones are split (tasks spec §1)."""

PROTOCOL_LINE_CHARACTERS_MAX = 4_000_000
"""Characters of one `::{…}::` line. It carries outputs, which may be larger than any log line."""

PIPE_BLOCK_BYTES = 262_144
"""Bytes read from a task's pipe at once: few wake-ups for a chatty task."""

LOG_BATCH_LINES_MAX = 1_000
"""Lines of one log batch."""

LOG_BATCH_SECONDS = 0.05
"""How long a line waits for company. Short enough to follow a task live."""

OUTPUTS_BYTES_MAX = 3_000_000
"""JSON bytes of one attempt's outputs: one message has to fit into gRPC's default ceiling of 4 MiB."""

ERROR_CHARACTERS_MAX = 8_000
"""Characters of an error message kept on a task run."""

MESSAGE_BYTES_MAX = 3_500_000
"""Bytes of one message to the plane until its Welcome says otherwise."""

SPOOL_LOG_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of unacknowledged log batches. Above it lines are dropped and declared; results are still kept."""

SPOOL_TAIL_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of recent spool items also kept in memory, so that the usual way from task to wire reads no disk."""

WINDOW_BYTES_MAX = 16 * 1024 * 1024
"""Bytes sent and not yet acknowledged. What is above waits in the spool, not in the plane's memory."""

STOP_GRACE_SECONDS = 5.0
"""From SIGTERM to SIGKILL. dlt needs a moment to leave its packages in order."""

STARTED_AFTER_SECONDS = 0.1
"""A light attempt says that it started only when it lasts longer than this; else start and end are one message."""

INLINE_SECONDS_MAX = 0.005
"""How long light attempts run on the loop before messages get their turn."""

PROGRESS_SECONDS = 0.5
"""Least time between two progress reports of one attempt."""

REMEMBERED_LEASES = 20_000
"""Finished leases remembered so that a late repeated hand-out is not started again."""

MASK_CHARACTERS_MIN = 3
"""Secrets shorter than this are not masked: they would tear ordinary words apart."""

FILE_CHUNK_BYTES = 1_000_000
"""Bytes of one chunk of a file on its way to or from internal storage."""

STATE_DIR_SECONDS = 86_400.0
"""How long the state folder of a task run that did not succeed is kept for a next attempt."""

FAMILY_IDLE_SECONDS = 600.0
"""How long an unused warm interpreter with heavy libraries is kept before its memory is given back."""

CACHE_BYTES_MAX = 2_000_000_000
"""Bytes of the files that a WorkingDirectory keeps for its next execution."""

ERROR_LOGS_SECONDS = 5.0
"""How long `errorLogs()` waits for lines that are still on their way."""

ERROR_LOGS_MAX = 1_000
"""Records that `errorLogs()` gives at most: they become part of one message, not a file."""

HTTP_FUNCTION_SECONDS = 10.0
"""How long `http()` waits for an answer: a template is no place for long downloads."""

HTTP_FUNCTION_BYTES_MAX = 10_000_000
"""Bytes of an answer to `http()`."""

EVENT_ID_CHARACTERS_MAX = 500
"""Characters of an event's id that tell it from others."""
