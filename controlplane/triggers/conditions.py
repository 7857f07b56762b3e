"""Conditions and `when` of triggers that the control plane asks before a look or a start: polling, realtime, webhook."""
