"""`SECRET_*` variables: what resolves, and what start-up warns about."""

from __future__ import annotations

import base64

import pytest

from controlplane.vault.resolver import Environment, Scope, environment_warnings, resolve_secret, scopes


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


@pytest.mark.parametrize("value", ["plain", 'with "quotes" = and ü', "x" * 300, "line\nbreak", "a"])
def test_a_secret_comes_back_as_it_was(value: str) -> None:
    source = Environment({"SECRET_DESTINATION__SNOWFLAKE_PASSWORD": encoded(value)})
    assert resolve_secret("main", "a.b", "DESTINATION__SNOWFLAKE_PASSWORD", [source]) == value
    assert resolve_secret("main", "a.b", "destination__snowflake_password", [source]) == value
    assert resolve_secret("main", "a.b", "OTHER", [source]) is None


def test_wrapped_and_unpadded_text_still_decodes() -> None:
    whole = encoded("y" * 90)
    source = Environment({"SECRET_A": f"{whole[:76]}\n{whole[76:]}", "SECRET_B": encoded("ab").rstrip("=")})
    assert resolve_secret("main", "a", "A", [source]) == "y" * 90
    assert resolve_secret("main", "a", "B", [source]) == "ab"


def test_the_nearest_scope_wins() -> None:
    class Table:
        def __init__(self, rows: dict[tuple[str | None, str], str]) -> None:
            self.rows = rows

        def find(self, scope: Scope, name: str) -> str | None:
            return self.rows.get((scope.namespace, name))

    assert [scope.namespace for scope in scopes("main", "a.b.c")] == ["a.b.c", "a.b", "a", None]
    table = Table({("a", "X"): "parent", (None, "X"): "tenant", ("a.b", "Y"): "own"})
    environment = Environment({"SECRET_X": encoded("environment"), "SECRET_Z": encoded("last")})
    assert resolve_secret("main", "a.b", "X", [environment, table]) == "parent"
    assert resolve_secret("main", "q", "X", [table, environment]) == "tenant"
    assert resolve_secret("main", "a.b", "Y", [table, environment]) == "own"
    assert resolve_secret("main", "a.b", "Z", [table, environment]) == "last"


def test_start_up_names_broken_variables_and_the_cure_but_never_the_value() -> None:
    cut = encoded("z" * 90)[:76]
    warnings = environment_warnings(
        {"SECRET_CUT": cut, "SECRET_PLAIN": "not base64!", "SECRET_EMPTY": "", "SECRET_GOOD": encoded("fine"), "PATH": "/bin"}
    )
    text = "\n".join(warnings)
    assert len(warnings) == 3
    assert "SECRET_CUT has exactly 76 characters" in text
    assert "base64 -w0" in text
    assert "SECRET_PLAIN is not base64" in text
    assert "SECRET_EMPTY is empty" in text
    assert "SECRET_GOOD" not in text
    assert cut not in text
    assert "not base64!" not in text
