-- name: create_staging
-- Once for each connection. Empty again after every COMMIT.
CREATE TEMPORARY TABLE staged_spans (
    event_id uuid NOT NULL,
    event_time timestamptz NOT NULL,
    day date NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    stream_id uuid NOT NULL,
    seq int8 NOT NULL,
    step text NOT NULL,
    inferred bool NOT NULL,
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    parent_span_id bytea,
    span_name text NOT NULL,
    span_kind int2 NOT NULL,
    status_code int2 NOT NULL,
    start_unix_nano int8 NOT NULL,
    end_unix_nano int8 NOT NULL,
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
    attributes json NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE staged_payloads (
    event_time timestamptz NOT NULL,
    day date NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    retries int4,
    stream_id uuid NOT NULL,
    seq int8 NOT NULL,
    kind text NOT NULL,
    commitment bytea NOT NULL,
    salt bytea NOT NULL,
    truncated bool NOT NULL,
    body bytea NOT NULL
) ON COMMIT DELETE ROWS;

-- name: identity
SELECT l.ledger_id::text, (SELECT coalesce(max(m.id), 0) FROM celerytrail.migrations m)
FROM celerytrail.ledger l;

-- name: authenticate
-- Binds the session to the principal of a token; without it no row can be inserted.
SELECT principal_id, name, namespace, service, environment
FROM celerytrail.authenticate(%(token_hash)s);

-- name: authenticate_on_chain
-- The same, and what the transaction writes goes to this chain.
SELECT a.principal_id, a.name, a.namespace, a.service, a.environment
FROM celerytrail.authenticate(%(token_hash)s) a
CROSS JOIN celerytrail.choose_chain(%(chain)s);

-- name: synchronous_commit
SELECT current_setting('synchronous_commit');

-- name: commit_durably
-- Whoever set it to off for the role or the database did not mean that a sender deletes what a crash can undo.
SET LOCAL synchronous_commit = on;

-- name: ensure_days
-- Makes the partitions of these days, as far as they are in the window, and of the next three.
SELECT celerytrail.ensure_partitions(d.day, d.day)
FROM (
    SELECT unnest(%(days)s::date[]) AS day
    UNION
    SELECT today.today + ahead
    FROM generate_series(0, 3) AS ahead
    CROSS JOIN (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) AS today
) AS d
CROSS JOIN (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) AS today
WHERE d.day BETWEEN today.today - 32 AND today.today + 3
ORDER BY d.day;

-- name: copy_spans
COPY pg_temp.staged_spans FROM STDIN (FORMAT BINARY);

-- name: copy_payloads
COPY pg_temp.staged_payloads FROM STDIN (FORMAT BINARY);

-- name: add_streams
-- In the order in which every transaction takes them.
INSERT INTO celerytrail.streams (stream_id, namespace, service, environment)
SELECT s.stream_id, %(namespace)s, %(service)s, %(environment)s
FROM unnest(%(streams)s::uuid[]) AS s (stream_id)
ORDER BY s.stream_id
ON CONFLICT DO NOTHING;

-- name: lock_streams
-- From here on nobody else writes events of these streams until COMMIT.
SELECT s.stream_id
FROM celerytrail.streams s
WHERE s.stream_id = ANY (%(streams)s::uuid[])
  AND s.namespace = %(namespace)s AND s.service = %(service)s AND s.environment = %(environment)s
ORDER BY s.stream_id
FOR UPDATE;

-- name: survey
-- How many staged rows need more than to be inserted: known numbers, days without a partition, days below the horizon.
-- What is the same for all rows is asked for once, in subqueries.
SELECT
    count(*) FILTER (WHERE s.seqs @> g.seq) AS seen,
    count(*) FILTER (
        WHERE isfinite(g.day) AND (
            g.day < (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date - 32)
            OR g.day > (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date + 3)
        )
    ) AS unsettled,
    count(*) FILTER (
        WHERE g.event_time < (SELECT h.retained_from::timestamp AT TIME ZONE 'UTC' FROM celerytrail.horizon h)
    ) AS too_old,
    (SELECT h.retained_from::text FROM celerytrail.horizon h) AS retained_from,
    -- Nobody drops a day that is not over; a missing horizon, or a stream that is not there, is none that holds.
    coalesce(
        bool_and((
            SELECT h.retained_from <= (clock_timestamp() AT TIME ZONE 'UTC')::date FROM celerytrail.horizon h
        )),
        false
    ) AS horizon_holds
FROM pg_temp.staged_spans g
JOIN celerytrail.streams s
    ON s.stream_id = g.stream_id
   AND s.namespace = g.namespace AND s.service = g.service AND s.environment = g.environment;

-- name: take_out_seen
-- Takes out rows whose number is in the ledger: doubles, or equivocations where the content differs.
WITH seen AS (
    DELETE FROM pg_temp.staged_spans g
    USING celerytrail.streams s
    WHERE s.stream_id = g.stream_id
      AND s.namespace = g.namespace AND s.service = g.service AND s.environment = g.environment
      AND s.seqs @> g.seq
    RETURNING g.*
), compared AS (
    SELECT
        g.*,
        d.digest IS DISTINCT FROM sha256(record_send(ROW(
            g.event_id, g.event_time, g.namespace, g.service, g.environment, g.stream_id, g.seq,
            g.step, g.inferred, g.trace_id, g.span_id, g.parent_span_id, g.span_name, g.span_kind,
            g.status_code, g.start_unix_nano, g.end_unix_nano, g.process_kind, g.worker, g.host,
            g.pid, g.task_id, g.task_name, g.retries, g.queue, g.root_id, g.parent_id, g.group_id,
            g.root_group_id, g.chord_body_id, g.send_id, g.sent_unix_nano, g.run_id, g.eta,
            g.priority, g.queue_wait_us, g.runtime_us, g.exception_class, g.about_stream_id,
            g.commitments, g.links, g.attributes
        )))
        -- What retention dropped can no longer be compared.
        AND NOT (d.digest IS NULL AND g.event_time < (h.retained_from::timestamp AT TIME ZONE 'UTC'))
        AS differs
    FROM seen g
    CROSS JOIN celerytrail.horizon h
    LEFT JOIN celerytrail.stored_digests((SELECT array_agg(event_id) FROM seen)) d
        ON d.event_id = g.event_id
)
SELECT
    count(*) FILTER (WHERE NOT c.differs) AS known,
    count(*) FILTER (WHERE c.differs) AS equivocations,
    coalesce(
        array_agg(convert_to(row_to_json(c)::text, 'UTF8')) FILTER (WHERE c.differs),
        '{}'
    ) AS items
FROM compared c;

-- name: take_out_too_old
-- Takes out rows of days that retention dropped, and remembers their numbers as refused.
WITH old AS (
    DELETE FROM pg_temp.staged_spans g
    USING celerytrail.horizon h
    WHERE g.event_time < (h.retained_from::timestamp AT TIME ZONE 'UTC')
    RETURNING g.stream_id, g.namespace, g.service, g.environment, g.seq
), numbers AS (
    SELECT
        o.stream_id, o.namespace, o.service, o.environment,
        range_agg(int8range(o.seq, o.seq, '[]')) AS seqs, max(o.seq) AS last_seq, count(*) AS refused
    FROM old o
    GROUP BY o.stream_id, o.namespace, o.service, o.environment
), remembered AS (
    UPDATE celerytrail.streams s
    SET refused = s.refused + n.seqs, last_seq = greatest(s.last_seq, n.last_seq)
    FROM numbers n
    WHERE s.stream_id = n.stream_id
      AND s.namespace = n.namespace AND s.service = n.service AND s.environment = n.environment
)
SELECT coalesce(sum(n.refused), 0)::int8 FROM numbers n;

-- name: settle_days
-- Moves rows whose day can have no partition to the catch-all ones, marked; their time stays as it is.
UPDATE pg_temp.staged_spans g
SET day = CASE WHEN g.day < today.today THEN '-infinity'::date ELSE 'infinity'::date END,
    marks = CASE
        WHEN g.marks IS NULL THEN 'clock'
        WHEN 'clock' = ANY (string_to_array(g.marks, ',')) THEN g.marks
        ELSE g.marks || ',clock'
    END
FROM (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) AS today
WHERE isfinite(g.day) AND g.day NOT BETWEEN today.today - 32 AND today.today + 3;

-- name: settle_payload_days
UPDATE pg_temp.staged_payloads g
SET day = CASE WHEN g.day < today.today THEN '-infinity'::date ELSE 'infinity'::date END
FROM (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) AS today
WHERE isfinite(g.day) AND g.day NOT BETWEEN today.today - 32 AND today.today + 3;

-- name: insert_spans
-- Sorted, because overlapping batches in different orders deadlock otherwise. One statement is one block.
-- Fails where an event is there: the numbers of its stream say that none is, and looking for each once more costs
-- an eighth of this statement. What is staged has these columns, in this order.
INSERT INTO celerytrail.spans (
    event_id, event_time, day, namespace, service, environment, stream_id, seq, step, inferred,
    trace_id, span_id, parent_span_id, span_name, span_kind, status_code, start_unix_nano,
    end_unix_nano, process_kind, worker, host, pid, task_id, task_name, retries, queue, root_id,
    parent_id, group_id, root_group_id, chord_body_id, send_id, sent_unix_nano, run_id, eta,
    priority, queue_wait_us, runtime_us, exception_class, about_stream_id, commitments, links,
    marks, attributes
)
SELECT g.* FROM pg_temp.staged_spans g ORDER BY g.event_id;

-- name: insert_spans_not_there
-- The same, without those that are there.
INSERT INTO celerytrail.spans (
    event_id, event_time, day, namespace, service, environment, stream_id, seq, step, inferred,
    trace_id, span_id, parent_span_id, span_name, span_kind, status_code, start_unix_nano,
    end_unix_nano, process_kind, worker, host, pid, task_id, task_name, retries, queue, root_id,
    parent_id, group_id, root_group_id, chord_body_id, send_id, sent_unix_nano, run_id, eta,
    priority, queue_wait_us, runtime_us, exception_class, about_stream_id, commitments, links,
    marks, attributes
)
SELECT g.* FROM pg_temp.staged_spans g ORDER BY g.event_id
ON CONFLICT DO NOTHING;

-- name: take_out_conflicting
-- After fewer rows were inserted than were staged: which staged rows are not in the ledger as they are here.
WITH conflicting AS (
    DELETE FROM pg_temp.staged_spans g
    WHERE NOT EXISTS (
        SELECT
        FROM celerytrail.stored_digests((SELECT array_agg(a.event_id) FROM pg_temp.staged_spans a)) d
        WHERE d.event_id = g.event_id
          AND d.digest = sha256(record_send(ROW(
              g.event_id, g.event_time, g.namespace, g.service, g.environment, g.stream_id, g.seq,
              g.step, g.inferred, g.trace_id, g.span_id, g.parent_span_id, g.span_name, g.span_kind,
              g.status_code, g.start_unix_nano, g.end_unix_nano, g.process_kind, g.worker, g.host,
              g.pid, g.task_id, g.task_name, g.retries, g.queue, g.root_id, g.parent_id, g.group_id,
              g.root_group_id, g.chord_body_id, g.send_id, g.sent_unix_nano, g.run_id, g.eta,
              g.priority, g.queue_wait_us, g.runtime_us, g.exception_class, g.about_stream_id,
              g.commitments, g.links, g.attributes
          )))
    )
    RETURNING g.*
)
SELECT
    count(*) AS conflicting,
    count(*) FILTER (WHERE d.event_id IS NULL) AS swallowed,
    coalesce(array_agg(convert_to(row_to_json(c)::text, 'UTF8')) FILTER (WHERE c.event_id IS NOT NULL), '{}') AS items
FROM conflicting c
LEFT JOIN celerytrail.stored_digests((SELECT array_agg(event_id) FROM conflicting)) d
    ON d.event_id = c.event_id;

-- name: take_out_refused_payloads
-- Takes out items of tasks whose payloads were erased, and of days that retention dropped: a spool sends them again.
WITH gone AS (
    DELETE FROM pg_temp.staged_payloads g
    USING celerytrail.horizon h
    WHERE g.event_time < (h.retained_from::timestamp AT TIME ZONE 'UTC')
       -- A subquery with LIMIT is not turned into a join, which would read all marks for a few rows.
       OR (
           SELECT true
           FROM celerytrail.erased_tasks e
           WHERE e.task_id = g.task_id
             AND (e.namespace, e.service, e.environment) = (g.namespace, g.service, g.environment)
             AND g.kind = ANY (e.kinds)
           LIMIT 1
       )
    RETURNING g.event_time < (h.retained_from::timestamp AT TIME ZONE 'UTC') AS too_old
)
SELECT count(*) FILTER (WHERE gone.too_old), count(*) FILTER (WHERE NOT gone.too_old) FROM gone;

-- name: horizon_holds
-- Nobody drops a day that is not over; what is refused is gone for its sender, so never on the word of such a horizon.
SELECT coalesce(bool_and(h.retained_from <= (clock_timestamp() AT TIME ZONE 'UTC')::date), false) FROM celerytrail.horizon h;

-- name: insert_payloads
-- Fails where an item is there, which only happens when a sender got no answer. What is staged has these columns, in this order.
INSERT INTO celerytrail.payloads (
    event_time, day, namespace, service, environment, task_id, retries, stream_id, seq, kind,
    commitment, salt, truncated, body
)
SELECT g.* FROM pg_temp.staged_payloads g ORDER BY g.task_id, g.commitment, g.day;

-- name: insert_payloads_not_there
-- The same, without those that are there.
INSERT INTO celerytrail.payloads (
    event_time, day, namespace, service, environment, task_id, retries, stream_id, seq, kind,
    commitment, salt, truncated, body
)
SELECT g.* FROM pg_temp.staged_payloads g ORDER BY g.task_id, g.commitment, g.day
ON CONFLICT DO NOTHING;

-- name: swallowed_payloads
-- How many staged payloads are not in the table after they were inserted.
SELECT count(*)
FROM pg_temp.staged_payloads g
WHERE NOT EXISTS (
    SELECT
    FROM celerytrail.payloads p
    WHERE p.task_id = g.task_id AND p.commitment = g.commitment AND p.day = g.day
      AND p.namespace = g.namespace AND p.service = g.service AND p.environment = g.environment
);

-- name: quarantine
SELECT celerytrail.add_quarantine(%(reason)s, %(items)s);

-- name: guards_hold
-- A cheap look in each transaction, while the locks of its inserts keep triggers, rules and policies from being changed.
SELECT
    NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_class c
        WHERE c.oid IN (
            'celerytrail.spans'::regclass, 'celerytrail.payloads'::regclass,
            'celerytrail.leaf_groups'::regclass, 'celerytrail.blocks'::regclass,
            'celerytrail.chain'::regclass, 'celerytrail.chain_head'::regclass
        )
          AND (
              c.relrowsecurity
              OR c.relforcerowsecurity
              OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid)
          )
    )
    AND (
        SELECT count(*) = 6 AND bool_and(t.tgenabled = 'A')
        FROM pg_catalog.pg_trigger t
        WHERE t.tgrelid = 'celerytrail.spans'::regclass AND NOT t.tgisinternal
    )
    AND (
        SELECT count(*) = 3 AND bool_and(t.tgenabled = 'A')
        FROM pg_catalog.pg_trigger t
        WHERE t.tgrelid = 'celerytrail.blocks'::regclass AND NOT t.tgisinternal
    );
