-- Creates the verifier that runs inside the database: one pass over chain, blocks, leaf groups and rows.
-- Safe: a new view and new functions that read; nothing that writes calls them.

SET LOCAL ROLE celerytrail_owner;

-- What a row of today would be as a leaf. The columns are those of format version 1, written out:
-- a column that is added later is not part of what was hashed before.
CREATE VIEW celerytrail.stored_leaves
WITH (security_invoker = true) AS
SELECT
    1::int2 AS kind,
    r.batch_id,
    r.day,
    r.event_id AS row_id,
    sha256('\x00'::bytea || record_send(ROW(
        r.event_id, r.event_time, r.day, r.namespace, r.service, r.environment, r.stream_id, r.seq,
        r.step, r.inferred, r.trace_id, r.span_id, r.parent_span_id, r.span_name, r.span_kind,
        r.status_code, r.start_unix_nano, r.end_unix_nano, r.process_kind, r.worker, r.host, r.pid,
        r.task_id, r.task_name, r.retries, r.queue, r.root_id, r.parent_id, r.group_id,
        r.root_group_id, r.chord_body_id, r.send_id, r.sent_unix_nano, r.run_id, r.eta, r.priority,
        r.queue_wait_us, r.runtime_us, r.exception_class, r.about_stream_id, r.commitments, r.links,
        r.marks, r.attributes, r.received_at, r.principal_id, r.batch_id
    ))) AS leaf
FROM celerytrail.spans r
UNION ALL
SELECT
    2::int2,
    r.batch_id,
    (r.action_time AT TIME ZONE 'UTC')::date,
    r.action_id,
    sha256('\x00'::bytea || record_send(ROW(
        r.action_id, r.intent_id, r.action_time, r.phase, r.verb, r.actor, r.actor_kind, r.role,
        r.namespace, r.service, r.environment, r.request_id, r.target, r.detail,
        r.reason_commitment, r.recorded_by, r.batch_id
    )))
FROM celerytrail.actions r;
COMMENT ON VIEW celerytrail.stored_leaves IS
    'The leaf of each stored row, computed from the row as it is now. Reading the leaf reads the row.';

CREATE VIEW celerytrail.announced_drops
WITH (security_invoker = true) AS
SELECT DISTINCT ON (d.day) d.day, d.linked_at, d.actor
FROM (
    SELECT
        t.said,
        -- Never an error, whatever somebody wrote: a cast of a day that no calendar has would be one.
        CASE
            WHEN t.said ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]$'
            THEN (left(t.said, 7) || '-01')::date + (right(t.said, 2)::int4 - 1)
        END AS day,
        t.linked_at,
        t.actor,
        t.action_id
    FROM (
        SELECT
            CASE WHEN position('\u' IN a.target::text) = 0 THEN a.target ->> 'day' END AS said,
            c.linked_at,
            a.actor,
            a.action_id
        FROM celerytrail.actions a
        JOIN celerytrail.blocks b ON b.batch_id = a.batch_id AND b.kind = 2
        JOIN celerytrail.chain c ON c.batch_id = b.batch_id AND c.chain = b.chain AND c.n >= 1
        WHERE a.verb = 'retention' AND a.phase IN ('outcome', 'done')
    ) t
) d
WHERE to_char(d.day, 'YYYY-MM-DD') = d.said
  -- A day that has not ended cannot have been dropped.
  AND d.day < (d.linked_at AT TIME ZONE 'UTC')::date
ORDER BY d.day, d.linked_at DESC, d.action_id;
COMMENT ON VIEW celerytrail.announced_drops IS
    'The days whose rows retention dropped: who, and the last time it was said in the chain that it was done. Nothing that was linked before may be left of such a day; blocks linked later cannot claim it.';

