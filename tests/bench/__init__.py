"""Numbers, not assertions: what the platform does in real processes, driven over REST. `python -m tests.bench`."""
