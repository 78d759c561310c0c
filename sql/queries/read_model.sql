-- name: streams
-- The numbers that are now rows of the ledger, and what their rows say of the process.
UPDATE celerytrail.streams s
SET seqs = s.seqs + n.seqs,
    last_seq = greatest(s.last_seq, n.last_seq),
    lost = greatest(s.lost, n.lost),
    process_kind = greatest(s.process_kind, n.process_kind),
    worker = greatest(s.worker, n.worker),
    host = greatest(s.host, n.host),
    pid = greatest(s.pid, n.pid),
    opened_at = least(s.opened_at, n.opened_at),
    closed_at = greatest(s.closed_at, n.closed_at),
    first_seen_at = least(s.first_seen_at, n.first_seen_at),
    updated_at = greatest(s.updated_at, n.updated_at)
FROM (
    SELECT
        g.stream_id, g.namespace, g.service, g.environment,
        range_agg(int8range(g.seq, g.seq, '[]')) AS seqs,
        max(g.seq) AS last_seq,
        max(
            CASE
                WHEN g.step IN ('worker_heartbeat', 'stream_closed')
                    AND g.attributes ->> 'celerytrail.lost' ~ '^[0-9]{1,18}$'
                THEN (g.attributes ->> 'celerytrail.lost')::int8
            END
        ) AS lost,
        max(g.process_kind) AS process_kind,
        max(g.worker) AS worker,
        max(g.host) AS host,
        max(g.pid) AS pid,
        min(g.event_time) FILTER (WHERE g.step = 'stream_opened') AS opened_at,
        max(g.event_time) FILTER (WHERE g.step = 'stream_closed') AS closed_at,
        min(g.event_time) FILTER (WHERE g.marks IS NULL OR g.marks !~ '\mclock\M') AS first_seen_at,
        max(g.event_time) FILTER (WHERE g.marks IS NULL OR g.marks !~ '\mclock\M') AS updated_at
    FROM pg_temp.staged_spans g
    GROUP BY g.stream_id, g.namespace, g.service, g.environment
) AS n
WHERE s.stream_id = n.stream_id
  AND s.namespace = n.namespace AND s.service = n.service AND s.environment = n.environment;

-- name: abandoned_streams
-- What a shipper reports on streams whose process went without a goodbye.
UPDATE celerytrail.streams s
SET last_seq = greatest(s.last_seq, n.last_seq),
    abandoned_at = greatest(s.abandoned_at, n.abandoned_at)
FROM (
    SELECT
        g.about_stream_id, g.namespace, g.service, g.environment,
        max(g.event_time) AS abandoned_at,
        max(
            CASE
                WHEN g.attributes ->> 'celerytrail.about_stream.last_seq' ~ '^[0-9]{1,18}$'
                THEN (g.attributes ->> 'celerytrail.about_stream.last_seq')::int8
            END
        ) AS last_seq
    FROM pg_temp.staged_spans g
    WHERE g.about_stream_id IS NOT NULL AND g.step = 'stream_abandoned'
    GROUP BY g.about_stream_id, g.namespace, g.service, g.environment
) AS n
WHERE s.stream_id = n.about_stream_id
  AND s.namespace = n.namespace AND s.service = n.service AND s.environment = n.environment;

-- name: join_large
-- Temporary tables have no statistics: left to itself the planner takes a batch for a few rows and
-- joins it row by row, which is quadratic. Until the end of the transaction.
SET LOCAL enable_nestloop = off;

