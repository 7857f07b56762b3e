from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    SUCCESS: _ClassVar[Outcome]
    WARNING: _ClassVar[Outcome]
    FAILED: _ClassVar[Outcome]
    KILLED: _ClassVar[Outcome]
    SKIPPED: _ClassVar[Outcome]
    LOST: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
SUCCESS: Outcome
WARNING: Outcome
FAILED: Outcome
KILLED: Outcome
SKIPPED: Outcome
LOST: Outcome

class EnrolRequest(_message.Message):
    __slots__ = ("join_token", "name", "labels", "version")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    JOIN_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    join_token: str
    name: str
    labels: _containers.ScalarMap[str, str]
    version: str
    def __init__(self, join_token: _Optional[str] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., version: _Optional[str] = ...) -> None: ...

class EnrolResponse(_message.Message):
    __slots__ = ("tenant", "worker_group", "worker_id", "credential")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    WORKER_GROUP_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    worker_group: str
    worker_id: str
    credential: str
    def __init__(self, tenant: _Optional[str] = ..., worker_group: _Optional[str] = ..., worker_id: _Optional[str] = ..., credential: _Optional[str] = ...) -> None: ...

class AttemptToken(_message.Message):
    __slots__ = ("execution_id", "task_run_id", "attempt", "lease_id")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    task_run_id: str
    attempt: int
    lease_id: str
    def __init__(self, execution_id: _Optional[str] = ..., task_run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., lease_id: _Optional[str] = ...) -> None: ...

