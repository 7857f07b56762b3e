"""The bodies of our REST interface as OpenAPI schemas, written once and referred to by name.

Views answer plain JSON built from rows, without serializers; these are its descriptions. A test compares them with real answers.
"""

from __future__ import annotations

from typing import Any

from flows.machine.states import State

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHEN: Schema = {"type": "string", "format": "date-time"}
SPAN: Schema = {"type": "string", "format": "duration", "description": "ISO 8601, e.g. PT1.5S"}
WHOLE: Schema = {"type": "integer"}
BIG: Schema = {"type": "integer", "format": "int64"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}


def ref(name: str) -> Schema:
    """A reference to a schema of this page."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Schema) -> Schema:
    """A list of."""
    return {"type": "array", "items": items}


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None, *, extra: bool = False) -> Schema:
    """An object with these properties. What is null is left out of answers, so optional means may be absent."""
    schema: Schema = {"type": "object", "properties": {**required, **(optional or {})}}
    if required:
        schema["required"] = list(required)
    if extra:
        schema["additionalProperties"] = True
    return schema


def paged(items: Schema) -> Schema:
    """One page of a search."""
    return record({"results": listed(items), "total": BIG})


LOG_LEVELS = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]

KEY_KINDS = ["STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON"]

SCHEMAS: dict[str, Schema] = {
    "KeyValue": record({"type": {"type": "string", "enum": KEY_KINDS}, "value": {}, "revision": WHOLE, "updated": WHEN}),
    "KeyEntry": record(
        {"namespace": TEXT, "key": TEXT, "revision": WHOLE, "creationDate": WHEN, "updateDate": WHEN},
        {"description": TEXT, "expirationDate": WHEN},
    ),
    "KeyNames": record({"keys": listed(TEXT)}),
    "PagedKeyEntries": paged(ref("KeyEntry")),
    "StateName": {"type": "string", "enum": [state.value for state in State]},
    "Level": {"type": "string", "enum": LOG_LEVELS},
    "Label": record({"key": TEXT, "value": TEXT}),
    "StateChange": record({"state": ref("StateName"), "date": WHEN}),
    "State": record(
        {"current": ref("StateName"), "histories": listed(ref("StateChange")), "startDate": WHEN},
        {"endDate": WHEN, "duration": SPAN},
    ),
    "Failure": record({"message": TEXT}, {"code": TEXT}),
    "TaskRunAttempt": record({"state": ref("State")}, {"workerId": TEXT, "logLines": WHOLE, "error": ref("Failure")}),
    "TaskRun": record(
        {
            "id": TEXT,
            "executionId": TEXT,
            "namespace": TEXT,
            "flowId": TEXT,
            "taskId": TEXT,
            "state": ref("State"),
            "attempts": listed(ref("TaskRunAttempt")),
        },
        {
            "parentTaskRunId": TEXT,
            "value": TEXT,
            "iteration": WHOLE,
            "outputs": ANY_OBJECT,
            "progress": ref("Progress"),
            "dynamic": FLAG,
        },
    ),
    "Progress": record(
        {},
        {"step": TEXT, "message": TEXT, "done": NUMBER, "total": NUMBER, "detail": {}},
        extra=True,
    ),
    "ExecutionTrigger": record({"id": TEXT, "type": TEXT}, {"variables": ANY_OBJECT}, extra=True),
    "ExecutionCause": record({"kind": TEXT}, {"executionId": TEXT, "taskRunId": TEXT, "by": TEXT}, extra=True),
    "ExecutionMetadata": record({"attemptNumber": WHOLE, "originalCreatedDate": WHEN}),
    "ExecutionSummary": record(
        {
            "id": TEXT,
            "tenantId": TEXT,
            "namespace": TEXT,
            "flowId": TEXT,
            "flowRevision": WHOLE,
            "labels": listed(ref("Label")),
            "state": ref("State"),
            "originalId": TEXT,
            "deleted": FLAG,
            "metadata": ref("ExecutionMetadata"),
        },
        {
            "inputs": ANY_OBJECT,
            "outputs": ANY_OBJECT,
            "parentId": TEXT,
            "trigger": ref("ExecutionTrigger"),
            "kind": TEXT,
            "scheduleDate": WHEN,
            "breakpoints": listed(TEXT),
            "loopRun": ANY_OBJECT,
            "cause": ref("ExecutionCause"),
            "error": ref("Failure"),
            "taskRunCount": WHOLE,
        },
    ),
    "Execution": {
        "allOf": [
            ref("ExecutionSummary"),
            record(
                {"taskRunList": listed(ref("TaskRun"))},
                {"variables": ANY_OBJECT, "url": TEXT, "checks": listed(ref("FailedCheck"))},
            ),
        ]
    },
    "FailedCheck": record({"message": TEXT, "style": TEXT, "behavior": TEXT}),
    "ValidatedInputs": record(
        {"id": TEXT, "namespace": TEXT, "inputs": listed(ref("ValidatedInput")), "checks": listed(ref("FailedCheck"))}
    ),
    "ValidatedInput": record(
        {"input": ANY_OBJECT, "enabled": FLAG, "isDefault": FLAG, "errors": listed(record({"message": TEXT}))}, {"value": {}}
    ),
    "TaskRunStateRequest": record({"taskRunId": TEXT, "state": ref("StateName")}),
    "EvaluationResult": record({}, {"result": TEXT, "error": TEXT}),
    "BulkReceipt": record({"operationId": TEXT, "totalItems": WHOLE, "count": WHOLE}),
    "BulkCount": record({"count": WHOLE}),
    "BulkLabelsRequest": record({"executionsId": listed(TEXT), "executionLabels": listed(ref("Label"))}),
    "Explanation": record(
        {
            "executionId": TEXT,
            "state": ref("StateName"),
            "cause": ref("ExecutionCause"),
            "reasons": listed(ref("Reason")),
            "leftOff": WHOLE,
        }
    ),
    "Reason": record(
        {"code": TEXT, "message": TEXT, "state": ref("StateName"), "unblockedBy": listed(TEXT)},
        {
            "taskRunId": TEXT,
            "taskId": TEXT,
            "value": TEXT,
            "waitsFor": ANY_OBJECT,
            "heldBy": ANY_OBJECT,
            "until": WHEN,
            "timeoutAt": WHEN,
            "attempt": WHOLE,
            "attemptsMax": WHOLE,
            "sla": TEXT,
        },
    ),
    "ExecutionPage": paged(ref("ExecutionSummary")),
    "LogEntry": record(
        {"namespace": TEXT, "flowId": TEXT, "timestamp": WHEN, "level": ref("Level"), "message": TEXT},
        {
            "taskId": TEXT,
            "executionId": TEXT,
            "taskRunId": TEXT,
            "attemptNumber": WHOLE,
            "seq": BIG,
            "thread": TEXT,
            "deleted": FLAG,
        },
    ),
    "LogPage": record(
        {"results": listed(ref("LogEntry")), "total": BIG, "type": {"type": "string", "enum": ["OFFSET", "CURSOR"]}},
        {"nextCursor": TEXT},
    ),
    "MetricEntry": record(
        {"namespace": TEXT, "flowId": TEXT, "name": TEXT, "type": TEXT, "value": NUMBER, "timestamp": WHEN},
        {"executionId": TEXT, "taskId": TEXT, "taskRunId": TEXT, "tags": {"type": "object", "additionalProperties": TEXT}},
    ),
    "MetricPage": paged(ref("MetricEntry")),
    "TaskOutputInformation": record(
        {"executionId": TEXT, "taskId": TEXT, "taskRunId": TEXT}, {"value": TEXT, "iteration": WHOLE, "size": BIG}
    ),
    "FileMetas": record({"size": BIG}),
    "FilePreview": record({"extension": TEXT, "type": TEXT, "content": {}, "truncated": FLAG}),
    "FlowTask": record({"id": TEXT, "type": TEXT}, extra=True),
    "Flow": record(
        {
            "id": TEXT,
            "namespace": TEXT,
            "revision": WHOLE,
            "disabled": FLAG,
            "deleted": FLAG,
            "draft": FLAG,
            "labels": listed(ref("Label")),
            "tasks": listed(ref("FlowTask")),
        },
        {
            "description": TEXT,
            "source": TEXT,
            "updated": WHEN,
            "inputs": listed(record({"id": TEXT, "type": TEXT}, extra=True)),
            "outputs": listed(record({"id": TEXT}, extra=True)),
            "variables": ANY_OBJECT,
            "errors": listed(ref("FlowTask")),
            "finally": listed(ref("FlowTask")),
            "triggers": listed(ref("FlowTask")),
        },
        extra=True,
    ),
    "FlowPage": paged(ref("Flow")),
    "Problem": record(
        {"code": TEXT, "message": TEXT, "severity": {"type": "string", "enum": ["error", "warning"]}},
        {"path": TEXT, "line": WHOLE, "column": WHOLE, "hint": TEXT},
    ),
    "FlowValidation": record(
        {
            "index": WHOLE,
            "outdated": FLAG,
            "deprecationPaths": listed(TEXT),
            "warnings": listed(TEXT),
            "infos": listed(TEXT),
            "problems": listed(ref("Problem")),
        },
        {"flow": TEXT, "namespace": TEXT, "constraints": TEXT},
    ),
    "FileAttributes": record(
        {
            "fileName": TEXT,
            "type": {"type": "string", "enum": ["File", "Directory"]},
            "size": BIG,
            "lastModifiedTime": BIG,
            "creationTime": BIG,
        }
    ),
    "FileRevision": record({"revision": WHOLE, "date": WHEN, "size": BIG, "deleted": FLAG}),
    "TenantSummary": record({"id": TEXT, "name": TEXT}),
    "Profile": record({"username": TEXT}, {"email": TEXT, "firstName": TEXT, "lastName": TEXT}),
    "Me": record(
        {
            "id": TEXT,
            "superAdmin": FLAG,
            "instanceOwner": FLAG,
            "restricted": FLAG,
            "profile": ref("Profile"),
            "tenants": listed(ref("TenantSummary")),
            "auths": listed(ANY_OBJECT),
            "ownedGroups": listed(ANY_OBJECT),
        }
    ),
    "User": record(
        {
            "id": TEXT,
            "username": TEXT,
            "email": TEXT,
            "displayName": TEXT,
            "firstName": TEXT,
            "lastName": TEXT,
            "superAdmin": FLAG,
            "instanceOwner": FLAG,
            "restricted": FLAG,
            "tenants": listed(ref("TenantSummary")),
            "groups": listed(ANY_OBJECT),
            "auths": listed(ANY_OBJECT),
        }
    ),
    "Credentials": record({"username": TEXT, "password": TEXT}),
    "SetupState": record({"done": FLAG}, {"repositoryType": TEXT, "queueType": TEXT, "storageType": TEXT, "secretType": TEXT}),
    "SetupData": record({"username": TEXT, "password": TEXT}, {"tenant": ref("TenantSummary")}),
    "ApiToken": record(
        {"id": TEXT, "name": TEXT, "description": TEXT, "prefix": TEXT, "iat": WHEN, "extended": FLAG, "expired": FLAG},
        {"exp": WHEN, "lastUsed": WHEN},
    ),
    "ApiTokenList": record({"results": listed(ref("ApiToken"))}),
    "NewApiToken": record({"name": TEXT}, {"description": TEXT, "maxAge": SPAN, "extended": FLAG}),
    "CreatedApiToken": {"allOf": [ref("ApiToken"), record({"fullToken": TEXT})]},
    "Configuration": record(
        {"version": TEXT, "uuid": TEXT, "systemNamespace": TEXT, "hiddenLabelsPrefixes": listed(TEXT), "tenants": ANY_OBJECT},
        extra=True,
    ),
    "Fault": record(
        {
            "type": TEXT,
            "title": TEXT,
            "status": WHOLE,
            "detail": TEXT,
            "instance": TEXT,
            "message": TEXT,
            "code": TEXT,
            "requestId": TEXT,
        },
        {
            "errors": listed(record({"message": TEXT}, {"path": TEXT, "code": TEXT, "line": WHOLE, "column": WHOLE})),
            "_links": ANY_OBJECT,
            "_embedded": ANY_OBJECT,
        },
    ),
}