-- name: tasks
-- Each group of columns comes from the event with the highest key of its group; the rest is least or greatest.
WITH events AS MATERIALIZED (
    SELECT
        g.namespace, g.service, g.environment, g.task_id, g.event_time, g.day, g.step, g.inferred,
        g.trace_id, g.worker, g.task_name, g.retries, g.queue, g.root_id, g.parent_id, g.group_id,
        g.root_group_id, g.chord_body_id, g.send_id, g.eta, g.priority, g.queue_wait_us,
        g.runtime_us, g.exception_class, g.commitments, g.marks,
        p.rank, p.state, p.ends,
        -- Few sends have it, and to look for a text costs less than to take JSON apart.
        CASE
            WHEN g.step IN ('sent', 'send_failed') AND strpos(g.attributes::text, '"celery.chain.') > 0
            THEN g.attributes
        END AS of_chain,
        celerytrail.event_key(
            coalesce(g.sent_unix_nano, 0), p.rank, u.event_unix_nano, g.event_id
        ) AS state_key,
        -- Of the newest send the earliest step: the publisher knows most about the message.
        celerytrail.event_key(
            coalesce(g.sent_unix_nano, 0), 255 - p.rank, u.event_unix_nano, g.event_id
        ) AS message_key
    FROM pg_temp.staged_spans g
    JOIN celerytrail.steps p ON p.step = g.step AND p.subject = 'task'
    CROSS JOIN LATERAL (
        SELECT CASE WHEN g.step IN ('sent', 'send_failed') THEN g.start_unix_nano ELSE g.end_unix_nano END
    ) AS u (event_unix_nano)
    WHERE g.task_id IS NOT NULL
), latest AS (
    -- JSON is taken apart once and not for each of its keys, which OFFSET sees to, and only of the rows that count.
    SELECT d.*, d.commitments::jsonb AS said
    FROM (
        SELECT DISTINCT ON (e.task_id, e.namespace, e.service, e.environment) e.*
        FROM events e
        ORDER BY e.task_id, e.namespace, e.service, e.environment, e.state_key DESC
    ) AS d
    OFFSET 0
), messages AS (
    SELECT d.*, d.commitments::jsonb AS said
    FROM (
        SELECT DISTINCT ON (e.task_id, e.namespace, e.service, e.environment) e.*
        FROM events e
        WHERE e.task_name IS NOT NULL
        ORDER BY e.task_id, e.namespace, e.service, e.environment, e.message_key DESC
    ) AS d
    OFFSET 0
), starts AS (
    SELECT DISTINCT ON (e.task_id, e.namespace, e.service, e.environment)
        e.task_id, e.namespace, e.service, e.environment, e.event_time, e.queue_wait_us, e.state_key
    FROM events e
    WHERE e.step = 'started'
    ORDER BY e.task_id, e.namespace, e.service, e.environment, e.state_key DESC
), sums AS (
    SELECT
        e.task_id, e.namespace, e.service, e.environment,
        max(e.root_id) AS root_id,
        max(e.parent_id) AS parent_id,
        max(e.group_id) AS group_id,
        max(e.root_group_id) AS root_group_id,
        max(e.chord_body_id) AS chord_body_id,
        max(
            CASE
                WHEN e.of_chain ->> 'celery.chain.length' ~ '^[0-9]{1,9}$'
                THEN (e.of_chain ->> 'celery.chain.length')::int4
            END
        ) AS chain_length,
        max(
            CASE
                WHEN e.of_chain ->> 'celery.chain.left' ~ '^[0-9]{1,9}$'
                THEN (e.of_chain ->> 'celery.chain.left')::int4
            END
        ) AS chain_left,
        least(greatest(coalesce(max(e.retries), 0), 0), 2147483646) + 1 AS attempts,
        min(e.event_time) FILTER (WHERE e.step IN ('sent', 'send_failed')) AS first_sent_at,
        max(e.event_time) FILTER (WHERE e.step IN ('sent', 'send_failed')) AS sent_at,
        max(e.event_time) FILTER (WHERE e.step = 'received') AS received_at,
        max(e.event_time) FILTER (WHERE e.marks IS NULL OR e.marks !~ '\mclock\M') AS updated_at
    FROM events e
    GROUP BY e.task_id, e.namespace, e.service, e.environment
)
INSERT INTO celerytrail.tasks AS t (
    namespace, service, environment, task_id,
    task_name, queue, eta, priority, retries, send_id, trace_id, message_day,
    args_commitment, kwargs_commitment, stamps_commitment, body_commitment, message_key,
    state, inferred, worker, finished_at, runtime_us, exception_class, state_day,
    exception_commitment, traceback_commitment, result_commitment, state_key,
    started_at, queue_wait_us, start_key,
    root_id, parent_id, group_id, root_group_id, chord_body_id, chain_length, chain_left,
    attempts, first_sent_at, sent_at, received_at, updated_at
)
SELECT
    l.namespace, l.service, l.environment, l.task_id,
    m.task_name, m.queue, m.eta, m.priority, m.retries, m.send_id, m.trace_id, m.day,
    decode(m.said ->> 'args', 'hex'), decode(m.said ->> 'kwargs', 'hex'),
    decode(m.said ->> 'stamps', 'hex'), decode(m.said ->> 'body', 'hex'), m.message_key,
    l.state, l.inferred,
    -- Before it is received a task is with no worker.
    CASE WHEN l.rank >= 20 THEN l.worker END,
    CASE WHEN l.ends THEN l.event_time END, l.runtime_us, l.exception_class, l.day,
    decode(l.said ->> 'exception', 'hex'), decode(l.said ->> 'traceback', 'hex'),
    decode(l.said ->> 'result', 'hex'), l.state_key,
    b.event_time, b.queue_wait_us, b.state_key,
    s.root_id, s.parent_id, s.group_id, s.root_group_id, s.chord_body_id, s.chain_length, s.chain_left,
    s.attempts, s.first_sent_at, s.sent_at, s.received_at, s.updated_at
