"""No secret survives redaction, whatever it is wrapped in, and the rest stays readable JSON."""

from __future__ import annotations

import json
import re
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celerytrail.exporter.shipper.redaction import MAX_PARSED_BYTES, Redactor, Rules
from celerytrail.exporter.shipper.secret_values import MARK
from celerytrail.exporter.shipper.task_rules import TaskSetting

REDACTOR = Redactor()
SECRET = "Zq7-planted.Xy9_value"

NAMES = [
    "password", "passwd", "PASSWORD", "user_password", "userPassword", "Password2", "db.password",
    "secret", "client_secret", "token", "accessToken", "ACCESS-TOKEN", "api_key", "apikey", "apiKey",
    "X-Api-Key", "api key", "authorization", "Authorization", "Proxy-Authorization", "cookie",
    "Set-Cookie", "session", "sessionid", "private_key", "privateKey", "credential", "credentials",
    "aws_credentials", "card_number", "cardNumber", "card-no", "cvv", "CVV", "ssn", "SSN", "user_ssn",
    "pin", "pwd", "jwt", "auth", "passphrase", "iban",
]  # fmt: skip


def shown(value: Any) -> str:
    redacted = REDACTOR.value(value)
    json.loads(redacted.data)
    return redacted.data.decode()


@pytest.mark.parametrize("name", NAMES)
def test_values_under_sensitive_names_are_hidden_at_any_depth(name: str) -> None:
    value = {"user": [{"deep": {name: SECRET, "kept": 1}}, {name: {"a": [SECRET]}}, {name: 12345}]}
    text = shown(value)
    assert SECRET not in text
    assert "12345" not in text
    assert json.loads(text)["user"][0]["deep"] == {name: MARK, "kept": 1}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "form",
    [
        "{name}={secret}",
        "{name}: {secret}",
        "--{dashed} {secret}",
        "--{dashed}={secret}",
        "https://host/path?a=1&{dashed}={secret}&b=2",
        "{{'{name}': '{secret}', 'b': 1}}",
        '{{"{name}": "{secret}", "b": 1}}',
        '{{\\"{name}\\": \\"{secret}\\"}}',
        "User({dashed}='{secret}', b=1)",
        "User({dashed}=Secret('{secret}'))",
        "dict({dashed}=['{secret}', '{secret}'], b=2)",
        "('{name}', '{secret}')",
        "{name} => {secret}",
        "{dashed}=b'{secret}'",
        'x["{name}"] = "{secret} and {secret}"',
        "{name} = '''{secret}'''",
    ],
)
def test_names_inside_text_hide_what_follows(name: str, form: str) -> None:
    dashed = name.replace(" ", "_")
    text = form.format(name=name, dashed=dashed, secret=SECRET)
    for around in (text, f"before {text}, after", f"line\n{text}\nline"):
        redacted = REDACTOR.text(around)
        assert SECRET not in redacted.data.decode(), around
        assert redacted.changed
        assert isinstance(json.loads(redacted.data), str)


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer abcdefGHIJ.1234-xyz",
        "bearer abcdefGHIJ.1234-xyz",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "AIza" + "SyA-1234567890abcdefghijklmnopqrstu",
        "ya29." + "a0AfH6SMBx_abcdefghij",
        "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_" + "11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
        "glpat-" + "abcdefghij1234567890",
        "sk_live_" + "abcdefghij1234567890",
        "rk_test_" + "abcdefghij1234567890",
        "whsec_" + "abcdefghij1234567890",
        "xoxb-" + "1234567890-abcdefghij",
        "sk-" + "abcdefghijklmnopqrstuvwxyz",
        "npm_" + "abcdefghijklmnopqrstuvwxyz0123456789",
        "Basic dXNlcjpwYXNzd29yZA==",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEow cut off here",
        "4111 1111 1111 1111",
        "4111111111111111",
        "5500-0000-0000-0004",
        "378282246310005",
        "6011.1111.1111.1117",
    ],
)
def test_known_kinds_of_secrets_are_hidden_wherever_they_stand(secret: str) -> None:
    core = max(re.split(r"[\s]", secret), key=len) if "\n" not in secret else "MIIEow"
    for value in (
        secret,
        f"see {secret} there",
        [f"x {secret}"],
        {"note": f"<{secret}>"},
        {secret: 1},
        [[[{"a": (secret,)}]]],
    ):
        text = shown(value)
        assert core not in text, value
    assert core not in REDACTOR.text(f"Error: got {secret}!").data.decode()


