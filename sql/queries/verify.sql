-- name: begin_snapshot
-- Locked before the snapshot is taken: else retention could drop a day that the snapshot still says is there.
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
LOCK TABLE celerytrail.spans, celerytrail.leaf_groups IN ACCESS SHARE MODE;

-- name: settle_session
-- Names mean what Postgres ships; a policy that would hide rows is an error; no limit of the role cuts a long run.
-- Compiling these statements takes longer than it saves, and by far so on a small ledger.
SET LOCAL search_path = pg_catalog;
SET LOCAL row_security = off;
SET LOCAL standard_conforming_strings = on;
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL work_mem = '64MB';
SET LOCAL bytea_output = 'hex';
SET LOCAL jit = off;

-- name: outside_ledger
COPY (SELECT ledger_id, format_version FROM celerytrail.ledger) TO STDOUT (FORMAT BINARY);

-- name: outside_export
COPY (SELECT pg_catalog.pg_export_snapshot()) TO STDOUT (FORMAT BINARY);

-- name: outside_heads
COPY (
    SELECT chain, n, hash, linked_at FROM celerytrail.chain_head ORDER BY chain
) TO STDOUT (FORMAT BINARY);

-- name: outside_chains
-- Each number that has links, one index descent a chain.
COPY (
    WITH RECURSIVE numbers AS (
        (SELECT chain FROM celerytrail.chain ORDER BY chain LIMIT 1)
        UNION ALL
        SELECT (
            SELECT c.chain FROM celerytrail.chain c WHERE c.chain > m.chain ORDER BY c.chain LIMIT 1
        )
        FROM numbers m
        WHERE m.chain IS NOT NULL
    )
    SELECT chain FROM numbers WHERE chain IS NOT NULL
) TO STDOUT (FORMAT BINARY);

-- name: outside_link
COPY (
    SELECT hash, linked_at FROM celerytrail.chain WHERE chain = %(chain)s AND n = %(n)s AND n >= 1
) TO STDOUT (FORMAT BINARY);

-- name: outside_last_n
COPY (
    SELECT max(n) FROM celerytrail.chain WHERE chain = %(chain)s AND n >= 1
) TO STDOUT (FORMAT BINARY);

-- name: outside_before_first
-- Links at places that no link can have.
COPY (
    SELECT n, batch_id FROM celerytrail.chain WHERE chain = %(chain)s AND n < 1 ORDER BY n LIMIT 100
) TO STDOUT (FORMAT BINARY);

-- name: outside_linked_until
-- The first link of a chain that says it was made by then.
COPY (
    SELECT min(n) FROM celerytrail.chain
    WHERE chain = %(chain)s AND n >= 1 AND linked_at <= %(until)s
) TO STDOUT (FORMAT BINARY);

-- name: outside_announced
-- The actions that say that a day was dropped, each with the place and time of its link. The tables themselves: a view
-- of the database could say anything.
COPY (
    SELECT
        a.action_id, a.intent_id, a.action_time, a.phase, a.verb, a.actor, a.actor_kind, a.role, a.namespace,
        a.service, a.environment, a.request_id, a.target, a.detail, a.reason_commitment, a.recorded_by,
        a.batch_id, c.chain, c.n, c.linked_at
    FROM celerytrail.actions a
    JOIN celerytrail.blocks b ON b.batch_id = a.batch_id AND b.kind = 2
    JOIN celerytrail.chain c ON c.batch_id = b.batch_id AND c.chain = b.chain AND c.n >= 1
    WHERE a.verb = 'retention' AND a.phase IN ('outcome', 'done')
) TO STDOUT (FORMAT BINARY);

-- name: outside_plan
-- Where a chain can be cut, and how many rows its blocks claim.
COPY (
    SELECT c.n, c.hash, c.linked_at, b.cnt
    FROM celerytrail.chain c
    LEFT JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
    WHERE c.chain = %(chain)s AND c.n > %(from_n)s
    ORDER BY c.n
) TO STDOUT (FORMAT BINARY);