-- Without a search path of its own, so that the planner can inline it; hence the qualified names.
CREATE FUNCTION celerytrail.block_body(
    batch_id int8, cnt int4, days date[], cnts int4[], roots bytea[]
)
RETURNS TABLE (body_hash bytea, rows int8)
LANGUAGE sql IMMUTABLE AS $$
    SELECT
        -- Nested, because a search in an array of two dimensions is an error.
        CASE
            WHEN pg_catalog.array_ndims($3) = 1
                AND pg_catalog.array_ndims($4) = 1
                AND pg_catalog.array_ndims($5) = 1
                AND pg_catalog.cardinality($3) = pg_catalog.cardinality($4)
                AND pg_catalog.cardinality($3) = pg_catalog.cardinality($5)
            THEN CASE
                WHEN pg_catalog.array_position($3, NULL) IS NULL
                    AND pg_catalog.array_position($4, NULL) IS NULL
                    AND pg_catalog.array_position($5, NULL) IS NULL
                THEN pg_catalog.sha256(
                    '\x02'::bytea || pg_catalog.int8send($1) || pg_catalog.int4send($2)
                    || pg_catalog.string_agg(
                        pg_catalog.date_send(g.day) || pg_catalog.int4send(g.cnt) || g.root,
                        ''::bytea ORDER BY g.i
                    )
                )
            END
        END,
        pg_catalog.sum(g.cnt)
    FROM unnest($3, $4, $5) WITH ORDINALITY AS g (day, cnt, root, i)
$$;
COMMENT ON FUNCTION celerytrail.block_body(int8, int4, date[], int4[], bytea[]) IS
    'The hash of a block''s body, recomputed, and the sum of its counts. No hash where the arrays are not of one dimension, of one length and without NULL.';

