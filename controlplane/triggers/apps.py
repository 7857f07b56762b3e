"""What this app takes part in once Django is up: it consumes what executions tell."""

from __future__ import annotations

from django.apps import AppConfig


class TriggersConfig(AppConfig):
    """Registers the consumers of the engine's notices."""

    name = "controlplane.triggers"

    def ready(self) -> None:
        """States of executions go to Flow triggers, wishes of Toggle tasks to the switches."""
        from controlplane.engine import outbox
        from controlplane.triggers import flow_triggers, toggling

        outbox.consume(outbox.STATES, flow_triggers.on_notice, flow_triggers.wanted)
        outbox.consume(toggling.TOGGLE, toggling.on_notice)
