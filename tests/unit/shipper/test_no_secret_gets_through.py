"""Forty kinds of secrets, planted at every place of a record: none is in what leaves the host.

What leaves is looked at as it is sent: the bytes of spans and log records. The same is done with
redaction taken out, where each of them has to be found: else the search would prove nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celerytrail.exporter.agent.sensitive import sensitive
from celerytrail.exporter.agent.task_rules import describe
from celerytrail.exporter.shipper.assembly import Assembly
from celerytrail.exporter.shipper.payload import PayloadBuilder
from celerytrail.exporter.shipper.redaction import Redactor
from celerytrail.exporter.shipper.sensitive_names import SensitiveNames
from celerytrail.exporter.shipper.sensitive_text import SensitiveText
from celerytrail.exporter.shipper.task_rules import NOTHING, TaskRules
from celerytrail.exporter.spool.record import Record
from tests.secret_kinds import BY_TASK, NAMED, PASSWORDS, SHAPED, SecretKind
from tests.unit.shipper.segments import (
    RUN,
    body,
    chunk,
    headers,
    record,
    request,
    sent,
    trail,
    write_segment,
)
from tests.unit.shipper.test_payload import KEYS

PICKLE = {"data": b"\x80\x04.", "content_type": "application/x-python-serialize"}
FEW = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TRACEBACK = """Traceback (most recent call last):
  File "/app/shop/tasks.py", line 31, in pay
    {line}
    ^^^^^^^^
ValueError: {message}

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/shop/tasks.py", line 33, in pay
    raise Broken() from exc
