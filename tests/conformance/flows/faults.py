"""Faults people make, put into good flows: each kind changes the text of a flow at one place, chosen by a seed.

A kind gives the faulty text and says where it put the fault (the line, from 1), or None when the flow offers no place for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Fault:
    """A faulty flow: its text, and the line where the fault was put."""

    source: str
    line: int


Kind = Callable[[str, Random], Fault | None]


def _swap(name: str) -> str:
    """A name with two neighbouring letters exchanged, as typed in a hurry."""
    for index in range(1, len(name) - 1):
        if name[index] != name[index + 1]:
            return name[:index] + name[index + 1] + name[index] + name[index + 2 :]
    return name + name[-1]


def _replaced(source: str, match: re.Match[str], text: str, group: int | str = 0) -> Fault:
    start, end = match.span(group)
    return Fault(source[:start] + text + source[end:], source.count("\n", 0, start) + 1)


def _any(source: str, pattern: str, random: Random) -> re.Match[str] | None:
    found = [one for one in re.finditer(pattern, source, re.MULTILINE) if not _in_comment(source, one.start())]
    return random.choice(found) if found else None


def _in_comment(source: str, position: int) -> bool:
    begin = source.rfind("\n", 0, position) + 1
    return source.startswith("#", begin)


def _kind(pattern: str, change: Callable[[re.Match[str], Random], str], group: int | str = 1) -> Kind:
    def put(source: str, random: Random) -> Fault | None:
        match = _any(source, pattern, random)
        if match is None:
            return None
        fault = _replaced(source, match, change(match, random), group)
        return fault if fault.source != source else None

    return put


def _misspelt(match: re.Match[str], random: Random) -> str:
    return _swap(match.group(1))


def _always(text: str) -> Callable[[re.Match[str], Random], str]:
    return lambda match, random: text


_TASK_KEYS = (
    "message|format|values|condition|tasks|value|cases|then|concurrencyLimit|namespace|flowId|commands|duration"
    "|spec|cron|dependsOn"
)
_FLOW_KEYS = "inputs|tasks|outputs|triggers|labels|variables|errors|finally|concurrency|checks|sla|retry|namespace"


def duplicate_task_id(source: str, random: Random) -> Fault | None:
    """Two tasks of one id."""
    found = list(re.finditer(r"\bid: ([\w-]+), type: io\.kestra\.(?:plugin|core)\S+(?=[,}])", source))
    found = [one for one in found if ".condition" not in one.group() and ".trigger." not in one.group()]
    if len(found) < 2:
        return None
    first, second = sorted(random.sample(found, 2), key=lambda one: one.start())
    return _replaced(source, second, first.group(1), 1) if first.group(1) != second.group(1) else None


def later_task(source: str, random: Random) -> Fault | None:
    """A task that reads the outputs of one that comes after it."""
    tasks = list(re.finditer(r"^  - \{?id: ([\w-]+), type: \S*(?:Return|OutputValues)[,}]", source, re.MULTILINE))
    position = source.find("\ntasks:\n")
    if not tasks or position < 0:
        return None
    chosen = random.choice(tasks)
    if chosen.start() < position or "\nerrors:" in source[: chosen.start()]:
        return None
    field = "values" if "OutputValues" in chosen.group() else "value"
    line = f'  - {{id: too_early, type: io.kestra.plugin.core.log.Log, message: "{{{{ outputs.{chosen.group(1)}.{field} }}}}"}}\n'
    at = position + len("\ntasks:\n")
    return Fault(source[:at] + line + source[at:], source.count("\n", 0, at) + 1)


def dag_cycle(source: str, random: Random) -> Fault | None:
    """A Dag in which two tasks wait for each other."""
    match = re.search(r"\n {6}- task: \{id: (\w+),[^\n]*\n(?! {8}dependsOn)", source)
    waiting = re.search(r"- task: \{id: (\w+),[^\n]*\n {8}dependsOn: \[[^\]]*\b(\w+)\b", source)
    if match is None or waiting is None:
        return None
    first = re.search(rf"\n {{6}}- task: \{{id: {waiting.group(2)},[^\n]*\n", source)
    if first is None or source[first.end() :].lstrip(" ").startswith("dependsOn"):
        return None
    line = f"        dependsOn: [{waiting.group(1)}]\n"
    return Fault(source[: first.end()] + line + source[first.end() :], source.count("\n", 0, first.end()) + 1)


def wrong_default(source: str, random: Random) -> Fault | None:
    """A default that is no value of the input's type."""
    match = _any(source, r"type: (?:INT|FLOAT|DATE|DATETIME|TIME|DURATION)\b[^\n}]*?defaults: (\"[^\"]*\"|[\w.:-]+)", random)
    return _replaced(source, match, "quite a few", 1) if match else None


def removed_line(source: str, random: Random) -> Fault | None:
    """The line with the flow's id or namespace is gone."""
    match = _any(source, r"^(?:id|namespace): \S+\n", random)
    return Fault(source[: match.start()] + source[match.end() :], 1) if match else None