@pytest.mark.parametrize("number", [4111111111111111, 378282246310005, 4111111111111111.0])
def test_card_numbers_are_hidden_as_numbers_too(number: float) -> None:
    assert json.loads(shown({"n": [number]})) == {"n": [MARK]}


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pass-Zq7@host:6379/0",
        "amqp://user:pass-Zq7@host/vhost",
        "postgresql://u:p@ss-Zq7@host/db",
        "https://pass-Zq7@github.com/x",
        "amqp://user:pa/ss-Zq7@host//",
        "postgres://u:p@x/ss-Zq7@host/db",
        "postgres://u@x/ss-Zq7@host/db",
        "https://u:1234/ss-Zq7@host/db",
        "https://u:p#ss-Zq7@host/",
        "https://u:p?a@b/ss-Zq7@host/",
    ],
)
def test_user_and_password_of_a_url_are_hidden(url: str) -> None:
    text = shown([f"cannot reach {url}"])
    assert "ss-Zq7" not in text
    assert "host" in text or "github.com" in text


@pytest.mark.parametrize(
    "value",
    [
        "just a text: with signs = and (brackets), 12:30",
        {"user_id": 17, "shipping": "DHL", "author": "Ann", "passenger": "Bob", "span": "x"},
        {"id": "3f2b8c1e-4111-4111-8111-1111a1111111", "when": 1790000000000000000},
        "http://host:8080/user and https://example.com/@user?b=c",
        ["KeyError: 'password'", "a basic authentication was tried"],
        {"password": None, "token": "", "secret": False},
        "1234567890123456",
        [1.5, 0, -3, 10**18, True],
    ],
)
def test_what_is_no_secret_stays(value: Any) -> None:
    redacted = REDACTOR.value(value)
    assert json.loads(redacted.data) == value
    assert not redacted.changed


def test_pairs_that_are_no_objects() -> None:
    assert json.loads(shown(["--password", SECRET, "x"])) == ["--password", MARK, "x"]
    assert json.loads(shown([("token", SECRET)])) == [["token", MARK]]
    assert json.loads(shown({"name": "Authorization", "value": SECRET}))["value"] == MARK


SHORT_NAMES = [
    ("cc_no", "ccNo"), ("p12", "my_p12"), ("x5c", "X5C"), ("key1", "KEY-1"), ("id_no", "idNo"),
    ("k8s", "my-k8s"), ("my-k", "my_k"), ("clé", "CLÉ"), ("clé", "cle\u0301"), ("clé", "motClé"),
    ("ключ", "мой_КЛЮЧ"), ("鍵", "鍵"), ("2fa", "2FA"), ("internalRef", "internal_ref"),
]  # fmt: skip


@pytest.mark.parametrize(("term", "name"), SHORT_NAMES)
def test_a_name_from_the_settings_counts_however_short_and_whatever_is_in_it(
    term: str, name: str
) -> None:
    redactor = Redactor(Rules(names=(term,)))
    for value in ({name: SECRET}, {term: SECRET}, [f"--{name}", SECRET], [[name, SECRET]]):
        for raw in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
            redacted = redactor.body(f"[[{raw}], {{}}, {{}}]".encode())
            assert redacted is not None
            assert SECRET not in redacted.args.data.decode()
    for text in (
        f"{name}={SECRET}",
        f"--{name} {SECRET}",
        repr({name: SECRET}),
        f"{name}: {SECRET}",
    ):
        assert SECRET not in redactor.text(text).data.decode(), text


