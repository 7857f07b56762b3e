"""Bodies of the triggers' REST interface as OpenAPI schemas; see `components`."""

from __future__ import annotations

from controlplane.openapi.components import ANY_OBJECT, BIG, FLAG, TEXT, WHEN, WHOLE, Schema, listed, paged, record, ref

_KEY: dict[str, Schema] = {"namespace": TEXT, "flowId": TEXT, "triggerId": TEXT}

TRIGGER_SCHEMAS: dict[str, Schema] = {
    "TriggerKey": record(_KEY),
    "TriggerKeys": listed(ref("TriggerKey")),
    "TriggerSwitch": record({**_KEY, "disabled": FLAG}, {"recoverMissedSchedules": TEXT}),
    "TriggerSwitches": record({"triggers": ref("TriggerKeys"), "disabled": FLAG}, {"recoverMissedSchedules": TEXT}),
    "BulkAnswer": record({"operationId": TEXT, "totalItems": WHOLE, "count": BIG}),
    "Backfill": record(
        {"start": WHEN, "end": WHEN, "currentDate": WHEN, "paused": FLAG},
        {"inputs": ANY_OBJECT, "labels": listed(ref("Label")), "previousNextExecutionDate": WHEN},
    ),
    "BackfillWanted": record(
        {
            **_KEY,
            "backfill": record({"start": WHEN}, {"end": WHEN, "inputs": ANY_OBJECT, "labels": {}, "paused": FLAG}),
        }
    ),
    "TriggerReason": record({"code": TEXT, "message": TEXT}, extra=True),
    "TriggerState": record(
        {
            "tenantId": TEXT,
            **_KEY,
            "kind": TEXT,
            "type": TEXT,
            "flowRevision": WHOLE,
            "updatedAt": WHEN,
            "disabled": FLAG,
            "locked": FLAG,
        },
        {
            "evaluatedAt": WHEN,
            "date": WHEN,
            "nextEvaluationDate": WHEN,
            "nextExecutionDate": WHEN,
            "lastTriggeredDate": WHEN,
            "executionId": TEXT,
            "workerId": TEXT,
            "evaluateRunningDate": WHEN,
            "backfill": ref("Backfill"),
            "stopAfter": listed(TEXT),
            "explain": listed(ref("TriggerReason")),
        },
        extra=True,
    ),
    "TriggerStatePage": paged(ref("TriggerState")),
    "TriggerEntry": record({"trigger": ANY_OBJECT, "state": ref("TriggerState")}, extra=True),
    "TriggerPage": paged(ref("TriggerEntry")),
}
