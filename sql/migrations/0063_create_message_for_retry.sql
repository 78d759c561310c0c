-- Creates the one way from the action API to a message body: the newest of one task, with what it is bound to.
-- Safe: new functions that read.

SET LOCAL ROLE celerytrail_owner;

-- The same checks as celerytrail.verify_chain() makes, of one block and of one day of its rows.
CREATE FUNCTION celerytrail.block_fault(batch_id int8, day date)
RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    block celerytrail.blocks;
    link celerytrail.chain;
    this_ledger uuid := (SELECT l.ledger_id FROM celerytrail.ledger l);
    body_hash bytea;
    before bytea;
    said_rows int8;
    said_cnt int4;
    said_root bytea;
    stored_cnt int8;
    stored_root bytea;
BEGIN
    SELECT * INTO block FROM celerytrail.blocks b WHERE b.batch_id = $1;
    IF NOT FOUND THEN
        RETURN 'block missing';
    END IF;
    SELECT * INTO link FROM celerytrail.chain c WHERE c.batch_id = $1;
    IF NOT FOUND THEN
        RETURN 'link missing';
    END IF;
    IF block.kind <> 1 OR block.format_version <> 1 THEN
        RETURN 'unknown format or kind of block';
    END IF;
    IF link.n < 1 THEN
        RETURN 'link before the first';
    END IF;
    SELECT b.body_hash, b.rows INTO body_hash, said_rows
    FROM celerytrail.block_body(block.batch_id, block.cnt, block.days, block.cnts, block.roots) AS b;
    IF body_hash IS DISTINCT FROM block.body_hash OR said_rows IS DISTINCT FROM block.cnt THEN
        RETURN 'block altered';
    END IF;
    IF block.chain IS DISTINCT FROM link.chain
        OR link.hash IS DISTINCT FROM sha256(
            '\x03'::bytea || uuid_send(this_ledger) || int2send(block.format_version)
            || int2send(block.kind) || int4send(link.chain) || int8send(link.n) || link.prev
            || block.body_hash || timestamptz_send(block.sealed_at) || timestamptz_send(link.linked_at)
            || int4send(octet_length(convert_to(block.sealed_by, 'UTF8')))
            || convert_to(block.sealed_by, 'UTF8')
        )
    THEN
        RETURN 'link altered';
    END IF;
    before := CASE
        WHEN link.n = 1
            THEN sha256(
                'celerytrail/genesis/v1'::bytea || '\x00'::bytea || uuid_send(this_ledger)
                || int4send(link.chain)
            )
        ELSE (SELECT c.hash FROM celerytrail.chain c WHERE c.chain = link.chain AND c.n = link.n - 1)
    END;
    IF link.prev IS DISTINCT FROM before THEN
        RETURN 'link does not follow the one before it';
    END IF;
    IF NOT coalesce(
        (SELECT c.prev = link.hash FROM celerytrail.chain c WHERE c.chain = link.chain AND c.n = link.n + 1),
        (SELECT h.n = link.n AND h.hash = link.hash FROM celerytrail.chain_head h WHERE h.chain = link.chain),
        false
    ) THEN
        RETURN 'what follows the link does not follow from it';
    END IF;
    SELECT g.cnt, g.root INTO said_cnt, said_root
    FROM unnest(block.days, block.cnts, block.roots) AS g (day, cnt, root)
    WHERE g.day = $2;
    IF NOT FOUND THEN
        RETURN 'row added';
    END IF;
    SELECT count(*), sha256('\x01'::bytea || string_agg(s.leaf, ''::bytea ORDER BY s.row_id))
    INTO stored_cnt, stored_root
    FROM celerytrail.stored_leaves s
    WHERE s.kind = 1 AND s.batch_id = $1 AND s.day = $2;
    IF stored_cnt IS DISTINCT FROM said_cnt THEN
        RETURN format('%s rows of %s', stored_cnt, said_cnt);
    END IF;
    IF stored_root IS DISTINCT FROM said_root THEN
        RETURN 'row altered';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION celerytrail.block_fault(int8, date) IS
    'Recomputes the leaves, the root, the body and the link of one batch and says what is not as it was chained; NULL when all is. No proof against who can rewrite the whole chain: see celerytrail verify.';