-- name: outside_links
COPY (
    SELECT
        c.n, c.batch_id, c.prev, c.hash, c.linked_at, b.chain, b.kind, b.format_version, b.cnt,
        b.days, b.cnts, b.roots, b.body_hash, b.sealed_by, b.sealed_at
    FROM celerytrail.chain c
    LEFT JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
    WHERE c.chain = %(chain)s AND c.n > %(from_n)s AND c.n <= %(to_n)s
    ORDER BY c.n
) TO STDOUT (FORMAT BINARY);

-- name: outside_leaf_groups
COPY (
    SELECT batch_id, day, cnt, root, leaves
    FROM celerytrail.leaf_groups
    WHERE batch_id = ANY(%(batches)s)
) TO STDOUT (FORMAT BINARY);

-- name: outside_spans
-- The columns of format version 1 in the order they are hashed; a test compares them with the code.
COPY (
    SELECT
        event_id, event_time, day, namespace, service, environment, stream_id, seq, step,
        inferred, trace_id, span_id, parent_span_id, span_name, span_kind, status_code,
        start_unix_nano, end_unix_nano, process_kind, worker, host, pid, task_id, task_name,
        retries, queue, root_id, parent_id, group_id, root_group_id, chord_body_id, send_id,
        sent_unix_nano, run_id, eta, priority, queue_wait_us, runtime_us, exception_class,
        about_stream_id, commitments, links, marks, attributes, received_at, principal_id,
        batch_id
    FROM celerytrail.spans
    WHERE batch_id = ANY(%(batches)s)
) TO STDOUT (FORMAT BINARY);

-- name: outside_span_records
-- The same rows, each as one composite value: what its type sends is what was hashed.
COPY (
    SELECT
        ROW(
            event_id, event_time, day, namespace, service, environment, stream_id, seq, step,
            inferred, trace_id, span_id, parent_span_id, span_name, span_kind, status_code,
            start_unix_nano, end_unix_nano, process_kind, worker, host, pid, task_id, task_name,
            retries, queue, root_id, parent_id, group_id, root_group_id, chord_body_id, send_id,
            sent_unix_nano, run_id, eta, priority, queue_wait_us, runtime_us, exception_class,
            about_stream_id, commitments, links, marks, attributes, received_at, principal_id,
            batch_id
        )
    FROM celerytrail.spans
    WHERE batch_id = ANY(%(batches)s)
) TO STDOUT (FORMAT BINARY);

-- name: outside_actions
COPY (
    SELECT
        action_id, intent_id, action_time, phase, verb, actor, actor_kind, role, namespace,
        service, environment, request_id, target, detail, reason_commitment, recorded_by,
        batch_id
    FROM celerytrail.actions
    WHERE batch_id = ANY(%(batches)s)
) TO STDOUT (FORMAT BINARY);

