"""Waits for a task to import dlt and then watches its pipelines. Costs one comparison per import until then.

Runs in the task's interpreter: standard library only, Python 3.8 or later, and no error of ours may reach the task.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_WATCHED = "dlt.pipeline.pipeline"
_PACKAGE = "_headrace_dlt"


class _Finder:
    """Sees the import of dlt's pipeline module, lets the ordinary finders load it, then calls `_watch`."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _WATCHED:
            return None
        sys.meta_path.remove(self)
        import importlib.util

        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _watch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _watch(module: Any) -> None:
    try:
        import importlib
        import types

        # The insight lives beside the declarative task. It is loaded under a name of its own, by place, so that the
        # task's environment needs neither this project nor its dependencies.
        here = os.path.dirname(os.path.abspath(__file__))
        package = types.ModuleType(_PACKAGE)
        package.__path__ = [os.path.join(os.path.dirname(os.path.dirname(here)), "tasks", "dlt")]
        sys.modules.setdefault(_PACKAGE, package)
        importlib.import_module(_PACKAGE + ".watch").watch(module.Pipeline, os.environ["HEADRACE_DLT_REPORTS"])
    except Exception:
        if os.environ.get("HEADRACE_DEBUG_HOOKS"):
            raise


if os.environ.get("HEADRACE_DLT_REPORTS"):
    sys.meta_path.insert(0, _Finder())