def test_a_short_name_from_the_settings_hides_no_more_than_its_words() -> None:
    redactor = Redactor(Rules(names=("cc_no", "k8s", "id_no")))
    value = {"cc_node": "a", "acc_no": "b", "k8": "c", "ids": "d", "k80s": "e", "k": {"8s": "f"}}
    assert json.loads(redactor.value(value).data) == value
    assert redactor.hide_text("acc_no=a cc_note=b k8=c") == "acc_no=a cc_note=b k8=c"


def test_an_id_inside_a_list_is_still_taken_for_clean_at_a_glance() -> None:
    body = json.dumps([[], {"orders": [{"id": 1}], "pa": "n", "users": ["id"]}, {}]).encode()
    assert REDACTOR._is_clean(json.loads(body), body)


EXPRESSIONS = [
    "def login(user, {name}: str = '{secret}'):", "{name}: str='{secret}'", '{name}: str = "{secret}"',
    "{name}: SecretStr = '{secret}'", "{name}: Optional[str] = '{secret}'", "{name}: 'str' = '{secret}'",
    "{name}: Annotated[str, 'x'] = Field('{secret}')", "{name} = os.environ['X'] or '{secret}'",
    "{name} = os.environ.get('X') or '{secret}'", "{name} = self.get() or '{secret}'",
    "{name} = x if y else '{secret}'", "{name} = 'x' if y(1) else '{secret}'", "{name} = 'a' + '{secret}'",
    "{name} = 'a'+'{secret}'", "{name} = a + b'{secret}'", "{name} = 'a' '{secret}'",
    "{name} = 'a''{secret}'", "{name} = '%s' % '{secret}'", "{name} = ''.join(['{secret}'])",
    "{name} = await get('{secret}')", "{name} = not '{secret}'", "{name} = lambda: '{secret}'",
    "{name} = a ? b : '{secret}'", "{name} = a || '{secret}'", "{name} = 'a' || '{secret}'",
    "{name} = (a or b)('{secret}')", "{name} += '{secret}'", "{name} != '{secret}'", "{name} ?= '{secret}'",
    "{name} = Path('a') / '{secret}'", "{name} = \\\n    '{secret}'", "{name}: a '{secret}'",
    "{name} = a == '{secret}'", "{name} = x['y'] or z['y'] or await f('{secret}')",
    "{name} := a or '{secret}'", "{name} = a or not {secret}", "{name} = 'a' and {secret}",
]  # fmt: skip
BLOCKS = [
    "{name}:\n  {secret}", "{name}: >-\n  {secret}", "{name}: |\n  a\n\n  {secret}\nuser: x",
    "a:\n  {name}: |2-\n      {secret}\n  b: c", "{name}: !!str >\n  {secret}", "{name}: # why\n\t{secret}",
    "- {name}:\n    {secret}", "{name}:\n- a\n- {secret}", "{name}:\r\n  {secret}", "{name} =\n  {secret}",
    "{name}:\n  a: 'x'\n  b: {secret}", "{name}:\n  'a\n{secret}'",
]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["password", "api_key", "PASSWORD", "authToken", "Authorization", "pin"]
)
@pytest.mark.parametrize("form", EXPRESSIONS + BLOCKS)
def test_all_of_an_expression_and_of_an_indented_block_is_hidden(name: str, form: str) -> None:
    text = form.format(name=name, secret=SECRET)
    for around in (text, f'  File "x.py", line 3, in f\n    {text}\nKeyError: 1'):
        if form in BLOCKS and around is not text:
            around = f"start\n{text}\nKeyError: 1"
        hidden = REDACTOR.hide_text(around)
        assert SECRET not in hidden, hidden
        assert REDACTOR.hide_text(hidden) == hidden
        assert around is text or hidden.endswith("\nKeyError: 1")