CREATE FUNCTION celerytrail.message_for_retry(
    namespace text, service text, environment text, task_id text
)
RETURNS TABLE (
    body bytea, salt bytea, commitment bytea, retries int4, stream_id uuid, seq int8, event_id uuid,
    batch_id int8, chain int4, n int8, withheld text, span_commitment bytea,
    payload_namespace text, payload_service text, payload_environment text, payload_task_id text,
    block_fault text, verification text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    day date;
BEGIN
    -- Text is sent, and so hashed, in the client's encoding.
    IF pg_client_encoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'celerytrail: client_encoding must be UTF8, not %', pg_client_encoding()
            USING ERRCODE = 'CT003';
    END IF;
    -- A message that came without a trail has no send of its own: its body came when it was received.
    SELECT
        p.body, p.salt, p.commitment, s.retries, s.stream_id, s.seq, s.event_id, s.batch_id,
        c.chain, c.n, s.attributes ->> 'celerytrail.body.withheld', k.span_commitment,
        p.namespace, p.service, p.environment, p.task_id, s.day
    INTO
        body, salt, commitment, retries, stream_id, seq, event_id, batch_id, chain, n, withheld,
        span_commitment, payload_namespace, payload_service, payload_environment, payload_task_id, day
    FROM celerytrail.spans s
    JOIN celerytrail.steps t ON t.step = s.step
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN s.commitments ->> 'body' ~ '^[0-9a-f]{64}$' THEN decode(s.commitments ->> 'body', 'hex')
        END
    ) AS k (span_commitment)
    LEFT JOIN LATERAL (
        SELECT o.*
        FROM celerytrail.payloads o
        WHERE o.task_id = s.task_id AND o.commitment = k.span_commitment AND o.kind = 'body'
          AND o.namespace = s.namespace AND o.service = s.service AND o.environment = s.environment
          -- The clock may have passed midnight, or the end of the window, between the two.
          AND o.day IN (s.day - 1, s.day, s.day + 1, '-infinity', 'infinity')
        ORDER BY o.day = s.day DESC, o.day
        LIMIT 1
    ) AS p ON true
    LEFT JOIN celerytrail.chain c ON c.batch_id = s.batch_id
    WHERE s.task_id = $4 AND s.namespace = $1 AND s.service = $2 AND s.environment = $3
      AND s.step IN ('sent', 'send_failed', 'received')
    ORDER BY
        k.span_commitment IS NOT NULL DESC, coalesce(s.sent_unix_nano, 0) DESC,
        p.body IS NOT NULL DESC, t.rank, s.event_time DESC, s.event_id
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    block_fault := CASE
        WHEN body IS NOT NULL AND commitment IS DISTINCT FROM sha256(
            'celerytrail/commit/v1'::bytea || '\x00'::bytea || '\x04'::bytea || 'body'::bytea
            || int8send(octet_length(body)) || salt || body
        )
        THEN 'payload altered'
        ELSE celerytrail.block_fault(batch_id, day)
    END;
    verification := (
        SELECT v.status
        FROM celerytrail.verifications v
        WHERE v.chain = message_for_retry.chain
        ORDER BY v.verified_at DESC, v.verification_id DESC
        LIMIT 1
    );
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION celerytrail.message_for_retry(text, text, text, text) IS
    'The message of the newest send of one task that has one, with what it is bound to, whether its block is what was chained, and what the last verification of that chain said. Never any other kind of payload.';
GRANT EXECUTE ON FUNCTION celerytrail.message_for_retry(text, text, text, text) TO celerytrail_actions;
