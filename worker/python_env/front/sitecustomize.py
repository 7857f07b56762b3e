"""Runs at the start of every Python a task starts, also in environments the task makes itself. Must never fail.

It adds the folder `behind` at the end of the path, installs the hooks and hands over to the `sitecustomize` it hides.
"""

import os
import sys


def _begin() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    behind = os.path.join(os.path.dirname(here), "behind")
    if behind not in sys.path:
        sys.path.append(behind)
    __import__("headrace_task_hooks")


def _hand_over() -> None:
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))
    others = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    _begin()
except Exception:  # the task matters more than what we see of it
    if os.environ.get("HEADRACE_DEBUG_HOOKS"):
        raise
_hand_over()
