"""The language: what a flow is and what happens next. Pure: no I/O, no clock, no randomness, no Django, no gRPC."""
