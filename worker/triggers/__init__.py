"""Polling and realtime triggers on a worker: what evaluates them, and what they see."""