@pytest.mark.parametrize(
    "text",
    [
        "password:\n{secret}\nuser: me",
        "password:\r\n\r\n{secret}\r\nuser: me",
        "password =\n{secret}",
        "a: 1\n  password: abc\n    def {secret}\n  user: x",
        "- password: abc\n   {secret}\n   {secret}\n- user: x",
        '    user, password = "ann", "{secret}"\nKeyError: 1',
        '    password, user = "{secret}", "ann"\nKeyError: 1',
        '    (user, password) = ("ann",\n  "{secret}")\nKeyError: 1',
        "amqp://user:pa'{secret}@host/x",
        'amqp://user:"{secret}"@host/x',
        "amqp://user:<{secret}>@host/x",
    ],
)
def test_values_in_odd_places_are_hidden(text: str) -> None:
    for whole in (text, f"start\n{text}"):
        hidden = REDACTOR.hide_text(whole.format(secret=SECRET))
        assert SECRET not in hidden
        assert REDACTOR.hide_text(hidden) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "Wrong password:\nTraceback (most recent call last):",
        "password:\nuser: me",
        "    x = login(user, password)\n    y = 1",
        "def login(user, password, again=1):",
        "for user, password in found:\n    a = 'b'",
        "['http://host:80/x', 'mail:a@b']",
        '<a href="http://host:80">x@y.de</a>',
        "user, name = 'ann', 'x'",
    ],
)
def test_what_only_looks_like_an_odd_place_stays(text: str) -> None:
    assert REDACTOR.hide_text(text) == text


def test_mail_addresses_are_hidden_only_where_a_setting_says_so() -> None:
    text = "from Ann.Lee+x@mail.example.org to (bob@example.com), not user@host"
    assert REDACTOR.hide_text(text) == text
    redactor = Redactor(Rules(emails=True))
    assert redactor.hide_text(text) == f"from {MARK} to ({MARK}), not user@host"
    body = redactor.body(b'[["bob@example.com"], {"to": ["a@example.com"]}, {}]')
    assert body is not None
    assert (body.args.data, body.kwargs.data) == (b'["[redacted]"]', b'{"to":["[redacted]"]}')


def test_what_follows_a_value_stays() -> None:
    for text, expected in (
        ("password='x' user='y'", "password='[redacted]' user='y'"),
        ("f(password='x', user='y')", "f(password='[redacted]', user='y')"),
        ("mysql --password='x' --host db -u me", "mysql --password='[redacted]' --host db -u me"),
        ("<a password='x'/><b>", "<a password='[redacted]'/><b>"),
        ("?token=abc&user=me", "?token=[redacted]&user=me"),
        ("password: abc\nuser: me", "password: [redacted]\nuser: me"),
        ("password:\n  abc\nuser: me", "password:\n  [redacted]\nuser: me"),
        ("password:\nuser: me", "password:\nuser: me"),
        ("password='x'. The next", "password='[redacted]'. The next"),
    ):
        assert REDACTOR.hide_text(text) == expected


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PLAIN = st.none() | st.booleans() | st.integers(-9999, 9999) | st.floats() | TEXT
ASCII_NOISE = st.text(string.ascii_letters + " .,()-", max_size=10)
PLANTED = (
    st.sampled_from(NAMES).map(lambda name: {name: SECRET})
    | st.sampled_from(NAMES).map(lambda name: {name: [SECRET, {"x": SECRET}]})
    | st.tuples(st.sampled_from(NAMES), ASCII_NOISE).map(
        lambda t: f"{t[1]} {t[0]}='{SECRET}' {t[1]}"
    )
    | st.sampled_from(NAMES).map(lambda name: repr({"a": 1, name: SECRET, "b": [SECRET][:0]}))
    | st.sampled_from(NAMES).map(lambda name: json.dumps({name: {"deep": [SECRET]}}))
    | st.sampled_from(NAMES).map(lambda name: json.dumps(json.dumps({name: SECRET})))
    | st.tuples(
        st.sampled_from(EXPRESSIONS + BLOCKS), st.sampled_from(["password", "api_key"])
    ).map(lambda t: t[0].format(name=t[1], secret=SECRET))
    | st.just(f"https://user:{SECRET}@host/x")
    | st.text("ab1@:/#?", max_size=8).map(lambda noise: f"https://u:{noise}{SECRET}@host/x")
    | st.just(f"Bearer {SECRET}")
)


