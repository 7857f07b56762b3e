"""Script tasks: text or commands for an interpreter, run by a task runner.

    script.py    what all of them share: files, environment, the one shell, outputs
    runners.py   which runner a task asks for, and whether this worker has it
    shell.py     io.kestra.plugin.scripts.shell.{Script,Commands}
    python.py    io.kestra.plugin.scripts.python.{Script,Commands}

Rules: project spec, tasks §8.
"""

from worker.tasks.scripts.python import PythonCommands, PythonScript
from worker.tasks.scripts.shell import ShellCommands, ShellScript

TASKS = (ShellScript, ShellCommands, PythonScript, PythonCommands)
