"""What a person sees of an action at the terminal: what was done, the new ids, where to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

MAX_TASKS = 10
_WORDS = {
    "succeeded": "done",
    "failed": "not done",
    "partial": "done in part",
    "unknown": "nobody knows",
    "open": "being done",
}
_TASK = "/d/celerytrail-task?var-task_id="
_AUDIT = "/d/celerytrail-audit"


def action(answer: Mapping[str, Any], grafana_url: str) -> Iterator[str]:
    """Return the lines for an action: the answer of the API."""
    state = str(answer["state"])
    yield f"{plain(answer['verb'])}: {_WORDS.get(state, plain(state))}. {plain(answer['message'])}"
    if answer["duplicate"]:
        yield f"  an earlier action by {plain(answer['actor'])} is what is told here; nothing new was done"
    tasks: Sequence[Mapping[str, Any]] = answer["tasks"]
    if len(tasks) > 1:
        counts = Counter(str(task["result"]) for task in tasks)
        yield "  " + ", ".join(
            f"{number} {plain(result)}" for result, number in counts.most_common()
        )
    for task in tasks[:MAX_TASKS]:
        yield f"  {_task(task)}"
    if len(tasks) > MAX_TASKS:
        yield f"  ... and {len(tasks) - MAX_TASKS} more"
    if state in ("unknown", "partial"):
        yield "  look before you ask again: a part may have been done"
    sent = [task["new_task_id"] for task in tasks if task["new_task_id"]]
    if len(sent) == 1:
        yield f"  see {grafana_url}{_TASK}{quote(str(sent[0]), safe='')}"
    yield f"  action {plain(answer['action_id'])}, see {grafana_url}{_AUDIT}"


def purge_preview(queue: str, label: str, preview: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines for what a purge would remove."""
    yield f"{queue} of {label} holds {_counted(preview.get('depth'), 'message')}."
    age = preview.get("oldest_age_seconds")
    if age is not None:
        yield f"  the oldest waits for {_duration(float(age))}"
    yield from _sample(preview.get("sample") or [])


def chord_preview(group_id: str, label: str, preview: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines for what sending a chord or group again would do."""
    ended = ", ".join(
        f"{preview[name]} {name}" for name in ("failed", "succeeded") if name in preview
    )
    counted = _counted(preview.get("members"), "task")
    yield f"{plain(preview.get('kind', 'chord'))} {group_id} of {label}: {counted}, {ended}."
    body = preview.get("body")
    if isinstance(body, Mapping):
        yield f"  then {_named(body)}"
    yield from _sample(preview.get("sample") or [])


def _sample(sample: Sequence[Any]) -> Iterator[str]:
    for task in sample[:MAX_TASKS]:
        if isinstance(task, Mapping):
            yield f"  {_named(task)}"


def _named(task: Mapping[str, Any]) -> str:
    words = [task.get("task_name") or "(no name)", task.get("task_id"), task.get("state")]
    return "  ".join(plain(word) for word in words if word)


def _task(task: Mapping[str, Any]) -> str:
    line = f"{plain(task['task_id'])}  {plain(task['result'])}"
    if task["new_task_id"]:
        line += f" as {plain(task['new_task_id'])}"
    if task["message"]:
        line += f": {plain(task['message'])}"
    return line


def _counted(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def plain(value: Any) -> str:
    """Return a text without what could move a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in str(value))
