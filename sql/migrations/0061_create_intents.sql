-- Creates the intents of operators: who works on which action under a lease, so that two of anything do one thing.
-- Safe: a new table and new functions.

SET LOCAL ROLE celerytrail_owner;

-- Coordination, not evidence: what is said of an action in the chain is said in celerytrail.actions.
CREATE TABLE celerytrail.intents (
    intent_id uuid PRIMARY KEY,
    verb text NOT NULL,
    actor text NOT NULL,
    actor_kind text NOT NULL,
    role text,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    request_id text,
    target json,
    target_key text NOT NULL,
    idempotency_key text,
    request_hash bytea,
    state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'succeeded', 'failed', 'partial', 'unknown')),
    outcome json,
    holder text NOT NULL,
    lease_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    -- Whether another intent may be on the same target.
    released bool NOT NULL DEFAULT false,
    CONSTRAINT intents_finished CHECK ((state = 'open') = (finished_at IS NULL)),
    CONSTRAINT intents_released CHECK (NOT released OR state <> 'open')
);
COMMENT ON TABLE celerytrail.intents IS
    'The open and the recent actions of operators. Finished ones go after 30 days, and with them their idempotency keys.';
CREATE UNIQUE INDEX intents_target
    ON celerytrail.intents (target_key, verb, service, namespace, environment) WHERE NOT released;
CREATE UNIQUE INDEX intents_key
    ON celerytrail.intents (idempotency_key, actor, service, namespace, environment)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX intents_open ON celerytrail.intents (lease_until) WHERE state = 'open';
CREATE INDEX intents_old ON celerytrail.intents (finished_at) WHERE state <> 'open';

CREATE FUNCTION celerytrail.require_lease(holder text, lease_seconds float8)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF holder IS NULL OR octet_length(holder) NOT BETWEEN 1 AND 512 THEN
        RAISE EXCEPTION 'celerytrail: the holder of a lease has a name of 1 to 512 bytes'
            USING ERRCODE = 'CT007';
    END IF;
    IF lease_seconds IS NULL OR lease_seconds NOT BETWEEN 1 AND 600 THEN
        RAISE EXCEPTION 'celerytrail: a lease lasts 1 to 600 seconds, not %', lease_seconds
            USING ERRCODE = 'CT007';
    END IF;
END
$$;

-- A type of its own, because what is given and what is returned have names in common.
CREATE TYPE celerytrail.begun_intent AS (
    result text, intent_id uuid, state text, outcome json, actor text
);

CREATE FUNCTION celerytrail.begin_intent(
    intent_id uuid,
    verb text,
    actor text,
    actor_kind text,
    role text,
    namespace text,
    service text,
    environment text,
    request_id text,
    target json,
    target_key text,
    idempotency_key text,
    request_hash bytea,
    reason text,
    holder text,
    lease_seconds float8,
    recent_seconds float8
)
RETURNS celerytrail.begun_intent
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    answer celerytrail.begun_intent;
    found_intent celerytrail.intents;
    salt bytea;
    words bytea;
    reason_commitment bytea;