-- name: outside_orphans
-- What no block or link speaks of: kind, batch, day, one row's id, how many. Of the whole ledger, or
-- of the batches from the first one that was read now.
COPY (
    WITH reach AS (
        SELECT CASE
            WHEN %(whole)s THEN -9223372036854775808
            ELSE coalesce(
                %(first_batch)s::int8, (SELECT max(c.batch_id) + 1 FROM celerytrail.chain c WHERE c.n >= 1), 0
            )
        END AS lowest
    ), stray_spans AS MATERIALIZED (
        SELECT DISTINCT s.batch_id
        FROM celerytrail.spans s
        WHERE s.batch_id >= (SELECT lowest FROM reach)
          AND NOT EXISTS (
              SELECT FROM celerytrail.blocks b WHERE b.batch_id = s.batch_id AND b.kind = 1
          )
        LIMIT 100
    ), stray_actions AS MATERIALIZED (
        SELECT DISTINCT a.batch_id
        FROM celerytrail.actions a
        WHERE a.batch_id >= (SELECT lowest FROM reach)
          AND NOT EXISTS (
              SELECT FROM celerytrail.blocks b WHERE b.batch_id = a.batch_id AND b.kind = 2
          )
        LIMIT 100
    )
    SELECT * FROM (
        SELECT DISTINCT ON (s.batch_id, s.day)
            'row', s.batch_id, s.day, s.event_id,
            count(*) OVER (PARTITION BY s.batch_id, s.day) || ' rows of spans'
        FROM celerytrail.spans s
        WHERE s.batch_id IN (SELECT t.batch_id FROM stray_spans t)
        ORDER BY s.batch_id, s.day, s.event_id
    ) spans
    UNION ALL
    SELECT * FROM (
        SELECT DISTINCT ON (a.batch_id)
            'row', a.batch_id, NULL::date, a.action_id,
            count(*) OVER (PARTITION BY a.batch_id) || ' rows of actions'
        FROM celerytrail.actions a
        WHERE a.batch_id IN (SELECT t.batch_id FROM stray_actions t)
        ORDER BY a.batch_id, a.action_id
    ) actions
    UNION ALL
    SELECT * FROM (
        SELECT 'leaves', g.batch_id, g.day, NULL::uuid, ''
        FROM celerytrail.leaf_groups g
        WHERE g.batch_id >= (SELECT lowest FROM reach)
          AND NOT EXISTS (
              SELECT FROM celerytrail.blocks b WHERE b.batch_id = g.batch_id AND g.day = ANY(b.days)
          )
        LIMIT 100
    ) leaves
    UNION ALL
    SELECT * FROM (
        SELECT 'block', b.batch_id, NULL::date, NULL::uuid, ''
        FROM celerytrail.blocks b
        WHERE b.batch_id >= (SELECT lowest FROM reach)
          AND NOT EXISTS (
              SELECT
              FROM celerytrail.chain c
              WHERE c.batch_id = b.batch_id AND c.chain = b.chain AND c.n >= 1
          )
        LIMIT 100
    ) blocks
) TO STDOUT (FORMAT BINARY);

-- name: settle_counting
-- What an index does not lead to is found by reading the tables themselves.
SET LOCAL enable_seqscan = on;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
SET LOCAL enable_bitmapscan = off;

-- name: outside_counted
-- Rows of a day of a batch that are not as many as its block says, or not in the partition of that day. A batch is
-- compared without IS NULL, which is left out where the catalog says that there is no NULL.
COPY (
    WITH claimed AS (
        SELECT b.kind::int4 AS kind, b.batch_id, g.day, sum(g.cnt)::int8 AS cnt
        FROM celerytrail.blocks b
        CROSS JOIN LATERAL unnest(b.days, b.cnts) AS g (day, cnt)
        GROUP BY b.kind, b.batch_id, g.day
    ), counted AS (
        SELECT 1 AS kind, s.batch_id, s.day, s.tableoid AS place, count(*) AS cnt
        FROM celerytrail.spans s
        GROUP BY s.batch_id, s.day, s.tableoid
        UNION ALL
        SELECT 2, a.batch_id, (a.action_time AT TIME ZONE 'UTC')::date, NULL, count(*)
        FROM celerytrail.actions a
        GROUP BY a.batch_id, (a.action_time AT TIME ZONE 'UTC')::date
    ), compared AS (
        SELECT
            k.batch_id, k.day, k.cnt, b.cnt AS claimed,
            k.place IS NOT NULL AND p.relname::text IS DISTINCT FROM 'spans_' || CASE k.day
                WHEN 'infinity' THEN 'after_all'
                WHEN '-infinity' THEN 'before_all'
                ELSE to_char(k.day, 'YYYYMMDD')
            END AS is_misplaced
        FROM counted k
        LEFT JOIN claimed b ON b.kind = k.kind AND b.batch_id = k.batch_id AND b.day = k.day
        LEFT JOIN pg_catalog.pg_class p ON p.oid = k.place
    )
    SELECT c.chain, c.n, k.batch_id, k.day, k.cnt, k.claimed, k.is_misplaced
    FROM compared k
    LEFT JOIN celerytrail.chain c ON c.batch_id = k.batch_id AND c.n >= 1
    WHERE (k.cnt IS DISTINCT FROM k.claimed OR k.is_misplaced)
      AND (%(chain)s::int4 IS NULL OR c.chain IS NULL OR c.chain = %(chain)s::int4)
    ORDER BY c.chain, c.n, k.batch_id, k.day
    LIMIT 100
) TO STDOUT (FORMAT BINARY);

