"""The command line and the demonstration behind `make run`."""