BEGIN
    PERFORM celerytrail.require_lease(begin_intent.holder, begin_intent.lease_seconds);
    IF begin_intent.intent_id IS NULL OR begin_intent.namespace IS NULL
        OR begin_intent.environment IS NULL OR coalesce(begin_intent.service, '') = ''
        OR coalesce(begin_intent.verb, '') = '' OR coalesce(begin_intent.actor, '') = ''
        OR coalesce(begin_intent.actor_kind, '') = '' OR coalesce(begin_intent.target_key, '') = ''
    THEN
        RAISE EXCEPTION 'celerytrail: an intent needs an id, verb, actor, kind of actor, deployment and target key'
            USING ERRCODE = 'CT007';
    END IF;
    IF octet_length(begin_intent.verb) > 64 OR octet_length(begin_intent.target_key) > 512 THEN
        RAISE EXCEPTION 'celerytrail: the verb of an intent has at most 64 bytes, its target key at most 512'
            USING ERRCODE = 'CT007';
    END IF;
    IF octet_length(begin_intent.idempotency_key) NOT BETWEEN 1 AND 128 THEN
        RAISE EXCEPTION 'celerytrail: an idempotency key has 1 to 128 bytes, not %',
            octet_length(begin_intent.idempotency_key)
            USING ERRCODE = 'CT007';
    END IF;
    IF begin_intent.idempotency_key IS NOT NULL AND begin_intent.request_hash IS NULL
        OR octet_length(begin_intent.request_hash) > 64
    THEN
        RAISE EXCEPTION 'celerytrail: an idempotency key needs the hash of its request, of at most 64 bytes'
            USING ERRCODE = 'CT007';
    END IF;
    IF char_length(begin_intent.reason) > 2000 THEN
        RAISE EXCEPTION 'celerytrail: a reason has at most 2000 characters, not %',
            char_length(begin_intent.reason)
            USING ERRCODE = 'CT007';
    END IF;
    IF begin_intent.recent_seconds IS NULL OR begin_intent.recent_seconds NOT BETWEEN 0 AND 86400 THEN
        RAISE EXCEPTION 'celerytrail: what is recent is 0 to 86400 seconds old, not %', begin_intent.recent_seconds
            USING ERRCODE = 'CT007';
    END IF;

    DELETE FROM celerytrail.intents i
    WHERE i.intent_id IN (
        SELECT o.intent_id
        FROM celerytrail.intents o
        WHERE o.state <> 'open' AND o.finished_at < clock_timestamp() - interval '30 days'
        ORDER BY o.finished_at
        LIMIT 100
        FOR UPDATE SKIP LOCKED
    );

    -- Each turn sees what others have committed meanwhile. One is enough unless others finish,
    -- or fail, at this very moment.
    FOR turn IN 1..20 LOOP
        IF begin_intent.idempotency_key IS NOT NULL THEN
            SELECT * INTO found_intent
            FROM celerytrail.intents i
            WHERE i.idempotency_key = begin_intent.idempotency_key AND i.actor = begin_intent.actor
              AND i.service = begin_intent.service AND i.namespace = begin_intent.namespace
              AND i.environment = begin_intent.environment;
            IF FOUND THEN
                answer.result := CASE
                    WHEN found_intent.request_hash = begin_intent.request_hash THEN 'same_key'
                    ELSE 'key_conflict'
                END;
                EXIT;
            END IF;
        END IF;

        UPDATE celerytrail.intents i
        SET released = true
        WHERE NOT i.released AND i.target_key = begin_intent.target_key AND i.verb = begin_intent.verb
          AND i.service = begin_intent.service AND i.namespace = begin_intent.namespace
          AND i.environment = begin_intent.environment
          AND i.state <> 'open'
          AND (
              i.state = 'failed'
              OR i.finished_at <= clock_timestamp() - make_interval(secs => begin_intent.recent_seconds)
          );
        -- Waits for whoever is inserting the same, and then does nothing.
        INSERT INTO celerytrail.intents (
            intent_id, verb, actor, actor_kind, role, namespace, service, environment, request_id,
            target, target_key, idempotency_key, request_hash, holder, lease_until, created_at
        ) VALUES (
            begin_intent.intent_id, begin_intent.verb, begin_intent.actor, begin_intent.actor_kind,
            begin_intent.role, begin_intent.namespace, begin_intent.service,
            begin_intent.environment, begin_intent.request_id, begin_intent.target,
            begin_intent.target_key, begin_intent.idempotency_key, begin_intent.request_hash,
            begin_intent.holder,
            clock_timestamp() + make_interval(secs => begin_intent.lease_seconds), clock_timestamp()
        )
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            answer.result := 'new';
            EXIT;
        END IF;

        IF EXISTS (SELECT FROM celerytrail.intents i WHERE i.intent_id = begin_intent.intent_id) THEN
            RAISE EXCEPTION 'celerytrail: there is an intent % already', begin_intent.intent_id
                USING ERRCODE = 'unique_violation';
        END IF;
        SELECT * INTO found_intent
        FROM celerytrail.intents i
        WHERE NOT i.released AND i.target_key = begin_intent.target_key AND i.verb = begin_intent.verb
          AND i.service = begin_intent.service AND i.namespace = begin_intent.namespace
          AND i.environment = begin_intent.environment
          AND (
              i.state = 'open'
              OR i.state <> 'failed'
                  AND i.finished_at > clock_timestamp() - make_interval(secs => begin_intent.recent_seconds)
          )
          -- Somebody's with the same key is not a duplicate but the same: the next turn finds it.
          AND NOT coalesce(
              i.idempotency_key = begin_intent.idempotency_key AND i.actor = begin_intent.actor, false
          );
        IF FOUND THEN
            answer.result := 'duplicate';
            EXIT;
        END IF;
    END LOOP;

    IF answer.result IS NULL THEN
        RAISE EXCEPTION 'celerytrail: too many others begin and end the same action at this moment; try again'
            USING ERRCODE = 'CT008';
    END IF;
    IF answer.result <> 'new' THEN
        answer.intent_id := found_intent.intent_id;
        answer.state := found_intent.state;
        answer.outcome := found_intent.outcome;
        answer.actor := found_intent.actor;
        RETURN answer;
    END IF;

    IF begin_intent.reason <> '' THEN
        -- 244 random bits; gen_random_uuid() is the strong source that is there without an extension.
        salt := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        words := convert_to(begin_intent.reason, 'UTF8');
        reason_commitment := sha256(
            'celerytrail/commit/v1'::bytea || '\x00'::bytea || '\x06'::bytea || 'reason'::bytea
            || int8send(octet_length(words)) || salt || words
        );
        INSERT INTO celerytrail.action_reasons (intent_id, commitment, salt, body)
        VALUES (begin_intent.intent_id, reason_commitment, salt, begin_intent.reason);
    END IF;
    PERFORM celerytrail.append_action(
        action_id => begin_intent.intent_id, phase => 'intent', verb => begin_intent.verb,
        actor => begin_intent.actor, actor_kind => begin_intent.actor_kind,
        role => begin_intent.role, namespace => begin_intent.namespace,
        service => begin_intent.service, environment => begin_intent.environment,
        request_id => begin_intent.request_id, target => begin_intent.target,
        intent_id => begin_intent.intent_id, reason_commitment => reason_commitment
    );
    answer.intent_id := begin_intent.intent_id;
    answer.state := 'open';
    answer.actor := begin_intent.actor;
    RETURN answer;