KINDS: dict[str, Kind] = {
    "a property of the flow is misspelt": _kind(rf"^({_FLOW_KEYS}):", _misspelt),
    "a property of a task is misspelt": _kind(rf"[ ,{{]({_TASK_KEYS}): ", _misspelt),
    "a task type is misspelt": _kind(r"type: io\.kestra\.(?:plugin\.core|core\.tasks)\.\w+\.(\w+)", _misspelt),
    "an input type is misspelt": _kind(
        r"type: (STRING|INT|FLOAT|BOOL|DATE|SELECT|JSON|ARRAY|FILE|ENUM)\b", lambda m, r: m.group(1)[:-1] + "X"
    ),
    "an output of an unknown task": _kind(r"\boutputs\.([a-z_]\w+)", _misspelt),
    "an output the task does not have": _kind(
        r"\boutputs\.\w+\.(value|values|outputFiles|iterationCount|evaluationResult|uri)\b", _misspelt
    ),
    "an unknown input": _kind(r"\binputs\.([a-z]\w{2,})", _misspelt),
    "an unknown variable": _kind(r"\bvars\.([a-z]\w{2,})", _misspelt),
    "an unknown root": _kind(r"\{\{ (outputs|inputs|taskrun|trigger|execution)\.", _misspelt),
    "an unknown filter": _kind(r"\| ?(upper|date|json|toJson|number|default|length|dateAdd)\b", _misspelt),
    "an unknown function": _kind(
        r"\b(now|secret|json|fromJson|range|render|errorLogs|loopOutputs|isWeekend|kv|read|max)\(", lambda m, r: m.group(1) + "x"
    ),
    "an expression without its end": _kind(r"\{\{ [^}\n]*?( \}\})\"", _always(" }")),
    "an operator without its right side": _kind(r"\{\{ [^}\n]+?( )\}\}", _always(" + ")),
    "a missing bracket in an expression": _kind(r"\{\{ [^}\n]*(\))", _always("")),
    "an id with a blank": _kind(r"\bid: ([a-z]\w+)", lambda m, r: "two words"),
    "a namespace in capitals": _kind(r"^namespace: (\S+)", lambda m, r: m.group(1).upper()),
    "no id or no namespace": removed_line,
    "two tasks of one id": duplicate_task_id,
    "a default that does not fit": wrong_default,
    "a task that is read too early": later_task,
    "tasks that wait for each other": dag_cycle,
    "a text where a number is expected": _kind(
        r"\b(?:concurrent|concurrencyLimit|limit|maxIterations|minSatisfied): (\d+)", _always("many")
    ),
    "a text where yes or no is expected": _kind(
        r"\b(?:disabled|allowFailure|wait|failOnMaxReached|required|forced|enabled): (true|false)", _always("perhaps")
    ),
    "a duration that is none": _kind(
        r"\b(?:interval|duration|pauseDuration|maxDuration|window|ttl|lateMaximumDelay|timeout): (P[T0-9][\w.]*)",
        _always("5 minutes"),
    ),
    "a value outside the list": _kind(
        r"\b(?:behavior|level|fetchType|comparison|mode|style): ([A-Z_]{3,})", _always("SOMETIMES")
    ),
    "a cron expression with too few fields": _kind(r"cron: \"(\d+ \d+ \* \* [\d*-]+)\"", _always("0 9 *")),
    "a time zone that does not exist": _kind(r"timezone: (\w+/\w+)", _always("Europe/Pari")),
    "a tab": _kind(r"^( {2,})\S", lambda m, r: "\t" + m.group(1)),
    "a key without its colon": _kind(r"^ *(?:- )?(?:tasks|values|message|type|id)(:) ", _always("")),
    "a quote without its end": _kind(r": \"[^\"\n]*(\")$", _always("")),
    "a key written twice": _kind(r"^(namespace: \S+\n)", lambda m, r: m.group(1) * 2),
    "a block without tasks": _kind(r"(?s)\n( +)tasks:(\n\1  .*?)(?=\n\1?[^ \n]|\n {0,2}\S|\Z)", lambda m, r: " []", 2),
    "an input nobody declared in `dependsOn`": _kind(r"dependsOn: \{inputs: \[(\w+)\]", _misspelt),
    "a retry of an unknown kind": _kind(r"retry: \{type: (constant|exponential|random)", _misspelt),
    "a label of the platform": _kind(r"^labels: \{(\w+):", _always("system.owner")),
    "a plain `{{` without quotes": _kind(r": (\"\{\{[^\"\n]*\}\}\")$", lambda m, r: m.group(1).strip('"')),
}


def faulty_flows(sources: Iterable[tuple[str, str]], seed: int, rounds: int) -> list[tuple[str, str, Fault]]:
    """(name of the flow, kind, fault): every kind put into every flow that offers a place for it, `rounds` times, each once."""
    random = Random(seed)
    seen: set[str] = set()
    found = []
    for _ in range(rounds):
        for name, source in sources:
            for kind, put in KINDS.items():
                fault = put(source, random)
                if fault is not None and fault.source not in seen:
                    seen.add(fault.source)
                    found.append((name, kind, fault))
    return found
