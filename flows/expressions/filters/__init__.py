"""The filters, by family. Importing a family registers it."""

from __future__ import annotations

from flows.expressions.filters import collections as collections
from flows.expressions.filters import conversions as conversions
from flows.expressions.filters import dates as dates
from flows.expressions.filters import numbers as numbers
from flows.expressions.filters import query as query
from flows.expressions.filters import text as text
