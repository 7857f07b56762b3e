"""YAML text → located nodes, bounded while it is read (guarantee T8).

PyYAML only supplies events. Nothing is built before its cost is known: an alias counts what it stands for, so a text of
three hundred bytes cannot stand for a million values. Tags, several documents, duplicate keys and keys that are no texts
are refused; anchors, aliases and merge keys (`<<`) are followed.

Plain scalars are read as Jackson reads them, the common ground of YAML 1.1 and 1.2: `true`, `false`, `null`, `~`, nothing,
integers and floats. `on`, `off`, `yes`, `no`, dates, `012` and `1:30` are texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from flows.limits import (
    SOURCE_BYTES_MAX,
    SOURCE_PROBLEMS_MAX,
    YAML_ALIASES_MAX,
    YAML_DEPTH_MAX,
    YAML_NODES_MAX,
)
from flows.spec.problems import Problem

_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})")
_FLOAT = re.compile(r"[-+]?(?=[0-9]*\.?[0-9])[0-9]{0,400}(?:\.[0-9]{0,400})?(?:[eE][-+]?[0-9]{1,5})?")
_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

TAB_REPAIRS_MAX = 20
"""How often a text is read again after a tab has been reported, so that the next fault is found too."""

TAB_REPAIR_BYTES_MAX = 200_000
"""Longest text that is read again."""


@dataclass(slots=True)
class ScalarNode:
    """A single value. `text` is what was written, `value` what it means; `block`: written with `|` or `>`."""

    line: int
    column: int
    text: str
    value: Any
    block: bool = False

    def plain(self) -> Any:
        """The value as data."""
        return self.value


@dataclass(slots=True)
class ListNode:
    """A list."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)

    def plain(self) -> Any:
        """The list as data."""
        return [item.plain() for item in self.items]


@dataclass(slots=True)
class Entry:
    """One entry of a map, with the place of its key. `implied`: it came from a plug-in default and was not written here."""

    line: int
    column: int
    value: Node
    implied: bool = False


@dataclass(slots=True)
class MapNode:
    """A map, in order of the source."""

    line: int
    column: int
    entries: dict[str, Entry] = field(default_factory=dict)

    def plain(self) -> Any:
        """The map as data."""
        return {key: entry.value.plain() for key, entry in self.entries.items()}

    def get(self, key: str) -> Node | None:
        """The value under a key, or None."""
        entry = self.entries.get(key)
        return entry.value if entry is not None else None


Node = ScalarNode | ListNode | MapNode


def located(value: Any, line: int, column: int) -> Node:
    """Plain data as nodes that all stand at one place: for what a source implies without writing it."""
    if isinstance(value, Mapping):
        entries = {str(key): Entry(line, column, located(one, line, column)) for key, one in value.items()}
        return MapNode(line, column, entries)
    if isinstance(value, (list, tuple)):
        return ListNode(line, column, [located(one, line, column) for one in value])
    if value is None or isinstance(value, bool):
        return ScalarNode(line, column, "" if value is None else str(value).lower(), value)
    return ScalarNode(line, column, str(value), value)


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: the root (None when nothing could be) and every problem met on the way."""

    root: Node | None
    problems: tuple[Problem, ...]


class _Stop(Exception):
    """Reading cannot go on; the problem is recorded."""


class _TabFound(Exception):
    """A tab stands where YAML allows none; reading may go on once it is replaced."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def read_source(source: str, *, allow_scalar: bool = False) -> Document:
    """Reads one YAML document. Never raises; the root is None when the text is no YAML or too costly.

    `allow_scalar`: a document that is a single value, or empty, is acceptable (texts inside templates and inputs).
    """
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        line, column = _place(source, error.start)
        return Document(None, (Problem("yaml.character", "The text holds half a character", line=line, column=column),))
    if size > SOURCE_BYTES_MAX:
        message = f"The source has {size} bytes; at most {SOURCE_BYTES_MAX} are accepted"
        return Document(None, (Problem("yaml.too_large", message, hint="move large texts into namespace files"),))
    tabs: list[Problem] = []
    for _ in range(TAB_REPAIRS_MAX):
        reader = _Reader(source, allow_scalar)
        try:
            root = reader.read()
        except _TabFound as tab:
            tabs.append(reader.problems.pop())
            if size > TAB_REPAIR_BYTES_MAX:
                return Document(None, (*reader.problems, *tabs))
            source = _without_tabs(source, tab.line)
            continue
        except _Stop:
            root = None
        return Document(root, (*tabs, *reader.problems))
    return Document(None, tuple(tabs))