FROM latest l
JOIN sums s USING (task_id, namespace, service, environment)
LEFT JOIN messages m USING (task_id, namespace, service, environment)
LEFT JOIN starts b USING (task_id, namespace, service, environment)
ORDER BY l.task_id, l.namespace, l.service, l.environment
ON CONFLICT (task_id, namespace, service, environment) DO UPDATE SET
    task_name = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.task_name ELSE t.task_name END,
    queue = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.queue ELSE t.queue END,
    eta = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.eta ELSE t.eta END,
    priority = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.priority ELSE t.priority END,
    retries = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.retries ELSE t.retries END,
    send_id = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.send_id ELSE t.send_id END,
    trace_id = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.trace_id ELSE t.trace_id END,
    message_day = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.message_day ELSE t.message_day END,
    args_commitment = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.args_commitment ELSE t.args_commitment END,
    kwargs_commitment = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.kwargs_commitment ELSE t.kwargs_commitment END,
    stamps_commitment = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.stamps_commitment ELSE t.stamps_commitment END,
    body_commitment = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.body_commitment ELSE t.body_commitment END,
    message_key = greatest(t.message_key, excluded.message_key),
    state = CASE WHEN excluded.state_key > t.state_key THEN excluded.state ELSE t.state END,
    inferred = CASE WHEN excluded.state_key > t.state_key THEN excluded.inferred ELSE t.inferred END,
    worker = CASE WHEN excluded.state_key > t.state_key THEN excluded.worker ELSE t.worker END,
    finished_at = CASE WHEN excluded.state_key > t.state_key THEN excluded.finished_at ELSE t.finished_at END,
    runtime_us = CASE WHEN excluded.state_key > t.state_key THEN excluded.runtime_us ELSE t.runtime_us END,
    exception_class = CASE WHEN excluded.state_key > t.state_key THEN excluded.exception_class ELSE t.exception_class END,
    state_day = CASE WHEN excluded.state_key > t.state_key THEN excluded.state_day ELSE t.state_day END,
    exception_commitment = CASE WHEN excluded.state_key > t.state_key THEN excluded.exception_commitment ELSE t.exception_commitment END,
    traceback_commitment = CASE WHEN excluded.state_key > t.state_key THEN excluded.traceback_commitment ELSE t.traceback_commitment END,
    result_commitment = CASE WHEN excluded.state_key > t.state_key THEN excluded.result_commitment ELSE t.result_commitment END,
    state_key = greatest(t.state_key, excluded.state_key),
    started_at = CASE WHEN excluded.start_key > coalesce(t.start_key, '') THEN excluded.started_at ELSE t.started_at END,
    queue_wait_us = CASE WHEN excluded.start_key > coalesce(t.start_key, '') THEN excluded.queue_wait_us ELSE t.queue_wait_us END,
    start_key = greatest(t.start_key, excluded.start_key),
    root_id = greatest(t.root_id, excluded.root_id),
    parent_id = greatest(t.parent_id, excluded.parent_id),
    group_id = greatest(t.group_id, excluded.group_id),
    root_group_id = greatest(t.root_group_id, excluded.root_group_id),
    chord_body_id = greatest(t.chord_body_id, excluded.chord_body_id),
    chain_length = greatest(t.chain_length, excluded.chain_length),
    chain_left = greatest(t.chain_left, excluded.chain_left),
    attempts = greatest(t.attempts, excluded.attempts),
    first_sent_at = least(t.first_sent_at, excluded.first_sent_at),
    sent_at = greatest(t.sent_at, excluded.sent_at),
    received_at = greatest(t.received_at, excluded.received_at),
    updated_at = greatest(t.updated_at, excluded.updated_at);