class ToPlane(_message.Message):
    __slots__ = ("seq", "hello", "accepted", "started", "results", "logs", "progress", "renew", "draining", "after", "reports")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    seq: int
    hello: Hello
    accepted: _containers.RepeatedCompositeFieldContainer[AttemptToken]
    started: _containers.RepeatedCompositeFieldContainer[Started]
    results: _containers.RepeatedCompositeFieldContainer[Result]
    logs: _containers.RepeatedCompositeFieldContainer[LogBatch]
    progress: _containers.RepeatedCompositeFieldContainer[Progress]
    renew: Renew
    draining: bool
    after: int
    reports: _containers.RepeatedCompositeFieldContainer[Report]
    def __init__(self, seq: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., accepted: _Optional[_Iterable[_Union[AttemptToken, _Mapping]]] = ..., started: _Optional[_Iterable[_Union[Started, _Mapping]]] = ..., results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ..., logs: _Optional[_Iterable[_Union[LogBatch, _Mapping]]] = ..., progress: _Optional[_Iterable[_Union[Progress, _Mapping]]] = ..., renew: _Optional[_Union[Renew, _Mapping]] = ..., draining: _Optional[bool] = ..., after: _Optional[int] = ..., reports: _Optional[_Iterable[_Union[Report, _Mapping]]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "version", "light_slots", "process_slots", "labels", "task_types", "held", "isolation", "after")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LIGHT_SLOTS_FIELD_NUMBER: _ClassVar[int]
    PROCESS_SLOTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPES_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    version: str
    light_slots: int
    process_slots: int
    labels: _containers.ScalarMap[str, str]
    task_types: _containers.RepeatedScalarFieldContainer[str]
    held: _containers.RepeatedCompositeFieldContainer[HeldAttempt]
    isolation: str
    after: int
    def __init__(self, protocol: _Optional[int] = ..., version: _Optional[str] = ..., light_slots: _Optional[int] = ..., process_slots: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., task_types: _Optional[_Iterable[str]] = ..., held: _Optional[_Iterable[_Union[HeldAttempt, _Mapping]]] = ..., isolation: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class HeldAttempt(_message.Message):
    __slots__ = ("token", "phase")
    class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PHASE_UNSPECIFIED: _ClassVar[HeldAttempt.Phase]
        RUNNING: _ClassVar[HeldAttempt.Phase]
        FINISHED: _ClassVar[HeldAttempt.Phase]
    PHASE_UNSPECIFIED: HeldAttempt.Phase
    RUNNING: HeldAttempt.Phase
    FINISHED: HeldAttempt.Phase
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    phase: HeldAttempt.Phase
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., phase: _Optional[_Union[HeldAttempt.Phase, str]] = ...) -> None: ...

class Started(_message.Message):
    __slots__ = ("token", "started_at_us")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    started_at_us: int
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., started_at_us: _Optional[int] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("token", "outcome", "outputs_json", "metrics", "started_at_us", "ended_at_us", "error_code", "error_message", "log_lines", "log_file")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_JSON_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LOG_LINES_FIELD_NUMBER: _ClassVar[int]
    LOG_FILE_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    outcome: Outcome
    outputs_json: bytes
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    started_at_us: int
    ended_at_us: int
    error_code: str
    error_message: str
    log_lines: int
    log_file: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., outputs_json: _Optional[bytes] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ..., started_at_us: _Optional[int] = ..., ended_at_us: _Optional[int] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ..., log_lines: _Optional[int] = ..., log_file: _Optional[str] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("name", "kind", "value", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    value: float
    tags: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., value: _Optional[float] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("at_us", "level", "text")
    AT_US_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at_us: int
    level: int
    text: str
    def __init__(self, at_us: _Optional[int] = ..., level: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class LogBatch(_message.Message):
    __slots__ = ("token", "first", "lines", "sub_task_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    SUB_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    first: int
    lines: _containers.RepeatedCompositeFieldContainer[LogLine]
    sub_task_id: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., first: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ..., sub_task_id: _Optional[str] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("token", "runs")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    runs: _containers.RepeatedCompositeFieldContainer[SubRun]
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., runs: _Optional[_Iterable[_Union[SubRun, _Mapping]]] = ...) -> None: ...

class SubRun(_message.Message):
    __slots__ = ("id", "task_id", "outcome", "outputs_json", "took_us", "error_code", "error_message", "log_lines", "attempts", "value", "dynamic", "metrics")
    ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_JSON_FIELD_NUMBER: _ClassVar[int]
    TOOK_US_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LOG_LINES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DYNAMIC_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    id: str
    task_id: str
    outcome: Outcome
    outputs_json: bytes
    took_us: int
    error_code: str
    error_message: str
    log_lines: int
    attempts: int
    value: str
    dynamic: bool
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    def __init__(self, id: _Optional[str] = ..., task_id: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., outputs_json: _Optional[bytes] = ..., took_us: _Optional[int] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ..., log_lines: _Optional[int] = ..., attempts: _Optional[int] = ..., value: _Optional[str] = ..., dynamic: _Optional[bool] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("token", "progress_json")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_JSON_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    progress_json: bytes
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., progress_json: _Optional[bytes] = ...) -> None: ...

class Renew(_message.Message):
    __slots__ = ("lease_ids", "round")
    LEASE_IDS_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    lease_ids: _containers.RepeatedScalarFieldContainer[str]
    round: int
    def __init__(self, lease_ids: _Optional[_Iterable[str]] = ..., round: _Optional[int] = ...) -> None: ...

class ToWorker(_message.Message):
    __slots__ = ("welcome", "assign", "stop", "ack", "drain", "goodbye", "superseded", "renewed")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGN_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assign: _containers.RepeatedCompositeFieldContainer[Assign]
    stop: _containers.RepeatedCompositeFieldContainer[AttemptToken]
    ack: int
    drain: bool
    goodbye: str
    superseded: _containers.RepeatedCompositeFieldContainer[AttemptToken]
    renewed: int
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assign: _Optional[_Iterable[_Union[Assign, _Mapping]]] = ..., stop: _Optional[_Iterable[_Union[AttemptToken, _Mapping]]] = ..., ack: _Optional[int] = ..., drain: _Optional[bool] = ..., goodbye: _Optional[str] = ..., superseded: _Optional[_Iterable[_Union[AttemptToken, _Mapping]]] = ..., renewed: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("epoch", "lease_seconds", "renew_seconds", "message_bytes_max", "verdicts")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEASE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RENEW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    lease_seconds: int
    renew_seconds: int
    message_bytes_max: int
    verdicts: _containers.RepeatedCompositeFieldContainer[Verdict]
    def __init__(self, epoch: _Optional[int] = ..., lease_seconds: _Optional[int] = ..., renew_seconds: _Optional[int] = ..., message_bytes_max: _Optional[int] = ..., verdicts: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("token", "kind")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Verdict.Kind]
        KEEP: _ClassVar[Verdict.Kind]
        STOP: _ClassVar[Verdict.Kind]
        DONE: _ClassVar[Verdict.Kind]
    KIND_UNSPECIFIED: Verdict.Kind
    KEEP: Verdict.Kind
    STOP: Verdict.Kind
    DONE: Verdict.Kind
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    kind: Verdict.Kind
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., kind: _Optional[_Union[Verdict.Kind, str]] = ...) -> None: ...

class Assign(_message.Message):
    __slots__ = ("token", "task_type", "task_json", "context_json", "namespace", "flow_id", "flow_revision", "task_id", "light", "flow_digest")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    TASK_JSON_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_JSON_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    FLOW_REVISION_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LIGHT_FIELD_NUMBER: _ClassVar[int]
    FLOW_DIGEST_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    task_type: str
    task_json: bytes
    context_json: bytes
    namespace: str
    flow_id: str
    flow_revision: int
    task_id: str
    light: bool
    flow_digest: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., task_type: _Optional[str] = ..., task_json: _Optional[bytes] = ..., context_json: _Optional[bytes] = ..., namespace: _Optional[str] = ..., flow_id: _Optional[str] = ..., flow_revision: _Optional[int] = ..., task_id: _Optional[str] = ..., light: _Optional[bool] = ..., flow_digest: _Optional[str] = ...) -> None: ...

class PutFileChunk(_message.Message):
    __slots__ = ("token", "name", "data", "sha256", "sub_run", "cache", "namespace_file")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SUB_RUN_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FILE_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    name: str
    data: bytes
    sha256: str
    sub_run: SubRunName
    cache: str
    namespace_file: NamespacePlace
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., name: _Optional[str] = ..., data: _Optional[bytes] = ..., sha256: _Optional[str] = ..., sub_run: _Optional[_Union[SubRunName, _Mapping]] = ..., cache: _Optional[str] = ..., namespace_file: _Optional[_Union[NamespacePlace, _Mapping]] = ...) -> None: ...

