"""`python -m tests.bench.expressions [--count 1000000] [--seed 1]`: a million hostile expressions, and what the worst one took.

Prints one JSON line; the exit status is 1 when one of them escaped or exceeded its budget. The same seed gives the same
expressions.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from tests.support.hostile_expressions import ESCAPES, Escaped, Generator, attack, functions, variables


def main() -> int:
    """Runs the payloads and the generated expressions."""
    parser = argparse.ArgumentParser(description="hostile expressions against the template language")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    generator, context, host = Generator(given.seed), variables(), functions()
    before = repr(context)
    codes: Counter[str] = Counter()
    escaped: list[str] = []
    slowest, largest = (0.0, ""), (0, "")
    start = time.perf_counter()
    for index in range(len(ESCAPES) + given.count):
        source = ESCAPES[index] if index < len(ESCAPES) else generator.template()
        try:
            outcome = attack(source, context, host)
        except Escaped as error:
            escaped.append(str(error)[:300])
            continue
        codes[outcome.code or "rendered"] += 1
        slowest = max(slowest, (outcome.seconds, source[:200]))
        largest = max(largest, (outcome.growth, source[:200]))
        if index % 100_000 == 0:
            print(f"{index} after {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - start
    if repr(context) != before:
        escaped.append("a template changed the data it was given")
    line = {
        "bench": "hostile_expressions",
        "count": len(ESCAPES) + given.count,
        "seed": given.seed,
        "escaped": len(escaped),
        "rate_per_second": round((len(ESCAPES) + given.count) / seconds),
        "seconds": round(seconds, 1),
        "worst_ms": round(1000 * slowest[0], 1),
        "worst_source": slowest[1],
        "worst_growth_mb": round(largest[0] / 1e6, 1),
        "worst_growth_source": largest[1],
        "outcomes": dict(codes.most_common()),
    }
    print(json.dumps(line, ensure_ascii=False), flush=True)
    for one in escaped[:20]:
        print(one, file=sys.stderr)
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
