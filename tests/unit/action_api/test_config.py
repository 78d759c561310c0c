from __future__ import annotations

from json import dumps
from pathlib import Path
from uuid import uuid4

import pytest

from celerytrail.action_api.action import Outcome, TaskResult
from celerytrail.action_api.actor import Role
from celerytrail.action_api.config import ActionApiConfig, Limits
from celerytrail.action_api.errors import ConfigError
from celerytrail.action_api.ledger import outcome_document
from celerytrail.exporter.deployment import Deployment

DEPLOYMENT = '[[deployment]]\nservice = "shop"\nbroker_url = "redis://:pass@broker/0"\n'
ORG = (
    '[[grafana]]\norg_id = 1\nissuer = "https://g/"\njwks_url = "http://g:3000/keys"\n'
    'proxy_secret = "0123456789abcdef"\n'
)
RIGHT = '[[grafana.right]]\nrole = "operator"\ndeployment = "/shop/"\n'


def read(tmp_path: Path, text: str, **environ: str) -> ActionApiConfig:
    (tmp_path / "actions.toml").write_text(text)
    return ActionApiConfig.from_env(
        {
            "CELERYTRAIL_DSN": "host=db",
            "CELERYTRAIL_ACTIONS_CONFIG": str(tmp_path / "actions.toml"),
            **environ,
        }
    )


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    for name in ("url", "psk", "keys/a.pem", "keys/b.pem", "proxy"):
        (tmp_path / name).write_text(f"  content-of-the-file-{name}\n")
    config = read(
        tmp_path,
        """
[[deployment]]
namespace = "acme"
service = "shop"
environment = "live"
broker_url_file = "url"
result_backend = "redis://results/1"
task_serializer = "yaml"
allow_content = ["json", "pickle"]
seal_private_key_files = ["keys/a.pem", "keys/b.pem"]
seal_psk_file = "psk"
ledger_id = "one"
allow_plain = true
queues = ["celery"]
[[deployment]]
service = "bank"
broker_url = "amqp://bank"
[[grafana]]
org_id = 7
issuer = "https://grafana.example/"
jwks_url = "http://grafana:3000/api/signing-keys/keys"
proxy_secret_file = "proxy"
[[grafana.right]]
role = "admin"
deployment = "acme/shop/live"
[[grafana.right]]
role = "operator"
deployment = "*"
verbs = ["cancel"]
[limits]
requests_per_minute_per_actor = 5
lease_seconds = 2.5
""",
        CELERYTRAIL_ACTIONS_BIND="127.0.0.1:0",
        CELERYTRAIL_ACTIONS_WORKERS="2",
        CELERYTRAIL_ACTIONS_LOG_LEVEL="DEBUG",
    )
    shop, bank = config.deployments
    assert shop.deployment == Deployment("acme", "shop", "live")
    assert shop.broker_url == "content-of-the-file-url"
    assert shop.allow_content == {"json", "pickle"}
    assert shop.seal_private_key_files == (tmp_path / "keys/a.pem", tmp_path / "keys/b.pem")
    assert (shop.seal_psk_file, shop.ledger_id, shop.allow_plain) == (tmp_path / "psk", "one", True)
    assert shop.queues == {"celery"}
    assert (bank.result_backend, bank.allow_content, bank.allow_plain) == (None, {"json"}, False)
    (org,) = config.orgs
    assert org.proxy_secret == "content-of-the-file-proxy"
    admin, operator = org.rights
    assert admin.role is Role.ADMIN
    assert admin.verbs == {"retry", "cancel", "terminate", "retry-chord", "purge"}
    assert (operator.role, operator.verbs) == (Role.OPERATOR, {"cancel"})
    assert config.limits == Limits(requests_per_minute_per_actor=5, lease_seconds=2.5)
    assert (config.bind, config.workers, config.log_level) == ("127.0.0.1:0", 2, "debug")
    assert config.settings_of(bank.deployment) is bank
    assert config.settings_of(Deployment("", "shop", "")) is None


def test_no_secret_is_in_its_repr(tmp_path: Path) -> None:
    config = read(tmp_path, DEPLOYMENT + ORG, CELERYTRAIL_DSN="postgresql://a:word@db/x")
    for secret in ("pass", "0123456789abcdef", "word"):
        assert secret not in repr(config)


