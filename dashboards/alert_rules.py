"""The alert rules: what each asks the database, where it leads, what it says."""

from __future__ import annotations

from dataclasses import dataclass

RUNBOOK = "docs/alerts.md"
"""Where the runbook is when nobody says better: in the repository."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One rule over ``queries/alerts/<query>.sql``.

    Each row of the query is an alert of its own: its one numeric column is compared with 0, its
    other columns are the labels. ``panel`` is (name of the dashboard's file, title of the panel)
    that the alert leads to; ``dashboard`` an address below Grafana's that may name labels. ``waits``
    is for how long a row must be there, as a Prometheus duration.
    """

    uid: str
    title: str
    query: str
    panel: tuple[str, str]
    dashboard: str
    waits: str
    severity: str
    summary: str
    description: str

    @property
    def anchor(self) -> str:
        """Return the anchor of the rule's section in the runbook."""
        return self.title.lower().replace(" ", "-")


_WORKFLOW = "/d/celerytrail-workflow?var-workflow_id={{ $labels.workflow_id }}&from=now-24h&to=now"

ALERT_RULES: tuple[AlertRule, ...] = (
    AlertRule(
        uid="celerytrail-root-group-failed",
        title="Root group failed",
        query="root_group_failed",
        panel=("workflow", "Workflow"),
        dashboard=_WORKFLOW,
        # What other hosts send a moment later may name an earlier culprit. Labels that changed are another
        # alert, and one that is pending still goes without a word.
        waits="30s",
        severity="critical",
        summary=(
            "{{ $labels.kind }} {{ $labels.workflow }} failed at {{ $labels.culprit }} "
            "({{ $labels.culprit_exception }})"
        ),
        description=(
            "{{ $values.A }} tasks of {{ $labels.kind }} {{ $labels.workflow_id }} failed; the first was "
            "{{ $labels.culprit }} {{ $labels.culprit_id }}. Nobody has retried it. It stays until all that failed "
            "is retried or ended by an operator, or is a day old."
        ),
    ),
    AlertRule(
        uid="celerytrail-body-never-ran",
        title="Chord body never ran",
        query="body_never_ran",
        panel=("workflow", "Its groups and chords"),
        dashboard=_WORKFLOW,
        waits="0s",
        severity="critical",
        summary="The body of {{ $labels.workflow }} never ran",
        description=(
            "All headers of a chord in {{ $labels.workflow_id }} ended well more than a minute ago, and its body "
            "was never sent: nothing failed, and nothing will happen."
        ),
    ),
    AlertRule(
        uid="celerytrail-events-missing",
        title="Events missing",
        query="events_missing",
        panel=("audit", "Processes with events missing, or gone without a goodbye"),
        dashboard="/d/celerytrail-audit?from=now-24h&to=now",
        waits="5m",
        severity="warning",
        summary="{{ $values.A }} events of {{ $labels.worker }} ({{ $labels.process_kind }}) are missing",
        description=(
            "Processes of {{ $labels.namespace }}/{{ $labels.service }}/{{ $labels.environment }} on "
            "{{ $labels.host }} numbered events that are not in the ledger, or said that they dropped some."
        ),
    ),
    AlertRule(
        uid="celerytrail-chain-not-verified",
        title="Chain broken or unverified",
        query="chain_not_verified",
        panel=("audit", "Chains"),
        dashboard="/d/celerytrail-audit?from=now-24h&to=now",
        waits="1m",
        severity="critical",
        summary="Chain {{ $labels.chain }}: {{ $labels.reason }}",
        description=(
            "The ledger's chain {{ $labels.chain }} is {{ $labels.reason }}. Until a full verification finds it "
            "in order, what the dashboards show may not be what happened."
        ),
    ),
    AlertRule(
        uid="celerytrail-checkpoints-silent",
        title="Checkpoints are silent",
        query="checkpoints_silent",
        panel=("audit", "Checkpoint signed"),
        dashboard="/d/celerytrail-audit?from=now-24h&to=now",
        waits="1m",
        severity="critical",
        summary="Checkpoints of the ledger: {{ $labels.reason }}",
        description=(
            "Nobody outside keeps where the ledger's chains stand ({{ $labels.reason }}, {{ $values.A }} s). What "
            "came since the last checkpoint could be cut off or written again without a trace."
        ),
    ),
    AlertRule(
        uid="celerytrail-read-model-differs",
        title="Read model differs",
        query="read_model_differs",
        panel=("audit", "Self-checks and rebuilds"),
        dashboard="/d/celerytrail-audit?from=now-24h&to=now",
        waits="0s",
        severity="critical",
        summary="{{ $values.A }} sampled tasks are {{ $labels.reason }}",
        description=(
            "What the dashboards show of some tasks does not follow from the ledger: somebody wrote to the tables they "
            "read, or there is a mistake in the software. The ledger itself is a different question: see the verifier."
        ),
    ),
    AlertRule(
        uid="celerytrail-runs-stuck",
        title="Runs are stuck",
        query="runs_stuck",
        panel=("overview", "Stuck runs"),
        dashboard="/d/celerytrail-overview?var-task={{ $labels.task }}&from=now-24h&to=now",
        waits="1m",
        severity="warning",
        summary="{{ $values.A }} runs of {{ $labels.task }} take far longer than usual",
        description=(
            "Runs of {{ $labels.task }} in {{ $labels.namespace }}/{{ $labels.service }}/{{ $labels.environment }} are open for "
            "more than three times what 99 of 100 of them took, and a minute at least. They may hang, or be lost."
        ),
    ),
)
