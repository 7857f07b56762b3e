"""The functions that hosts supply: what they are called and which arguments they take.

They need I/O, a clock or chance, so they come in through `Scope(functions=…)` (`ambient` makes those that need only a clock
and chance). Their names, arguments and meaning are known here, so that a flow can be checked and completed without a host,
and a call with wrong arguments is refused the same way everywhere.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """A function as templates see it. `parameters` in order; the first `required` of them must be given."""

    name: str
    parameters: tuple[str, ...]
    required: int
    meaning: str

    def complaint(self, positional: int, named: list[str]) -> str | None:
        """What is wrong with a call with so many unnamed and these named arguments; None = nothing."""
        if positional > len(self.parameters):
            return f"takes at most {len(self.parameters)} arguments, found {positional}"
        for index, name in enumerate(named):
            if name not in self.parameters:
                near = difflib.get_close_matches(name, self.parameters, n=1)
                hint = f"; did you mean `{near[0]}`?" if near else f"; its arguments are {', '.join(self.parameters) or 'none'}"
                return f"has no argument `{name}`{hint}"
            if self.parameters.index(name) < positional or name in named[:index]:
                return f"was given `{name}` twice"
        missing = [name for name in self.parameters[positional : self.required] if name not in named]
        return f"needs the argument `{missing[0]}`" if missing else None


def _signatures(*rows: tuple[str, str, int, str]) -> dict[str, Signature]:
    return {name: Signature(name, tuple(parameters.split()), required, meaning) for name, parameters, required, meaning in rows}


AMBIENT = _signatures(
    ("now", "format timeZone existingFormat locale", 0, "The present moment as text."),
    ("uuid", "", 0, "A random UUID."),
    ("id", "", 0, "A short random id."),
    ("ksuid", "", 0, "A random id that sorts by the time of its making."),
    ("nanoId", "length alphabet", 0, "A random text of `length` characters (21) of an alphabet."),
    ("randomInt", "lower upper", 2, "A random integer, `lower` included, `upper` excluded."),
    ("randomPort", "", 0, "A random port number above those of well-known services."),
    ("encrypt", "key plaintext", 2, "The text encrypted with a base64 AES key (GCM), as base64."),
)
"""Made by `ambient.make_ambient`."""

HOST = _signatures(
    ("secret", "key namespace subkey", 1, "A secret of the namespace or its parents; masked in logs; raises when it is missing."),
    (
        "kv",
        "key namespace errorOnMissing",
        1,
        "A value of the key-value store; a missing one raises unless `errorOnMissing=false`.",
    ),
    ("credential", "key", 1, "The token of a managed credential."),
    ("read", "path namespace version", 1, "The content of a namespace file, or of a file of this execution."),
    ("fileURI", "path namespace version", 1, "The address of a namespace file."),
    ("fileSize", "path namespace version", 1, "The size of a file in bytes."),
    ("fileExists", "path namespace version", 1, "Whether there is such a file."),
    ("isFileEmpty", "path namespace version", 1, "Whether a file is empty."),
    ("fileEmpty", "path namespace version", 1, "Whether a file is empty."),
    ("errorLogs", "", 0, "The records of level ERROR of this execution."),
    ("http", "uri method query body contentType headers options accept", 1, "The parsed body of an HTTP response."),
    ("appLink", "appId baseUrl", 0, "The address of an app."),
)
"""Made by the worker or the control plane."""

OUTSIDE: dict[str, Signature] = {**AMBIENT, **HOST}
"""All of them, by name. A scope may offer others still; those are checked by their own Python signature."""
