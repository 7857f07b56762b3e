"""`python -m tests.support.counts`: the tests of all parts of `make test`, per back end, and why some were skipped."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from tests.conftest import describe


def main() -> None:
    """Prints the sums."""
    path = Path(os.environ.get("HEADRACE_TEST_COUNTS", ".make/test-counts.json"))
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        part = json.loads(line)
        counts.update(part["counts"])
        reasons.update(part["skipped"])
    print(f"tests per back end, all parts: {describe(counts)}")
    for reason, count in reasons.most_common():
        print(f"  {count} skipped: {reason}")


if __name__ == "__main__":
    main()