@given(
    st.text(string.ascii_letters + string.digits + "é_-", min_size=1, max_size=4),
    st.sampled_from(
        [str, str.upper, str.title, lambda name: f"my_{name}", lambda name: f"{name}-x"]
    ),
)
@settings(max_examples=200, deadline=None)
def test_no_secret_survives_under_a_short_name_from_the_settings(term: str, write: Any) -> None:
    if not any(map(str.isalnum, term)):
        return
    redactor = Redactor(Rules(names=(term,)))
    name = write(term)
    if name not in redactor._names:
        assert write is not str  # k and K8s are words of their own in k8s-x, and not in K8Sx
        return
    body = json.dumps([[], {name: SECRET}, {}]).encode()
    redacted = redactor.body(body)
    assert redacted is not None
    assert SECRET not in redacted.kwargs.data.decode()
    for text in (repr({name: SECRET}), f"x {name}: str = '{SECRET}'"):
        assert SECRET not in redactor.text(text).data.decode(), text


def nest(planted: Any) -> st.SearchStrategy[Any]:
    return st.recursive(
        planted,
        lambda inner: (
            st.lists(st.one_of(inner, PLAIN), min_size=1, max_size=3).flatmap(
                lambda others: inner.map(lambda it: [*others, it])
            )
            | st.tuples(TEXT, inner, st.dictionaries(TEXT, PLAIN, max_size=2)).map(
                lambda t: {**t[2], t[0]: t[1]}
            )
        ),
        max_leaves=5,
    )


@given(nest(PLANTED))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_planted_secret_survives_any_nesting(value: Any) -> None:
    text = shown(value)
    assert SECRET not in text
    body = json.dumps([[value], {"k": value}, {"chain": [value]}]).encode()
    redacted = REDACTOR.body(body)
    assert redacted is not None
    assert redacted.changed
    for part in (redacted.args.data, redacted.kwargs.data):
        json.loads(part.decode("utf-8", "strict"))
        assert SECRET not in part.decode()
    assert SECRET not in REDACTOR.text(repr(value)).data.decode()


