"""The demonstration behind `make run`: a local recording of chess games, its server, and the driver that shows a run."""
