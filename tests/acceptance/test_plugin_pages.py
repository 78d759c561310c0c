"""The plugin's pages in a real browser, on the real action API, broker and worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.control_room import ADMIN, EDITOR, ControlRoom
from tests.browser.grafana_pages import PluginPages, serve_pages
from tests.browser.host_page import OpenPage
from tests.grafana.plugin_proxy import GrafanaStandIn
from tests.waiting import wait_until

SHOP = {"namespace": "shop", "service": "orders", "environment": "test"}
SLOW = 60_000
"""Milliseconds: a broker, a database and a page are asked in turn, on a machine that does more."""


@pytest.fixture
def grafana(room: ControlRoom, plugin_site: Path) -> GrafanaStandIn:
    serve_pages(room.grafana, PluginPages(plugin_site))
    return room.grafana


def confirm(page: Page, queue: str) -> None:
    page.get_by_label("Type the name of the queue to confirm").fill(queue)
    page.get_by_label("Reason").fill("sent by mistake")
    page.get_by_role("button", name="Remove").click()


@pytest.mark.slow
def test_a_queue_is_purged_from_its_page(
    room: ControlRoom,
    grafana: GrafanaStandIn,
    host_page: OpenPage,
) -> None:
    first = room.publish("waiting", "backlog", "12")["ids"]
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=first[-1])
    page = host_page(grafana, "purge", {**SHOP, "queue": "backlog"}, user=ADMIN).page
    expect(page.get_by_role("button", name="Remove 12 messages")).to_be_disabled(timeout=SLOW)

    # More than the purge allows for have come: nothing is removed.
    room.publish("waiting", "backlog", "10")
    confirm(page, "backlog")
    expect(page.get_by_role("alert")).to_contain_text("The queue has grown", timeout=SLOW)
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("button", name="Remove 22 messages")).to_be_disabled(timeout=SLOW)
    confirm(page, "backlog")
    expect(page.get_by_role("status")).to_contain_text("22 messages removed", timeout=SLOW)
    expect(page.get_by_role("status")).to_contain_text("ada")
    rows = room.actions(verb="purge", phase="outcome")
    assert [row["actor"] for row in rows] == ["grafana:1:ada"]
    assert rows[0]["reason"] == "sent by mistake"
    waiting = room.pipeline.rows(
        "SELECT 1 FROM celerytrail_views.tasks WHERE queue = 'backlog' AND state <> 'purged'"
    )
    assert waiting == []
    page.get_by_role("link", name="Open the Audit dashboard").wait_for()

    # An editor may retry there, and not purge: Grafana does not even pass it on.
    page = host_page(grafana, "purge", {**SHOP, "queue": "backlog"}, user=EDITOR).page
    expect(page.get_by_role("alert")).to_contain_text("Purging needs the role Admin", timeout=SLOW)


@pytest.mark.slow
def test_a_chord_is_sent_again_from_its_page(
    room: ControlRoom,
    grafana: GrafanaStandIn,
    host_page: OpenPage,
) -> None:
    worker = room.start_worker()
    room.broken.touch()
    sent = room.publish("chord", "4", "2")
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=sent["ids"][2], state="failed")
    for task in sent["ids"]:
        wait_until(
            lambda task=task: room.pipeline.rows(
                "SELECT 1 FROM celerytrail_views.tasks WHERE task_id = %s AND state IN "
                "('failed', 'succeeded')",
                task,
            ),
            "the header has ended",
        )
    room.broken.unlink()
    page = host_page(grafana, "retry-chord", {**SHOP, "group_id": sent["group"]}, user=EDITOR).page
    retry = page.get_by_role("button", name="Retry 4 members and the body")
    expect(retry).to_be_enabled(timeout=SLOW)
    expect(page.get_by_role("cell", name="failed")).to_have_count(1)
    retry.click()
    expect(page.get_by_role("status")).to_contain_text("was sent again as group", timeout=SLOW)
    expect(page.get_by_role("row")).to_have_count(6)
    body = page.get_by_role("row").filter(has_text=sent["body"])
    again = body.get_by_role("link").nth(1).inner_text()
    room.row("celerytrail-tasks", "Newest tasks", {}, task_id=again, state="succeeded")
    assert worker.stop() == 0