@given(
    st.recursive(
        PLAIN
        | st.sampled_from(NAMES)
        | st.from_regex(r"[a-zA-Z_=:@/ .\-'\"\\]{0,20}", fullmatch=True),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(TEXT | st.sampled_from(NAMES), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_quick_look_never_overlooks_what_the_long_one_finds(value: Any) -> None:
    """A body that is taken for clean without being taken apart has nothing to hide in it."""
    body = json.dumps([[value], {}, {}]).encode()
    if REDACTOR._is_clean(json.loads(body), body):
        again = json.loads(body)[0]
        assert (
            json.loads(REDACTOR.value(again).data, parse_constant=str)
            == json.loads(json.dumps(again), parse_constant=str)
            or any(isinstance(x, float) for x in _leaves(again))
            or "\\u0000" in body.decode()
        )


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


@given(
    st.recursive(
        PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=30
    ),
    st.integers(256, 2000),
)
@settings(max_examples=150, deadline=None)
def test_what_is_shown_is_valid_json_within_its_bound(value: Any, limit: int) -> None:
    redacted = Redactor(Rules(shown_bytes=limit)).value([value, "x" * 3000])
    assert len(redacted.data) <= limit
    assert redacted.truncated
    assert isinstance(json.loads(redacted.data.decode()), list)
    assert b"[cut]" in redacted.data


def test_deep_nesting_is_cut_and_counts_as_changed() -> None:
    value: Any = SECRET
    for _ in range(300):
        value = [value]
    redacted = REDACTOR.value(value)
    assert redacted.changed
    assert SECRET not in redacted.data.decode()
    json.loads(redacted.data)
    assert REDACTOR.body(("[" * 100_000 + "]" * 100_000).encode()) is None


def test_bodies_that_are_none_are_not_shown_as_such() -> None:
    for body in (b"", b"{", b"[]", b"[1,2,3]", b"[[],[],{}]", b"\xff\xfe", b"1" * 5000, b"null"):
        assert REDACTOR.body(body) is None
    large = json.dumps([["x" * MAX_PARSED_BYTES], {}, {}]).encode()
    assert REDACTOR.body(large) is None


def test_the_body_of_protocol_1() -> None:
    body = json.dumps(
        {"task": "t", "id": "1", "args": [1], "kwargs": {"password": SECRET}}
    ).encode()
    redacted = REDACTOR.body(body)
    assert redacted is not None
    assert (redacted.args.data, redacted.kwargs.data) == (b"[1]", b'{"password":"[redacted]"}')


def test_a_name_that_is_there_twice_counts_as_changed() -> None:
    """Only its last value was looked at."""
    body = b'[[{"a": "x@y", "a": 1, "session_note": ""}], {}, {}]'
    redacted = REDACTOR.body(body)
    assert redacted is not None
    assert redacted.changed


def test_settings_add_names_patterns_and_positions() -> None:
    redactor = Redactor(
        Rules(
            names=("internal_ref",),
            patterns=(re.compile(r"EMP-\d+"),),
            tasks=(TaskSetting("shop.pay", frozenset({0, 2})),),
        )
    )
    body = json.dumps(
        [
            ["first", "second EMP-123", "third"],
            {"internalRef": 5, "password": SECRET},
            {"chain": [{"task": "shop.pay", "args": ["inner", "b"], "kwargs": {}}]},
        ]
    ).encode()
    redacted = redactor.body(body, redactor.tasks.of("shop.pay"))
    assert redacted is not None
    assert json.loads(redacted.args.data) == [MARK, f"second {MARK}", MARK]
    assert json.loads(redacted.kwargs.data) == {"internalRef": MARK, "password": MARK}
    other = redactor.body(body, redactor.tasks.of("shop.other"))
    assert other is not None
    assert json.loads(other.args.data)[0] == "first"
    rule = redactor.tasks.of("shop.pay")
    hidden = redactor.argument_text("('first',)", rule, positional=True)
    assert hidden.data == f'"{MARK}"'.encode()
    shown_text = redactor.argument_text("{'a': 1}", rule, positional=False)
    assert shown_text.data == b"\"{'a': 1}\""


def test_what_postgres_refuses_in_json_is_replaced() -> None:
    data = REDACTOR.value({"a\0": "b\0\ud800", "n": float("nan"), "i": float("-inf")}).data
    assert json.loads(data) == {"a\ufffd": "b\ufffd\ufffd", "n": "nan", "i": "-inf"}
    assert b"\\u0000" not in data


@given(st.text(alphabet="pasword=:'\"\\ {}[](),tokenx", max_size=60))
@settings(max_examples=300, deadline=None)
def test_redacting_again_changes_nothing(text: str) -> None:
    once = REDACTOR.hide_text(text)
    assert REDACTOR.hide_text(once) == once or len(once) < 4096


def test_long_hostile_text_takes_no_time_to_speak_of() -> None:
    """No quadratic search: each of these would take hours with one."""
    for text in (
        "password" * 20_000,
        "a" * 200_000 + "=",
        "'" * 100_000,
        "\\" * 100_000 + "'",
        "token=(" * 20_000,
        "4" * 200_000,
        "x://" * 50_000,
        "Bearer " * 30_000,
        "password='" + "\\" * 50_000,
        "eyJ" * 50_000,
        "-----BEGIN " * 20_000,
        "password:\n" * 10_000,
        "password:\n  " * 10_000,
        "password:" + "\n " * 50_000,
        "password='a' + " * 10_000,
        "password=a or " * 10_000,
        "password=a" + " or a" * 20_000,
        "password='a'" + " " * 100_000,
        "password" + " " * 100_000,
        "password='" + "'" * 100_000,
        "password: " + "- " * 50_000,
        "password: " + "!a " * 50_000,
        "password=a" + "\\'" * 50_000,
        "https://a/" * 20_000 + "@",
        "k_" * 50_000,
        "x://a:" * 30_000,
        "x://a:" + "'b" * 100_000,
        "a, " * 30_000 + "password = x",
        "a, password = x" * 10_000,
        "password" + ", a" * 50_000 + " = x",
        "password:\n" + "a" * 200_000,
        "password: a" + "\n  b" * 50_000,
        "a@" * 100_000,
        "sig=" * 50_000,
        "Q~" * 50_000,
    ):
        REDACTOR.text(text)
