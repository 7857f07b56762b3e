"""The flows of the corpus: good ones in both spellings, and pairs that must come out equal."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
VALID = sorted((FOLDER / "valid").glob("*.yml"))
OLD_TWINS = sorted((FOLDER / "twins").glob("*.1x.yml"))
NEW_TWINS = sorted((FOLDER / "twins").glob("*.20.yml"))
ALL = (*VALID, *OLD_TWINS, *NEW_TWINS)


def source(path: Path) -> str:
    """The text of a flow."""
    return path.read_text(encoding="utf-8")
