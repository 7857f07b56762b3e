"""What clients ask about the installation itself."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from controlplane.accounts.actions import is_set_up
from controlplane.accounts.views import InstanceView
from controlplane.openapi.describe import answer
from controlplane.platform.rendering import json_response
from controlplane.version import COMPATIBLE_VERSION, VERSION


class ConfigurationView(InstanceView):
    """Needs a caller: editors probe it to learn whether their credentials work."""

    @extend_schema(operation_id="getConfiguration", tags=["Instance"], responses=answer("Configuration"))
    def get(self, request: Request) -> HttpResponse:
        """Features and limits as clients of this interface expect them."""
        return json_response(
            {
                "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, settings.SECRET_KEY)),
                "version": COMPATIBLE_VERSION,
                "headraceVersion": VERSION,
                "isCustomDashboardsEnabled": False,
                "isTaskRunEnabled": False,
                "isAnonymousUsageEnabled": False,
                "isUiAnonymousUsageEnabled": False,
                "isTemplateEnabled": False,
                "isBasicAuthInitialized": is_set_up(),
                "isAiEnabled": False,
                "environment": {},
                "url": settings.HEADRACE_URL,
                "preview": {"initial": 100, "max": 5000},
                "systemNamespace": "system",
                "hiddenLabelsPrefixes": ["system."],
                "tenants": {"enabled": True, "storageByTenant": False, "secretByTenant": False, "defaultTenant": True},
                "secretsEnabled": True,
                "supportedStorages": [],
                "supportedSecrets": [],
                "pluginManagementEnabled": False,
                "pluginCustomEnabled": False,
                "mailServiceEnabled": False,
                "outputsInInternalStorageEnabled": False,
            }
        )
