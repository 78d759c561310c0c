"""The page that retries a whole chord, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.browser import take
from tests.browser.contract_api import SECRET, SHOP, ContractApi
from tests.browser.grafana_pages import GrafanaWithPages, PluginPages
from tests.browser.host_page import OpenPage
from tests.grafana.plugin_proxy import User

EDDA = User("edda", "Editor")
VIC = User("vic", "Viewer", user_id=2)
CHORD = {**SHOP, "group_id": "chord-1"}
MEMBERS = 40


@pytest.fixture
def api() -> Iterator[ContractApi]:
    with ContractApi(group="chord-1", members=[f"task-{n}" for n in range(MEMBERS)]) as server:
        yield server


@pytest.fixture
def grafana(plugin_site: Path, api: ContractApi) -> Iterator[GrafanaWithPages]:
    with GrafanaWithPages(
        PluginPages(plugin_site, theme="light"),
        upstreams={"action-api:8080": api.address},
        secrets={1: {"proxySecret": SECRET}},
        users=(EDDA, VIC),
    ) as server:
        yield server


def test_shows_the_chord_and_sends_it_again(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage, pictures: Path
) -> None:
    page = host_page(grafana, "retry-chord", CHORD, user=EDDA).page
    retry = page.get_by_role("button", name="Retry 40 members and the body")
    expect(retry).to_be_enabled()
    expect(page.get_by_text("shop.settle")).to_be_visible()
    expect(page.get_by_role("cell", name="failed")).to_have_count(2)
    take(page, pictures / "chord-preview.png")
    assert api.chords_sent == 0
    page.get_by_label("Reason").fill("the card network is back")
    retry.click()

    expect(page.get_by_role("status")).to_contain_text("41 tasks were sent again")
    assert api.chords_sent == 1
    assert api.requests[-1].parameters["reason"] == "the card network is back"
    row = page.get_by_role("row").nth(1)
    link = row.get_by_role("link", name="new-task-0").get_attribute("href")
    assert link is not None
    assert parse_qs(urlsplit(link).query)["var-task_id"] == ["new-task-0"]
    workflow = page.get_by_role("link", name="Open the new workflow").get_attribute("href")
    assert workflow is not None
    assert urlsplit(workflow).path == "/d/celerytrail-workflow"
    assert parse_qs(urlsplit(workflow).query)["var-workflow_id"] == ["new-chord-1"]
    # More rows than one page shows.
    page.get_by_role("button", name="2", exact=True).click()
    expect(page.get_by_role("link", name="new-body-1")).to_be_visible()
    take(page, pictures / "chord-result.png")


def test_without_the_new_group_it_leads_to_a_new_task(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    api.tells_new_group = False
    page = host_page(grafana, "retry-chord", CHORD, user=EDDA).page
    page.get_by_role("button", name="Retry 40 members and the body").click()
    task = page.get_by_role("link", name="Open a new task").get_attribute("href")
    assert task is not None
    assert parse_qs(urlsplit(task).query)["var-task_id"] == ["new-task-0"]


def test_a_member_that_joined_makes_one_look_again(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "retry-chord", CHORD, user=EDDA).page
    retry = page.get_by_role("button", name="Retry 40 members and the body")
    expect(retry).to_be_enabled()
    api.members.append("task-40")
    retry.click()
    expect(page.get_by_role("alert")).to_contain_text("The chord has changed since you looked")
    assert api.chords_sent == 0
    page.get_by_role("button", name="Look again").click()
    page.get_by_role("button", name="Retry 41 members and the body").click()
    expect(page.get_by_role("status")).to_contain_text("42 tasks were sent again")


def test_asks_for_the_group_where_none_is_named(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "retry-chord", user=EDDA).page
    show = page.get_by_role("button", name="Show the chord")
    page.get_by_label("Group id").fill("chord-1")
    expect(show).to_be_disabled()
    page.get_by_label("Deployment").click()
    page.get_by_role("option", name="/shop/production").click()
    show.click()
    expect(page.get_by_role("button", name="Retry 40 members and the body")).to_be_visible()


def test_a_group_that_nobody_knows_is_told(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "retry-chord", {**CHORD, "group_id": "<b>x</b>"}, user=EDDA).page
    expect(page.get_by_role("alert")).to_contain_text("There is no such thing")
    expect(page.get_by_role("alert")).to_contain_text("no chord <b>x</b> is known")


def test_a_viewer_is_told_which_role_it_takes(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage
) -> None:
    page = host_page(grafana, "retry-chord", CHORD, user=VIC).page
    expect(page.get_by_role("alert")).to_contain_text("retrying a chord the role Editor")
    assert api.requests == []
    assert api.chords_sent == 0


def test_the_way_from_page_to_page_stays_inside(
    api: ContractApi, grafana: GrafanaWithPages, host_page: OpenPage, pictures: Path
) -> None:
    page = host_page(grafana, "", user=EDDA).page
    take(page, pictures / "start.png")
    page.get_by_role("link", name="Retry a whole chord").click()
    expect(page.get_by_role("heading", name="Retry a whole chord")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Celerytrail")).to_be_visible()


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ({1: {"proxySecret": SECRET}}, "The proxy secret is set"),
        ({}, "The proxy secret is not set"),
    ],
)
def test_the_configuration_page_says_whether_the_secret_is_there_and_never_shows_it(
    plugin_site: Path,
    host_page: OpenPage,
    pictures: Path,
    secrets: dict[int, dict[str, str]],
    words: str,
) -> None:
    with GrafanaWithPages(
        PluginPages(plugin_site), upstreams={}, secrets=secrets, users=(EDDA,)
    ) as grafana:
        page = host_page(grafana, "/plugins/celerytrail-app", user=EDDA).page
        expect(page.get_by_text(words)).to_be_visible()
        assert SECRET not in page.content()
        assert page.get_by_role("textbox").count() == 0
        take(page, pictures / f"config-{bool(secrets)}.png")
