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
    __slots__ = ("seq", "hello", "accepted", "started", "results", "logs", "progress", "renew", "draining", "after")
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
    def __init__(self, seq: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., accepted: _Optional[_Iterable[_Union[AttemptToken, _Mapping]]] = ..., started: _Optional[_Iterable[_Union[Started, _Mapping]]] = ..., results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ..., logs: _Optional[_Iterable[_Union[LogBatch, _Mapping]]] = ..., progress: _Optional[_Iterable[_Union[Progress, _Mapping]]] = ..., renew: _Optional[_Union[Renew, _Mapping]] = ..., draining: _Optional[bool] = ..., after: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("token", "outcome", "outputs_json", "metrics", "started_at_us", "ended_at_us", "error_code", "error_message", "log_lines")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_JSON_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_US_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LOG_LINES_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    outcome: Outcome
    outputs_json: bytes
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    started_at_us: int
    ended_at_us: int
    error_code: str
    error_message: str
    log_lines: int
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., outputs_json: _Optional[bytes] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ..., started_at_us: _Optional[int] = ..., ended_at_us: _Optional[int] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ..., log_lines: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("token", "first", "lines")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    first: int
    lines: _containers.RepeatedCompositeFieldContainer[LogLine]
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., first: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ...) -> None: ...

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
    __slots__ = ("token", "name", "data", "sha256")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    name: str
    data: bytes
    sha256: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., name: _Optional[str] = ..., data: _Optional[bytes] = ..., sha256: _Optional[str] = ...) -> None: ...

class PutFileResult(_message.Message):
    __slots__ = ("uri", "size_bytes")
    URI_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    uri: str
    size_bytes: int
    def __init__(self, uri: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class GetFileRequest(_message.Message):
    __slots__ = ("token", "uri")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    token: AttemptToken
    uri: str
    def __init__(self, token: _Optional[_Union[AttemptToken, _Mapping]] = ..., uri: _Optional[str] = ...) -> None: ...

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

class Evaluate(_message.Message):
    __slots__ = ("evaluation_id", "execution_id", "trigger_id", "trigger_type", "trigger_json", "context_json", "namespace", "flow_id", "flow_revision", "listens")
    EVALUATION_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_ID_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_TYPE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_JSON_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_JSON_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    FLOW_REVISION_FIELD_NUMBER: _ClassVar[int]
    LISTENS_FIELD_NUMBER: _ClassVar[int]
    evaluation_id: str
    execution_id: str
    trigger_id: str
    trigger_type: str
    trigger_json: bytes
    context_json: bytes
    namespace: str
    flow_id: str
    flow_revision: int
    listens: bool
    def __init__(self, evaluation_id: _Optional[str] = ..., execution_id: _Optional[str] = ..., trigger_id: _Optional[str] = ..., trigger_type: _Optional[str] = ..., trigger_json: _Optional[bytes] = ..., context_json: _Optional[bytes] = ..., namespace: _Optional[str] = ..., flow_id: _Optional[str] = ..., flow_revision: _Optional[int] = ..., listens: _Optional[bool] = ...) -> None: ...

class TriggerReport(_message.Message):
    __slots__ = ("hello", "evaluated", "holding")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    EVALUATED_FIELD_NUMBER: _ClassVar[int]
    HOLDING_FIELD_NUMBER: _ClassVar[int]
    hello: TriggerHello
    evaluated: _containers.RepeatedCompositeFieldContainer[Evaluated]
    holding: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, hello: _Optional[_Union[TriggerHello, _Mapping]] = ..., evaluated: _Optional[_Iterable[_Union[Evaluated, _Mapping]]] = ..., holding: _Optional[_Iterable[str]] = ...) -> None: ...

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
    __slots__ = ("evaluation_id", "report_id", "finding", "variables_json", "error_code", "error_message")
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
    evaluation_id: str
    report_id: str
    finding: Evaluated.Finding
    variables_json: bytes
    error_code: str
    error_message: str
    def __init__(self, evaluation_id: _Optional[str] = ..., report_id: _Optional[str] = ..., finding: _Optional[_Union[Evaluated.Finding, str]] = ..., variables_json: _Optional[bytes] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ...) -> None: ...

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