shop.Broken: {message}
"""
Places = dict[str, list[Record]]


def message(data: bytes | None = None, **more: Any) -> Record:
    return Record.from_tuple(sent(2, "t", data, **more))


def ended(step: str = "failed", **fields: Any) -> Record:
    return record(step, 2, trail=trail(), request=request(), run_id=RUN, **fields)


def places(kind: SecretKind, secret: str) -> Places:
    """Return records with the secret in them, by the place where it stands."""
    value, texts = kind.value(secret), list(kind.texts(secret))
    named = value if isinstance(value, dict) else {"note": value}
    link = {"task": "shop.next", "args": [value], "kwargs": {"deep": [named]}, "options": {}}
    return {
        "positional": [message(body((1, value)))],
        "nested": [message(body(([[{"deep": [1, value]}]],), {"list": [[value]]}))],
        "keyword": [message(body((), named))],
        "embedded": [message(body(embed={"chain": [link], "callbacks": None}))],
        "text inside an argument": [message(body((text,), {"a": text})) for text in texts],
        "JSON inside an argument": [message(body((json.dumps(named),)))],
        "repr of arguments": [
            message(headers=headers(argsrepr=repr((1, value)), kwargsrepr=repr(named)), **PICKLE)
        ],
        "header": [message(headers=headers(shadow=text)) for text in texts],
        "stamp": [message(headers=headers(stamped_headers=["s"], stamps={"s": [value, named]}))],
        "reply": [message(reply_to=text) for text in texts],
        "result": [ended("succeeded", result={"n": (1, value)}), ended("succeeded", result=value)],
        "repr in a result": [ended("succeeded", result=f"<Order {text}>") for text in texts],
        "side by side": [
            message(body((texts, *texts))),
            ended("succeeded", result={"text": f"<Order {texts!r}>"}),
            ended(exception=repr((value, *texts))),
            ended(exception=str(KeyError(repr(texts[::-1]), *texts))),
            ended(exception=", ".join(texts)),
            ended(exception="\n".join(texts)),
            ended(exception=json.dumps(texts)),
        ],
        "exception": [ended(exception=text) for text in texts],
        "arguments of an exception": [
            ended(exception=str(ValueError("refused", item))) for item in (value, named, *texts)
        ],
        "traceback": [
            ended(traceback=TRACEBACK.format(line=line, message=text))
            for line, text in zip_longest(kind.lines(secret), texts, fillvalue="x = 1")
        ],
        "publish that failed": [
            record("send_failed", 2, trail=trail(), headers=headers(), exception=text)
            for text in texts
        ],
    }


class Shipper:
    """What makes the bytes that are sent, with keys and without."""

    def __init__(self, path: Path) -> None:
        self._path = path
        redactor = Redactor()
        self.assemblies = [
            Assembly(PayloadBuilder(redactor), keys, arguments_on_spans=True)
            for keys in (None, KEYS)
        ]

    def sent(self, item: Record, *, sealed: bool) -> bytes:
        assembly = self.assemblies[sealed]
        batch = assembly.batch([chunk(self._path, item)])
        assert (assembly.failed, assembly.without_payload) == (0, 0)
        return b"\n".join(outgoing.data for outgoing in (*batch.logs, *batch.spans))

    def check(self, found: Places, secret: str) -> None:
        for place, items in found.items():
            for item in items:
                for sealed in (False, True):
                    assert secret.encode() not in self.sent(item, sealed=sealed), (place, item)

    def hidden(self, found: Places, secret: str) -> list[str]:
        return [
            place
            for place, items in found.items()
            for item in items
            if secret.encode() not in self.sent(item, sealed=False)
        ]


@pytest.fixture
def shipper(tmp_path: Path) -> Shipper:
    return Shipper(write_segment(tmp_path, []))


def test_there_are_forty_kinds() -> None:
    labels = [kind.label for kind in (*NAMED, *SHAPED)] + list(BY_TASK)
    assert len(labels) == len(set(labels)) >= 40


@pytest.mark.parametrize("kind", [*NAMED, *SHAPED], ids=lambda kind: kind.label)
@given(data=st.data())
@FEW
def test_it_is_nowhere_in_what_is_sent(
    shipper: Shipper, kind: SecretKind, data: st.DataObject
) -> None:
    secret = data.draw(kind.secrets)
    shipper.check(places(kind, secret), secret)


def by_name(user: str, password: str, n: int = 1) -> None: ...


def by_rest(user: str, *tokens: str) -> None: ...


@sensitive("serial", 0, result=True, exception=True)
def declared(first: str, serial: str, last: str) -> None: ...


def rules(function: Callable[..., None], name: str = "shop.pay") -> str:
    app = Celery("kinds", broker="memory://", set_as_current=False)
    task = app.task(shared=False, name=name)(function)
    app.finalize()
    return describe(name, task)


def places_by_task(label: str, secret: str) -> Places:
    function, args, partial = {
        BY_TASK[0]: (by_name, ["ann", secret], [secret]),
        BY_TASK[1]: (by_rest, ["ann", "b", secret], ["b", {"x": [secret]}]),
        BY_TASK[2]: (declared, [secret, {"deep": secret}, "z"], [{"deep": [secret]}]),
    }[label]
    own = {"task_rules": rules(function)}
    both = {"task_rules": (rules(declared, "shop.other"), rules(function, "shop.next"))}
    whole = {"task": "shop.next", "args": args, "kwargs": {}, "options": {}, "immutable": True}
    # The result of the task before is put in front of these.
    link = {"task": "shop.next", "args": partial, "kwargs": {}, "options": {}, "immutable": False}
    found: Places = {
        "positional": [message(body(args), **own)],
        "with links": [message(body(args, embed={"callbacks": [whole]}), **own)],
        "repr": [message(headers=headers(argsrepr=repr(tuple(args))), **PICKLE, **own)],
        "received": [
            record("received", 2, headers=headers(), body=body(args), content_type="application/json",
                   **own)
        ],
        "embedded": [
            message(body(embed={"chain": [whole]}), **both),
            message(body(embed={"chord": {**link, "options": {"chord": link}}}), **both),
            message(body((), {"callback": link, "errback": whole}), **both),
        ],
        "starmap": [message(body((), {"task": {"task": "shop.next"}, "it": [args, args]}), **both)],
    }  # fmt: skip
    if label == BY_TASK[2]:
        call = f"pay({secret!r}, 'b')"
        found |= {
            "keyword": [
                message(body((), {"serial": secret, "first": [secret]}), **own),
                message(body((), {"deep": [{"Serial": secret}]}), **own),
                message(body(embed={"chain": [{**link, "kwargs": {"serial": secret}}]}), **both),
            ],
            "keyword in text": [
                message(headers=headers(kwargsrepr=repr({"serial": secret})), **PICKLE, **own),
                message(body((f"serial={secret}",)), **own),
            ],
            "result": [ended("succeeded", result={"n": [secret]}, **own)],
            "exception": [
                ended(exception=secret, traceback=TRACEBACK.format(line=call, message=call), **own)
            ],
            "retry": [ended("retried", exception=secret, **own)],
        }
    return found


@pytest.mark.parametrize("label", BY_TASK)
@given(secret=PASSWORDS)
@FEW
def test_what_the_task_makes_a_secret_is_nowhere_in_what_is_sent(
    shipper: Shipper, label: str, secret: str
) -> None:
    shipper.check(places_by_task(label, secret), secret)


@pytest.fixture
def no_redaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SensitiveText, "hide", lambda self, text: text)
    monkeypatch.setattr(SensitiveNames, "__contains__", lambda self, name: False)
    monkeypatch.setattr(TaskRules, "of", lambda self, task: NOTHING)
    monkeypatch.setattr(TaskRules, "of_record", lambda self, task, said: NOTHING)


@pytest.mark.usefixtures("no_redaction")
@pytest.mark.parametrize("kind", [*NAMED, *SHAPED], ids=lambda kind: kind.label)
@given(data=st.data())
@settings(FEW, max_examples=1)
def test_without_redaction_each_is_found(
    shipper: Shipper, kind: SecretKind, data: st.DataObject
) -> None:
    secret = data.draw(kind.secrets)
    assert shipper.hidden(places(kind, secret), secret) == []


@pytest.mark.usefixtures("no_redaction")
@pytest.mark.parametrize("label", BY_TASK)
@given(secret=PASSWORDS)
@settings(FEW, max_examples=1)
def test_without_rules_of_tasks_each_is_found(shipper: Shipper, label: str, secret: str) -> None:
    assert shipper.hidden(places_by_task(label, secret), secret) == []
