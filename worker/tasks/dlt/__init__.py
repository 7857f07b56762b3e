"""dlt, first class: a declarative task, and insight into what any dlt pipeline did.

pipeline.py    the task type: properties, and the order of sync, extract, normalise, check, load
sources.py     from the property `source` to something dlt can extract
destinations.py  from the property `destination` to a dlt destination
contract.py    evolve, alert, freeze: the schema before and after, compared before anything is loaded
failures.py    from dlt's chains of exceptions to one sentence a person can act on
report.py      the structure of the outputs
insight.py     from a pipeline to that structure
collector.py   live progress
warm.py        what a warm interpreter imports before it forks
watch.py       the same insight for scripts that use dlt (loaded into their interpreter)
"""

from worker.tasks.dlt.pipeline import Pipeline

TASKS = (Pipeline,)
PRELOAD = ("worker.tasks.dlt.warm",)

__all__ = ["PRELOAD", "TASKS", "Pipeline"]
