-- Creates what Grafana may read: views, fully qualified, in a schema of their own.
-- Safe: new views only.

SET LOCAL ROLE celerytrail_owner;

-- A barrier keeps what a view leaves out from conditions of the reader. It also keeps ORDER BY and LIMIT
-- out: every column of every row is computed before the newest few are taken. So tasks, actions and
-- task_actions, which show every row and look things up for each, have none: there is nothing behind it.

-- A payload as text; never a sealed body, never a salt.
CREATE VIEW celerytrail_views.payloads WITH (security_barrier = true) AS
SELECT
    p.event_time, p.namespace, p.service, p.environment, p.task_id, p.retries, p.kind,
    p.truncated, convert_from(p.body, 'UTF8') AS content, p.commitment, p.day
FROM celerytrail.payloads p
WHERE p.kind <> 'body';

CREATE VIEW celerytrail_views.tasks WITH (security_barrier = false) AS
SELECT
    t.namespace, t.service, t.environment, t.task_id, t.task_name, t.state, t.inferred, t.queue,
    t.worker, t.retries, t.attempts, t.root_id, t.parent_id, t.group_id, t.root_group_id,
    t.chord_body_id, encode(t.trace_id, 'hex') AS trace_id, t.first_sent_at, t.sent_at,
    t.received_at, t.started_at, t.finished_at, t.eta, t.priority, t.queue_wait_us, t.runtime_us,
    t.exception_class, t.updated_at,
    (
        SELECT count(*)
        FROM celerytrail.runs r
        WHERE r.task_id = t.task_id
          AND (r.namespace, r.service, r.environment) = (t.namespace, t.service, t.environment)
    ) AS runs,
    payload_args.content AS args,
    payload_kwargs.content AS kwargs,
    payload_exception.content AS exception,
    payload_traceback.content AS traceback,
    payload_result.content AS result,
    (
        SELECT a.new_task_id
        FROM celerytrail.task_actions a
        WHERE a.task_id = t.task_id AND a.new_task_id IS NOT NULL AND a.result = 'sent'
          AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
        ORDER BY a.action_time DESC, a.action_id DESC
        LIMIT 1
    ) AS retried_as,
    (
        SELECT max(a.action_time)
        FROM celerytrail.task_actions a
        WHERE a.task_id = t.task_id AND a.new_task_id IS NOT NULL AND a.result = 'sent'
          AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
    ) AS retried_at,
    (
        SELECT a.task_id
        FROM celerytrail.task_actions a
        WHERE a.new_task_id = t.task_id AND a.result = 'sent'
          AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
        ORDER BY a.action_time, a.action_id
        LIMIT 1
    ) AS retry_of
FROM celerytrail.tasks t
CROSS JOIN LATERAL (SELECT (
    SELECT convert_from(p.body, 'UTF8') FROM celerytrail.payloads p
    WHERE p.task_id = t.task_id AND p.commitment = t.args_commitment AND p.kind = 'args'
      AND p.day = ANY (ARRAY[t.message_day - 1, t.message_day, t.message_day + 1, '-infinity', 'infinity'])
      AND (p.namespace, p.service, p.environment) = (t.namespace, t.service, t.environment)
    LIMIT 1
)) AS payload_args (content)
CROSS JOIN LATERAL (SELECT (
    SELECT convert_from(p.body, 'UTF8') FROM celerytrail.payloads p
    WHERE p.task_id = t.task_id AND p.commitment = t.kwargs_commitment AND p.kind = 'kwargs'
      AND p.day = ANY (ARRAY[t.message_day - 1, t.message_day, t.message_day + 1, '-infinity', 'infinity'])
      AND (p.namespace, p.service, p.environment) = (t.namespace, t.service, t.environment)
    LIMIT 1
)) AS payload_kwargs (content)
CROSS JOIN LATERAL (SELECT (
    SELECT convert_from(p.body, 'UTF8') FROM celerytrail.payloads p
    WHERE p.task_id = t.task_id AND p.commitment = t.exception_commitment AND p.kind = 'exception'
      AND p.day = ANY (ARRAY[t.state_day - 1, t.state_day, t.state_day + 1, '-infinity', 'infinity'])
      AND (p.namespace, p.service, p.environment) = (t.namespace, t.service, t.environment)
    LIMIT 1
)) AS payload_exception (content)
CROSS JOIN LATERAL (SELECT (
    SELECT convert_from(p.body, 'UTF8') FROM celerytrail.payloads p
    WHERE p.task_id = t.task_id AND p.commitment = t.traceback_commitment AND p.kind = 'traceback'
      AND p.day = ANY (ARRAY[t.state_day - 1, t.state_day, t.state_day + 1, '-infinity', 'infinity'])
      AND (p.namespace, p.service, p.environment) = (t.namespace, t.service, t.environment)
    LIMIT 1
)) AS payload_traceback (content)
CROSS JOIN LATERAL (SELECT (
    SELECT convert_from(p.body, 'UTF8') FROM celerytrail.payloads p
    WHERE p.task_id = t.task_id AND p.commitment = t.result_commitment AND p.kind = 'result'
      AND p.day = ANY (ARRAY[t.state_day - 1, t.state_day, t.state_day + 1, '-infinity', 'infinity'])
      AND (p.namespace, p.service, p.environment) = (t.namespace, t.service, t.environment)
    LIMIT 1
)) AS payload_result (content);

