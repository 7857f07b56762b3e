"""The environment of every script task: a private Python in front, the worker's packages behind, insight into dlt.

    environment.py   lays the private environment out and says which variables the task needs
    commands.py      the `python`, `pip` and `uv` a task finds on its PATH
    reports.py       what the task's own use of dlt left behind: outputs, metrics, live progress
    front/           on PYTHONPATH of the task: our `sitecustomize`, chained to any other
    behind/          found after everything else: the package `kestra`, the hooks, the installers' front

`front` and `behind` run in the task's interpreter, which may be any Python 3.8 or later and need not have this project
installed: they import nothing of ours and nothing outside the standard library.
"""

from worker.python_env.environment import prepare
from worker.python_env.reports import latest_progress, metrics, reports

__all__ = ["latest_progress", "metrics", "prepare", "reports"]
