"""Where a script task's commands run. `process`: a process of this machine, in a group of its own."""
