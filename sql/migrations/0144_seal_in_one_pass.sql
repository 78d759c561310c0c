-- Lets the seal of spans read what was inserted once: who wrote it is looked at while the leaves are made, and a leaf is of the whole row.
-- Safe: the same bytes are hashed as before, as each verification of an older or a newer block shows; no table is touched.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE FUNCTION celerytrail.seal_spans()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch int8 := currval('celerytrail.batch_seq'::regclass);
    total int4;
    strangers int8;
    mine celerytrail.principals;
    block_days date[];
    block_cnts int4[];
    block_roots bytea[];
    body bytea;
BEGIN
    -- Text is sent, and so hashed, in the client's encoding.
    IF pg_client_encoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'celerytrail: client_encoding must be UTF8, not %', pg_client_encoding()
            USING ERRCODE = 'CT003';
    END IF;
    IF NOT EXISTS (SELECT FROM new_rows) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO STRICT mine
    FROM celerytrail.principals p
    WHERE p.principal_id = currval('celerytrail.principal_now'::regclass);

    WITH leaves AS (
        SELECT
            r.day,
            r.event_id,
            r.batch_id <> batch OR r.principal_id <> mine.principal_id AS strange,
            -- The row as it is, of type record. The verifiers name the columns: one that were added here would be a
            -- difference that they report, and not one that nobody hashes.
            sha256('\x00'::bytea || record_send(r)) AS leaf
        FROM new_rows r
    ), days AS (
        SELECT
            l.day,
            count(*)::int4 AS cnt,
            count(*) FILTER (WHERE l.strange) AS strangers,
            string_agg(l.leaf, ''::bytea ORDER BY l.event_id) AS leaves
        FROM leaves l
        GROUP BY l.day
    ), groups AS (
        INSERT INTO celerytrail.leaf_groups (batch_id, day, cnt, root, leaves)
        SELECT batch, d.day, d.cnt, sha256('\x01'::bytea || d.leaves), d.leaves
        FROM days d
        RETURNING day, cnt, root
    )
    SELECT
        sum(g.cnt),
        (SELECT sum(d.strangers) FROM days d),
        array_agg(g.day ORDER BY g.day),
        array_agg(g.cnt ORDER BY g.day),
        array_agg(g.root ORDER BY g.day),
        string_agg(date_send(g.day) || int4send(g.cnt) || g.root, ''::bytea ORDER BY g.day)
    INTO STRICT total, strangers, block_days, block_cnts, block_roots, body
    FROM groups g;
    IF strangers > 0 THEN
        RAISE EXCEPTION 'celerytrail: % rows have a batch or a principal of another statement', strangers
            USING ERRCODE = 'CT002';
    END IF;

    INSERT INTO celerytrail.blocks (
        batch_id, chain, kind, format_version, cnt, days, cnts, roots, body_hash, sealed_by, sealed_at
    ) VALUES (
        batch, celerytrail.chain_of_session(mine.chain), 1, 1, total, block_days, block_cnts, block_roots,
        sha256('\x02'::bytea || int8send(batch) || int4send(total) || body),
        session_user, clock_timestamp()
    );
    RETURN NULL;
END
$$;
