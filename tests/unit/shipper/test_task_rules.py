"""What settings and tasks say is followed, remembered within bounds, and in doubt all is hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from celerytrail.exporter.shipper import task_rules
from celerytrail.exporter.shipper.redaction import Redactor, Rules
from celerytrail.exporter.shipper.secret_values import MARK
from celerytrail.exporter.shipper.sensitive_names import SensitiveNames
from celerytrail.exporter.shipper.task_rules import EVERYTHING, NOTHING, TaskRules, TaskSetting
from celerytrail.exporter.spool.record import Record
from tests.unit.shipper.segments import RUN, body, headers, record, request, sent, trail
from tests.unit.shipper.test_payload import ship, shown

LOGIN = '{"task":"shop.login","params":["user","password"]}'
PAY = '{"task":"shop.pay","params":["user","password"]}'


def table(*settings: TaskSetting) -> TaskRules:
    return TaskRules(settings, SensitiveNames())


def test_a_setting_holds_for_the_tasks_that_fit_its_pattern() -> None:
    rules = table(
        TaskSetting("shop.*", frozenset({0}), ("cellar",)),
        TaskSetting("shop.pay", frozenset({2}), result=True),
        TaskSetting("*", exception=True),
    )
    pay, other, outside = (rules.of(name) for name in ("shop.pay", "shop.x", "shopping"))
    assert (pay.positions, pay.names, pay.result, pay.exception) == (
        {0, 2},
        ("cellar",),
        True,
        True,
    )
    assert (other.positions, other.result) == ({0}, False)
    assert (outside.hides_arguments, outside.exception) == (False, True)
    assert table().of("shop.pay") == table().of(None) == NOTHING
    assert table(TaskSetting("odd[name]", frozenset({1}))).of("odd[name]").positions == {1}


def test_a_position_from_the_settings_hides_the_argument_by_its_name_too() -> None:
    rules = table(TaskSetting("shop.pay", frozenset({0})))
    said = '{"task":"shop.pay","params":["serial","amount"]}'
    assert rules.of_record("shop.pay", said).names == ("serial",)


def test_names_of_parameters_decide_by_the_names_in_force() -> None:
    rules = TaskRules((), SensitiveNames(("serial",)))
    said = '{"task":"t","params":["serial","amount","pin"],"rest":"tokens"}'
    rule = rules.of_record("t", said)
    assert [rule.hides(index) for index in range(5)] == [True, False, True, True, True]


def test_what_one_record_says_helps_another_that_says_nothing() -> None:
    rules = table()
    assert rules.of("shop.login") == NOTHING
    rules.of_record("shop.other", (LOGIN,))
    assert rules.of_record("shop.login", None).positions == {1}


def test_a_record_is_followed_by_what_it_says_itself() -> None:
    """Two versions of an application may share a spool."""
    rules = table()
    older = '{"task":"shop.login","params":["password","user"]}'
    for text, hidden in ((LOGIN, {1}), (older, {0}), (LOGIN, {1}), (older, {0})):
        assert rules.of_record("shop.login", text).positions == hidden


@pytest.mark.parametrize(
    "said",
    [
        "", "{", "[]", "3", LOGIN[:-9], '{"params":[]}', '{"task":"t","params":[1]}', 17, b"x",
        '{"task":"t","args":["x"]}', '{"task":"t","rest":1}', (LOGIN, "{"), ({"task": "t"},), "[" * 9999,
    ],
)  # fmt: skip
def test_what_is_damaged_hides_everything(said: Any) -> None:
    assert table().of_record("shop.login", said) is EVERYTHING


def test_what_a_newer_agent_says_more_is_passed_over() -> None:
    rule = table().of_record("t", '{"task":"t","params":["pin"],"more":{"a":1}}')
    assert rule.positions == {0}


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_rules, "MAX_TASKS", 3)
    rules = table()
    for number in range(10):
        text = json.dumps({"task": f"t{number}", "params": ["pin"]})
        assert rules.of_record(f"t{number}", text).positions == {0}
        rules.of(f"unknown{number}")
    assert max(map(len, (rules._said, rules._parsed, rules._rules))) == 3


def test_rules_of_settings_reach_every_item(tmp_path: Path) -> None:
    redactor = Redactor(
        Rules(tasks=(TaskSetting("shop.*", frozenset({0}), ("cellar",), True, True),))
    )
    rule = redactor.tasks.of("shop.pay")
    found = redactor.of_rule(rule).body(body(("a", "b"), {"cellar_no": 1, "c": "cellar=5"}), rule)
    assert found is not None
    assert json.loads(found.args.data) == [MARK, "b"]
    assert json.loads(found.kwargs.data) == {"cellar_no": MARK, "c": f"cellar={MARK}"}
    assert found.changed


def test_a_damaged_record_shows_nothing_of_its_task(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    data = Record.from_tuple(sent(2, "t", body(("a",), {"b": 1}), task_rules=LOGIN[:20]))
    logs, said = ship(path, data)
    assert shown(logs) == {"args": MARK, "kwargs": MARK}
    assert said["celerytrail.body.withheld"] == "unexamined"
    end = record("failed", 2, trail=trail(), request=request(), run_id=RUN, exception="a",
                 traceback="b", result="c", task_rules="?")  # fmt: skip
    logs, _ = ship(path, end)
    assert shown(logs) == {"exception": MARK, "traceback": MARK, "result": MARK}


def test_a_body_with_a_hidden_argument_is_not_kept_without_keys(tmp_path: Path) -> None:
    record_ = Record.from_tuple(sent(2, "t", body(("ann", "x")), task_rules=PAY))
    logs, said = ship(tmp_path / "s.seg", record_)
    assert shown(logs)["args"] == ["ann", MARK]
    assert said["celerytrail.body.withheld"] == "redacted"


def test_a_body_whose_link_has_a_hidden_argument_is_not_kept_without_keys(tmp_path: Path) -> None:
    link = {"task": "shop.login", "args": ["x"], "kwargs": {}, "options": {}, "immutable": False}
    data = body((1,), embed={"chain": [link]})
    logs, said = ship(
        tmp_path / "s.seg", Record.from_tuple(sent(2, "t", data, task_rules=(LOGIN,)))
    )
    assert shown(logs) == {"args": [1], "kwargs": {}}
    assert said["celerytrail.body.withheld"] == "redacted"


def test_what_says_nothing_stays(tmp_path: Path) -> None:
    """That a password was not given is worth seeing."""
    record_ = Record.from_tuple(sent(2, "t", body(("ann", None)), task_rules=PAY))
    logs, said = ship(tmp_path / "s.seg", record_)
    assert shown(logs)["args"] == ["ann", None]
    assert "body" in logs
    assert "celerytrail.body.withheld" not in said


def test_an_ordinary_task_shows_all(tmp_path: Path) -> None:
    text = '{"task":"shop.pay","params":["order","amount"],"rest":"more"}'
    data = Record.from_tuple(
        sent(2, "t", body((1, 2, 3), {"a": 1}), headers=headers(), task_rules=text)
    )
    logs, _ = ship(tmp_path / "s.seg", data)
    assert shown(logs) == {"args": [1, 2, 3], "kwargs": {"a": 1}}
