"""What crosses the wire between shipper and receiver: spans as OpenTelemetry means them."""

from __future__ import annotations

import pytest

from tests.acceptance.pipeline import Pipeline
from tests.acceptance.workflows import (
    check_links,
    check_workflows,
    publish_workflows,
    spans_of,
    wait_for_the_wire,
)
from tests.sdk_oracle import as_the_sdk_encodes, normal
from tests.wire_tap import WireTap


@pytest.mark.slow
def test_each_workflow_is_one_trace_in_messages_that_the_sdk_would_send(
    any_celery: Pipeline,
) -> None:
    pipeline = any_celery
    with WireTap(pipeline.endpoint) as tap:
        pipeline.endpoint = tap.url
        worker = pipeline.start_worker()
        flows = publish_workflows(pipeline)
        assert worker.stop() == 0
        wait_for_the_wire(pipeline, tap)
    check_workflows(spans_of(tap), flows)
    check_links(pipeline, flows["chord"])
    for request in tap.traces:
        for ours in normal(request).resource_spans:
            assert ours == as_the_sdk_encodes(ours)
