"""Promises of the worker, over real gRPC and real processes."""
