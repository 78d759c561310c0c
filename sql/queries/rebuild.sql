-- name: begin
-- The sink's transactions begin with these tables, so they wait here and not half way; those of the
-- action API come to the first of them before the others.
LOCK TABLE
    celerytrail.task_actions, celerytrail.streams, celerytrail.tasks, celerytrail.runs, celerytrail.run_ends,
    celerytrail.groups, celerytrail.workers
IN EXCLUSIVE MODE;
DELETE FROM celerytrail.tasks;
DELETE FROM celerytrail.runs;
DELETE FROM celerytrail.run_ends;
DELETE FROM celerytrail.groups;
DELETE FROM celerytrail.workers;
DELETE FROM celerytrail.task_actions;
-- Numbers of events that retention dropped are nowhere else: without them every such event would be
-- missing, and new when it comes again. Then streams stay, and what is left is added to them.
DELETE FROM celerytrail.streams s
USING celerytrail.horizon h
WHERE s.refused = '{}' AND h.retained_from = '-infinity';
UPDATE celerytrail.streams
SET seqs = '{}', last_seq = upper(refused) - 1, lost = 0, process_kind = NULL, worker = NULL,
    host = NULL, pid = NULL, opened_at = NULL, closed_at = NULL, abandoned_at = NULL,
    first_seen_at = NULL, updated_at = NULL, heartbeat_at = NULL, version = NULL, spool_bytes = NULL,
    spool_segments = NULL, spool_lag_ms = NULL, rejected = NULL, delivery_error = NULL,
    heartbeat_key = NULL
FROM celerytrail.horizon h
WHERE h.retained_from = '-infinity';
CREATE TEMPORARY TABLE staged_spans (
    event_id uuid,
    event_time timestamptz,
    day date,
    namespace text,
    service text,
    environment text,
    stream_id uuid,
    seq int8,
    step text,
    inferred bool,
    trace_id bytea,
    span_id bytea,
    parent_span_id bytea,
    span_name text,
    span_kind int2,
    status_code int2,
    start_unix_nano int8,
    end_unix_nano int8,
    process_kind text,
    worker text,
    host text,
    pid int4,
    task_id text,
    task_name text,
    retries int4,
    queue text,
    root_id text,
    parent_id text,
    group_id text,
    root_group_id text,
    chord_body_id text,
    send_id bytea,
    sent_unix_nano int8,
    run_id bytea,
    eta timestamptz,
    priority int4,
    queue_wait_us int8,
    runtime_us int8,
    exception_class text,
    about_stream_id uuid,
    commitments json,
    links json,
    marks text,
    attributes json
) ON COMMIT DROP;

-- name: next_batches
-- The last of the next whole batches that together have about so many rows; null after the last one.
SELECT max(b.batch_id)
FROM (
    SELECT c.batch_id, sum(c.cnt) OVER (ORDER BY c.batch_id) - c.cnt AS rows_before
    FROM (
        SELECT o.batch_id, o.cnt
        FROM celerytrail.blocks o
        WHERE o.kind = 1 AND o.batch_id > %(after_batch)s
        ORDER BY o.batch_id
        LIMIT %(rows_at_once)s
    ) c
) b
WHERE b.rows_before < %(rows_at_once)s;

-- name: stage
INSERT INTO pg_temp.staged_spans
SELECT
    s.event_id, s.event_time, s.day, s.namespace, s.service, s.environment, s.stream_id, s.seq,
    s.step, s.inferred, s.trace_id, s.span_id, s.parent_span_id, s.span_name, s.span_kind,
    s.status_code, s.start_unix_nano, s.end_unix_nano, s.process_kind, s.worker, s.host, s.pid,
    s.task_id, s.task_name, s.retries, s.queue, s.root_id, s.parent_id, s.group_id, s.root_group_id,
    s.chord_body_id, s.send_id, s.sent_unix_nano, s.run_id, s.eta, s.priority, s.queue_wait_us,
    s.runtime_us, s.exception_class, s.about_stream_id, s.commitments, s.links, s.marks,
    s.attributes
FROM celerytrail.spans s
WHERE s.batch_id > %(after_batch)s AND s.batch_id <= %(up_to_batch)s;

-- name: streams
INSERT INTO celerytrail.streams (stream_id, namespace, service, environment)
SELECT g.stream_id, g.namespace, g.service, g.environment FROM pg_temp.staged_spans g
UNION
SELECT g.about_stream_id, g.namespace, g.service, g.environment
FROM pg_temp.staged_spans g
WHERE g.about_stream_id IS NOT NULL
ON CONFLICT DO NOTHING;

-- name: next
TRUNCATE pg_temp.staged_spans;

-- name: actions
-- What operators did, which nothing in the spans tells.
SELECT celerytrail.project_actions((SELECT array_agg(a.action_id) FROM celerytrail.actions a));

-- name: end
DROP TABLE pg_temp.staged_spans;