class NamespacePlace(_message.Message):
    __slots__ = ("namespace", "path", "conflict")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    path: str
    conflict: str
    def __init__(self, namespace: _Optional[str] = ..., path: _Optional[str] = ..., conflict: _Optional[str] = ...) -> None: ...

class SubRunName(_message.Message):
    __slots__ = ("id", "task_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    task_id: str
    def __init__(self, id: _Optional[str] = ..., task_id: _Optional[str] = ...) -> None: ...

class PutFileResult(_message.Message):
    __slots__ = ("uri", "size_bytes")
    URI_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    uri: str
    size_bytes: int
    def __init__(self, uri: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class GetFileRequest(_message.Message):
    __slots__ = ("token", "uri", "namespace", "version", "cache", "sub_task_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    SUB_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    uri: str
    namespace: str
    version: int
    cache: str
    sub_task_id: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., uri: _Optional[str] = ..., namespace: _Optional[str] = ..., version: _Optional[int] = ..., cache: _Optional[str] = ..., sub_task_id: _Optional[str] = ...) -> None: ...

class FileChunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ListNamespaceFilesRequest(_message.Message):
    __slots__ = ("token", "namespace")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    namespace: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., namespace: _Optional[str] = ...) -> None: ...

class NamespaceFile(_message.Message):
    __slots__ = ("path", "size_bytes", "version", "sha256")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    path: str
    size_bytes: int
    version: int
    sha256: str
    def __init__(self, path: _Optional[str] = ..., size_bytes: _Optional[int] = ..., version: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class ListNamespaceFilesResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[NamespaceFile]
    def __init__(self, files: _Optional[_Iterable[_Union[NamespaceFile, _Mapping]]] = ...) -> None: ...

class ResolveSecretsRequest(_message.Message):
    __slots__ = ("token", "names")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class ResolveSecretsResponse(_message.Message):
    __slots__ = ("values", "missing")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    values: _containers.ScalarMap[str, str]
    missing: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Mapping[str, str]] = ..., missing: _Optional[_Iterable[str]] = ...) -> None: ...

