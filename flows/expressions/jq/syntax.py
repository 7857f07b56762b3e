"""The jq language as a tree: what a program is made of. Made by `parser`, run by `evaluator`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """`.`"""


@dataclass(frozen=True, slots=True)
class Descend:
    """`..`"""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, text without interpolation, true, false or null."""

    value: object


@dataclass(frozen=True, slots=True)
class Text:
    """`"a\\(expr)b"`, or `@base64 "…"`: pieces are texts and expressions; `style` names the format of the expressions."""

    pieces: tuple[str | Node, ...]
    style: str | None


@dataclass(frozen=True, slots=True)
class Format:
    """`@base64` on its own."""

    style: str


@dataclass(frozen=True, slots=True)
class Index:
    """`target.name`, `target[key]`."""

    target: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Slice:
    """`target[from:to]`."""

    target: Node
    start: Node | None
    end: Node | None


@dataclass(frozen=True, slots=True)
class Each:
    """`target[]`."""

    target: Node


@dataclass(frozen=True, slots=True)
class Attempt:
    """`body?` and `try body catch handler`."""

    body: Node
    handler: Node | None


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """`left | right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comma:
    """`left, right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic and comparison."""

    symbol: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic:
    """`and`, `or`, `//`."""

    symbol: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Update:
    """`path = value`, `path |= f`, `path += value`, …"""

    symbol: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Negate:
    """`-body`."""

    body: Node


@dataclass(frozen=True, slots=True)
class List:
    """`[body]`."""

    body: Node | None


@dataclass(frozen=True, slots=True)
class Map:
    """`{key: value, …}`."""

    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class If:
    """`if … then … elif … else … end`."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class Bind:
    """`source as $x | body`, with alternatives `?//`."""

    source: Node
    patterns: tuple[PatternNode, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Reduce:
    """`reduce source as $x (start; step)`."""

    source: Node
    pattern: PatternNode
    start: Node
    step: Node


@dataclass(frozen=True, slots=True)
class Foreach:
    """`foreach source as $x (start; step; extract)`."""

    source: Node
    pattern: PatternNode
    start: Node
    step: Node
    extract: Node | None


@dataclass(frozen=True, slots=True)
class Label:
    """`label $name | body`."""

    name: str
    body: Node


@dataclass(frozen=True, slots=True)
class Break:
    """`break $name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Definition:
    """`def name(parameters): body;`. Parameters with `$` are values."""

    name: str
    parameters: tuple[str, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Define:
    """A definition and what may use it."""

    definition: Definition
    body: Node


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class VariablePattern:
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class ListPattern:
    """`[pattern, …]`."""

    items: tuple[PatternNode, ...]


@dataclass(frozen=True, slots=True)
class MapPattern:
    """`{key: pattern, $name, $name: pattern}`: key expression, the variable it also binds, and the pattern of the value."""

    entries: tuple[tuple[Node, str | None, PatternNode | None], ...]


Node = (
    Identity
    | Descend
    | Constant
    | Text
    | Format
    | Index
    | Slice
    | Each
    | Attempt
    | Variable
    | Pipe
    | Comma
    | Binary
    | Logic
    | Update
    | Negate
    | List
    | Map
    | If
    | Bind
    | Reduce
    | Foreach
    | Label
    | Break
    | Define
    | Call
)

PatternNode = VariablePattern | ListPattern | MapPattern