-- name: failures
-- One row for each event that carries an exception: what is counted of them is counted when somebody asks.
INSERT INTO celerytrail.failures AS f (
    event_id, event_time, namespace, service, environment, fingerprint, step, exception_class,
    task_id, task_name, queue, worker, retries, workflow_id
)
SELECT
    g.event_id, g.event_time, g.namespace, g.service, g.environment,
    g.attributes ->> 'celery.exception.fingerprint', g.step, coalesce(g.exception_class, ''),
    g.task_id, g.task_name, g.queue, CASE WHEN p.rank >= 20 THEN g.worker END, g.retries,
    coalesce(g.root_group_id, g.root_id, g.task_id)
FROM pg_temp.staged_spans g
JOIN celerytrail.steps p ON p.step = g.step AND p.subject = 'task'
WHERE g.task_id IS NOT NULL
  AND g.attributes ->> 'celery.exception.fingerprint' ~ '^[0-9a-f]{16}$'
ORDER BY g.event_id
ON CONFLICT (event_id) DO NOTHING;

-- name: runs
-- One row for each execution; its state is that of its highest event.
WITH events AS MATERIALIZED (
    SELECT
        g.namespace, g.service, g.environment, g.run_id, g.task_id, g.event_time, g.day, g.step,
        g.inferred, g.trace_id, g.worker, g.host, g.pid, g.task_name, g.retries, g.queue, g.send_id,
        g.queue_wait_us, g.runtime_us, g.exception_class, g.commitments, g.marks,
        p.state, p.ends,
        celerytrail.event_key(coalesce(g.sent_unix_nano, 0), p.rank, g.end_unix_nano, g.event_id) AS state_key
    FROM pg_temp.staged_spans g
    JOIN celerytrail.steps p ON p.step = g.step AND p.subject = 'task' AND p.rank >= 30
    WHERE g.run_id IS NOT NULL AND g.task_id IS NOT NULL
), latest AS (
    SELECT d.*, d.commitments::jsonb AS said
    FROM (
        SELECT DISTINCT ON (e.run_id, e.namespace, e.service, e.environment) e.*
        FROM events e
        ORDER BY e.run_id, e.namespace, e.service, e.environment, e.state_key DESC
    ) AS d
    OFFSET 0
), sums AS (
    SELECT
        e.run_id, e.namespace, e.service, e.environment,
        min(e.event_time) FILTER (WHERE e.step = 'started') AS started_at,
        max(e.queue_wait_us) AS queue_wait_us,
        max(e.event_time) FILTER (WHERE e.marks IS NULL OR e.marks !~ '\mclock\M') AS updated_at
    FROM events e
    GROUP BY e.run_id, e.namespace, e.service, e.environment
)
INSERT INTO celerytrail.runs AS r (
    namespace, service, environment, run_id,
    task_id, task_name, send_id, trace_id, retries, queue, worker, host, pid,
    state, inferred, finished_at, runtime_us, exception_class, state_day,
    exception_commitment, traceback_commitment, result_commitment, state_key,
    started_at, queue_wait_us, updated_at
)
SELECT
    l.namespace, l.service, l.environment, l.run_id,
    l.task_id, l.task_name, l.send_id, l.trace_id, l.retries, l.queue, l.worker, l.host, l.pid,
    l.state, l.inferred, CASE WHEN l.ends THEN l.event_time END, l.runtime_us, l.exception_class, l.day,
    decode(l.said ->> 'exception', 'hex'), decode(l.said ->> 'traceback', 'hex'),
    decode(l.said ->> 'result', 'hex'), l.state_key,
    s.started_at, s.queue_wait_us, s.updated_at