class FileInfoRequest(_message.Message):
    __slots__ = ("token", "uri", "namespace", "version")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    uri: str
    namespace: str
    version: int
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., uri: _Optional[str] = ..., namespace: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class FileInfoResult(_message.Message):
    __slots__ = ("exists", "size_bytes", "uri")
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    size_bytes: int
    uri: str
    def __init__(self, exists: _Optional[bool] = ..., size_bytes: _Optional[int] = ..., uri: _Optional[str] = ...) -> None: ...

class DeleteFileRequest(_message.Message):
    __slots__ = ("token", "uri", "namespace")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    uri: str
    namespace: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., uri: _Optional[str] = ..., namespace: _Optional[str] = ...) -> None: ...

class DeleteFileResult(_message.Message):
    __slots__ = ("deleted", "uri")
    DELETED_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    uri: str
    def __init__(self, deleted: _Optional[bool] = ..., uri: _Optional[str] = ...) -> None: ...

class FetchLogsRequest(_message.Message):
    __slots__ = ("token", "namespace", "flow_id", "execution_id", "task_ids", "level_min", "failed_only")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_MIN_FIELD_NUMBER: _ClassVar[int]
    FAILED_ONLY_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    namespace: str
    flow_id: str
    execution_id: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    level_min: int
    failed_only: bool
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., namespace: _Optional[str] = ..., flow_id: _Optional[str] = ..., execution_id: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ..., level_min: _Optional[int] = ..., failed_only: _Optional[bool] = ...) -> None: ...

class LogRecord(_message.Message):
    __slots__ = ("at_us", "level", "text", "task_id", "task_run_id", "attempt")
    AT_US_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    at_us: int
    level: int
    text: str
    task_id: str
    task_run_id: str
    attempt: int
    def __init__(self, at_us: _Optional[int] = ..., level: _Optional[int] = ..., text: _Optional[str] = ..., task_id: _Optional[str] = ..., task_run_id: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class LogRecords(_message.Message):
    __slots__ = ("records", "complete")
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[LogRecord]
    complete: bool
    def __init__(self, records: _Optional[_Iterable[_Union[LogRecord, _Mapping]]] = ..., complete: _Optional[bool] = ...) -> None: ...

class KvGetRequest(_message.Message):
    __slots__ = ("token", "namespace", "key", "inherit", "per_value")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    INHERIT_FIELD_NUMBER: _ClassVar[int]
    PER_VALUE_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    namespace: str
    key: str
    inherit: bool
    per_value: bool
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., namespace: _Optional[str] = ..., key: _Optional[str] = ..., inherit: _Optional[bool] = ..., per_value: _Optional[bool] = ...) -> None: ...