WRONG: dict[str, tuple[str, str]] = {
    "no TOML": ("[[", "is not TOML"),
    "nothing": ("", "[[deployment]]: there is none"),
    "one bracket": ('[deployment]\nservice = "a"\n', "deployment: write [[deployment]]"),
    "unknown table": (DEPLOYMENT + "[limit]\n", "the file: limit: is not known here"),
    "unknown key": (DEPLOYMENT + "brokr = 1\n", "[[deployment]] 1: brokr: is not known here"),
    "unknown limit": (DEPLOYMENT + "[limits]\nlease = 1\n", "[limits]: lease: is not known here"),
    "no service": ('[[deployment]]\nbroker_url = "x"\n', "[[deployment]] 1: service: has to be"),
    "no broker": ('[[deployment]]\nservice = "a"\n', "broker_url: has to be given, or broker_url_"),
    "two brokers": (
        DEPLOYMENT + 'broker_url_file = "actions.toml"\n',
        "broker_url: is given twice",
    ),
    "no such file": (
        '[[deployment]]\nservice = "a"\nbroker_url_file = "nowhere"\n',
        "broker_url_file: there is no file",
    ),
    "empty file": (
        '[[deployment]]\nservice = "a"\nbroker_url_file = "empty"\n',
        "broker_url_file: ",
    ),
    "binary file": (
        '[[deployment]]\nservice = "a"\nbroker_url_file = "binary"\n',
        "it is not text",
    ),
    "number for a text": (
        '[[deployment]]\nbroker_url = "x"\nservice = 1\n',
        "service: has to be a text",
    ),
    "control character": (
        '[[deployment]]\nservice = "a\\nb"\nbroker_url = "x"\n',
        "service: holds a control character",
    ),
    "text for a flag": (DEPLOYMENT + 'allow_plain = "yes"\n', "allow_plain: has to be true or"),
    "keys without psk": (
        DEPLOYMENT + 'seal_private_key_files = ["actions.toml"]\n',
        "seal_psk_file: has to be given",
    ),
    "queue twice": (DEPLOYMENT + 'queues = ["a", "a"]\n', "queues: names something twice"),
    "twice the same": (DEPLOYMENT * 2, "[[deployment]] 2: /shop/ is there already"),
    "short secret": (
        DEPLOYMENT + ORG.replace("0123456789abcdef", "0123456789abcde"),
        "[[grafana]] 1: proxy_secret: has to be 16 or more",
    ),
    "secret with a comma": (
        DEPLOYMENT + ORG.replace("0123456789abcdef", "0123456789,abcdef"),
        "[[grafana]] 1: proxy_secret: has to be 16 or more",
    ),
    "same secret": (
        DEPLOYMENT + ORG + ORG.replace("org_id = 1", "org_id = 2"),
        "[[grafana]] 2: proxy_secret: is that of [[grafana]] 1",
    ),
    "same organisation": (
        DEPLOYMENT + ORG + ORG.replace("0123456789abcdef", "fedcba9876543210"),
        "[[grafana]] 2: org_id: 1 is there already",
    ),
    "organisation 0": (DEPLOYMENT + ORG.replace("org_id = 1", "org_id = 0"), "org_id: has to be"),
    "organisation true": (
        DEPLOYMENT + ORG.replace("org_id = 1", "org_id = true"),
        "org_id: has to be a whole number",
    ),
    "keys from a file": (
        DEPLOYMENT + ORG.replace("http://g:3000/keys", "file:///etc/passwd"),
        "jwks_url: has to be a URL",
    ),
    "keys with a user": (
        DEPLOYMENT + ORG.replace("http://g:3000", "http://a:b@g:3000"),
        "jwks_url: must hold no user",
    ),
    "port is a word": (
        DEPLOYMENT + ORG.replace("http://g:3000", "http://g:port"),
        "jwks_url: is not a URL",
    ),
    "unknown role": (
        DEPLOYMENT + ORG + RIGHT.replace("operator", "viewer"),
        "[[grafana]] 1: [[grafana.right]] 1: role: has to be operator or admin",
    ),
    "unknown deployment": (
        DEPLOYMENT + ORG + RIGHT.replace("/shop/", "shop"),
        "deployment: 'shop' is none of this file: /shop/",
    ),
    "verb above the role": (
        DEPLOYMENT + ORG + RIGHT + 'verbs = ["purge"]\n',
        "verbs: purge: operator may do cancel, retry, retry-chord, terminate",
    ),
    "limit too low": (
        DEPLOYMENT + "[limits]\nlease_seconds = 0.5\n",
        "[limits]: lease_seconds: has to be from 1 to 600, not 0.5",
    ),
}


