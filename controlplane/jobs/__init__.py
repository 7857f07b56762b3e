"""Periodic jobs, ticked by Celery beat: the net under everything that is normally woken.

Distributed, `celery -A controlplane.jobs.app worker -B` runs them on Redis in as many replicas as one likes: each job finds its
work with set-based queries and takes it under the execution's lock, so running twice is harmless. Embedded, beat is a thread and
its jobs run eagerly in it.
"""
