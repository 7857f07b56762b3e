"""Settings of the control plane, all from the environment.

| variable | meaning | default |
|---|---|---|
| HEADRACE_DATA | folder for database, files, keys | `.headrace` |
| HEADRACE_DATABASE | `sqlite:///path` or `postgresql://…` | `<data>/headrace.db` |
| HEADRACE_SECRET_KEY | signs login cookies | kept in `<data>/secret.key` |
| HEADRACE_ENCRYPTION_KEY | encrypts SECRET inputs in executions; the same in every replica | kept in `<data>/encryption.key` |
| HEADRACE_URL | public address of console and API, used in links | the address of the request |
| HEADRACE_BASIC_AUTH | `false` refuses `Authorization: Basic` | `true` |
| HEADRACE_REDIS | broker for several replicas | none |
| HEADRACE_ALLOWED_HOSTS | host names answered to, comma separated | all |
"""

from __future__ import annotations

import os
from pathlib import Path

from controlplane.settings.databases import database_from_url
from controlplane.settings.keys import encryption_key, secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
HEADRACE_DATA = Path(os.environ.get("HEADRACE_DATA", ".headrace")).absolute()
HEADRACE_URL = os.environ.get("HEADRACE_URL", "").rstrip("/")
HEADRACE_BASIC_AUTH = os.environ.get("HEADRACE_BASIC_AUTH", "true").lower() != "false"
HEADRACE_REDIS = os.environ.get("HEADRACE_REDIS", "")

SECRET_KEY = secret_key(HEADRACE_DATA if "HEADRACE_DATA" in os.environ else None)
HEADRACE_ENCRYPTION_KEY = encryption_key(HEADRACE_DATA if "HEADRACE_DATA" in os.environ else None)
DEBUG = False
ALLOWED_HOSTS = [host for host in os.environ.get("HEADRACE_ALLOWED_HOSTS", "*").split(",") if host]

INSTALLED_APPS = [
    "rest_framework",
    "drf_spectacular",
    "controlplane.accounts",
    "controlplane.tenants",
    "controlplane.catalog",
    "controlplane.executions",
    "controlplane.files",
    "controlplane.fleet",
    "controlplane.kv",
    "controlplane.logs",
    "controlplane.triggers",
]
MIDDLEWARE = ["controlplane.platform.middleware.RequestMiddleware"]
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]

ROOT_URLCONF = "controlplane.urls"
WSGI_APPLICATION = "controlplane.wsgi.application"
APPEND_SLASH = False
DATABASES = {"default": database_from_url(os.environ.get("HEADRACE_DATABASE", ""), HEADRACE_DATA)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

# Bodies: uploads are streamed to disk above 2.5 MB, everything else may be large but not without bound.
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
DATA_UPLOAD_MAX_NUMBER_FILES = 500

CONSOLE_ROOT = BASE_DIR / "console" / "static"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["controlplane.accounts.drf.ActorAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["controlplane.accounts.drf.SignedIn"],
    "DEFAULT_PARSER_CLASSES": ["controlplane.platform.parsers.AnyParser"],
    "DEFAULT_RENDERER_CLASSES": ["controlplane.platform.rendering.JsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "controlplane.platform.rendering.NeverRefuse",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "controlplane.platform.errors.answer_exception",
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Headrace API",
    "DESCRIPTION": "REST interface of the control plane. Path parameter `tenant` names the tenant, `main` by default.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "PREPROCESSING_HOOKS": ["controlplane.openapi.only_canonical"],
    "POSTPROCESSING_HOOKS": ["controlplane.openapi.add_components"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": os.environ.get("HEADRACE_LOG_LEVEL", "INFO"), "propagate": True}
        for name in ("headrace", "controlplane")
    }
    | {
        "django.request": {"handlers": [], "level": "CRITICAL", "propagate": False},
    },
}