END
$$;
COMMENT ON FUNCTION celerytrail.begin_intent(
    uuid, text, text, text, text, text, text, text, text, json, text, text, bytea, text, text, float8, float8
) IS 'Opens an intent under a lease and writes it into the chain, or says which other one stands for it: new, same_key, key_conflict or duplicate. Raises CT007 for what is out of bounds.';

CREATE FUNCTION celerytrail.renew_lease(intent_id uuid, holder text, lease_seconds float8)
RETURNS bool
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM celerytrail.require_lease($2, $3);
    -- Also where it ran out, as long as nobody has taken it.
    UPDATE celerytrail.intents i
    SET lease_until = clock_timestamp() + make_interval(secs => $3)
    WHERE i.intent_id = $1 AND i.holder = $2 AND i.state = 'open';
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION celerytrail.renew_lease(uuid, text, float8) IS
    'Prolongs the lease of an open intent from now on, by the database''s clock. False when it is finished or held by another.';

CREATE FUNCTION celerytrail.progress_intent(intent_id uuid, holder text, detail json)
RETURNS bool
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mine celerytrail.intents;
BEGIN
    SELECT * INTO mine
    FROM celerytrail.intents i
    WHERE i.intent_id = $1 AND i.holder = $2 AND i.state = 'open'
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'progress', verb => mine.verb, actor => mine.actor,
        actor_kind => mine.actor_kind, role => mine.role, namespace => mine.namespace,
        service => mine.service, environment => mine.environment, request_id => mine.request_id,
        detail => $3, intent_id => mine.intent_id
    );
    RETURN true;
END
$$;
COMMENT ON FUNCTION celerytrail.progress_intent(uuid, text, json) IS
    'Writes a row of phase progress into the chain. False, and no row, when the intent is finished or held by another.';

CREATE FUNCTION celerytrail.finish_intent(intent_id uuid, holder text, state text, outcome json)
RETURNS bool
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mine celerytrail.intents;
    told jsonb;