FROM latest l
JOIN sums s USING (run_id, namespace, service, environment)
ORDER BY l.run_id, l.namespace, l.service, l.environment
ON CONFLICT (run_id, namespace, service, environment) DO UPDATE SET
    task_id = CASE WHEN excluded.state_key > r.state_key THEN excluded.task_id ELSE r.task_id END,
    task_name = CASE WHEN excluded.state_key > r.state_key THEN excluded.task_name ELSE r.task_name END,
    send_id = CASE WHEN excluded.state_key > r.state_key THEN excluded.send_id ELSE r.send_id END,
    trace_id = CASE WHEN excluded.state_key > r.state_key THEN excluded.trace_id ELSE r.trace_id END,
    retries = CASE WHEN excluded.state_key > r.state_key THEN excluded.retries ELSE r.retries END,
    queue = CASE WHEN excluded.state_key > r.state_key THEN excluded.queue ELSE r.queue END,
    worker = CASE WHEN excluded.state_key > r.state_key THEN excluded.worker ELSE r.worker END,
    host = CASE WHEN excluded.state_key > r.state_key THEN excluded.host ELSE r.host END,
    pid = CASE WHEN excluded.state_key > r.state_key THEN excluded.pid ELSE r.pid END,
    state = CASE WHEN excluded.state_key > r.state_key THEN excluded.state ELSE r.state END,
    inferred = CASE WHEN excluded.state_key > r.state_key THEN excluded.inferred ELSE r.inferred END,
    finished_at = CASE WHEN excluded.state_key > r.state_key THEN excluded.finished_at ELSE r.finished_at END,
    runtime_us = CASE WHEN excluded.state_key > r.state_key THEN excluded.runtime_us ELSE r.runtime_us END,
    exception_class = CASE WHEN excluded.state_key > r.state_key THEN excluded.exception_class ELSE r.exception_class END,
    state_day = CASE WHEN excluded.state_key > r.state_key THEN excluded.state_day ELSE r.state_day END,
    exception_commitment = CASE WHEN excluded.state_key > r.state_key THEN excluded.exception_commitment ELSE r.exception_commitment END,
    traceback_commitment = CASE WHEN excluded.state_key > r.state_key THEN excluded.traceback_commitment ELSE r.traceback_commitment END,
    result_commitment = CASE WHEN excluded.state_key > r.state_key THEN excluded.result_commitment ELSE r.result_commitment END,
    state_key = greatest(r.state_key, excluded.state_key),
    started_at = least(r.started_at, excluded.started_at),
    queue_wait_us = greatest(r.queue_wait_us, excluded.queue_wait_us),
    updated_at = greatest(r.updated_at, excluded.updated_at);

-- name: run_ends
-- Ends without a run: reported by the main process of a worker for a child that it lost or stopped.
INSERT INTO celerytrail.run_ends AS r (
    namespace, service, environment, send_id, task_id, state, inferred, finished_at, runtime_us,
    exception_class, state_day, exception_commitment, traceback_commitment, result_commitment, state_key
)
SELECT DISTINCT ON (g.send_id, g.namespace, g.service, g.environment)
    g.namespace, g.service, g.environment, g.send_id, g.task_id, p.state, g.inferred, g.event_time,
    g.runtime_us, g.exception_class, g.day,
    decode(g.commitments ->> 'exception', 'hex'), decode(g.commitments ->> 'traceback', 'hex'),
    decode(g.commitments ->> 'result', 'hex'), k.state_key
FROM pg_temp.staged_spans g
JOIN celerytrail.steps p ON p.step = g.step AND p.subject = 'task' AND p.ends AND p.rank >= 40
CROSS JOIN LATERAL (
    SELECT celerytrail.event_key(coalesce(g.sent_unix_nano, 0), p.rank, g.end_unix_nano, g.event_id)
) AS k (state_key)
WHERE g.run_id IS NULL AND g.send_id IS NOT NULL AND g.task_id IS NOT NULL
ORDER BY g.send_id, g.namespace, g.service, g.environment, k.state_key DESC
ON CONFLICT (send_id, namespace, service, environment) DO UPDATE SET
    task_id = excluded.task_id,
    state = excluded.state,
    inferred = excluded.inferred,
    finished_at = excluded.finished_at,
    runtime_us = excluded.runtime_us,
    exception_class = excluded.exception_class,
    state_day = excluded.state_day,
    exception_commitment = excluded.exception_commitment,
    traceback_commitment = excluded.traceback_commitment,
    result_commitment = excluded.result_commitment,
    state_key = excluded.state_key
WHERE excluded.state_key > r.state_key;

