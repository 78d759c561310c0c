-- Lets a writer choose which chain its blocks go to, so that several writers do not wait for one head.
-- Safe: a session that chooses nothing writes to the chain of its principal, as before.

SET LOCAL ROLE celerytrail_owner;

-- A value of a session that only the function below can set, as principal_now is.
CREATE SEQUENCE celerytrail.chain_now MINVALUE 0 MAXVALUE 63 START 0;

CREATE FUNCTION celerytrail.choose_chain(chain int4)
RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Each chain is one more head to keep outside, for ever.
    IF $1 IS NULL OR $1 NOT BETWEEN 0 AND 63 THEN
        RAISE EXCEPTION 'celerytrail: a chain is a number from 0 to 63, not %', coalesce($1::text, 'NULL')
            USING ERRCODE = 'CT007';
    END IF;
    IF NOT EXISTS (SELECT FROM celerytrail.chain_head h WHERE h.chain = $1) THEN
        INSERT INTO celerytrail.chain_head (chain, n, hash, linked_at)
        SELECT
            $1,
            0,
            sha256('celerytrail/genesis/v1'::bytea || '\x00'::bytea || uuid_send(l.ledger_id) || int4send($1)),
            clock_timestamp()
        FROM celerytrail.ledger l
        ON CONFLICT DO NOTHING;
    END IF;
    PERFORM setval('celerytrail.chain_now'::regclass, $1);
    RETURN $1;
END
$$;
COMMENT ON FUNCTION celerytrail.choose_chain(int4) IS
    'Binds this session to a chain from 0 to 63 and makes its head where there is none. To be called in the transaction that writes, as a head goes with the transaction that made it. Raises CT007.';
GRANT EXECUTE ON FUNCTION celerytrail.choose_chain(int4) TO celerytrail_sink;

CREATE FUNCTION celerytrail.chain_of_session(otherwise int4)
RETURNS int4
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN currval('celerytrail.chain_now'::regclass);
EXCEPTION
    -- Nothing was chosen, and nothing else tells.
    WHEN object_not_in_prerequisite_state THEN RETURN otherwise;
END
$$;
COMMENT ON FUNCTION celerytrail.chain_of_session(int4) IS
    'The chain that this session has chosen, or the given one.';

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
    SELECT
        count(*),
        count(*) FILTER (
            WHERE r.batch_id <> batch OR r.principal_id <> mine.principal_id
        )
    INTO total, strangers
    FROM new_rows r;
    IF strangers > 0 THEN
        RAISE EXCEPTION 'celerytrail: % rows have a batch or a principal of another statement', strangers
            USING ERRCODE = 'CT002';
    END IF;

    WITH leaves AS (
        SELECT
            r.day,
            r.event_id,
            sha256('\x00'::bytea || record_send(ROW(
                r.event_id, r.event_time, r.day, r.namespace, r.service, r.environment,
                r.stream_id, r.seq, r.step, r.inferred, r.trace_id, r.span_id, r.parent_span_id,
                r.span_name, r.span_kind, r.status_code, r.start_unix_nano, r.end_unix_nano,
                r.process_kind, r.worker, r.host, r.pid, r.task_id, r.task_name, r.retries,
                r.queue, r.root_id, r.parent_id, r.group_id, r.root_group_id, r.chord_body_id,
                r.send_id, r.sent_unix_nano, r.run_id, r.eta, r.priority, r.queue_wait_us,
                r.runtime_us, r.exception_class, r.about_stream_id, r.commitments, r.links,
                r.marks, r.attributes, r.received_at, r.principal_id, r.batch_id
            ))) AS leaf
        FROM new_rows r
    ), days AS (
        SELECT l.day, count(*)::int4 AS cnt, string_agg(l.leaf, ''::bytea ORDER BY l.event_id) AS leaves
        FROM leaves l
        GROUP BY l.day
    ), groups AS (
        INSERT INTO celerytrail.leaf_groups (batch_id, day, cnt, root, leaves)
        SELECT batch, d.day, d.cnt, sha256('\x01'::bytea || d.leaves), d.leaves
        FROM days d
        RETURNING day, cnt, root
    )
    SELECT
        array_agg(g.day ORDER BY g.day),
        array_agg(g.cnt ORDER BY g.day),
        array_agg(g.root ORDER BY g.day),
        string_agg(date_send(g.day) || int4send(g.cnt) || g.root, ''::bytea ORDER BY g.day)
    INTO block_days, block_cnts, block_roots, body
    FROM groups g;

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