-- name: outside_counted_links
COPY (
    SELECT chain, count(*) FROM celerytrail.chain WHERE n >= 1 GROUP BY chain ORDER BY chain
) TO STDOUT (FORMAT BINARY);

-- name: sql_range
-- The verifier inside the database, on one range of a chain.
SELECT n, batch_id, fault, day::text, row_id::text, row_position, detail
FROM celerytrail.verify_range(
    %(chain)s::int4, %(from_n)s::int8, %(from_hash)s::bytea, %(to_n)s::int8, %(at_most)s::int4,
    %(since_chains)s::int4[], %(since_ns)s::int8[]
);

-- name: sql_ends
SELECT n, batch_id, fault, detail FROM celerytrail.verify_ends(%(chain)s::int4, %(at_most)s::int4);

-- name: sql_chains
SELECT h.chain FROM celerytrail.chain_head h
UNION
SELECT c.chain FROM celerytrail.chain c
ORDER BY 1;

-- name: sql_plan
-- Cuts what came after a link into ranges of about so many rows, where a block weighs as much as 32 of them:
-- the last link of each, its hash, how many blocks, the rows they claim, the lowest batch.
SELECT p.to_n, c.hash, p.blocks, p.rows, p.first_batch
FROM (
    SELECT max(l.n) AS to_n, count(*) AS blocks, coalesce(sum(l.cnt), 0)::int8 AS rows, min(l.batch_id) AS first_batch
    FROM (
        SELECT
            c.n, c.batch_id, b.cnt,
            div(sum(greatest(b.cnt, 0)::int8 + 32) OVER (ORDER BY c.n), %(range_rows)s::int8) AS part
        FROM celerytrail.chain c
        LEFT JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
        WHERE c.chain = %(chain)s AND c.n > %(from_n)s
    ) AS l
    GROUP BY l.part
) AS p
JOIN celerytrail.chain c ON c.chain = %(chain)s AND c.n = p.to_n
ORDER BY p.to_n;

-- name: sql_genesis
SELECT sha256(
    'celerytrail/genesis/v1'::bytea || '\x00'::bytea || uuid_send(l.ledger_id) || int4send(%(chain)s::int4)
)
FROM celerytrail.ledger l;

-- name: sql_dropped
-- Days that retention took entirely from batches of this stretch of the chain, as far as it was announced.
SELECT g.day::text, count(*), sum(g.cnt)::int8, d.actor
FROM celerytrail.chain c
JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
CROSS JOIN LATERAL celerytrail.block_body(b.batch_id, b.cnt, b.days, b.cnts, b.roots)
    AS body (body_hash, rows)
CROSS JOIN LATERAL unnest(b.days, b.cnts) AS g (day, cnt)
JOIN celerytrail.announced_drops d
    ON d.day = g.day
   AND c.linked_at <= d.linked_at
   AND d.n > coalesce(
       (
           SELECT s.n
           FROM unnest(%(since_chains)s::int4[], %(since_ns)s::int8[]) AS s (chain, n)
           WHERE s.chain = d.chain
       ), 0
   )
WHERE c.chain = %(chain)s AND c.n > %(from_n)s AND b.kind = 1 AND b.format_version = 1
  AND body.body_hash = b.body_hash
  AND NOT EXISTS (
      SELECT FROM celerytrail.leaf_groups t WHERE t.batch_id = b.batch_id AND t.day = g.day
  )
  AND NOT EXISTS (
      SELECT FROM celerytrail.spans s WHERE s.batch_id = b.batch_id AND s.day = g.day
  )