@pytest.mark.parametrize("key", ["broker_url", "result_backend"])
@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2/x@broker:6379/0",
        "redis://:hunter2#x@broker/0",
        "amqp://a:b@one//;amqp://user:hunter2?x@two//",
        "redis://[hunter2@broker/0",
    ],
)
def test_a_password_that_breaks_its_url_is_not_told(tmp_path: Path, key: str, url: str) -> None:
    deployment = DEPLOYMENT if key != "broker_url" else '[[deployment]]\nservice = "shop"\n'
    with pytest.raises(ConfigError, match=f"{key}: .*percent-encode") as raised:
        read(tmp_path, f'{deployment}{key} = "{url}"\n')
    assert "hunter2" not in str(raised.value)


def test_urls_of_every_kind_are_taken(tmp_path: Path) -> None:
    for url in (
        "redis://:p%2Fss@broker:6379/0",
        "redis://broker",
        "redis+socket:///run/redis.sock",
        "amqps://u:p@[::1]:5671/vhost",
        "sentinel://one:26379;sentinel://two:26379",
        "db+postgresql://u:p@db/results",
        "memory://",
    ):
        config = read(tmp_path, DEPLOYMENT + f'result_backend = "{url}"\n')
        assert config.deployments[0].result_backend == url


def test_a_lease_is_as_long_as_the_ledger_allows(tmp_path: Path) -> None:
    read(tmp_path, DEPLOYMENT + "[limits]\nlease_seconds = 600\n")
    with pytest.raises(ConfigError, match="lease_seconds: has to be from 1 to 600"):
        read(tmp_path, DEPLOYMENT + "[limits]\nlease_seconds = 601\n")


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    text, said = WRONG[case]
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)
    assert str(tmp_path / "actions.toml") in str(raised.value)
    assert "0123456789abcd" not in str(raised.value)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CELERYTRAIL_ACTIONS_CONFIG": ""}, "CELERYTRAIL_ACTIONS_CONFIG has to name"),
        ({"CELERYTRAIL_ACTIONS_CONFIG": "/nowhere.toml"}, "/nowhere.toml"),
        ({"CELERYTRAIL_DSN": ""}, "no database"),
        ({"CELERYTRAIL_DSN": "", "CELERYTRAIL_DSN_FILE": "/nowhere"}, "CELERYTRAIL_DSN_FILE"),
        ({"CELERYTRAIL_ACTIONS_WORKERS": "0"}, "CELERYTRAIL_ACTIONS_WORKERS has to be from 1"),
        ({"CELERYTRAIL_ACTIONS_THREADS": "x"}, "CELERYTRAIL_ACTIONS_THREADS has to be a whole"),
        ({"CELERYTRAIL_ACTIONS_LOG_LEVEL": "loud"}, "CELERYTRAIL_ACTIONS_LOG_LEVEL"),
        ({"CELERYTRAIL_ACTIONS_WAIT_FOR_DATABASE": "2"}, "_WAIT_FOR_DATABASE has to be true"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, DEPLOYMENT, **environ)


def test_the_dsn_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("host=other\n")
    config = read(
        tmp_path, DEPLOYMENT, CELERYTRAIL_DSN="", CELERYTRAIL_DSN_FILE=str(tmp_path / "dsn")
    )
    assert config.dsn == "host=other"


def test_the_outcome_of_the_largest_chord_fits_into_the_ledger(tmp_path: Path) -> None:
    """A chord that is sent and cannot be written down would be sent, and nobody would know."""
    most = 0
    for number in (Limits().chord_most, 5_000, 6_000, 7_000, 10_000, 100_000):
        try:
            config = read(tmp_path, DEPLOYMENT + f"[limits]\nchord_most = {number}\n")
        except ConfigError:
            continue
        most = max(most, config.limits.chord_most)
    sent = tuple(TaskResult(str(uuid4()), "sent", str(uuid4())) for _ in range(most))
    outcome = Outcome("succeeded", "x" * 1000, sent, {"group_id": str(uuid4()), "kind": "chord"})
    assert most >= 5_000
    assert len(dumps(outcome_document(outcome))) < 1_048_576
