"""Every ceiling of the language, with its unit and the reason beside it."""

from __future__ import annotations

SOURCE_BYTES_MAX = 2_000_000
"""Bytes of one flow source. The largest published flows are below 200 kB."""

SOURCE_PROBLEMS_MAX = 100
"""Problems reported for one source. A person mends the first ones; a text with thousands of faults is an attack."""

YAML_DEPTH_MAX = 64
"""Nesting of mappings and lists. Deeper documents are attacks or mistakes."""

YAML_NODES_MAX = 100_000
"""Nodes (mappings, lists, scalars) after aliases are followed: an alias counts what it stands for."""

YAML_ALIASES_MAX = 200
"""Aliases in one document."""

EXPRESSION_TOKENS_MAX = 20_000
"""Tokens of one template, texts between expressions included: bounds the time of reading it."""

EXPRESSION_STEPS_MAX = 200_000
"""Evaluated nodes in one rendering, loops included."""

EXPRESSION_DEPTH_MAX = 100
"""Nesting of evaluation, macros and render() included."""

EXPRESSION_OUTPUT_BYTES_MAX = 8_000_000
"""Bytes one rendering may produce, intermediate texts included."""

RETRY_ATTEMPTS_LOST_MAX = 3
"""Losses by the infrastructure (worker gone) that one task run survives; then `attempt.lost_too_often`."""

LOOP_VALUES_MAX = 200_000
"""Values of one ForEach."""
