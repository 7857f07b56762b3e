"""The command line: `headrace …`. Each command imports what it needs when it runs, so a worker installs without Django."""
