-- Creates what guards the ledger: batch ids, the seal, the link, and refusals to change what is written.
-- Safe: new functions and triggers on tables that are empty.

SET LOCAL ROLE celerytrail_owner;

CREATE FUNCTION celerytrail.authenticate(token_hash bytea)
RETURNS TABLE (principal_id int8, name text, namespace text, service text, environment text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    SELECT p.principal_id, p.name, p.namespace, p.service, p.environment
    INTO principal_id, name, namespace, service, environment
    FROM celerytrail.tokens t
    JOIN celerytrail.principals p ON p.principal_id = t.principal_id
    WHERE t.token_hash = $1
      AND t.revoked_at IS NULL
      AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
      AND p.disabled_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: this token is unknown, revoked or expired' USING ERRCODE = 'CT001';
    END IF;
    PERFORM setval('celerytrail.principal_now'::regclass, principal_id);
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION celerytrail.authenticate(bytea) IS
    'Binds this session to the principal of a token, given the SHA-256 of the token. Raises CT001.';
GRANT EXECUTE ON FUNCTION celerytrail.authenticate(bytea) TO celerytrail_sink;

CREATE FUNCTION celerytrail.require_principal()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM
    FROM celerytrail.principals p
    WHERE p.principal_id = currval('celerytrail.principal_now'::regclass)
      AND p.disabled_at IS NULL
      AND EXISTS (
          SELECT
          FROM celerytrail.tokens t
          WHERE t.principal_id = p.principal_id
            AND t.revoked_at IS NULL
            AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
      );
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: the principal of this session has no valid token any more'
            USING ERRCODE = 'CT001';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION celerytrail.next_batch()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM nextval('celerytrail.batch_seq'::regclass);
    RETURN NULL;
END
$$;

CREATE FUNCTION celerytrail.require_deployment()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mine celerytrail.principals;
    foreign_rows int8;
BEGIN
    SELECT * INTO STRICT mine
    FROM celerytrail.principals p
    WHERE p.principal_id = currval('celerytrail.principal_now'::regclass);
    SELECT count(*) INTO foreign_rows
    FROM new_rows r
    WHERE r.service <> mine.service OR r.namespace <> mine.namespace
       OR r.environment <> mine.environment OR r.principal_id <> mine.principal_id;
    IF foreign_rows > 0 THEN
        RAISE EXCEPTION 'celerytrail: % rows are not of the deployment that the token belongs to', foreign_rows
            USING ERRCODE = 'CT002';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION celerytrail.seal_spans()
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
        batch, mine.chain, 1, 1, total, block_days, block_cnts, block_roots,
        sha256('\x02'::bytea || int8send(batch) || int4send(total) || body),
        session_user, clock_timestamp()
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION celerytrail.link_block()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head celerytrail.chain_head;
    next_n int8;
    next_hash bytea;
    next_linked_at timestamptz;
    this_ledger uuid;
BEGIN
    SELECT ledger_id INTO STRICT this_ledger FROM celerytrail.ledger;
    SELECT * INTO STRICT head FROM celerytrail.chain_head WHERE chain = NEW.chain FOR UPDATE;
    next_n := head.n + 1;
    next_linked_at := greatest(clock_timestamp(), head.linked_at);
    next_hash := sha256(
        '\x03'::bytea || uuid_send(this_ledger) || int2send(NEW.format_version) || int2send(NEW.kind)
        || int4send(NEW.chain) || int8send(next_n) || head.hash || NEW.body_hash
        || timestamptz_send(NEW.sealed_at) || timestamptz_send(next_linked_at)
        || int4send(octet_length(convert_to(NEW.sealed_by, 'UTF8'))) || convert_to(NEW.sealed_by, 'UTF8')
    );
    INSERT INTO celerytrail.chain (chain, n, batch_id, prev, hash, linked_at)
    VALUES (NEW.chain, next_n, NEW.batch_id, head.hash, next_hash, next_linked_at);
    -- A rule, or a trigger that returns NULL, can swallow a row without an error.
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: the link of batch % was swallowed', NEW.batch_id
            USING ERRCODE = 'CT006';
    END IF;
    UPDATE celerytrail.chain_head
    SET n = next_n, hash = next_hash, linked_at = next_linked_at
    WHERE chain = NEW.chain;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: the head of chain % was not moved', NEW.chain
            USING ERRCODE = 'CT006';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION celerytrail.forbid()
RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'celerytrail: % on %.% is forbidden: what is written stays as it is',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'CT005';
END
$$;

CREATE TRIGGER begin_batch_1 BEFORE INSERT ON celerytrail.spans
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.require_principal();
CREATE TRIGGER begin_batch_2 BEFORE INSERT ON celerytrail.spans
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.next_batch();
CREATE TRIGGER own_deployment AFTER INSERT ON celerytrail.spans
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.require_deployment();
CREATE TRIGGER seal AFTER INSERT ON celerytrail.spans
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.seal_spans();
-- At COMMIT, so that the head of the chain is locked only for the last instant of a transaction.
CREATE CONSTRAINT TRIGGER link AFTER INSERT ON celerytrail.blocks
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION celerytrail.link_block();

-- For each row, because only such triggers reach the partitions. They stop an owner's accident;
-- a superuser is caught by the verifier.
DO $$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY['spans', 'leaf_groups', 'blocks', 'chain', 'ledger'] LOOP
        EXECUTE format(
            'CREATE TRIGGER forbid_change BEFORE UPDATE OR DELETE ON celerytrail.%I FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid()',
            table_name
        );
        EXECUTE format(
            'CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.%I FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid()',
            table_name
        );
        EXECUTE format('ALTER TABLE celerytrail.%I ENABLE ALWAYS TRIGGER forbid_change', table_name);
        EXECUTE format('ALTER TABLE celerytrail.%I ENABLE ALWAYS TRIGGER forbid_truncate', table_name);
    END LOOP;
END
$$;
CREATE TRIGGER forbid_change BEFORE DELETE ON celerytrail.chain_head
    FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();
CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.chain_head
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();
ALTER TABLE celerytrail.chain_head ENABLE ALWAYS TRIGGER forbid_change;
ALTER TABLE celerytrail.chain_head ENABLE ALWAYS TRIGGER forbid_truncate;

-- Under session_replication_role = replica too.
ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER begin_batch_1;
ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER begin_batch_2;
ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER own_deployment;
ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER seal;
ALTER TABLE celerytrail.blocks ENABLE ALWAYS TRIGGER link;
