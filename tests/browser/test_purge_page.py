"""The page that purges a queue, in a real browser, through the stand-in for Grafana's proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browser import take
from tests.browser.contract_api import SECRET, SHOP, ContractApi
from tests.browser.grafana_pages import GrafanaWithPages, PluginPages
from tests.browser.host_page import OpenPage
from tests.grafana.plugin_proxy import User

ADA = User("ada", "Admin")
VIC = User("vic", "Viewer", user_id=2)
CELERY = {**SHOP, "queue": "celery"}
ODD_NAME = "q\"'<img src=x onerror=alert(1)>\u202eü&a=b  &amp; {{7*7}} ${x}"


@pytest.fixture
def api() -> Iterator[ContractApi]:
    waiting = [f"task-{number}" for number in range(12)]
    with ContractApi(queues={"celery": waiting, "idle": [], ODD_NAME: ["odd-1"]}) as server:
        yield server


@pytest.fixture
def grafana(plugin_site: Path, api: ContractApi) -> Iterator[GrafanaWithPages]:
    with GrafanaWithPages(
        PluginPages(plugin_site),
        upstreams={"action-api:8080": api.address},
        secrets={1: {"proxySecret": SECRET}},
        users=(ADA, VIC),
    ) as server:
        yield server


def confirm(page: Page, name: str = "celery") -> None:
    page.get_by_label("Type the name of the queue to confirm").fill(name)
    page.get_by_role("button", name="Remove").click()


def test_shows_what_waits_and_removes_it_once_the_name_was_typed(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage, pictures: Path
) -> None:
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    remove = page.get_by_role("button", name="Remove 12 messages")
    expect(remove).to_be_disabled()
    expect(page.get_by_text("2 h 5 min")).to_be_visible()
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(11)
    page.get_by_label("Type the name of the queue to confirm").fill("celer")
    expect(remove).to_be_disabled()
    assert api.purges == []
    page.get_by_label("Type the name of the queue to confirm").fill("celery")
    page.get_by_label("Reason").fill('wrong "batch" </script>')
    take(page, pictures / "purge-preview.png")

    page.get_by_label("Reason").press("Enter")

    expect(page.get_by_role("status")).to_contain_text("12 messages were removed")
    assert api.purges == ["celery"]
    sent = api.requests[-1].parameters
    assert sent["reason"] == 'wrong "batch" </script>'
    assert {name: sent[name] for name in CELERY} == CELERY
    audit = page.get_by_role("link", name="Open the Audit dashboard").get_attribute("href")
    tasks = page.get_by_role("link", name="Open the Tasks dashboard").get_attribute("href")
    assert audit is not None
    assert tasks is not None
    assert urlsplit(audit).path == "/d/celerytrail-audit"
    assert parse_qs(urlsplit(tasks).query) == {
        "var-namespace": ["(none)"],
        "var-service": ["shop"],
        "var-environment": ["production"],
        "var-queue": ["celery"],
    }
    take(page, pictures / "purge-result.png")


def test_without_a_queue_it_lets_one_choose_among_those_there_are(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage, pictures: Path
) -> None:
    page = host_page(grafana, "purge", user=ADA).page
    page.get_by_label("Deployment").click()
    page.get_by_role("option", name="/shop/production").click()
    page.get_by_label("Queue").click()
    take(page, pictures / "purge-choose.png")
    expect(page.get_by_role("option", name="12 messages, oldest 2 h 5 min")).to_be_visible()
    page.get_by_role("option", name="idle").click()

    expect(page.get_by_text("Nothing waits in this queue")).to_be_visible()
    assert parse_qs(urlsplit(page.url).query, keep_blank_values=True) == {
        **{name: [value] for name, value in SHOP.items()},
        "queue": ["idle"],
    }


def test_a_queue_that_grew_is_left_alone_until_it_was_looked_at_again(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage, pictures: Path
) -> None:
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    expect(page.get_by_role("button", name="Remove 12 messages")).to_be_visible()
    api.queues["celery"].append("task-12")
    confirm(page)

    expect(page.get_by_role("alert")).to_contain_text("The queue has grown since you looked")
    expect(page.get_by_role("alert")).to_contain_text("13 messages wait in the queue")
    assert api.purges == []
    take(page, pictures / "purge-grown.png")

    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("button", name="Remove 13 messages")).to_be_disabled()
    confirm(page)
    expect(page.get_by_role("status")).to_contain_text("13 messages were removed")


def test_a_preview_that_is_too_old_can_no_longer_be_confirmed(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    api.expires_in_seconds = 8  # so long that it is seen to run
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    expect(page.get_by_role("timer")).to_contain_text("0:0")
    expect(page.get_by_text("What you see is too old to be confirmed")).to_be_visible()
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
    api.expires_in_seconds = 120
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("button", name="Remove 12 messages")).to_be_visible()


def test_a_token_that_the_api_takes_for_too_old_is_told_and_one_can_start_again(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    expect(page.get_by_role("button", name="Remove 12 messages")).to_be_visible()
    api.let_tokens_expire()
    confirm(page)
    expect(page.get_by_role("alert")).to_contain_text(
        "You took longer than the preview is good for"
    )
    assert api.purges == []
    page.get_by_role("button", name="Look again").click()
    confirm(page)
    expect(page.get_by_role("status")).to_contain_text("Done")


def test_who_may_not_gets_the_apis_words(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage, pictures: Path
) -> None:
    api.denied = True
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    expect(page.get_by_role("alert")).to_contain_text("You may not do this here")
    expect(page.get_by_role("alert")).to_contain_text("ada (admin) may not do this on")
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
    take(page, pictures / "purge-not-allowed.png")

    page.goto(f"{grafana.url}a/celerytrail-app/purge")
    expect(page.get_by_text("You may not do this in any deployment")).to_be_visible()


def test_a_viewer_is_told_which_role_it_takes(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "purge", CELERY, user=VIC).page
    expect(page.get_by_role("alert")).to_contain_text("Your role in this organisation")
    expect(page.get_by_role("alert")).to_contain_text("Purging needs the role Admin")
    assert api.requests == []
    # Grafana's own pop-up would say the same once more, in worse words.
    expect(page.get_by_test_id("grafana-pop-up")).to_have_count(0)


def test_an_api_that_is_down_is_told_and_asked_again(
    plugin_site: Path, api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    address = api.address
    api.stop()
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    expect(page.get_by_role("alert")).to_contain_text("The action API cannot be reached")
    with ContractApi(queues={"celery": ["one"]}) as started:
        assert started.address != address
        grafana.upstreams["action-api:8080"] = started.address
        page.get_by_role("button", name="Look again").click()
        expect(page.get_by_role("button", name="Remove 1 message")).to_be_visible()


def test_a_lost_answer_is_not_taken_for_a_failure_and_nothing_is_done_twice(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    api.lose_answers = 1
    confirm(page)
    expect(page.get_by_role("alert")).to_contain_text("it is not known what was done")
    api.queues["celery"] = ["came-later"]
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_role("alert")).to_contain_text("This preview was confirmed already")
    expect(page.get_by_role("link", name="Open the Audit dashboard")).to_be_visible()
    assert api.purges == ["celery"]
    assert api.queues["celery"] == ["came-later"]


def test_a_name_with_quotes_markup_and_turned_letters_is_just_a_name(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage, pictures: Path
) -> None:
    watched = host_page(grafana, "purge", {**SHOP, "queue": ODD_NAME}, user=ADA)
    page = watched.page
    page.on("dialog", lambda dialog: watched.faults.append(dialog.message))
    expect(page.get_by_role("button", name="Remove 1 message")).to_be_disabled()
    assert page.locator("dd bdi").nth(1).text_content() == ODD_NAME.replace("\u202e", "\\u{202e}")
    assert page.locator("img").count() == 0
    take(page, pictures / "purge-odd-name.png")
    confirm(page, ODD_NAME)
    expect(page.get_by_role("status")).to_contain_text("Done")
    assert api.purges == [ODD_NAME]
    tasks = page.get_by_role("link", name="Open the Tasks dashboard").get_attribute("href")
    assert tasks is not None
    assert parse_qs(urlsplit(tasks).query)["var-queue"] == [ODD_NAME]


def test_it_can_be_used_with_the_keyboard_alone(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    expect(page.get_by_role("button", name="Remove 12 messages")).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "confirm-name":
            break
    page.keyboard.type("celery")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_contain_text("12 messages were removed")
    # The focus goes on to what became of it.
    page.wait_for_function(
        "document.activeElement.contains(document.querySelector('[role=status]'))"
    )


def test_only_the_proxy_is_asked_and_no_cookie_gets_through(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "purge", CELERY, user=ADA).page
    confirm(page)
    expect(page.get_by_role("status")).to_contain_text("Done")
    called = {target.partition("?")[0] for _, target, _ in grafana.pages.requests}
    assert {path for path in called if not path.startswith("/public/")} == {
        "/a/celerytrail-app/purge",
        "/api/plugin-proxy/celerytrail-app/admin/preview/purge",
        "/api/plugin-proxy/celerytrail-app/admin/purge",
    }
    assert all("cookie" not in seen.headers for seen in api.requests)