class KvEntry(_message.Message):
    __slots__ = ("presence", "type", "value_json", "namespace")
    class Presence(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PRESENCE_UNSPECIFIED: _ClassVar[KvEntry.Presence]
        PRESENT: _ClassVar[KvEntry.Presence]
        MISSING: _ClassVar[KvEntry.Presence]
        EXPIRED: _ClassVar[KvEntry.Presence]
    PRESENCE_UNSPECIFIED: KvEntry.Presence
    PRESENT: KvEntry.Presence
    MISSING: KvEntry.Presence
    EXPIRED: KvEntry.Presence
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    presence: KvEntry.Presence
    type: str
    value_json: bytes
    namespace: str
    def __init__(self, presence: _Optional[_Union[KvEntry.Presence, str]] = ..., type: _Optional[str] = ..., value_json: _Optional[bytes] = ..., namespace: _Optional[str] = ...) -> None: ...

class KvSetRequest(_message.Message):
    __slots__ = ("token", "namespace", "key", "type", "value_json", "overwrite", "ttl_ms", "description", "per_value")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_JSON_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PER_VALUE_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    namespace: str
    key: str
    type: str
    value_json: bytes
    overwrite: bool
    ttl_ms: int
    description: str
    per_value: bool
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., namespace: _Optional[str] = ..., key: _Optional[str] = ..., type: _Optional[str] = ..., value_json: _Optional[bytes] = ..., overwrite: _Optional[bool] = ..., ttl_ms: _Optional[int] = ..., description: _Optional[str] = ..., per_value: _Optional[bool] = ...) -> None: ...

class KvSetResult(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class KvDeleteRequest(_message.Message):
    __slots__ = ("token", "namespace", "key", "per_value")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PER_VALUE_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    namespace: str
    key: str
    per_value: bool
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., namespace: _Optional[str] = ..., key: _Optional[str] = ..., per_value: _Optional[bool] = ...) -> None: ...

class KvDeleteResult(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: bool
    def __init__(self, deleted: _Optional[bool] = ...) -> None: ...

class KvKeysRequest(_message.Message):
    __slots__ = ("token", "namespace", "prefix")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    namespace: str
    prefix: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., namespace: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class KvKeysResult(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, keys: _Optional[_Iterable[str]] = ...) -> None: ...

class CacheGetRequest(_message.Message):
    __slots__ = ("token", "digest", "ttl_ms", "sub_task_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    SUB_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    digest: str
    ttl_ms: int
    sub_task_id: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., digest: _Optional[str] = ..., ttl_ms: _Optional[int] = ..., sub_task_id: _Optional[str] = ...) -> None: ...

class CacheEntry(_message.Message):
    __slots__ = ("found", "outputs_json", "outcome")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_JSON_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    found: bool
    outputs_json: bytes
    outcome: Outcome
    def __init__(self, found: _Optional[bool] = ..., outputs_json: _Optional[bytes] = ..., outcome: _Optional[_Union[Outcome, str]] = ...) -> None: ...

class CachePutRequest(_message.Message):
    __slots__ = ("token", "digest", "outputs_json", "outcome", "sub_task_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_JSON_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SUB_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    digest: str
    outputs_json: bytes
    outcome: Outcome
    sub_task_id: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., digest: _Optional[str] = ..., outputs_json: _Optional[bytes] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., sub_task_id: _Optional[str] = ...) -> None: ...

class CachePutResult(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DecryptRequest(_message.Message):
    __slots__ = ("token", "values")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class DecryptResult(_message.Message):
    __slots__ = ("plaintexts",)
    PLAINTEXTS_FIELD_NUMBER: _ClassVar[int]
    plaintexts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, plaintexts: _Optional[_Iterable[str]] = ...) -> None: ...

class Evaluate(_message.Message):
    __slots__ = ("evaluation_id", "namespace", "flow_id", "trigger_id", "flow_revision", "trigger_type", "trigger_json", "context_json", "listens")
    EVALUATION_ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_ID_FIELD_NUMBER: _ClassVar[int]
    FLOW_REVISION_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_TYPE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_JSON_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_JSON_FIELD_NUMBER: _ClassVar[int]
    LISTENS_FIELD_NUMBER: _ClassVar[int]
    evaluation_id: str
    namespace: str
    flow_id: str
    trigger_id: str
    flow_revision: int
    trigger_type: str
    trigger_json: bytes
    context_json: bytes
    listens: bool
    def __init__(self, evaluation_id: _Optional[str] = ..., namespace: _Optional[str] = ..., flow_id: _Optional[str] = ..., trigger_id: _Optional[str] = ..., flow_revision: _Optional[int] = ..., trigger_type: _Optional[str] = ..., trigger_json: _Optional[bytes] = ..., context_json: _Optional[bytes] = ..., listens: _Optional[bool] = ...) -> None: ...

class TriggerReport(_message.Message):
    __slots__ = ("hello", "evaluated", "holding", "leaving")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    EVALUATED_FIELD_NUMBER: _ClassVar[int]
    HOLDING_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    hello: TriggerHello
    evaluated: _containers.RepeatedCompositeFieldContainer[Evaluated]
    holding: _containers.RepeatedScalarFieldContainer[str]
    leaving: bool
    def __init__(self, hello: _Optional[_Union[TriggerHello, _Mapping]] = ..., evaluated: _Optional[_Iterable[_Union[Evaluated, _Mapping]]] = ..., holding: _Optional[_Iterable[str]] = ..., leaving: _Optional[bool] = ...) -> None: ...

class TriggerHello(_message.Message):
    __slots__ = ("trigger_types", "slots", "holding")
    TRIGGER_TYPES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    HOLDING_FIELD_NUMBER: _ClassVar[int]
    trigger_types: _containers.RepeatedScalarFieldContainer[str]
    slots: int
    holding: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, trigger_types: _Optional[_Iterable[str]] = ..., slots: _Optional[int] = ..., holding: _Optional[_Iterable[str]] = ...) -> None: ...

