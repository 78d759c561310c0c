-- Creates the actions of operators: a table of their own in the same chain, written by one function only.
-- Safe: new tables.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.actions (
    action_id uuid PRIMARY KEY,
    intent_id uuid,
    action_time timestamptz NOT NULL,
    phase text NOT NULL CHECK (phase IN ('intent', 'progress', 'outcome', 'refused', 'done')),
    verb text NOT NULL CHECK (verb <> ''),
    actor text NOT NULL CHECK (actor <> ''),
    actor_kind text NOT NULL CHECK (actor_kind <> ''),
    role text,
    namespace text,
    service text,
    environment text,
    request_id text,
    target json,
    detail json,
    -- What an operator wrote is user data: the words are in action_reasons, this is the commitment to them.
    reason_commitment bytea,
    recorded_by text NOT NULL,
    batch_id int8 NOT NULL DEFAULT currval('celerytrail.batch_seq')
);
COMMENT ON TABLE celerytrail.actions IS
    'Who did what: the intent before anything happens, progress, the outcome after, refusals, erasures, retention. Blocks of kind 2.';
CREATE INDEX actions_time ON celerytrail.actions (action_time);
CREATE INDEX actions_intent ON celerytrail.actions (intent_id) WHERE intent_id IS NOT NULL;
CREATE INDEX actions_batch ON celerytrail.actions (batch_id);

CREATE FUNCTION celerytrail.seal_actions()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch int8 := currval('celerytrail.batch_seq'::regclass);
    total int4;
    strangers int8;
    block_days date[];
    block_cnts int4[];
    block_roots bytea[];
    body bytea;
BEGIN
    IF pg_client_encoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'celerytrail: client_encoding must be UTF8, not %', pg_client_encoding()
            USING ERRCODE = 'CT003';
    END IF;
    SELECT count(*), count(*) FILTER (WHERE r.batch_id <> batch)
    INTO total, strangers
    FROM new_rows r;
    IF total = 0 THEN
        RETURN NULL;
    END IF;
    IF strangers > 0 THEN
        RAISE EXCEPTION 'celerytrail: % rows have the batch of another statement', strangers
            USING ERRCODE = 'CT002';
    END IF;

    WITH leaves AS (
        SELECT
            (r.action_time AT TIME ZONE 'UTC')::date AS day,
            r.action_id,
            sha256('\x00'::bytea || record_send(ROW(
                r.action_id, r.intent_id, r.action_time, r.phase, r.verb, r.actor, r.actor_kind,
                r.role, r.namespace, r.service, r.environment, r.request_id, r.target, r.detail,
                r.reason_commitment, r.recorded_by, r.batch_id
            ))) AS leaf
        FROM new_rows r
    ), days AS (
        SELECT l.day, count(*)::int4 AS cnt, string_agg(l.leaf, ''::bytea ORDER BY l.action_id) AS leaves
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
        batch, 0, 2, 1, total, block_days, block_cnts, block_roots,
        sha256('\x02'::bytea || int8send(batch) || int4send(total) || body),
        session_user, clock_timestamp()
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER begin_batch_2 BEFORE INSERT ON celerytrail.actions
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.next_batch();
CREATE TRIGGER seal AFTER INSERT ON celerytrail.actions
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.seal_actions();
CREATE TRIGGER forbid_change BEFORE UPDATE OR DELETE ON celerytrail.actions
    FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();
CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.actions
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();
ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER begin_batch_2;
ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER seal;
ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER forbid_change;
ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER forbid_truncate;

CREATE FUNCTION celerytrail.append_action(
    action_id uuid,
    phase text,
    verb text,
    actor text,
    actor_kind text,
    role text DEFAULT NULL,
    namespace text DEFAULT NULL,
    service text DEFAULT NULL,
    environment text DEFAULT NULL,
    request_id text DEFAULT NULL,
    target json DEFAULT NULL,
    detail json DEFAULT NULL,
    intent_id uuid DEFAULT NULL,
    reason_commitment bytea DEFAULT NULL
)
RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_utc timestamptz := clock_timestamp();
    today date := (now_utc AT TIME ZONE 'UTC')::date;
BEGIN
    -- Kept for ever, so bounded here, whoever calls. greatest() passes over what is NULL.
    IF greatest(octet_length(target::text), octet_length(detail::text)) > 1048576 THEN
        RAISE EXCEPTION 'celerytrail: target and detail of an action have at most 1048576 bytes each'
            USING ERRCODE = 'CT007';
    END IF;
    IF greatest(
        octet_length(verb), octet_length(actor), octet_length(actor_kind), octet_length(role),
        octet_length(namespace), octet_length(service), octet_length(environment),
        octet_length(request_id)
    ) > 512 THEN
        RAISE EXCEPTION 'celerytrail: verb, actor, role, deployment and request id of an action have at most 512 bytes each'
            USING ERRCODE = 'CT007';
    END IF;
    PERFORM celerytrail.ensure_partitions(today, today);
    INSERT INTO celerytrail.actions (
        action_id, intent_id, action_time, phase, verb, actor, actor_kind, role, namespace, service,
        environment, request_id, target, detail, reason_commitment, recorded_by
    ) VALUES (
        append_action.action_id, append_action.intent_id, now_utc, append_action.phase,
        append_action.verb, append_action.actor, append_action.actor_kind, append_action.role,
        append_action.namespace, append_action.service, append_action.environment,
        append_action.request_id, append_action.target, append_action.detail,
        append_action.reason_commitment, session_user
    );
    RETURN now_utc;
END
$$;
COMMENT ON FUNCTION celerytrail.append_action(
    uuid, text, text, text, text, text, text, text, text, text, json, json, uuid, bytea
) IS 'Writes one action row into the chain and returns the time that the database gave it. Raises CT007 for what is too large.';
GRANT EXECUTE ON FUNCTION celerytrail.append_action(
    uuid, text, text, text, text, text, text, text, text, text, json, json, uuid, bytea
) TO celerytrail_actions;
GRANT SELECT ON celerytrail.actions
    TO celerytrail_actions, celerytrail_verifier, celerytrail_maintainer;

-- Outside of the chain, so that it can be erased: without the salt nobody can guess at the words.
CREATE TABLE celerytrail.action_reasons (
    intent_id uuid PRIMARY KEY,
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    salt bytea NOT NULL CHECK (octet_length(salt) = 32),
    body text NOT NULL
);
COMMENT ON TABLE celerytrail.action_reasons IS
    'Why somebody did something, in their words: user data. The intent in the chain carries the commitment, kind ''reason'' of exporter/commitment.py; deleting a row erases the words everywhere.';
CREATE TRIGGER forbid_change BEFORE UPDATE ON celerytrail.action_reasons
    FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();
ALTER TABLE celerytrail.action_reasons ENABLE ALWAYS TRIGGER forbid_change;

CREATE VIEW celerytrail.shown_reasons AS
SELECT r.intent_id, r.body AS reason
FROM celerytrail.action_reasons r
JOIN celerytrail.actions a ON a.action_id = r.intent_id AND a.reason_commitment = r.commitment
CROSS JOIN LATERAL (SELECT convert_to(r.body, 'UTF8')) AS b (bytes)
WHERE r.commitment = sha256(
    'celerytrail/commit/v1'::bytea || '\x00'::bytea || '\x06'::bytea || 'reason'::bytea
    || int8send(octet_length(b.bytes)) || r.salt || b.bytes
);
COMMENT ON VIEW celerytrail.shown_reasons IS
    'The reasons that are what their intent in the chain commits to. One that was put in the place of another is not shown.';