GROUP BY g.day, d.actor
ORDER BY g.day;

-- name: record_verification
SELECT celerytrail.record_verification(
    %(mode)s, %(chain)s::int4, %(from_n)s::int8, %(to_n)s::int8, %(head_hash)s::bytea, %(status)s,
    %(first_bad)s::json, %(rows)s::int8, %(seconds)s::float8, %(fingerprint_ok)s, %(compared_with)s,
    %(anchor_n)s::int8, %(anchor_time)s::timestamptz, %(trouble)s
);

-- name: ledger
SELECT ledger_id, format_version FROM celerytrail.ledger;

-- name: read_model_tables
-- The tables that are there, the columns of their keys, and those that say when something happened.
SELECT
    c.relname::text,
    array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum))
        FILTER (WHERE a.attnum = ANY (i.indkey::int2[])),
    coalesce(
        array_agg(a.attname::text ORDER BY a.attnum)
            FILTER (WHERE a.atttypid = 'timestamptz'::regtype AND a.attname <> 'eta'),
        '{}'
    )
FROM pg_class c
JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'celerytrail'::regnamespace
GROUP BY c.relname;

-- name: read_model_horizon
SELECT retained_from::text, retained_from > '-infinity' FROM celerytrail.horizon;

-- name: read_model_staged
-- What the sink's statements read, here of the whole ledger: spans, and the messages that were purged as
-- steps of their tasks.
SELECT
    s.event_id, s.event_time, s.day, s.namespace, s.service, s.environment, s.stream_id, s.seq,
    s.step, s.inferred, s.trace_id, s.span_id, s.parent_span_id, s.span_name, s.span_kind,
    s.status_code, s.start_unix_nano, s.end_unix_nano, s.process_kind, s.worker, s.host, s.pid,
    s.task_id, s.task_name, s.retries, s.queue, s.root_id, s.parent_id, s.group_id, s.root_group_id,
    s.chord_body_id, s.send_id, s.sent_unix_nano, s.run_id, s.eta, s.priority, s.queue_wait_us,
    s.runtime_us, s.exception_class, s.about_stream_id, s.commitments, s.links, s.marks,
    s.attributes
FROM celerytrail.spans s
UNION ALL
SELECT
    a.action_id, a.action_time, (a.action_time AT TIME ZONE 'UTC')::date, coalesce(a.namespace, ''),
    a.service, coalesce(a.environment, ''), NULL, NULL,
    'purged', false, NULL, NULL, NULL, NULL, NULL,
    NULL, k.unix_nano, k.unix_nano, NULL, NULL, NULL, NULL,
    p.task_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, p.sent_unix_nano, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL,
    NULL
FROM celerytrail.actions a
CROSS JOIN LATERAL celerytrail.purged_messages(a.detail) AS p
CROSS JOIN LATERAL (SELECT (extract(epoch FROM a.action_time) * 1000000)::int8 * 1000) AS k (unix_nano)
WHERE a.verb = 'purge' AND a.phase IN ('progress', 'outcome') AND a.service IS NOT NULL

-- name: read_model_streams
-- One row a stream, from what its events say, what others report of it and its last heartbeat.
SELECT
    k.stream_id, k.namespace, k.service, k.environment, n.process_kind, n.worker, n.host, n.pid,
    coalesce(n.seqs, '{{}}') AS seqs, greatest(0, n.last_seq, a.last_seq) AS last_seq,
    greatest(0, n.lost) AS lost, n.opened_at, n.closed_at, a.abandoned_at, n.first_seen_at, n.updated_at,
    h.event_time AS heartbeat_at, h.version, h.spool_bytes, h.spool_segments, h.spool_lag_ms, h.rejected,
    h.delivery_error, h.heartbeat_key