-- name: groups
-- A group exists as soon as one event names it; of several spans minted for it the first is kept.
WITH events AS MATERIALIZED (
    SELECT
        g.*,
        CASE
            WHEN g.step = 'group'
            THEN celerytrail.event_key(0, 0, g.start_unix_nano, g.event_id)
        END AS group_key
    FROM pg_temp.staged_spans g
    WHERE g.group_id IS NOT NULL
), spans AS (
    SELECT DISTINCT ON (e.group_id, e.namespace, e.service, e.environment) e.*
    FROM events e
    WHERE e.group_key IS NOT NULL
    ORDER BY e.group_id, e.namespace, e.service, e.environment, e.group_key
), sums AS (
    SELECT
        e.group_id, e.namespace, e.service, e.environment,
        max(e.root_id) AS root_id,
        max(e.parent_id) AS parent_id,
        -- A member carries its own root group, which is that of the group.
        max(e.root_group_id) AS root_group_id,
        max(e.chord_body_id) AS chord_body_id,
        min(e.event_time) FILTER (WHERE e.step IN ('group', 'sent')) AS first_sent_at,
        max(e.event_time) FILTER (WHERE e.marks IS NULL OR e.marks !~ '\mclock\M') AS updated_at
    FROM events e
    GROUP BY e.group_id, e.namespace, e.service, e.environment
)
INSERT INTO celerytrail.groups AS g (
    namespace, service, environment, group_id,
    kind, size, trace_id, span_id, parent_span_id, group_key,
    root_id, parent_id, root_group_id, chord_body_id, first_sent_at, updated_at
)
SELECT
    m.namespace, m.service, m.environment, m.group_id,
    left(s.attributes ->> 'celery.group.kind', 100),
    CASE
        WHEN s.attributes ->> 'celery.group.size' ~ '^[0-9]{1,18}$'
        THEN (s.attributes ->> 'celery.group.size')::int8
    END,
    s.trace_id, s.span_id, s.parent_span_id, s.group_key,
    m.root_id, m.parent_id, m.root_group_id, m.chord_body_id, m.first_sent_at, m.updated_at
FROM sums m
LEFT JOIN spans s USING (group_id, namespace, service, environment)
ORDER BY m.group_id, m.namespace, m.service, m.environment
ON CONFLICT (group_id, namespace, service, environment) DO UPDATE SET
    kind = CASE WHEN coalesce(excluded.group_key < g.group_key, g.group_key IS NULL) THEN excluded.kind ELSE g.kind END,
    size = CASE WHEN coalesce(excluded.group_key < g.group_key, g.group_key IS NULL) THEN excluded.size ELSE g.size END,
    trace_id = CASE WHEN coalesce(excluded.group_key < g.group_key, g.group_key IS NULL) THEN excluded.trace_id ELSE g.trace_id END,
    span_id = CASE WHEN coalesce(excluded.group_key < g.group_key, g.group_key IS NULL) THEN excluded.span_id ELSE g.span_id END,
    parent_span_id = CASE WHEN coalesce(excluded.group_key < g.group_key, g.group_key IS NULL) THEN excluded.parent_span_id ELSE g.parent_span_id END,
    group_key = least(g.group_key, excluded.group_key),
    root_id = greatest(g.root_id, excluded.root_id),
    parent_id = greatest(g.parent_id, excluded.parent_id),
    root_group_id = greatest(g.root_group_id, excluded.root_group_id),
    chord_body_id = greatest(g.chord_body_id, excluded.chord_body_id),
    first_sent_at = least(g.first_sent_at, excluded.first_sent_at),
    updated_at = greatest(g.updated_at, excluded.updated_at);

-- name: workers
-- What each worker node said last, and what it said when it was ready.
WITH events AS MATERIALIZED (
    SELECT
        g.*,
        p.state,
        celerytrail.event_key(g.end_unix_nano, p.rank, g.end_unix_nano, g.event_id) AS state_key
    FROM pg_temp.staged_spans g
    JOIN celerytrail.steps p ON p.step = g.step AND p.subject = 'worker'
    WHERE g.worker IS NOT NULL AND (g.marks IS NULL OR g.marks !~ '\mclock\M')
      -- Others report what they lost by the same step.
      AND coalesce(g.process_kind, 'worker') = 'worker'
), latest AS (
    SELECT DISTINCT ON (e.worker, e.namespace, e.service, e.environment) e.*
    FROM events e
    ORDER BY e.worker, e.namespace, e.service, e.environment, e.state_key DESC
), ready AS (
    SELECT DISTINCT ON (e.worker, e.namespace, e.service, e.environment) e.*
    FROM events e
    WHERE e.step = 'worker_ready'
    ORDER BY e.worker, e.namespace, e.service, e.environment, e.state_key DESC
)
INSERT INTO celerytrail.workers AS w (
    namespace, service, environment, worker, state, seen_at, host, pid, state_key,
    concurrency, pool, queues, celery_version, ready_at, ready_key
)
SELECT
    l.namespace, l.service, l.environment, l.worker, l.state, l.event_time, l.host, l.pid, l.state_key,
    CASE
        WHEN y.attributes ->> 'celery.concurrency' ~ '^[0-9]{1,18}$'
        THEN (y.attributes ->> 'celery.concurrency')::int8
    END,
    y.attributes ->> 'celery.pool', y.attributes ->> 'celery.queues', y.attributes ->> 'celery.version',
    y.event_time, y.state_key