BEGIN
    IF $3 IS NULL OR $3 NOT IN ('succeeded', 'failed', 'partial', 'unknown') THEN
        RAISE EXCEPTION 'celerytrail: an intent ends as succeeded, failed, partial or unknown, not as %', $3
            USING ERRCODE = 'CT007';
    END IF;
    BEGIN
        told := coalesce($4, '{}');
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RAISE EXCEPTION 'celerytrail: the outcome of an intent must be storable as jsonb: %', SQLERRM
            USING ERRCODE = 'CT007';
    END;
    IF jsonb_typeof(told) <> 'object' THEN
        RAISE EXCEPTION 'celerytrail: the outcome of an intent is a json object, not %', jsonb_typeof(told)
            USING ERRCODE = 'CT007';
    END IF;
    UPDATE celerytrail.intents i
    SET state = $3, outcome = $4, finished_at = clock_timestamp(), released = ($3 = 'failed')
    WHERE i.intent_id = $1 AND i.holder = $2 AND i.state = 'open'
    RETURNING * INTO mine;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'outcome', verb => mine.verb, actor => mine.actor,
        actor_kind => mine.actor_kind, role => mine.role, namespace => mine.namespace,
        service => mine.service, environment => mine.environment, request_id => mine.request_id,
        target => mine.target, detail => (told || jsonb_build_object('state', $3))::json,
        intent_id => mine.intent_id
    );
    RETURN true;
END
$$;
COMMENT ON FUNCTION celerytrail.finish_intent(uuid, text, text, json) IS
    'Ends an intent and writes its one row of phase outcome into the chain, with the state in its detail. False, and no row, when it is finished or held by another.';

CREATE FUNCTION celerytrail.take_expired_intents(holder text, lease_seconds float8)
RETURNS TABLE (
    intent_id uuid, verb text, namespace text, service text, environment text, target json,
    target_key text, actor text, created_at timestamptz, progress json[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    right_now timestamptz := clock_timestamp();
BEGIN
    PERFORM celerytrail.require_lease($1, $2);
    RETURN QUERY
    WITH taken AS (
        UPDATE celerytrail.intents i
        SET holder = $1, lease_until = clock_timestamp() + make_interval(secs => $2)
        WHERE i.intent_id IN (
            SELECT o.intent_id
            FROM celerytrail.intents o
            WHERE o.state = 'open' AND o.lease_until <= right_now
            ORDER BY o.lease_until
            LIMIT 100
            FOR UPDATE SKIP LOCKED
        )
        RETURNING i.*
    )
    SELECT
        t.intent_id, t.verb, t.namespace, t.service, t.environment, t.target, t.target_key, t.actor,
        t.created_at,
        ARRAY(
            SELECT a.detail
            FROM celerytrail.actions a
            WHERE a.intent_id = t.intent_id AND a.phase = 'progress' AND a.detail IS NOT NULL
            ORDER BY a.batch_id
        )
    FROM taken t
    ORDER BY t.created_at, t.intent_id;
END
$$;
COMMENT ON FUNCTION celerytrail.take_expired_intents(text, float8) IS
    'Takes over the open intents whose lease ran out, at most 100, each by one caller only, with what they told on the way.';

CREATE FUNCTION celerytrail.intent_state(intent_id uuid)
RETURNS TABLE (
    state text, outcome json, actor text, verb text, created_at timestamptz, finished_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT i.state, i.outcome, i.actor, i.verb, i.created_at, i.finished_at
    FROM celerytrail.intents i
    WHERE i.intent_id = $1
$$;
COMMENT ON FUNCTION celerytrail.intent_state(uuid) IS 'How far an intent is; no row for one that is not known, or not any more.';

GRANT EXECUTE ON FUNCTION
    celerytrail.begin_intent(
        uuid, text, text, text, text, text, text, text, text, json, text, text, bytea, text, text, float8, float8
    ),
    celerytrail.renew_lease(uuid, text, float8),
    celerytrail.progress_intent(uuid, text, json),
    celerytrail.finish_intent(uuid, text, text, json),
    celerytrail.take_expired_intents(text, float8),
    celerytrail.intent_state(uuid)
TO celerytrail_actions;