FROM (
    SELECT g.stream_id, g.namespace, g.service, g.environment FROM celerytrail.spans g
    UNION
    SELECT g.about_stream_id, g.namespace, g.service, g.environment
    FROM celerytrail.spans g
    WHERE g.about_stream_id IS NOT NULL
) AS k
LEFT JOIN ({streams}) AS n
    ON (n.stream_id, n.namespace, n.service, n.environment) = (k.stream_id, k.namespace, k.service, k.environment)
LEFT JOIN ({abandoned_streams}) AS a
    ON (a.about_stream_id, a.namespace, a.service, a.environment) = (k.stream_id, k.namespace, k.service, k.environment)
LEFT JOIN ({heartbeats}) AS h
    ON (h.stream_id, h.namespace, h.service, h.environment) = (k.stream_id, k.namespace, k.service, k.environment)

-- name: read_model_task_actions
SELECT
    a.action_id, n.task_id, coalesce(a.namespace, '') AS namespace, a.service,
    coalesce(a.environment, '') AS environment, a.intent_id, a.action_time, a.verb, a.phase, n.result,
    CASE WHEN a.verb IN ('retry', 'retry-chord') THEN n.new_task_id END AS new_task_id, a.actor
FROM celerytrail.actions a
CROSS JOIN LATERAL celerytrail.named_tasks(a.phase, a.target, a.detail) AS n
WHERE a.service IS NOT NULL

-- name: read_model_extent
-- Which ledger it is, and how many rows its blocks speak of.
SELECT l.ledger_id, (SELECT coalesce(sum(b.cnt), 0)::int8 FROM celerytrail.blocks b)
FROM celerytrail.ledger l;

-- name: read_model_in_slice
((hashtextextended({column}::text, 0) & 9223372036854775807) % {of} = {number})

-- name: read_model_compare
-- Compares a slice of a table with what the ledger gives for it: how many rows it has, how many differ, then the first
-- of those: key, what it is, which columns. Rows that reach back before what was dropped are left out.
WITH staged AS NOT MATERIALIZED (
    SELECT g.* FROM ({staged}) AS g WHERE {staged_here}
), expected ({columns}) AS MATERIALIZED (
    SELECT x.* FROM ({select}) AS x ({columns}) WHERE {expected_here}
),
differing AS (
    SELECT
        concat_ws(' ', {keys}) AS key,
        CASE
            WHEN l IS NULL THEN 'missing'
            WHEN e IS NULL THEN 'not in the ledger'
            ELSE 'altered'
        END AS what,
        CASE
            WHEN NOT l IS NULL AND NOT e IS NULL
            THEN ARRAY(
                SELECT j.key
                FROM jsonb_each(to_jsonb(e)) AS j
                WHERE j.value IS DISTINCT FROM to_jsonb(l) -> j.key
                ORDER BY j.key
            )
        END AS altered_columns
    FROM (SELECT t.* FROM celerytrail.{table} AS t WHERE {stored_here}) AS l
    FULL JOIN expected e USING ({keys})
    WHERE ROW({stored}) IS DISTINCT FROM ROW({given}) AND {comparable}
)
SELECT NULL, (SELECT count(*) FROM celerytrail.{table} AS t WHERE {stored_here})::text, (SELECT count(*) FROM differing)::text, NULL::text[]
UNION ALL
(SELECT d.key, d.what, NULL, d.altered_columns FROM differing d ORDER BY d.key LIMIT {at_most});

-- name: read_model_reaches_back
-- A row some of whose events may have been dropped.
coalesce(least({times}) >= {retained_from}::timestamptz, true)

-- name: read_model_streams_reach_back
-- What is left of a stream must be among its numbers.
(l.seqs IS NULL OR e.seqs IS NULL OR NOT e.seqs <@ l.seqs) AND e.seqs IS NOT NULL

-- name: read_model_streams_whole
-- A stream of which nothing was stored is known by the numbers that were refused alone.
(e.seqs IS NOT NULL OR l.seqs <> '{{}}')

-- name: read_model_last_seq
-- Numbers that were refused are nowhere but in the read model.
greatest(e.last_seq, upper(l.refused) - 1)
