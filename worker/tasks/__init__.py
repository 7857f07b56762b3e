"""Task types that come with the worker: one module a family. Heavy libraries are imported inside `run`."""
