"""Addresses of REST and console. Most literal first; no trailing slashes, no redirects.

Everything of a tenant is at `/api/v1/{tenant}/…`; older clients leave the tenant out and mean `main`.
"""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, include, path, re_path

from controlplane.accounts import api as accounts
from controlplane.accounts.shell import console_page, console_root
from controlplane.catalog import api as catalog
from controlplane.catalog import plugins
from controlplane.executions import api as executions
from controlplane.executions import bulk_api as bulk
from controlplane.executions import commands_api as commands
from controlplane.executions import results_api as results
from controlplane.files import api as files
from controlplane.kv import api as kv
from controlplane.logs import api as logs
from controlplane.openapi import api as openapi
from controlplane.streaming import StreamsLiveElsewhere
from controlplane.tenants import api as tenants
from controlplane.triggers import api as triggers
from controlplane.triggers import webhook_api as webhooks

Routes = list[URLPattern | URLResolver]

_FLOW = "<str:namespace>/<str:flow_id>"

_ONE = "executions/<str:execution_id>"
_COMMANDS: dict[str, Any] = {
    "pause": commands.PauseView,
    "resume": commands.ResumeView,
    "restart": commands.RestartView,
    "replay": commands.ReplayView,
    "state": commands.TaskRunStateView,
    "change-status": commands.ChangeStatusView,
    "force-run": commands.ForceRunView,
    "unqueue": commands.UnqueueView,
    "labels": commands.LabelsView,
    "resume-from-breakpoint": commands.ResumeFromBreakpointView,
}
_BULK: dict[str, Any] = {
    "kill": (bulk.KillByIdsView, bulk.KillByQueryView),
    "pause": (bulk.PauseByIdsView, bulk.PauseByQueryView),
    "resume": (bulk.ResumeByIdsView, bulk.ResumeByQueryView),
    "restart": (bulk.RestartByIdsView, bulk.RestartByQueryView),
    "replay": (bulk.ReplayByIdsView, bulk.ReplayByQueryView),
    "force-run": (bulk.ForceRunByIdsView, bulk.ForceRunByQueryView),
    "unqueue": (bulk.UnqueueByIdsView, bulk.UnqueueByQueryView),
    "change-status": (bulk.ChangeStatusByIdsView, bulk.ChangeStatusByQueryView),
    "labels": (bulk.LabelsByIdsView, bulk.LabelsByQueryView),
}
command_routes: Routes = [
    path("executions/by-ids", bulk.DeleteByIdsView.as_view()),
    path("executions/by-query", bulk.DeleteByQueryView.as_view()),
    *(path(f"executions/{name}/by-ids", views[0].as_view()) for name, views in _BULK.items()),
    *(path(f"executions/{name}/by-query", views[1].as_view()) for name, views in _BULK.items()),
    path(f"{_ONE}/actions/kill", commands.KillView.as_view()),
    path(f"{_ONE}/kill", commands.KillView.as_view(legacy=True)),
    path(f"{_ONE}/actions/replay-with-inputs", commands.ReplayWithInputsView.as_view()),
    path(f"{_ONE}/actions/resume/validate", commands.ResumeValidationView.as_view()),
    path(f"{_ONE}/actions/eval", commands.EvaluationView.as_view()),
    path(f"{_ONE}/actions/eval/<str:task_run_id>", commands.TaskRunEvaluationView.as_view()),
    path(f"{_ONE}/eval", commands.EvaluationView.as_view(legacy=True)),
    *(path(f"{_ONE}/actions/{name}", view.as_view()) for name, view in _COMMANDS.items()),
    *(path(f"{_ONE}/{name}", view.as_view(legacy=True)) for name, view in _COMMANDS.items()),
]
execution_routes: Routes = [
    path("executions", executions.ExecutionListView.as_view(legacy=True)),
    path("executions/search", executions.ExecutionSearchView.as_view()),
    path(f"executions/flows/{_FLOW}", executions.FlowForExecutionView.as_view()),
    path(f"executions/webhook/{_FLOW}/<str:key>", webhooks.WebhookView.as_view()),
    path(f"executions/webhook/{_FLOW}/<str:key>/<path:path>", webhooks.WebhookWithPathView.as_view()),
    *command_routes,
    path("executions/<str:execution_id>/follow", StreamsLiveElsewhere.as_view(operation="followExecution")),
    path("executions/<str:execution_id>/flow", executions.ExecutionFlowView.as_view()),
    path("executions/<str:execution_id>/file", results.ExecutionFileView.as_view()),
    path("executions/<str:execution_id>/file/metas", results.ExecutionFileMetasView.as_view()),
    path("executions/<str:execution_id>/file/preview", results.ExecutionFilePreviewView.as_view()),
    path("executions/<str:execution_id>", executions.ExecutionView.as_view()),
    path("executions/<str:execution_id>/explain", commands.ExplainView.as_view()),
    path(f"executions/{_FLOW}", executions.CreateExecutionView.as_view()),
    path(f"executions/{_FLOW}/validate", executions.InputValidationView.as_view()),
    path("outputs/executions/<str:execution_id>", results.OutputsView.as_view()),
    path("outputs/tasks/<str:execution_id>", results.TaskOutputsListView.as_view()),
    path("outputs/tasks/<str:execution_id>/<str:task_run_id>", results.TaskOutputsView.as_view()),
    path("outputs/<str:execution_id>", results.TaskOutputsListView.as_view(legacy=True)),
    path("outputs/<str:execution_id>/<str:task_run_id>", results.TaskOutputsView.as_view(legacy=True)),
    path("metrics/<str:execution_id>", results.MetricsView.as_view()),
]
flow_routes: Routes = [
    path("flows", catalog.FlowsView.as_view()),
    path("flows/search", catalog.FlowSearchView.as_view()),
    path("flows/distinct-namespaces", catalog.NamespaceNamesView.as_view()),
    path("flows/validate", catalog.FlowValidationView.as_view()),
    path("flows/bulk", catalog.FlowBulkView.as_view()),
    path("flows/<str:namespace>", catalog.NamespaceFlowsView.as_view()),
    path(f"flows/{_FLOW}", catalog.FlowView.as_view()),
    path(f"flows/{_FLOW}/revisions", catalog.FlowRevisionsView.as_view()),
    path(f"flows/{_FLOW}/tasks/<str:task_id>", catalog.FlowTaskView.as_view()),
]
log_routes: Routes = [
    path("logs/search", logs.LogSearchView.as_view()),
    path("logs/<str:execution_id>/download", logs.LogDownloadView.as_view()),
    path("logs/<str:execution_id>/follow", StreamsLiveElsewhere.as_view(operation="followLogs")),
    path("logs/<str:execution_id>", logs.ExecutionLogsView.as_view()),
]
namespace_routes: Routes = [
    path("namespaces/<str:namespace>/files", files.NamespaceFilesView.as_view()),
    path("namespaces/<str:namespace>/files/directory", files.NamespaceFolderView.as_view()),
    path("namespaces/<str:namespace>/files/stats", files.NamespaceFileStatsView.as_view()),
    path("namespaces/<str:namespace>/files/search", files.NamespaceFileSearchView.as_view()),
    path("namespaces/<str:namespace>/files/revisions", files.NamespaceFileRevisionsView.as_view()),
    path("namespaces/<str:namespace>/files/export", files.NamespaceFileExportView.as_view()),
    path("kv", kv.AllKeysView.as_view()),
    path("namespaces/<str:namespace>/kv", kv.NamespaceKeysView.as_view()),
    path("namespaces/<str:namespace>/kv/inheritance", kv.InheritedKeysView.as_view()),
    path("namespaces/<str:namespace>/kv/<str:key>", kv.KeyView.as_view()),
]
trigger_routes: Routes = [
    path("triggers", triggers.LegacyTriggerView.as_view()),
    path("triggers/search", triggers.TriggerSearchView.as_view()),
    path("triggers/export/by-query/csv", triggers.TriggerExportView.as_view()),
    path("triggers/set-disabled", triggers.SetDisabledView.as_view()),
    path("triggers/set-disabled/by-triggers", triggers.SetDisabledByIdsView.as_view()),
    path("triggers/set-disabled/by-query", triggers.SetDisabledByQueryView.as_view()),
    path("triggers/unlock/by-triggers", triggers.UnlockByIdsView.as_view()),
    path("triggers/unlock/by-query", triggers.UnlockByQueryView.as_view()),
    path("triggers/delete/by-triggers", triggers.DeleteByIdsView.as_view()),
    path("triggers/delete/by-query", triggers.DeleteByQueryView.as_view()),
    path("triggers/backfill/create", triggers.CreateBackfillView.as_view()),
    path("triggers/backfill/pause", triggers.PauseBackfillView.as_view()),
    path("triggers/backfill/pause/by-triggers", triggers.PauseByIdsView.as_view()),
    path("triggers/backfill/pause/by-query", triggers.PauseByQueryView.as_view()),
    path("triggers/backfill/unpause", triggers.UnpauseBackfillView.as_view()),
    path("triggers/backfill/unpause/by-triggers", triggers.UnpauseByIdsView.as_view()),
    path("triggers/backfill/unpause/by-query", triggers.UnpauseByQueryView.as_view()),
    path("triggers/backfill/delete", triggers.DeleteBackfillView.as_view()),
    path("triggers/backfill/delete/by-triggers", triggers.DeleteBackfillByIdsView.as_view()),
    path("triggers/backfill/delete/by-query", triggers.DeleteBackfillByQueryView.as_view()),
    path(f"triggers/{_FLOW}", triggers.FlowTriggersView.as_view()),
    path(f"triggers/{_FLOW}/<str:trigger_id>", triggers.TriggerView.as_view()),
    path(f"triggers/{_FLOW}/<str:trigger_id>/unlock", triggers.UnlockView.as_view()),
    path(f"triggers/{_FLOW}/<str:trigger_id>/restart", triggers.RestartView.as_view()),
]
instance_routes: Routes = [
    path("setup", accounts.SetupView.as_view()),
    path("login", accounts.LoginView.as_view()),
    path("logout", accounts.LogoutView.as_view()),
    path("me", accounts.MeView.as_view()),
    path("me/api-tokens", accounts.MyTokensView.as_view()),
    path("me/api-tokens/<str:token_id>", accounts.MyTokenView.as_view()),
    path("configs", tenants.ConfigurationView.as_view()),
    path("openapi.json", openapi.OpenApiView.as_view()),
    path("plugins/schemas/<str:kind>", plugins.SchemaView.as_view()),
    path("plugins/<str:cls>", plugins.PluginView.as_view()),
]
tenant_routes: Routes = [*execution_routes, *flow_routes, *log_routes, *namespace_routes, *trigger_routes]
_MAIN: dict[str, Any] = {"tenant": "main"}
# The look-ahead spares every other address a walk through all these routes.
_TENANTLESS = r"^api/v1/(?=(?:executions|flows|kv|logs|namespaces|outputs|metrics|triggers)(?:/|$))"

urlpatterns: Routes = [
    path("api/v1/", include(instance_routes)),
    re_path(_TENANTLESS, include(tenant_routes), _MAIN),
    path("api/v1/<str:tenant>/", include(tenant_routes)),
    path("login", accounts.LoginView.as_view(legacy=True)),
    path("logout", accounts.LogoutView.as_view(legacy=True)),
    path("ping", accounts.ping),
    path("", console_root),
    re_path(r"^ui(?:/(?P<rest>.*))?$", console_page),
]

handler400 = "controlplane.platform.middleware.bad_request"
handler404 = "controlplane.platform.middleware.not_found"
handler500 = "controlplane.platform.middleware.server_error"