CREATE VIEW celerytrail_views.runs WITH (security_barrier = true) AS
SELECT
    r.namespace, r.service, r.environment, encode(r.run_id, 'hex') AS run_id, r.task_id,
    r.task_name, encode(r.send_id, 'hex') AS send_id, encode(r.trace_id, 'hex') AS trace_id,
    r.retries, r.queue, r.worker, r.host, r.pid, r.started_at, r.queue_wait_us, r.updated_at,
    coalesce(e.state, r.state) AS state,
    coalesce(e.inferred, r.inferred) AS inferred,
    coalesce(e.finished_at, r.finished_at) AS finished_at,
    CASE WHEN e.state IS NULL THEN r.runtime_us ELSE e.runtime_us END AS runtime_us,
    CASE WHEN e.state IS NULL THEN r.exception_class ELSE e.exception_class END AS exception_class,
    e.state IS NOT NULL AS ended_from_outside
FROM celerytrail.runs r
-- An end that names no run closes the run of its send that is open and began before it.
LEFT JOIN celerytrail.run_ends e
    ON e.send_id = r.send_id
   AND (e.namespace, e.service, e.environment) = (r.namespace, r.service, r.environment)
   AND r.finished_at IS NULL
   AND (r.started_at IS NULL OR r.started_at <= e.finished_at);

CREATE VIEW celerytrail_views.groups WITH (security_barrier = true) AS
SELECT
    g.namespace, g.service, g.environment, g.group_id, coalesce(g.kind, 'group') AS kind, g.size,
    g.root_id, g.parent_id, g.root_group_id, g.chord_body_id,
    encode(g.trace_id, 'hex') AS trace_id, encode(g.span_id, 'hex') AS span_id, g.first_sent_at,
    greatest(g.updated_at, m.updated_at) AS updated_at,
    m.members, m.succeeded, m.failed, m.unfinished, m.finished_at
FROM celerytrail.groups g
CROSS JOIN LATERAL (
    SELECT
        count(*) AS members,
        count(*) FILTER (WHERE t.state = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE t.finished_at IS NOT NULL AND t.state NOT IN ('succeeded', 'ignored', 'retried')) AS failed,
        count(*) FILTER (WHERE t.finished_at IS NULL OR t.state = 'retried') AS unfinished,
        max(t.finished_at) AS finished_at,
        max(t.updated_at) AS updated_at
    FROM celerytrail.tasks t
    WHERE t.group_id = g.group_id
      AND (t.namespace, t.service, t.environment) = (g.namespace, g.service, g.environment)
) AS m;