FROM latest l
LEFT JOIN ready y USING (worker, namespace, service, environment)
ORDER BY l.worker, l.namespace, l.service, l.environment
ON CONFLICT (worker, namespace, service, environment) DO UPDATE SET
    state = CASE WHEN excluded.state_key > w.state_key THEN excluded.state ELSE w.state END,
    seen_at = CASE WHEN excluded.state_key > w.state_key THEN excluded.seen_at ELSE w.seen_at END,
    host = CASE WHEN excluded.state_key > w.state_key THEN excluded.host ELSE w.host END,
    pid = CASE WHEN excluded.state_key > w.state_key THEN excluded.pid ELSE w.pid END,
    state_key = greatest(w.state_key, excluded.state_key),
    concurrency = CASE WHEN excluded.ready_key > coalesce(w.ready_key, '') THEN excluded.concurrency ELSE w.concurrency END,
    pool = CASE WHEN excluded.ready_key > coalesce(w.ready_key, '') THEN excluded.pool ELSE w.pool END,
    queues = CASE WHEN excluded.ready_key > coalesce(w.ready_key, '') THEN excluded.queues ELSE w.queues END,
    celery_version = CASE WHEN excluded.ready_key > coalesce(w.ready_key, '') THEN excluded.celery_version ELSE w.celery_version END,
    ready_at = CASE WHEN excluded.ready_key > coalesce(w.ready_key, '') THEN excluded.ready_at ELSE w.ready_at END,
    ready_key = greatest(w.ready_key, excluded.ready_key);

-- name: heartbeats
-- What each process said last of itself and of its spool. Older agents say nothing of the spool.
UPDATE celerytrail.streams s
SET heartbeat_at = n.event_time,
    version = n.version,
    spool_bytes = n.spool_bytes,
    spool_segments = n.spool_segments,
    spool_lag_ms = n.spool_lag_ms,
    rejected = n.rejected,
    delivery_error = n.delivery_error,
    heartbeat_key = n.heartbeat_key
FROM (
    SELECT DISTINCT ON (g.stream_id, g.namespace, g.service, g.environment)
        g.stream_id, g.namespace, g.service, g.environment, g.event_time,
        left(g.attributes ->> 'celerytrail.version', 100) AS version,
        b.spool_bytes::int8 AS spool_bytes,
        CASE WHEN b.spool_segments ~ '^[0-9]{1,18}$' THEN b.spool_segments::int8 END AS spool_segments,
        CASE WHEN b.spool_lag_ms ~ '^[0-9]{1,18}$' THEN b.spool_lag_ms::int8 END AS spool_lag_ms,
        CASE WHEN b.rejected ~ '^[0-9]{1,18}$' THEN b.rejected::int8 END AS rejected,
        left(g.attributes ->> 'celerytrail.delivery.error', 100) AS delivery_error,
        k.heartbeat_key
    FROM pg_temp.staged_spans g
    CROSS JOIN LATERAL (
        SELECT
            g.attributes ->> 'celerytrail.spool.bytes' AS spool_bytes,
            g.attributes ->> 'celerytrail.spool.segments' AS spool_segments,
            g.attributes ->> 'celerytrail.spool.lag_ms' AS spool_lag_ms,
            g.attributes ->> 'celerytrail.spool.rejected' AS rejected
    ) AS b
    CROSS JOIN LATERAL (
        SELECT celerytrail.event_key(g.end_unix_nano, 0, g.end_unix_nano, g.event_id)
    ) AS k (heartbeat_key)
    WHERE g.step IN ('worker_heartbeat', 'shipper_heartbeat')
      AND b.spool_bytes ~ '^[0-9]{1,18}$'
      AND (g.marks IS NULL OR g.marks !~ '\mclock\M')
    ORDER BY g.stream_id, g.namespace, g.service, g.environment, k.heartbeat_key DESC
) AS n
WHERE s.stream_id = n.stream_id
  AND s.namespace = n.namespace AND s.service = n.service AND s.environment = n.environment
  AND n.heartbeat_key > coalesce(s.heartbeat_key, '');