class Evaluated(_message.Message):
    __slots__ = ("evaluation_id", "report_id", "finding", "variables_json", "error_code", "error_message", "namespace", "flow_id", "trigger_id")
    class Finding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FINDING_UNSPECIFIED: _ClassVar[Evaluated.Finding]
        NOTHING: _ClassVar[Evaluated.Finding]
        FIRES: _ClassVar[Evaluated.Finding]
        FAILED: _ClassVar[Evaluated.Finding]
    FINDING_UNSPECIFIED: Evaluated.Finding
    NOTHING: Evaluated.Finding
    FIRES: Evaluated.Finding
    FAILED: Evaluated.Finding
    EVALUATION_ID_FIELD_NUMBER: _ClassVar[int]
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_JSON_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_ID_FIELD_NUMBER: _ClassVar[int]
    evaluation_id: str
    report_id: str
    finding: Evaluated.Finding
    variables_json: bytes
    error_code: str
    error_message: str
    namespace: str
    flow_id: str
    trigger_id: str
    def __init__(self, evaluation_id: _Optional[str] = ..., report_id: _Optional[str] = ..., finding: _Optional[_Union[Evaluated.Finding, str]] = ..., variables_json: _Optional[bytes] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ..., namespace: _Optional[str] = ..., flow_id: _Optional[str] = ..., trigger_id: _Optional[str] = ...) -> None: ...

class TriggerOrder(_message.Message):
    __slots__ = ("evaluate", "over", "stored", "renew_seconds")
    EVALUATE_FIELD_NUMBER: _ClassVar[int]
    OVER_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    RENEW_SECONDS_FIELD_NUMBER: _ClassVar[int]
    evaluate: _containers.RepeatedCompositeFieldContainer[Evaluate]
    over: _containers.RepeatedScalarFieldContainer[str]
    stored: _containers.RepeatedScalarFieldContainer[str]
    renew_seconds: int
    def __init__(self, evaluate: _Optional[_Iterable[_Union[Evaluate, _Mapping]]] = ..., over: _Optional[_Iterable[str]] = ..., stored: _Optional[_Iterable[str]] = ..., renew_seconds: _Optional[int] = ...) -> None: ...