def _without_tabs(source: str, line: int) -> str:
    lines = source.split("\n")
    lines[line - 1] = lines[line - 1].replace("\t", "  ")
    return "\n".join(lines)


def _place(source: str, index: int) -> tuple[int, int]:
    before = source[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


@dataclass(slots=True)
class _Anchored:
    """A finished node under an anchor, with what an alias to it costs."""

    node: Node
    nodes: int
    height: int


class _Reader:
    """One pass over the events of one text."""

    def __init__(self, source: str, allow_scalar: bool) -> None:
        self.source = source
        self.allow_scalar = allow_scalar
        self.problems: list[Problem] = []
        self.anchors: dict[str, _Anchored | None] = {}
        self.path: list[str | int] = []
        self.nodes = 0
        self.aliases = 0

    def read(self) -> Node | None:
        try:
            events: Iterator[Any] = yaml.parse(self.source, Loader=_LOADER)
            return self._document(events)
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.reader.ReaderError as error:
            line, column = _place(self.source, error.position if isinstance(error.position, int) else 0)
            self._stop("yaml.character", "A control character stands here; YAML allows none", line, column)
        return None

    def _document(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._problem("yaml.several_documents", "One document is expected; a second one starts here", event)
                    raise _Stop
            elif isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentEndEvent)):
                continue
            else:
                root, _, _ = self._node(event, events, 1)
        empty = root is None or (isinstance(root, ScalarNode) and root.value is None and not self.allow_scalar)
        if empty and not self.allow_scalar:
            self.problems.append(
                Problem(
                    "yaml.empty", "The document is empty", line=1, column=1, hint="a flow needs at least id, namespace and tasks"
                )
            )
            return None
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> tuple[Node, int, int]:
        """The node that starts with an event, the nodes it counts and its height."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count(1, depth, event)
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if event.tag is not None:
            self._problem("yaml.tag", f"The tag `{event.tag[:60]}` is not accepted; values have no tags here", event)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "")
            value = _typed(event.value) if plain else event.value
            node, count, height = ScalarNode(line, column, event.value, value, event.style in ("|", ">")), 1, 1
        elif isinstance(event, yaml.SequenceStartEvent):
            node, count, height = self._list(line, column, events, depth)
        else:
            node, count, height = self._map(line, column, events, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(node, count, height)
        return node, count, height

    def _alias(self, event: Any, depth: int) -> tuple[Node, int, int]:
        self.aliases += 1
        if self.aliases > YAML_ALIASES_MAX:
            self._fatal("yaml.too_many_aliases", f"A document has at most {YAML_ALIASES_MAX} aliases", event)
        if event.anchor not in self.anchors:
            self._problem("yaml.unknown_alias", f"The alias `*{event.anchor}` has no anchor `&{event.anchor}` before it", event)
        elif (anchored := self.anchors[event.anchor]) is None:
            self._problem("yaml.recursive_alias", f"The alias `*{event.anchor}` stands inside what it stands for", event)
        else:
            self._count(anchored.nodes, depth + anchored.height - 1, event)
            return anchored.node, anchored.nodes, anchored.height
        return ScalarNode(event.start_mark.line + 1, event.start_mark.column + 1, "", None), 1, 1

    def _list(self, line: int, column: int, events: Iterator[Any], depth: int) -> tuple[Node, int, int]:
        node = ListNode(line, column)
        count, height = 1, 1
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            self.path.append(len(node.items))
            item, nodes, below = self._node(event, events, depth + 1)
            self.path.pop()
            node.items.append(item)
            count += nodes
            height = max(height, below + 1)
        return node, count, height

    def _map(self, line: int, column: int, events: Iterator[Any], depth: int) -> tuple[Node, int, int]:
        node = MapNode(line, column)
        merged: list[MapNode] = []
        count, height = 1, 1
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key, nodes, below = self._node(event, events, depth + 1)
            name = key.text if isinstance(key, ScalarNode) else ""
            self.path.append(name)
            following = next(events)
            value, more, deeper = self._node(following, events, depth + 1)
            self.path.pop()
            count += nodes + more
            height = max(height, below + 1, deeper + 1)
            if not isinstance(key, ScalarNode):
                self._problem("yaml.key", "A key must be a text; a list or map stands here", event)
            elif name == "<<" and isinstance(event, yaml.ScalarEvent) and event.style in (None, ""):
                merged.extend(self._merge(value, following))
            elif name in node.entries:
                first = node.entries[name]
                self._problem(
                    "yaml.duplicate_key",
                    f"Duplicate key `{name[:100]}`; it stands already in line {first.line}",
                    event,
                    name,
                )
            else:
                node.entries[name] = Entry(event.start_mark.line + 1, event.start_mark.column + 1, value)
        for other in merged:
            for name, entry in other.entries.items():
                node.entries.setdefault(name, entry)
        return node, count, height

    def _merge(self, value: Node, event: Any) -> list[MapNode]:
        candidates = value.items if isinstance(value, ListNode) else [value]
        maps = [one for one in candidates if isinstance(one, MapNode)]
        if len(maps) != len(candidates):
            self._problem("yaml.merge", "`<<` takes a map, or a list of maps", event)
        return maps

    def _count(self, nodes: int, depth: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > YAML_NODES_MAX:
            self._fatal(
                "yaml.too_many_nodes", f"The document stands for more than {YAML_NODES_MAX} values, aliases followed", event
            )
        if depth > YAML_DEPTH_MAX:
            self._fatal("yaml.too_deep", f"Maps and lists nest at most {YAML_DEPTH_MAX} deep", event)

    def _problem(self, code: str, message: str, event: Any, *below: str | int) -> None:
        mark = event.start_mark
        where = path_text([*self.path, *below])
        self.problems.append(Problem(code, message, where, mark.line + 1, mark.column + 1))
        if len(self.problems) >= SOURCE_PROBLEMS_MAX:
            raise _Stop

    def _fatal(self, code: str, message: str, event: Any) -> None:
        self._problem(code, message, event)
        raise _Stop

    def _stop(self, code: str, message: str, line: int, column: int, hint: str | None = None) -> None:
        self.problems.append(Problem(code, message, path_text(self.path), line, column, hint))
        raise _Stop

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        lines = self.source.split("\n")
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        if text[column - 1 : column] == "\t" or (text[:column].strip() == "" and "\t" in text[:column]):
            column = text.index("\t") + 1 if "\t" in text[:column] else column
            self.problems.append(
                Problem(
                    "yaml.tab", "A tab stands here; YAML is indented with blanks", "", line, column, "replace the tab by blanks"
                )
            )
            raise _TabFound(line)
        problem = error.problem or "the text cannot be read"
        context = f" {error.context}" if error.context else ""
        self._stop("yaml.syntax", f"This is no valid YAML: {problem}{context}", line, column, _hint(problem, text))


def _hint(problem: str, text: str) -> str | None:
    if "mapping values are not allowed" in problem:
        return "check the indentation, or put a text that holds `: ` in quotes"
    if text.lstrip().startswith(("{{", "- {{")) or ": {{" in text:
        return "put a value that starts with `{{` in quotes"
    if "could not find expected ':'" in problem:
        return "a `:` with a blank after it is missing, or the indentation is wrong"
    return None


def _typed(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "-+.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not re.match(r"[-+]?[0-9]+$", text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


_PLAIN_KEY = re.compile(r"[A-Za-z_][\w-]*")


def path_text(parts: list[str | int]) -> str:
    """A place in a document as text: `tasks[0].env['a b']`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"['{part[:100]}']"
    return text