CREATE VIEW celerytrail_views.spans WITH (security_barrier = true) AS
SELECT
    s.event_time, s.event_id, s.namespace, s.service, s.environment, s.task_id, s.task_name, s.step,
    s.inferred, s.retries, s.queue, s.worker, s.host, s.pid, s.process_kind,
    encode(s.trace_id, 'hex') AS trace_id, encode(s.span_id, 'hex') AS span_id,
    encode(s.parent_span_id, 'hex') AS parent_span_id, s.span_name, s.span_kind, s.status_code,
    s.start_unix_nano, s.end_unix_nano, s.root_id, s.parent_id, s.group_id, s.root_group_id,
    s.chord_body_id, encode(s.send_id, 'hex') AS send_id, s.sent_unix_nano,
    encode(s.run_id, 'hex') AS run_id, s.eta, s.priority, s.queue_wait_us, s.runtime_us,
    s.exception_class, s.stream_id, s.seq, s.about_stream_id, s.commitments, s.links, s.marks,
    s.attributes, s.received_at, s.principal_id, s.batch_id, s.day
FROM celerytrail.spans s;

CREATE VIEW celerytrail_views.streams WITH (security_barrier = true) AS
SELECT
    s.stream_id, s.namespace, s.service, s.environment, s.process_kind, s.worker, s.host, s.pid,
    CASE
        WHEN s.closed_at IS NOT NULL THEN 'ended'
        WHEN s.abandoned_at IS NOT NULL THEN 'unterminated'
        ELSE 'live'
    END AS state,
    s.last_seq,
    m.missing,
    s.lost,
    s.opened_at, s.closed_at, s.abandoned_at, s.first_seen_at, s.updated_at
FROM celerytrail.streams s
CROSS JOIN LATERAL (
    SELECT coalesce(sum(upper(gap) - lower(gap)), 0)::int8 AS missing
    FROM unnest(
        int8multirange(int8range(1, s.last_seq + 1)) - s.seqs - s.refused
    ) AS gap
) AS m;

CREATE VIEW celerytrail_views.missing_events WITH (security_barrier = true) AS
SELECT
    s.stream_id, s.namespace, s.service, s.environment, s.process_kind, s.worker, s.host, s.pid,
    lower(gap) AS from_seq, upper(gap) - 1 AS to_seq, upper(gap) - lower(gap) AS missing,
    s.updated_at
FROM celerytrail.streams s
CROSS JOIN LATERAL unnest(
    int8multirange(int8range(1, s.last_seq + 1)) - s.seqs - s.refused
) AS gap;

CREATE VIEW celerytrail_views.workers WITH (security_barrier = true) AS
SELECT
    w.namespace, w.service, w.environment, w.worker, w.state, w.seen_at, w.host, w.pid,
    w.concurrency, w.pool, w.queues, w.celery_version, w.ready_at
FROM celerytrail.workers w;

CREATE VIEW celerytrail_views.chain_state WITH (security_barrier = true) AS
SELECT h.chain, h.n, encode(h.hash, 'hex') AS hash, h.linked_at, l.ledger_id, l.format_version
FROM celerytrail.chain_head h
CROSS JOIN celerytrail.ledger l;

CREATE VIEW celerytrail_views.actions WITH (security_barrier = false) AS
SELECT
    a.action_time, a.action_id, a.intent_id, a.phase, a.verb, a.actor, a.actor_kind, a.role,
    a.namespace, a.service, a.environment, a.request_id, a.target, a.detail, a.recorded_by,
    a.batch_id,
    (
        SELECT r.reason FROM celerytrail.shown_reasons r WHERE r.intent_id = a.intent_id
    ) AS reason
FROM celerytrail.actions a;

CREATE VIEW celerytrail_views.task_actions WITH (security_barrier = false) AS
SELECT
    a.namespace, a.service, a.environment, a.task_id, a.action_time, a.verb, a.phase, a.result,
    a.new_task_id, a.actor, a.intent_id,
    (
        SELECT r.reason FROM celerytrail.shown_reasons r WHERE r.intent_id = a.intent_id
    ) AS reason
FROM celerytrail.task_actions a;

GRANT SELECT ON ALL TABLES IN SCHEMA celerytrail_views
    TO celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer;
