-- Lets an incremental verification believe only those drops of days that were announced in what it reads.
-- Safe: a view of the verifiers with two columns more, and functions that read replaced; a full verification gives the same.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE VIEW celerytrail.announced_drops
WITH (security_invoker = true) AS
SELECT DISTINCT ON (d.day) d.day, d.linked_at, d.actor, d.chain, d.n
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
        t.action_id,
        t.chain,
        t.n
    FROM (
        SELECT
            CASE WHEN position('\u' IN a.target::text) = 0 THEN a.target ->> 'day' END AS said,
            c.linked_at,
            a.actor,
            a.action_id,
            c.chain,
            c.n
        FROM celerytrail.actions a
        JOIN celerytrail.blocks b ON b.batch_id = a.batch_id AND b.kind = 2
        JOIN celerytrail.chain c ON c.batch_id = b.batch_id AND c.chain = b.chain AND c.n >= 1
        WHERE a.verb = 'retention' AND a.phase IN ('outcome', 'done')
    ) t
) d
WHERE to_char(d.day, 'YYYY-MM-DD') = d.said
  -- A day that has not ended cannot have been dropped.
  AND d.day < (d.linked_at AT TIME ZONE 'UTC')::date
ORDER BY d.day, d.linked_at DESC, d.n DESC, d.action_id;

DROP FUNCTION celerytrail.verify_range(int4, int8, bytea, int8, int4);
CREATE FUNCTION celerytrail.verify_range(
    chain int4, from_n int8, from_hash bytea, to_n int8, at_most int4 DEFAULT 100,
    since_chains int4[] DEFAULT NULL, since_ns int8[] DEFAULT NULL
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
    span_batches int8[];
    action_batches int8[];
    one record;
    same bool;
    told int4 := 0;
BEGIN
    -- Text is sent, and so hashed, in the client's encoding.
    IF pg_client_encoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'celerytrail: client_encoding must be UTF8, not %', pg_client_encoding()
            USING ERRCODE = 'CT003';
    END IF;

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
            WHERE c.chain = $1 AND c.n > $2 AND ($4 IS NULL OR c.n <= $4)
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
        EXIT WHEN told >= $5;
    END LOOP;

    SELECT array_agg(c.batch_id) FILTER (WHERE b.kind = 1), array_agg(c.batch_id) FILTER (WHERE b.kind = 2)
    INTO span_batches, action_batches
    FROM celerytrail.chain c
    JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
    WHERE c.chain = $1 AND c.n > $2 AND ($4 IS NULL OR c.n <= $4) AND b.format_version = 1;

    FOR one IN
        WITH links AS MATERIALIZED (
            SELECT c.n, c.batch_id, c.linked_at, b.kind, b.days, b.cnts, b.roots
            FROM celerytrail.chain c
            JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
            CROSS JOIN LATERAL celerytrail.block_body(b.batch_id, b.cnt, b.days, b.cnts, b.roots)
                AS body (body_hash, rows)
            WHERE c.chain = $1 AND c.n > $2 AND ($4 IS NULL OR c.n <= $4)
              AND b.format_version = 1 AND b.kind IN (1, 2)
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
            WHERE s.kind = 1 AND s.batch_id = ANY(span_batches)
               OR s.kind = 2 AND s.batch_id = ANY(action_batches)
            GROUP BY s.batch_id, s.day
        ), kept AS (
            SELECT g.batch_id, g.day, g.cnt, g.root, sha256('\x01'::bytea || g.leaves) AS leaves_root
            FROM celerytrail.leaf_groups g
            WHERE g.batch_id = ANY(span_batches || action_batches)
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
        -- An announcement before what is read now was not read again: whoever altered it is not believed.
        LEFT JOIN celerytrail.announced_drops d
            ON d.day = k.day
           AND d.n > coalesce((SELECT s.n FROM unnest($6, $7) AS s (chain, n) WHERE s.chain = d.chain), 0)
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
            EXIT WHEN told >= $5;
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
            EXIT WHEN told >= $5;
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
        EXIT WHEN told >= $5;
    END LOOP;
END
$$;
COMMENT ON FUNCTION celerytrail.verify_range(int4, int8, bytea, int8, int4, int4[], int8[]) IS
    'Recomputes the links of one chain after from_n, whose hash is from_hash, up to to_n (NULL: its end), with their blocks, leaves and rows, and returns what is wrong, the earliest first. Ranges that meet are as good as one pass. since_chains and since_ns are where all chains stood before what is read now: a drop of a day that was announced up to there is not believed.';

CREATE OR REPLACE FUNCTION celerytrail.verify_chain(
    chain int4, from_n int8 DEFAULT 0, from_hash bytea DEFAULT NULL, at_most int4 DEFAULT 100
)
RETURNS TABLE (
    n int8, batch_id int8, fault text, day date, row_id uuid, row_position int4, detail text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT e.n, e.batch_id, e.fault, NULL::date, NULL::uuid, NULL::int4, e.detail
    FROM celerytrail.verify_ends($1, $4) AS e
    WHERE e.n < 1 AND e.batch_id IS NOT NULL;
    RETURN QUERY SELECT * FROM celerytrail.verify_range($1, $2, $3, NULL, $4, ARRAY[$1], ARRAY[$2]);
    -- The head, last: whatever precedes it says more.
    RETURN QUERY
    SELECT e.n, e.batch_id, e.fault, NULL::date, NULL::uuid, NULL::int4, e.detail
    FROM celerytrail.verify_ends($1, $4) AS e
    WHERE e.batch_id IS NULL;
END
$$;


GRANT EXECUTE ON FUNCTION celerytrail.verify_range(int4, int8, bytea, int8, int4, int4[], int8[])
    TO celerytrail_verifier, celerytrail_maintainer;