CREATE FUNCTION celerytrail.verify_group(
    kind int2, batch_id int8, day date, leaves bytea
)
RETURNS TABLE (fault text, row_id uuid, row_position int4, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH stored AS (
        SELECT
            s.row_id,
            s.leaf,
            (row_number() OVER (ORDER BY s.row_id))::int4 AS row_position,
            row_number() OVER (PARTITION BY s.leaf ORDER BY s.row_id) AS copy
        FROM celerytrail.stored_leaves s
        WHERE s.kind = $1 AND s.batch_id = $2 AND s.day = $3
    ), kept AS (
        SELECT k.row_position, k.leaf, row_number() OVER (PARTITION BY k.leaf ORDER BY k.row_position) AS copy
        FROM (
            SELECT i AS row_position, substr($4, 32 * i - 31, 32) AS leaf
            FROM generate_series(1, octet_length($4) / 32) AS i
        ) k
    ), strange AS (
        SELECT s.row_id, s.row_position, row_number() OVER (ORDER BY s.row_position) AS k
        FROM stored s
        WHERE NOT EXISTS (SELECT FROM kept t WHERE t.leaf = s.leaf AND t.copy = s.copy)
    ), missing AS (
        SELECT t.row_position, row_number() OVER (ORDER BY t.row_position) AS k
        FROM kept t
        WHERE NOT EXISTS (SELECT FROM stored s WHERE s.leaf = t.leaf AND s.copy = t.copy)
    )
    SELECT
        CASE WHEN s.k <= (SELECT count(*) FROM missing) THEN 'row altered' ELSE 'row added' END,
        s.row_id,
        s.row_position,
        ''
    FROM strange s
    UNION ALL
    SELECT 'row missing', NULL, m.row_position, coalesce('after ' || b.row_id, '')
    FROM missing m
    LEFT JOIN stored b ON b.row_position = m.row_position - 1
    WHERE m.k > (SELECT count(*) FROM strange)
$$;
COMMENT ON FUNCTION celerytrail.verify_group(int2, int8, date, bytea) IS
    'Names the rows of one day of one batch that differ from its kept leaves.';

CREATE FUNCTION celerytrail.verify_chain(
    chain int4, from_n int8 DEFAULT 0, from_hash bytea DEFAULT NULL, at_most int4 DEFAULT 100
)
RETURNS TABLE (
    n int8, batch_id int8, fault text, day date, row_id uuid, row_position int4, detail text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    this_ledger uuid := (SELECT l.ledger_id FROM celerytrail.ledger l);
    genesis bytea := sha256(
        'celerytrail/genesis/v1'::bytea || '\x00'::bytea || uuid_send(this_ledger) || int4send($1)
    );
    start_hash bytea := coalesce($3, CASE
        WHEN $2 = 0 THEN genesis
        ELSE (SELECT c.hash FROM celerytrail.chain c WHERE c.chain = $1 AND c.n = $2)
    END);
    start_time timestamptz := coalesce(
        (SELECT c.linked_at FROM celerytrail.chain c WHERE c.chain = $1 AND c.n = $2 AND c.n >= 1),
        '-infinity'
    );
    lowest int8;
    highest int8;
    one record;
    same bool;
    told int4 := 0;
BEGIN
    -- Text is sent, and so hashed, in the client's encoding.
    IF pg_client_encoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'celerytrail: client_encoding must be UTF8, not %', pg_client_encoding()
            USING ERRCODE = 'CT003';
    END IF;

    -- Places that no link can have, whatever part of the chain is read: nothing follows from them.
    FOR n, batch_id IN
        SELECT c.n, c.batch_id FROM celerytrail.chain c WHERE c.chain = $1 AND c.n < 1 ORDER BY c.n LIMIT $4
    LOOP
        fault := 'link before the first'; detail := '';
        RETURN NEXT;
        told := told + 1;
    END LOOP;

    FOR one IN
        WITH links AS (
            SELECT
                c.n, c.batch_id, c.prev, c.hash, c.linked_at, b.chain AS block_chain, b.kind,
                b.format_version, b.cnt, b.days, b.cnts, b.roots, b.body_hash, b.sealed_by,
                b.sealed_at, b.batch_id IS NOT NULL AS has_block,
                lag(c.n, 1, $2) OVER w + 1 AS next_n,
                lag(c.hash, 1, start_hash) OVER w AS next_prev,
                lag(c.linked_at, 1, start_time) OVER w AS time_before
            FROM celerytrail.chain c
            LEFT JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
            WHERE c.chain = $1 AND c.n > $2
            WINDOW w AS (ORDER BY c.n)
        )
        SELECT
            CASE WHEN f.fault = 'gap in the chain' THEN l.next_n ELSE l.n END AS at_n,
            CASE WHEN f.fault <> 'gap in the chain' THEN l.batch_id END AS at_batch,
            f.fault,
            f.detail
        FROM links l
        CROSS JOIN LATERAL (
            SELECT 'gap in the chain', format('links %s to %s are missing', l.next_n, l.n - 1)
            WHERE l.n <> l.next_n
            UNION ALL
            SELECT 'link does not follow the one before it', ''
            WHERE l.n = l.next_n AND l.prev IS DISTINCT FROM l.next_prev
            UNION ALL
            SELECT 'time of linking goes back', '' WHERE l.linked_at < l.time_before
            UNION ALL
            SELECT 'block missing', '' WHERE NOT l.has_block
            UNION ALL
            SELECT 'link altered', ''
            WHERE l.has_block
              AND (
                  l.block_chain IS DISTINCT FROM $1
                  OR l.hash IS DISTINCT FROM sha256(
                      '\x03'::bytea || uuid_send(this_ledger) || int2send(l.format_version)
                      || int2send(l.kind) || int4send($1) || int8send(l.n) || l.prev || l.body_hash
                      || timestamptz_send(l.sealed_at) || timestamptz_send(l.linked_at)
                      || int4send(octet_length(convert_to(l.sealed_by, 'UTF8')))
                      || convert_to(l.sealed_by, 'UTF8')
                  )
              )
            UNION ALL
            SELECT
                'block altered',
                CASE WHEN b.body_hash = l.body_hash THEN 'its counts do not add up' ELSE '' END
            FROM celerytrail.block_body(l.batch_id, l.cnt, l.days, l.cnts, l.roots) AS b (body_hash, rows)
            WHERE l.has_block
              AND (b.body_hash IS DISTINCT FROM l.body_hash OR b.rows IS DISTINCT FROM l.cnt)
            UNION ALL
            SELECT
                'unknown format or kind of block', format('format %s, kind %s', l.format_version, l.kind)
            WHERE l.has_block AND (l.format_version <> 1 OR l.kind NOT IN (1, 2))
        ) AS f (fault, detail)
        ORDER BY l.n
    LOOP
        n := one.at_n; batch_id := one.at_batch; fault := one.fault; detail := one.detail;
        day := NULL; row_id := NULL; row_position := NULL;
        RETURN NEXT;
        told := told + 1;
        EXIT WHEN told >= $4;
    END LOOP;

    SELECT min(c.batch_id), max(c.batch_id) INTO lowest, highest
    FROM celerytrail.chain c
    WHERE c.chain = $1 AND c.n > $2;

    FOR one IN
        WITH links AS MATERIALIZED (
            SELECT c.n, c.batch_id, c.linked_at, b.kind, b.days, b.cnts, b.roots
            FROM celerytrail.chain c
            JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
            CROSS JOIN LATERAL celerytrail.block_body(b.batch_id, b.cnt, b.days, b.cnts, b.roots)
                AS body (body_hash, rows)
            WHERE c.chain = $1 AND c.n > $2 AND b.format_version = 1 AND b.kind IN (1, 2)
              AND body.body_hash = b.body_hash
        ), said AS (
            SELECT l.batch_id, g.day, g.cnt, g.root
            FROM links l
            CROSS JOIN LATERAL unnest(l.days, l.cnts, l.roots) AS g (day, cnt, root)
        ), stored AS (
            SELECT
                s.batch_id,
                s.day,
                count(*)::int4 AS cnt,
                sha256('\x01'::bytea || string_agg(s.leaf, ''::bytea ORDER BY s.row_id)) AS root
            FROM celerytrail.stored_leaves s
            WHERE s.batch_id BETWEEN lowest AND highest
              AND EXISTS (SELECT FROM links l WHERE l.batch_id = s.batch_id AND l.kind = s.kind)
            GROUP BY s.batch_id, s.day
        ), kept AS (
            SELECT g.batch_id, g.day, g.cnt, g.root, sha256('\x01'::bytea || g.leaves) AS leaves_root
            FROM celerytrail.leaf_groups g
            WHERE g.batch_id BETWEEN lowest AND highest
        )
        SELECT
            l.n,
            l.batch_id,
            l.kind,
            k.day,
            g.root IS NOT NULL AS is_said,
            g.cnt AS said_cnt,
            s.cnt AS stored_cnt,
            s.cnt = g.cnt AND s.root = g.root AS is_same,
            t.batch_id IS NOT NULL AS is_kept,
            t.cnt = g.cnt AND t.root = g.root AND t.leaves_root = g.root AS is_kept_right,
            coalesce(l.linked_at <= d.linked_at, false) AS is_dropped
        FROM (SELECT g.batch_id, g.day FROM said g UNION SELECT s.batch_id, s.day FROM stored s) AS k
        JOIN links l ON l.batch_id = k.batch_id
        LEFT JOIN said g ON g.batch_id = k.batch_id AND g.day = k.day
        LEFT JOIN stored s ON s.batch_id = k.batch_id AND s.day = k.day
        LEFT JOIN kept t ON t.batch_id = k.batch_id AND t.day = k.day
        LEFT JOIN celerytrail.announced_drops d ON d.day = k.day
        WHERE NOT coalesce(
            s.cnt = g.cnt AND s.root = g.root AND t.cnt = g.cnt AND t.root = g.root
                AND t.leaves_root = g.root,
            false
        )
        OR l.linked_at <= d.linked_at
        ORDER BY l.n, k.day
    LOOP
        n := one.n; batch_id := one.batch_id; day := one.day;
        row_id := NULL; row_position := NULL; detail := '';
        same := coalesce(one.is_same, false);
        IF NOT one.is_said THEN
            FOR row_id IN
                SELECT s.row_id
                FROM celerytrail.stored_leaves s
                WHERE s.kind = one.kind AND s.batch_id = one.batch_id AND s.day = one.day
                ORDER BY s.row_id
            LOOP
                fault := 'row added'; detail := 'the block has no such day';
                RETURN NEXT;
                told := told + 1;
            END LOOP;
            EXIT WHEN told >= $4;
            CONTINUE;
        END IF;
        IF one.is_dropped AND (one.is_kept OR one.kind = 1 AND one.stored_cnt IS NOT NULL) THEN
            fault := 'day partly dropped';
            detail := format(
                'rows left: %s, leaf groups left: %s',
                CASE WHEN one.kind = 1 THEN coalesce(one.stored_cnt, 0) ELSE 0 END,
                one.is_kept::int4
            );
            RETURN NEXT;
            told := told + 1;
            EXIT WHEN told >= $4;
            detail := '';
        END IF;
        -- Retention takes rows of spans and all leaves, never an action.
        CONTINUE WHEN one.is_dropped AND (one.kind = 1 OR same AND NOT one.is_kept);
        IF NOT coalesce(one.is_kept_right, false) THEN
            fault := CASE WHEN one.is_kept THEN 'leaf group altered' ELSE 'leaf group missing' END;
            RETURN NEXT;
            told := told + 1;
        END IF;
        IF NOT same AND one.stored_cnt IS NULL THEN
            fault := 'row missing'; detail := format('all %s rows of the day', one.said_cnt);
            RETURN NEXT;
            told := told + 1;
        ELSIF NOT same AND NOT coalesce(one.is_kept_right, false) THEN
            fault := 'row altered';
            detail := format(
                '%s rows of %s; without true leaves no single one can be named',
                one.stored_cnt, one.said_cnt
            );
            RETURN NEXT;
            told := told + 1;
        ELSIF NOT same THEN
            FOR fault, row_id, row_position, detail IN
                SELECT v.fault, v.row_id, v.row_position, v.detail
                FROM celerytrail.leaf_groups g
                CROSS JOIN LATERAL celerytrail.verify_group(one.kind, g.batch_id, g.day, g.leaves) AS v
                WHERE g.batch_id = one.batch_id AND g.day = one.day
                ORDER BY v.row_position
            LOOP
                RETURN NEXT;
                told := told + 1;
            END LOOP;
        END IF;
        EXIT WHEN told >= $4;
    END LOOP;

    -- The head, last: whatever precedes it says more.
    SELECT c.n, c.hash, c.linked_at INTO one
    FROM celerytrail.chain c
    WHERE c.chain = $1 AND c.n >= 1
    ORDER BY c.n DESC
    LIMIT 1;
    n := coalesce(one.n, 0); batch_id := NULL; fault := 'head is not the last link';
    day := NULL; row_id := NULL; row_position := NULL;
    SELECT format('it says n %s, %s...', h.n, left(encode(h.hash, 'hex'), 16)) INTO detail
    FROM celerytrail.chain_head h
    WHERE h.chain = $1;
    IF NOT FOUND THEN
        detail := 'it has none';
        RETURN NEXT;
    ELSIF NOT EXISTS (
        SELECT
        FROM celerytrail.chain_head h
        WHERE h.chain = $1
          AND h.n = coalesce(one.n, 0)
          AND h.hash = coalesce(one.hash, genesis)
          AND (one.n IS NULL OR h.linked_at = one.linked_at)
    ) THEN
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION celerytrail.verify_chain(int4, int8, bytea, int4) IS
    'Recomputes one chain after link from_n, whose hash is from_hash, and returns what is wrong, the earliest first; no row means consistent. See docs/design/hash-chain.md.';

GRANT SELECT ON celerytrail.stored_leaves, celerytrail.announced_drops
    TO celerytrail_verifier, celerytrail_maintainer;
GRANT EXECUTE ON FUNCTION
    celerytrail.verify_group(int2, int8, date, bytea),
    celerytrail.verify_chain(int4, int8, bytea, int4),
    celerytrail.block_body(int8, int4, date[], int4[], bytea[])
TO celerytrail_verifier, celerytrail_maintainer;
