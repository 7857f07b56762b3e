"""Promises of the worker, without sockets or processes."""
