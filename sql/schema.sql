-- PostgreSQL database dump

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

-- Name: celerytrail; Type: SCHEMA; Schema: -; Owner: celerytrail_owner

CREATE SCHEMA celerytrail;

ALTER SCHEMA celerytrail OWNER TO celerytrail_owner;

-- Name: celerytrail_admin; Type: SCHEMA; Schema: -; Owner: postgres

CREATE SCHEMA celerytrail_admin;

ALTER SCHEMA celerytrail_admin OWNER TO postgres;

-- Name: celerytrail_views; Type: SCHEMA; Schema: -; Owner: celerytrail_owner

CREATE SCHEMA celerytrail_views;

ALTER SCHEMA celerytrail_views OWNER TO celerytrail_owner;

-- Name: bar_task; Type: TYPE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TYPE celerytrail.bar_task AS (
	task_id text,
	task_name text,
	updated_at timestamp with time zone,
	send_id bytea,
	is_unfinished boolean,
	group_id text,
	body_of text,
	group_bar_id text,
	tags text
);

ALTER TYPE celerytrail.bar_task OWNER TO celerytrail_owner;

-- Name: begun_intent; Type: TYPE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TYPE celerytrail.begun_intent AS (
	result text,
	intent_id uuid,
	state text,
	outcome json,
	actor text
);

ALTER TYPE celerytrail.begun_intent OWNER TO celerytrail_owner;

-- Name: task_key; Type: TYPE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TYPE celerytrail.task_key AS (
	namespace text,
	service text,
	environment text,
	task_id text
);

ALTER TYPE celerytrail.task_key OWNER TO celerytrail_owner;

-- Name: task_step; Type: TYPE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TYPE celerytrail.task_step AS (
	task_id text,
	step text,
	event_id uuid,
	span_id bytea,
	parent_span_id bytea,
	send_id bytea,
	run_id bytea,
	trace_id bytea,
	span_name text,
	span_kind smallint,
	status_code smallint,
	start_unix_nano bigint,
	end_unix_nano bigint,
	retries integer,
	queue text,
	worker text,
	host text,
	pid integer,
	exception_class text
);

ALTER TYPE celerytrail.task_step OWNER TO celerytrail_owner;

-- Name: abandoned_erasures(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.abandoned_erasures(older_than_seconds integer) RETURNS TABLE(erasure_id uuid, actor text, begun_at timestamp with time zone, remaining bigint, continued_by text)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT
        e.erasure_id, e.actor, e.begun_at,
        (SELECT count(*) FROM celerytrail.erasure_targets t WHERE t.erasure_id = e.erasure_id),
        e.continued_by
    FROM celerytrail.erasures e
    WHERE e.finished_at IS NULL
      AND e.begun_at < clock_timestamp() - make_interval(secs => greatest($1, 0))
      AND pg_try_advisory_xact_lock(hashtextextended('celerytrail erase ' || e.erasure_id, 0))
    ORDER BY e.begun_at
$_$;

ALTER FUNCTION celerytrail.abandoned_erasures(older_than_seconds integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION abandoned_erasures(older_than_seconds integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.abandoned_erasures(older_than_seconds integer) IS 'The erasures begun longer ago that nobody finished and no session works on, oldest first.';

-- Name: add_quarantine(text, bytea[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.add_quarantine(reason text, items bytea[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    mine int8 := currval('celerytrail.principal_now'::regclass);
BEGIN
    INSERT INTO celerytrail.quarantine (principal_id, reason, size, item)
    SELECT mine, left(add_quarantine.reason, 1000), octet_length(i.item), substr(i.item, 1, 65536)
    FROM unnest(add_quarantine.items[1:1000]) AS i (item)
    WHERE i.item IS NOT NULL;
    DELETE FROM celerytrail.quarantine q
    WHERE q.principal_id = mine
      AND (
          q.received_at < clock_timestamp() - interval '30 days'
          OR q.quarantine_id <= (
              SELECT o.quarantine_id
              FROM celerytrail.quarantine o
              WHERE o.principal_id = mine
              ORDER BY o.quarantine_id DESC
              OFFSET 1000 LIMIT 1
          )
      );
END
$$;

ALTER FUNCTION celerytrail.add_quarantine(reason text, items bytea[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION add_quarantine(reason text, items bytea[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.add_quarantine(reason text, items bytea[]) IS 'Keeps items of the principal of this session and drops its oldest beyond the bound.';

-- Name: add_searchable(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.add_searchable() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO celerytrail.searchable (
        event_time, day, namespace, service, environment, task_id, kind, commitment, excerpt
    )
    SELECT
        r.event_time, r.day, r.namespace, r.service, r.environment, r.task_id, r.kind, r.commitment,
        celerytrail.search_excerpt(r.body)
    FROM new_rows r
    -- Two bytes are an empty list, object or text.
    WHERE r.kind IN ('args', 'kwargs', 'exception') AND octet_length(r.body) > 2;
    RETURN NULL;
END
$$;

ALTER FUNCTION celerytrail.add_searchable() OWNER TO celerytrail_owner;

-- Name: announce_day_drop(date, text, text, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.announce_day_drop(day date, actor text, actor_kind text, reason text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    announced celerytrail.day_drops;
    content record;
    new_id uuid := gen_random_uuid();
BEGIN
    -- One at a time: two at once would announce one day twice.
    LOCK TABLE celerytrail.day_drops IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO announced FROM celerytrail.day_drops d WHERE d.day = $1 AND d.dropped_at IS NULL;
    IF FOUND THEN
        RETURN announced.action_id;
    END IF;
    IF NOT EXISTS (SELECT FROM celerytrail.old_days(1) o WHERE o.day = $1) THEN
        RAISE EXCEPTION 'celerytrail: day % is not dropped: only whole UTC days before yesterday, that are there, are', $1
            USING ERRCODE = 'CT010';
    END IF;
    SELECT c.groups, c.rows INTO content FROM celerytrail.day_content($1) AS c;
    INSERT INTO celerytrail.day_drops AS d (day, action_id, actor, actor_kind, groups, rows)
    VALUES ($1, new_id, $2, $3, content.groups, content.rows)
    ON CONFLICT ON CONSTRAINT day_drops_pkey DO UPDATE SET
        action_id = excluded.action_id, actor = excluded.actor, actor_kind = excluded.actor_kind,
        announced_at = excluded.announced_at, groups = excluded.groups, rows = excluded.rows,
        dropped_at = NULL, forgotten_at = NULL, forgotten = '{}';
    PERFORM celerytrail.append_action(
        action_id => new_id, phase => 'intent', verb => 'retention', actor => $2, actor_kind => $3,
        intent_id => new_id,
        target => json_build_object(
            'day', to_char($1, 'YYYY-MM-DD'), 'groups', content.groups, 'rows', content.rows
        ),
        reason_commitment => celerytrail.keep_reason(new_id, $4)
    );
    RETURN new_id;
END
$_$;

ALTER FUNCTION celerytrail.announce_day_drop(day date, actor text, actor_kind text, reason text) OWNER TO celerytrail_owner;

-- Name: FUNCTION announce_day_drop(day date, actor text, actor_kind text, reason text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.announce_day_drop(day date, actor text, actor_kind text, reason text) IS 'Writes into the chain that a day will be dropped, with its groups and rows, and returns the intent; that of before where it was announced already. Raises CT010 for a day that is not over for a day, or not there.';

-- Name: announcement_state(date); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.announcement_state(day date) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM celerytrail.day_drops d WHERE d.day = $1 AND d.dropped_at IS NULL)
            THEN 'not announced'
        WHEN NOT EXISTS (SELECT FROM celerytrail.checkpoints p WHERE p.note IS NOT NULL)
            THEN 'no checkpoints'
        WHEN EXISTS (
            SELECT
            FROM celerytrail.day_drops d
            JOIN celerytrail.actions a ON a.action_id = d.action_id
            JOIN celerytrail.chain c ON c.batch_id = a.batch_id
            JOIN celerytrail.checkpoints p ON p.note IS NOT NULL AND p.recorded_at >= d.announced_at
            CROSS JOIN LATERAL json_to_recordset(p.chains) AS h (chain int4, n int8)
            WHERE d.day = $1 AND h.chain = c.chain AND h.n >= c.n
              -- Signed and kept nowhere else is not published.
              AND EXISTS (SELECT FROM json_each_text(p.published) AS o (place, said) WHERE o.said = 'ok')
        ) THEN 'published'
        ELSE 'waiting'
    END
$_$;

ALTER FUNCTION celerytrail.announcement_state(day date) OWNER TO celerytrail_owner;

-- Name: FUNCTION announcement_state(day date); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.announcement_state(day date) IS 'Whether a published checkpoint covers the announcement of a day: published, waiting, no checkpoints (nobody makes any), not announced.';

-- Name: append_action(uuid, text, text, text, text, text, text, text, text, text, json, json, uuid, bytea); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text DEFAULT NULL::text, namespace text DEFAULT NULL::text, service text DEFAULT NULL::text, environment text DEFAULT NULL::text, request_id text DEFAULT NULL::text, target json DEFAULT NULL::json, detail json DEFAULT NULL::json, intent_id uuid DEFAULT NULL::uuid, reason_commitment bytea DEFAULT NULL::bytea) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now_utc timestamptz := clock_timestamp();
    today date := (now_utc AT TIME ZONE 'UTC')::date;
BEGIN
    -- Said only by the functions that do it: a verifier excuses a missing day by such a row.
    IF session_user = 'celerytrail_actions' AND verb IN ('erase', 'retention') THEN
        RAISE EXCEPTION 'celerytrail: % is not an action of celerytrail_actions', verb
            USING ERRCODE = 'insufficient_privilege';
    END IF;
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

ALTER FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea) OWNER TO celerytrail_owner;

-- Name: FUNCTION append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea) IS 'Writes one action row into the chain and returns the time that the database gave it. Raises CT007 for what is too large.';

-- Name: attend_erasure(uuid); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.attend_erasure(erasure_id uuid) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    -- Of the session, so that it ends with the process, however that ends.
    SELECT pg_try_advisory_lock(hashtextextended('celerytrail erase ' || $1, 0))
$_$;

ALTER FUNCTION celerytrail.attend_erasure(erasure_id uuid) OWNER TO celerytrail_owner;

-- Name: FUNCTION attend_erasure(erasure_id uuid); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.attend_erasure(erasure_id uuid) IS 'Says to others that this session works on an erasure. False where another session does.';

-- Name: authenticate(bytea); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.authenticate(token_hash bytea) RETURNS TABLE(principal_id bigint, name text, namespace text, service text, environment text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.authenticate(token_hash bytea) OWNER TO celerytrail_owner;

-- Name: FUNCTION authenticate(token_hash bytea); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.authenticate(token_hash bytea) IS 'Binds this session to the principal of a token, given the SHA-256 of the token. Raises CT001.';

-- Name: authenticate_api_token(bytea); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.authenticate_api_token(token_hash bytea) RETURNS TABLE(token_id text, name text, namespace text, service text, environment text, scopes text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT
        encode(substr(t.token_hash, 1, 6), 'hex'), t.name, t.namespace, t.service, t.environment,
        t.scopes
    FROM celerytrail.api_tokens t
    WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
$_$;

ALTER FUNCTION celerytrail.authenticate_api_token(token_hash bytea) OWNER TO celerytrail_owner;

-- Name: FUNCTION authenticate_api_token(token_hash bytea); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.authenticate_api_token(token_hash bytea) IS 'Whose token this is and what it may do, given the SHA-256 of the token. No row for one that is unknown, expired or revoked.';

-- Name: bar_attribute(text, bigint); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.bar_attribute(attribute text, counted bigint) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (((('{"key":"'::text || attribute) || '","value":'::text) || counted) || '}'::text);

ALTER FUNCTION celerytrail.bar_attribute(attribute text, counted bigint) OWNER TO celerytrail_owner;

-- Name: bar_attribute(text, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.bar_attribute(attribute text, said text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (((('{"key":"'::text || attribute) || '","value":'::text) || to_json(said)) || '}'::text);

ALTER FUNCTION celerytrail.bar_attribute(attribute text, said text) OWNER TO celerytrail_owner;

-- Name: bar_ms(bigint); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.bar_ms(unix_nano bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((unix_nano >= '1010000000000000000'::bigint) AND (unix_nano <= '9000000000000000000'::bigint)) THEN ((((unix_nano + 50) / 1000000))::double precision + (((((unix_nano + 50) / 100) % (10000)::bigint))::double precision / ('10000'::numeric)::double precision)) ELSE (((unix_nano)::numeric / 1000000.0))::double precision END;

ALTER FUNCTION celerytrail.bar_ms(unix_nano bigint) OWNER TO celerytrail_owner;

-- Name: bar_ms_between(bigint, bigint); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.bar_ms_between(start_unix_nano bigint, end_unix_nano bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((start_unix_nano >= '1010000000000000000'::bigint) AND (start_unix_nano <= '9000000000000000000'::bigint) AND ((end_unix_nano - start_unix_nano) >= 0) AND ((end_unix_nano - start_unix_nano) <= '9000000000000000'::bigint)) THEN (((((end_unix_nano + 50) / 100) - ((start_unix_nano + 50) / 100)))::double precision / ('10000'::numeric)::double precision) ELSE (GREATEST((((end_unix_nano)::numeric / 1000000.0) - ((start_unix_nano)::numeric / 1000000.0)), (0)::numeric))::double precision END;

ALTER FUNCTION celerytrail.bar_ms_between(start_unix_nano bigint, end_unix_nano bigint) OWNER TO celerytrail_owner;

-- Name: begin_erasure(uuid, text, text, text, text[], text, text, text, text, text, timestamp with time zone, timestamp with time zone, text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.begin_erasure(erasure_id uuid, actor text, actor_kind text, reason text, task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_variable
DECLARE
    chosen int8;
    selection json;
BEGIN
    PERFORM celerytrail.require_selection(
        task_ids, namespace, service, environment, task_name, state, from_time, to_time, kinds
    );
    -- Not the ids that were given: what somebody types may be anything, and the chain is for ever.
    selection := json_strip_nulls(json_build_object(
        'ids', cardinality(task_ids), 'namespace', namespace, 'service', service,
        'environment', environment, 'task_name', task_name, 'state', state,
        'from', from_time, 'to', to_time
    ));
    INSERT INTO celerytrail.erasures (erasure_id, actor, actor_kind, kinds, selection, tasks)
    VALUES (
        erasure_id, actor, actor_kind,
        ARRAY(SELECT DISTINCT k.kind FROM unnest(kinds) AS k (kind) ORDER BY 1), selection, 0
    );
    INSERT INTO celerytrail.erasure_targets AS t (erasure_id, namespace, service, environment, task_id)
    SELECT erasure_id, c.namespace, c.service, c.environment, c.task_id
    FROM celerytrail.chosen_tasks(
        task_ids, namespace, service, environment, task_name, state, from_time, to_time, kinds
    ) AS c
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS chosen = ROW_COUNT;
    UPDATE celerytrail.erasures e SET tasks = chosen WHERE e.erasure_id = begin_erasure.erasure_id;
    PERFORM celerytrail.append_action(
        action_id => erasure_id, phase => 'intent', verb => 'erase', actor => actor,
        actor_kind => actor_kind, namespace => namespace, service => service,
        environment => environment, intent_id => erasure_id,
        target => json_build_object('select', selection, 'kinds', kinds, 'count', chosen),
        reason_commitment => celerytrail.keep_reason(erasure_id, reason)
    );
    RETURN chosen;
END
$$;

ALTER FUNCTION celerytrail.begin_erasure(erasure_id uuid, actor text, actor_kind text, reason text, task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION begin_erasure(erasure_id uuid, actor text, actor_kind text, reason text, task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.begin_erasure(erasure_id uuid, actor text, actor_kind text, reason text, task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) IS 'Fixes which tasks are to be erased and writes the intent into the chain. Returns how many. Erases nothing yet. Raises CT007.';

-- Name: begin_intent(uuid, text, text, text, text, text, text, text, text, json, text, text, bytea, text, text, double precision, double precision); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.begin_intent(intent_id uuid, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, target_key text, idempotency_key text, request_hash bytea, reason text, holder text, lease_seconds double precision, recent_seconds double precision) RETURNS celerytrail.begun_intent
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION celerytrail.begin_intent(intent_id uuid, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, target_key text, idempotency_key text, request_hash bytea, reason text, holder text, lease_seconds double precision, recent_seconds double precision) OWNER TO celerytrail_owner;

-- Name: FUNCTION begin_intent(intent_id uuid, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, target_key text, idempotency_key text, request_hash bytea, reason text, holder text, lease_seconds double precision, recent_seconds double precision); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.begin_intent(intent_id uuid, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, target_key text, idempotency_key text, request_hash bytea, reason text, holder text, lease_seconds double precision, recent_seconds double precision) IS 'Opens an intent under a lease and writes it into the chain, or says which other one stands for it: new, same_key, key_conflict or duplicate. Raises CT007 for what is out of bounds.';

-- Name: begin_rebuild(text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.begin_rebuild(made_by text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    one text;
    dropped_until date;
    pattern text;
BEGIN
    SELECT h.retained_from INTO STRICT dropped_until FROM celerytrail.horizon h;
    IF to_regclass('shadow_of_celerytrail.about') IS NOT NULL THEN
        PERFORM FROM shadow_of_celerytrail.about a
        WHERE a.made_by = begin_rebuild.made_by AND a.retained_from = dropped_until;
        IF FOUND THEN
            RETURN true;
        END IF;
    END IF;
    PERFORM celerytrail.end_rebuild();
    CREATE SCHEMA shadow_of_celerytrail;
    -- A crash of the server empties all of them together, progress too: then it begins anew.
    CREATE UNLOGGED TABLE shadow_of_celerytrail.about (made_by text NOT NULL, retained_from date NOT NULL);
    CREATE UNLOGGED TABLE shadow_of_celerytrail.progress (chain int4 PRIMARY KEY, n int8 NOT NULL);
    CREATE UNLOGGED TABLE shadow_of_celerytrail.staged_spans (LIKE celerytrail.spans);
    FOR one IN SELECT t FROM celerytrail.read_model_tables() AS t LOOP
        EXECUTE format(
            'CREATE UNLOGGED TABLE shadow_of_celerytrail.%1$I (LIKE celerytrail.%1$I INCLUDING DEFAULTS INCLUDING GENERATED)', one
        );
        EXECUTE format(
            'ALTER TABLE shadow_of_celerytrail.%I ADD %s', one,
            (
                SELECT pg_get_constraintdef(c.oid)
                FROM pg_constraint c
                WHERE c.conrelid = format('celerytrail.%I', one)::regclass AND c.contype = 'p'
            )
        );
    END LOOP;
    -- Actions are projected by a copy of the function that projects them every day.
    SELECT format('\mcelerytrail\.(%s|project_actions)\M', string_agg(t, '|'))
    INTO pattern
    FROM celerytrail.read_model_tables() AS t;
    EXECUTE regexp_replace(
        pg_get_functiondef('celerytrail.project_actions(uuid[])'::regprocedure), pattern,
        'shadow_of_celerytrail.\1', 'g'
    );
    -- Numbers of events that retention dropped are nowhere else.
    IF dropped_until > '-infinity' THEN
        INSERT INTO shadow_of_celerytrail.streams SELECT s.* FROM celerytrail.streams s;
    END IF;
    INSERT INTO shadow_of_celerytrail.about VALUES (begin_rebuild.made_by, dropped_until);
    RETURN false;
END
$_$;

ALTER FUNCTION celerytrail.begin_rebuild(made_by text) OWNER TO celerytrail_owner;

-- Name: FUNCTION begin_rebuild(made_by text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.begin_rebuild(made_by text) IS 'Makes an empty read model beside the one in use, or returns true where the same version of the code had begun one that can be gone on with.';

-- Name: block_body(bigint, integer, date[], integer[], bytea[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) RETURNS TABLE(body_hash bytea, rows bigint)
    LANGUAGE sql IMMUTABLE
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) IS 'The hash of a block''s body, recomputed, and the sum of its counts. No hash where the arrays are not of one dimension, of one length and without NULL.';

-- Name: block_fault(bigint, date); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.block_fault(batch_id bigint, day date) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.block_fault(batch_id bigint, day date) OWNER TO celerytrail_owner;

-- Name: FUNCTION block_fault(batch_id bigint, day date); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.block_fault(batch_id bigint, day date) IS 'Recomputes the leaves, the root, the body and the link of one batch and says what is not as it was chained; NULL when all is. No proof against who can rewrite the whole chain: see celerytrail verify.';

-- Name: chain_of_session(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.chain_of_session(otherwise integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN currval('celerytrail.chain_now'::regclass);
EXCEPTION
    -- Nothing was chosen, and nothing else tells.
    WHEN object_not_in_prerequisite_state THEN RETURN otherwise;
END
$$;

ALTER FUNCTION celerytrail.chain_of_session(otherwise integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION chain_of_session(otherwise integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.chain_of_session(otherwise integer) IS 'The chain that this session has chosen, or the given one.';

-- Name: check_read_model(integer, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.check_read_model(sample integer, every_seconds integer) RETURNS TABLE(sampled integer, different integer, incomparable integer, task_id text, column_name text, stored text, recomputed text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    began timestamptz := clock_timestamp();
    each int4 := greatest(1, least(check_read_model.sample, 4000) / 4);
    share float4;
    this_check int8;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('celerytrail read model check', 0)) THEN
        RETURN;
    END IF;
    PERFORM FROM celerytrail.read_model_checks c
    WHERE c.checked_at > began - make_interval(secs => greatest(check_read_model.every_seconds, 0));
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT least(100, 5000.0 * each / greatest(c.reltuples, 1))
    INTO share
    FROM pg_class c
    WHERE c.oid = 'celerytrail.tasks'::regclass;

    -- One statement, so that tasks, spans and actions are as they were at one moment.
    WITH newest AS MATERIALIZED (
        -- In the order of the index, which has those without a time first.
        SELECT t.* FROM celerytrail.tasks t WHERE t.updated_at IS NOT NULL ORDER BY t.updated_at DESC LIMIT 2000
    ), chosen AS (
        (
            SELECT t.namespace, t.service, t.environment, t.task_id
            FROM celerytrail.tasks t TABLESAMPLE SYSTEM (share)
            ORDER BY random() LIMIT each
        )
        UNION
        (SELECT n.namespace, n.service, n.environment, n.task_id FROM newest n ORDER BY n.updated_at DESC LIMIT each)
        UNION
        -- Where two events had something to settle.
        (
            SELECT n.namespace, n.service, n.environment, n.task_id
            FROM newest n
            WHERE n.inferred OR n.attempts > 1 OR n.state IN ('lost', 'aborted', 'rejected', 'retried', 'purged')
            ORDER BY random() LIMIT each
        )
        UNION
        -- And some that the ledger names, whether or not there is a row.
        (
            SELECT s.namespace, s.service, s.environment, s.task_id
            FROM celerytrail.spans s
            JOIN celerytrail.steps p ON p.step = s.step AND p.subject = 'task'
            WHERE s.task_id IS NOT NULL
              AND s.batch_id = ANY (ARRAY(
                  SELECT b.batch_id
                  FROM (SELECT o.batch_id FROM celerytrail.blocks o WHERE o.kind = 1 ORDER BY o.batch_id DESC LIMIT 1000) AS b
                  ORDER BY random() LIMIT 5
              ))
            ORDER BY random() LIMIT each
        )
    ), compared AS (
        SELECT
            c.namespace, c.service, c.environment, c.task_id,
            coalesce(least(t.first_sent_at, t.sent_at, t.received_at, t.started_at, t.finished_at, t.updated_at)
                < (h.retained_from::timestamp AT TIME ZONE 'UTC'), false) AS reaches_back,
            d.column_name, d.stored, d.recomputed
        FROM chosen c
        CROSS JOIN celerytrail.horizon h
        LEFT JOIN celerytrail.tasks t USING (task_id, namespace, service, environment)
        LEFT JOIN celerytrail.tasks_by_ledger((SELECT array_agg(n.task_id) FROM chosen n)) AS l
            USING (task_id, namespace, service, environment)
        LEFT JOIN LATERAL (
            SELECT j.key AS column_name, to_jsonb(t) ->> j.key AS stored, j.value #>> '{}' AS recomputed
            FROM jsonb_each(to_jsonb(l)) AS j
            WHERE t.task_id IS NOT NULL AND l.task_id IS NOT NULL
              AND j.value IS DISTINCT FROM to_jsonb(t) -> j.key
            UNION ALL
            SELECT NULL, CASE WHEN t.task_id IS NULL THEN 'no row' ELSE 'a row' END,
                CASE WHEN l.task_id IS NULL THEN 'no row' ELSE 'a row' END
            WHERE (t.task_id IS NULL) <> (l.task_id IS NULL)
            UNION ALL
            SELECT
                'runs' || coalesce('.' || j.key, ''),
                CASE WHEN r.run_id IS NULL THEN 'no row' ELSE to_jsonb(r) ->> j.key END,
                CASE WHEN r.run_id IS NULL THEN 'a row' ELSE j.value #>> '{}' END
            FROM celerytrail.runs_by_ledger(ARRAY[c.task_id]) AS u
            LEFT JOIN celerytrail.runs r USING (run_id, namespace, service, environment)
            LEFT JOIN LATERAL jsonb_each(to_jsonb(u)) AS j ON r.run_id IS NOT NULL
            WHERE (u.namespace, u.service, u.environment) = (c.namespace, c.service, c.environment)
              AND (r.run_id IS NULL OR j.value IS DISTINCT FROM to_jsonb(r) -> j.key)
            UNION ALL
            SELECT 'runs', 'a row', 'no row'
            FROM (
                SELECT array_agg(u.run_id) AS run_ids
                FROM celerytrail.runs_by_ledger(ARRAY[c.task_id]) AS u
                WHERE (u.namespace, u.service, u.environment) = (c.namespace, c.service, c.environment)
            ) AS k
            JOIN celerytrail.runs r
                ON r.task_id = c.task_id
               AND (r.namespace, r.service, r.environment) = (c.namespace, c.service, c.environment)
            WHERE NOT coalesce(r.run_id = ANY (k.run_ids), false)
              -- Of an earlier run retention may have dropped all that there was, however the task looks now.
              AND coalesce(
                  least(r.started_at, r.finished_at, r.updated_at) >= (h.retained_from::timestamp AT TIME ZONE 'UTC'), true
              )
        ) AS d ON true
    ), by_task AS (
        SELECT DISTINCT ON (c.task_id, c.namespace, c.service, c.environment)
            c.*, NOT c.reaches_back AND c.stored IS DISTINCT FROM c.recomputed AS differs
        FROM compared c
        -- The state first: it says most.
        ORDER BY c.task_id, c.namespace, c.service, c.environment,
            c.column_name IS DISTINCT FROM 'state', c.column_name
    ), first AS (
        SELECT b.* FROM by_task b WHERE b.differs ORDER BY b.task_id, b.namespace, b.service, b.environment LIMIT 1
    )
    INSERT INTO celerytrail.read_model_checks (
        sampled, different, incomparable, namespace, service, environment, task_id, column_name, stored,
        recomputed, seconds
    )
    SELECT
        n.sampled, n.different, n.incomparable, f.namespace, f.service, f.environment, f.task_id,
        f.column_name, f.stored, f.recomputed, extract(epoch FROM clock_timestamp() - began)
    FROM (
        SELECT
            count(*) AS sampled,
            count(*) FILTER (WHERE b.differs) AS different,
            count(*) FILTER (WHERE b.reaches_back) AS incomparable
        FROM by_task b
    ) AS n
    LEFT JOIN first f ON true
    RETURNING check_id INTO this_check;

    DELETE FROM celerytrail.read_model_checks c WHERE c.checked_at < began - interval '30 days';
    RETURN QUERY
    SELECT c.sampled, c.different, c.incomparable, c.task_id, c.column_name, c.stored, c.recomputed
    FROM celerytrail.read_model_checks c
    WHERE c.check_id = this_check;
END
$$;

ALTER FUNCTION celerytrail.check_read_model(sample integer, every_seconds integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION check_read_model(sample integer, every_seconds integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.check_read_model(sample integer, every_seconds integer) IS 'Recomputes some tasks and their runs from the ledger, keeps what it found and returns it; nothing when the last look is younger than so many seconds.';

-- Name: choose_chain(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.choose_chain(chain integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.choose_chain(chain integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION choose_chain(chain integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.choose_chain(chain integer) IS 'Binds this session to a chain from 0 to 63 and makes its head where there is none. To be called in the transaction that writes, as a head goes with the transaction that made it. Raises CT007.';

-- Name: chosen_tasks(text[], text, text, text, text, text, timestamp with time zone, timestamp with time zone, text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.chosen_tasks(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) RETURNS SETOF celerytrail.task_key
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $_$
BEGIN
    IF $1 IS NOT NULL THEN
        RETURN QUERY
        SELECT t.namespace, t.service, t.environment, t.task_id
        FROM celerytrail.tasks t
        WHERE t.task_id = ANY ($1)
          AND ($2 IS NULL OR t.namespace = $2) AND ($3 IS NULL OR t.service = $3)
          AND ($4 IS NULL OR t.environment = $4)
        UNION
        SELECT p.namespace, p.service, p.environment, p.task_id
        FROM celerytrail.payloads p
        WHERE p.task_id = ANY ($1)
          AND ($2 IS NULL OR p.namespace = $2) AND ($3 IS NULL OR p.service = $3)
          AND ($4 IS NULL OR p.environment = $4)
        UNION
        -- One that nobody has heard of yet: what comes of it is refused.
        SELECT $2, $3, $4, i.task_id
        FROM unnest($1) AS i (task_id)
        WHERE $2 IS NOT NULL AND $3 IS NOT NULL AND $4 IS NOT NULL AND i.task_id <> '';
        RETURN;
    END IF;
    RETURN QUERY
    SELECT k.namespace, k.service, k.environment, k.task_id
    FROM (
        SELECT t.namespace, t.service, t.environment, t.task_id
        FROM celerytrail.tasks t
        WHERE ($2 IS NULL OR t.namespace = $2) AND ($3 IS NULL OR t.service = $3)
          AND ($4 IS NULL OR t.environment = $4) AND ($5 IS NULL OR t.task_name = $5)
          AND ($6 IS NULL OR t.state = $6)
          AND (
              $7 IS NULL AND $8 IS NULL
              OR t.updated_at >= coalesce($7, '-infinity') AND t.updated_at < coalesce($8, 'infinity')
              -- Only events whose clock is impossible: by what they say.
              OR t.updated_at IS NULL
                  AND greatest(t.finished_at, t.started_at, t.received_at, t.sent_at) >= coalesce($7, '-infinity')
                  AND greatest(t.finished_at, t.started_at, t.received_at, t.sent_at) < coalesce($8, 'infinity')
          )
        UNION
        -- Payloads whose spans have not come.
        SELECT p.namespace, p.service, p.environment, p.task_id
        FROM celerytrail.payloads p
        WHERE $5 IS NULL AND $6 IS NULL
          AND ($2 IS NULL OR p.namespace = $2) AND ($3 IS NULL OR p.service = $3)
          AND ($4 IS NULL OR p.environment = $4)
          AND ($7 IS NULL OR p.event_time >= $7) AND ($8 IS NULL OR p.event_time < $8)
          AND NOT EXISTS (
              SELECT
              FROM celerytrail.tasks t
              WHERE t.task_id = p.task_id
                AND (t.namespace, t.service, t.environment) = (p.namespace, p.service, p.environment)
          )
    ) AS k
    WHERE NOT EXISTS (
        SELECT
        FROM celerytrail.erased_tasks e
        WHERE e.task_id = k.task_id
          AND (e.namespace, e.service, e.environment) = (k.namespace, k.service, k.environment)
          AND e.kinds @> $9
    );
END
$_$;

ALTER FUNCTION celerytrail.chosen_tasks(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION chosen_tasks(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.chosen_tasks(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) IS 'The tasks that an erasure is about: by id, or by deployment, name, state and the time of the last event. By filter without those that were erased.';

-- Name: collect_orphans(text, interval, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.collect_orphans(scan text, older_than interval, at_most integer) RETURNS TABLE(examined bigint, removed bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    scanned_to timestamptz;
    scan_end timestamptz;
BEGIN
    -- Not less than a day: a span follows its payload, and may have to wait for its sink.
    older_than := greatest(older_than, interval '1 day');
    SELECT s.received_to INTO STRICT scanned_to
    FROM celerytrail.orphan_scans s
    WHERE s.scan = collect_orphans.scan
    FOR UPDATE;
    SELECT max(p.received_at) INTO scan_end
    FROM (
        SELECT p.received_at
        FROM celerytrail.payloads p
        WHERE p.received_at > scanned_to AND p.received_at <= clock_timestamp() - older_than
        ORDER BY p.received_at
        LIMIT at_most
    ) AS p;
    IF scan_end IS NULL THEN
        examined := 0;
        removed := 0;
        RETURN NEXT;
        RETURN;
    END IF;

    WITH looked_at AS (
        SELECT p.day, p.received_at, p.namespace, p.service, p.environment, p.task_id, p.commitment,
            p.stream_id, p.seq
        FROM celerytrail.payloads p
        WHERE p.received_at > scanned_to AND p.received_at <= scan_end
    ), orphans AS (
        SELECT l.*
        FROM looked_at l
        WHERE NOT EXISTS (
            SELECT
            FROM celerytrail.spans s
            CROSS JOIN LATERAL json_each_text(s.commitments) AS c (kind, value)
            WHERE s.task_id = l.task_id
              -- The clock may have passed midnight, or the end of the window, between the two.
              AND s.day IN (l.day - 1, l.day, l.day + 1, '-infinity', 'infinity')
              AND (s.namespace, s.service, s.environment) = (l.namespace, l.service, l.environment)
              AND c.value = encode(l.commitment, 'hex')
        )
        -- The record came with another commitment: its shipper was killed between payload and span,
        -- and began again. A record that never came may still wait in a spool.
        AND (
            collect_orphans.scan = 'unclaimed'
            OR EXISTS (
                SELECT
                FROM celerytrail.streams t
                WHERE t.stream_id = l.stream_id
                  AND (t.namespace, t.service, t.environment) = (l.namespace, l.service, l.environment)
                  AND t.seqs @> l.seq
            )
        )
    ), gone AS (
        DELETE FROM celerytrail.payloads p
        USING orphans o
        WHERE p.task_id = o.task_id AND p.commitment = o.commitment AND p.day = o.day
          AND (p.namespace, p.service, p.environment) = (o.namespace, o.service, o.environment)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM looked_at), (SELECT count(*) FROM gone) INTO examined, removed;
    UPDATE celerytrail.orphan_scans s SET received_to = scan_end WHERE s.scan = collect_orphans.scan;
    RETURN NEXT;
END
$$;

ALTER FUNCTION celerytrail.collect_orphans(scan text, older_than interval, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION collect_orphans(scan text, older_than interval, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.collect_orphans(scan text, older_than interval, at_most integer) IS 'Removes payloads that no span names, in order of arrival. "resent": their record is stored with another commitment; "unclaimed": whatever the reason.';

-- Name: compare_rebuild(text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.compare_rebuild(table_name text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    keys text := celerytrail.rebuild_columns(table_name, true, NULL);
    differing int8;
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS shadow_of_celerytrail.%I', 'differing_' || table_name);
    EXECUTE format(
        'CREATE UNLOGGED TABLE shadow_of_celerytrail.%1$I AS'
        ' SELECT row_number() OVER (ORDER BY %2$s) AS place, %2$s'
        ' FROM celerytrail.%3$I l FULL JOIN shadow_of_celerytrail.%3$I s USING (%2$s)'
        ' WHERE ROW(%4$s) IS DISTINCT FROM ROW(%5$s) AND %6$s',
        'differing_' || table_name, keys, table_name,
        celerytrail.rebuild_columns(table_name, false, 'l'),
        celerytrail.rebuild_columns(table_name, false, 's'),
        celerytrail.rebuild_comparable(table_name)
    );
    GET DIAGNOSTICS differing = ROW_COUNT;
    EXECUTE format('ALTER TABLE shadow_of_celerytrail.%I ADD PRIMARY KEY (place)', 'differing_' || table_name);
    EXECUTE format('ANALYZE shadow_of_celerytrail.%I', 'differing_' || table_name);
    RETURN differing;
END
$_$;

ALTER FUNCTION celerytrail.compare_rebuild(table_name text) OWNER TO celerytrail_owner;

-- Name: FUNCTION compare_rebuild(table_name text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.compare_rebuild(table_name text) IS 'Notes the keys of the rows that are not as the ledger has them, and returns how many they are.';

-- Name: conclude_lost(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.conclude_lost(at_most integer) RETURNS TABLE(task_id text, run_id text, worker text, last_seen_at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    bound interval;
    since timestamptz;
    heard_since int8;
    found record;
    one record;
    candidates celerytrail.spans[] := '{}';
    seen timestamptz[] := '{}';
    heard_streams uuid[];
    late_hosts text[];
    written celerytrail.spans[];
    place int4;
BEGIN
    -- One at a time; another one finds nothing left to conclude.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('celerytrail conclusion', 0)) THEN
        RETURN;
    END IF;
    SELECT c.silent_after INTO STRICT bound FROM celerytrail.conclusion c;
    since := clock_timestamp() - bound;
    IF NOT EXISTS (SELECT FROM celerytrail.runs_without_process(since, 1, '{}', '{}')) THEN
        RETURN;
    END IF;
    heard_since := celerytrail.first_batch_heard(since, 5);
    IF heard_since IS NULL THEN
        RETURN;
    END IF;
    -- By the database's clock, whatever the hosts' say: who was heard, and whose host still delivers
    -- what it kept while it could not.
    SELECT
        coalesce(array_agg(DISTINCT s.stream_id), '{}'),
        coalesce(array_agg(DISTINCT s.host) FILTER (
            WHERE NOT s.inferred AND s.received_at - s.event_time > bound / 2
        ), '{}')
    INTO heard_streams, late_hosts
    FROM celerytrail.spans s
    WHERE s.batch_id >= heard_since AND s.received_at >= since;
    FOR found IN
        SELECT w.started, w.last_seen_at
        FROM celerytrail.runs_without_process(
            since, least(greatest(at_most, 1), 1000), heard_streams, late_hosts
        ) AS w
    LOOP
        candidates := candidates || found.started;
        seen := seen || found.last_seen_at;
    END LOOP;

    FOR one IN
        SELECT
            (c.started).namespace AS namespace, (c.started).service AS service,
            (c.started).environment AS environment, min(p.chain) AS chain,
            array_agg(c.n ORDER BY c.n) AS places
        FROM unnest(candidates) WITH ORDINALITY AS u
        CROSS JOIN LATERAL (
            SELECT candidates[u.ordinality] AS started, u.ordinality::int4 AS n
        ) AS c
        JOIN celerytrail.principals p ON p.principal_id = (c.started).principal_id
        GROUP BY 1, 2, 3
        ORDER BY 1, 2, 3
    LOOP
        CONTINUE WHEN NOT celerytrail.speak_as_concluder(
            one.namespace, one.service, one.environment, one.chain
        );
        written := '{}';
        FOREACH place IN ARRAY one.places LOOP
            SELECT written || array_agg(l)
            INTO written
            FROM celerytrail.lost_rows(candidates[place], seen[place]) AS l;
        END LOOP;
        -- Said before: then the read model alone lacks it, and a rebuild mends that.
        SELECT array_agg(w)
        INTO written
        FROM unnest(written) AS w
        WHERE NOT EXISTS (
            SELECT FROM celerytrail.streams s
            WHERE (s.stream_id, s.namespace, s.service, s.environment)
                = (w.stream_id, w.namespace, w.service, w.environment)
        )
          AND to_regclass('celerytrail.spans_' || to_char(w.day, 'YYYYMMDD')) IS NOT NULL;
        CONTINUE WHEN written IS NULL;
        PERFORM celerytrail.write_lost(written);
        RETURN QUERY
        SELECT w.task_id, encode(w.run_id, 'hex'), w.worker, w.event_time
        FROM unnest(written) AS w
        WHERE w.step = 'lost';
    END LOOP;
END
$$;

ALTER FUNCTION celerytrail.conclude_lost(at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION conclude_lost(at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.conclude_lost(at_most integer) IS 'Adds a row "lost", marked as inferred, for each run whose process is gone, and returns them. What decides is in the ledger and the table conclusion; the caller chooses only how many at most.';

-- Name: concluder_is_silenced(text, text, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.concluder_is_silenced(of_namespace text, of_service text, of_environment text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT EXISTS (
        SELECT
        FROM celerytrail.principals p
        WHERE p.name = 'concluder of ' || concat_ws('/', of_namespace, of_service, of_environment)
          AND (
              p.disabled_at IS NOT NULL
              OR (p.namespace, p.service, p.environment) <> (of_namespace, of_service, of_environment)
              OR NOT EXISTS (
                  SELECT
                  FROM celerytrail.tokens t
                  WHERE t.principal_id = p.principal_id AND t.revoked_at IS NULL
                    AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
              )
          )
    )
$$;

ALTER FUNCTION celerytrail.concluder_is_silenced(of_namespace text, of_service text, of_environment text) OWNER TO celerytrail_owner;

-- Name: FUNCTION concluder_is_silenced(of_namespace text, of_service text, of_environment text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.concluder_is_silenced(of_namespace text, of_service text, of_environment text) IS 'Whether somebody revoked or disabled what concludes lost runs in a deployment.';

-- Name: continue_erasure(uuid, text, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.continue_erasure(erasure_id uuid, actor text, actor_kind text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
BEGIN
    UPDATE celerytrail.erasures e
    SET continued_by = $2
    WHERE e.erasure_id = $1 AND e.finished_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'progress', verb => 'erase', actor => $2,
        actor_kind => $3, intent_id => $1, detail => json_build_object('continued_by', $2)
    );
    RETURN true;
END
$_$;

ALTER FUNCTION celerytrail.continue_erasure(erasure_id uuid, actor text, actor_kind text) OWNER TO celerytrail_owner;

-- Name: FUNCTION continue_erasure(erasure_id uuid, actor text, actor_kind text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.continue_erasure(erasure_id uuid, actor text, actor_kind text) IS 'Says in the chain that somebody goes on with an erasure that was broken off. False when it is finished.';

-- Name: create_partition(text, text, date); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.create_partition(parent text, suffix text, partition_day date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    child text := parent || '_' || suffix;
    without_statistics text;
BEGIN
    -- CREATE TABLE .. PARTITION OF would wait for every open transaction that has read the parent.
    EXECUTE format(
        'CREATE TABLE celerytrail.%I (LIKE celerytrail.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        child, parent
    );
    -- LIKE does not copy that. An erased word would outlive its row in what ANALYZE keeps.
    FOR without_statistics IN
        SELECT a.attname
        FROM pg_attribute a
        WHERE a.attrelid = format('celerytrail.%I', parent)::regclass AND a.attnum > 0
          AND NOT a.attisdropped AND a.attstattarget = 0
    LOOP
        EXECUTE format('ALTER TABLE celerytrail.%I ALTER COLUMN %I SET STATISTICS 0', child, without_statistics);
    END LOOP;
    IF parent <> 'leaf_groups' AND isfinite(partition_day) THEN
        -- Lets a condition on event_time alone leave out the other days.
        EXECUTE format(
            'ALTER TABLE celerytrail.%I ADD CONSTRAINT %I CHECK (event_time >= %L AND event_time < %L)',
            child, child || '_time',
            to_char(partition_day, 'YYYY-MM-DD') || ' 00:00:00+00',
            to_char(partition_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00'
        );
    END IF;
    EXECUTE format(
        'ALTER TABLE celerytrail.%I ATTACH PARTITION celerytrail.%I FOR VALUES IN (%L)',
        parent, child, partition_day
    );
    -- Statement triggers are not inherited.
    EXECUTE format(
        'CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.%I FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid()',
        child
    );
    EXECUTE format('ALTER TABLE celerytrail.%I ENABLE ALWAYS TRIGGER forbid_truncate', child);
    EXECUTE format('ALTER TABLE celerytrail.%I ENABLE ALWAYS TRIGGER forbid_change', child);
END
$$;

ALTER FUNCTION celerytrail.create_partition(parent text, suffix text, partition_day date) OWNER TO celerytrail_owner;

-- Name: day_content(date); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.day_content(of_day date) RETURNS TABLE(groups bigint, rows bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    -- By the leaves, which are few and say the same: a day of actions has leaves and loses no row.
    SELECT count(*), coalesce(sum(g.cnt), 0)::int8
    FROM celerytrail.leaf_groups g
    JOIN celerytrail.blocks b ON b.batch_id = g.batch_id AND b.kind = 1
    WHERE g.day = of_day
$$;

ALTER FUNCTION celerytrail.day_content(of_day date) OWNER TO celerytrail_owner;

-- Name: drop_day(date, boolean); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.drop_day(day date, without_checkpoint boolean) RETURNS TABLE(groups bigint, rows bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '3s'
    AS $_$
#variable_conflict use_column
DECLARE
    announced celerytrail.day_drops;
    suffix text := to_char($1, 'YYYYMMDD');
    state text := celerytrail.announcement_state($1);
    parent text;
BEGIN
    SELECT * INTO announced FROM celerytrail.day_drops d WHERE d.day = $1 AND d.dropped_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: day % was not announced, or is dropped', $1 USING ERRCODE = 'CT010';
    END IF;
    -- The clock may have been set back since.
    IF $1 >= (clock_timestamp() AT TIME ZONE 'UTC')::date - 1 THEN
        RAISE EXCEPTION 'celerytrail: day % is not dropped: only whole UTC days before yesterday are', $1
            USING ERRCODE = 'CT010';
    END IF;
    IF NOT (state = 'published' OR state = 'no checkpoints' OR $2) THEN
        RAISE EXCEPTION 'celerytrail: no published checkpoint covers the announcement of day % yet', $1
            USING ERRCODE = 'CT011';
    END IF;
    FOREACH parent IN ARRAY ARRAY['spans', 'leaf_groups', 'payloads'] LOOP
        IF to_regclass(format('celerytrail.%I', parent || '_' || suffix)) IS NOT NULL THEN
            EXECUTE format('LOCK TABLE celerytrail.%I IN ACCESS EXCLUSIVE MODE', parent || '_' || suffix);
        END IF;
    END LOOP;
    -- Sinks wait while this waits: behind a reader's open transaction it gives up and is tried again.
    SET LOCAL lock_timeout = '200ms';
    LOCK TABLE ONLY celerytrail.spans, ONLY celerytrail.leaf_groups, ONLY celerytrail.payloads
        IN ACCESS EXCLUSIVE MODE;
    -- As it is now: until a moment ago events of that day could come.
    SELECT c.groups, c.rows INTO groups, rows FROM celerytrail.day_content($1) AS c;
    FOREACH parent IN ARRAY ARRAY['spans', 'leaf_groups', 'payloads'] LOOP
        EXECUTE format('DROP TABLE IF EXISTS celerytrail.%I', parent || '_' || suffix);
    END LOOP;
    UPDATE celerytrail.horizon h SET retained_from = greatest(h.retained_from, $1 + 1);
    UPDATE celerytrail.day_drops d
    SET dropped_at = clock_timestamp(), groups = drop_day.groups, rows = drop_day.rows
    WHERE d.day = $1;
    -- In the same transaction, so that verification finds both or neither.
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'outcome', verb => 'retention',
        actor => announced.actor, actor_kind => announced.actor_kind, intent_id => announced.action_id,
        target => json_build_object('day', to_char($1, 'YYYY-MM-DD')),
        detail => json_build_object(
            'state', 'succeeded', 'groups', groups, 'rows', rows, 'checkpoint', state
        )
    );
    RETURN NEXT;
END
$_$;

ALTER FUNCTION celerytrail.drop_day(day date, without_checkpoint boolean) OWNER TO celerytrail_owner;

-- Name: FUNCTION drop_day(day date, without_checkpoint boolean); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.drop_day(day date, without_checkpoint boolean) IS 'Drops the partitions of an announced day, raises the horizon and says so in the chain, in one transaction. Raises CT010 for a day that is not announced, CT011 while no checkpoint covers the announcement, lock_not_available while somebody reads.';

-- Name: end_rebuild(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.end_rebuild() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    DROP SCHEMA IF EXISTS shadow_of_celerytrail CASCADE;
END
$$;

ALTER FUNCTION celerytrail.end_rebuild() OWNER TO celerytrail_owner;

-- Name: FUNCTION end_rebuild(); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.end_rebuild() IS 'Removes the read model that a rebuild made beside the one in use.';

-- Name: ensure_partitions(date, date); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    one_day date;
    made int4 := 0;
BEGIN
    IF from_day IS NULL OR to_day IS NULL OR NOT isfinite(from_day) OR NOT isfinite(to_day)
        OR from_day < today - 32 OR to_day > today + 3 OR from_day > to_day
    THEN
        RAISE EXCEPTION 'celerytrail: day partitions from % to % are outside the window from % to %',
            from_day, to_day, today - 32, today + 3
            USING ERRCODE = 'CT004';
    END IF;
    PERFORM
    FROM generate_series(from_day, to_day, interval '1 day') AS d (t)
    WHERE to_regclass('celerytrail.spans_' || to_char(d.t, 'YYYYMMDD')) IS NULL;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    -- Conflicts with itself only: one maker at a time, readers and writers go on.
    LOCK TABLE celerytrail.spans IN SHARE UPDATE EXCLUSIVE MODE;
    FOR one_day IN SELECT d.t::date FROM generate_series(from_day, to_day, interval '1 day') AS d (t) LOOP
        CONTINUE WHEN to_regclass('celerytrail.spans_' || to_char(one_day, 'YYYYMMDD')) IS NOT NULL;
        CONTINUE WHEN one_day < (SELECT h.retained_from FROM celerytrail.horizon h);
        PERFORM celerytrail.create_partition('spans', to_char(one_day, 'YYYYMMDD'), one_day);
        PERFORM celerytrail.create_partition('leaf_groups', to_char(one_day, 'YYYYMMDD'), one_day);
        PERFORM celerytrail.create_partition('payloads', to_char(one_day, 'YYYYMMDD'), one_day);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

ALTER FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) OWNER TO celerytrail_owner;

-- Name: FUNCTION ensure_partitions(from_day date, to_day date); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) IS 'Makes the day partitions that are not there yet and returns how many days it made. Raises CT004 outside of [-32, +3] days.';

-- Name: erasable_kinds(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erasable_kinds() RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT ARRAY['args', 'kwargs', 'stamps', 'exception', 'traceback', 'result', 'body', 'reason']
$$;

ALTER FUNCTION celerytrail.erasable_kinds() OWNER TO celerytrail_owner;

-- Name: FUNCTION erasable_kinds(); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erasable_kinds() IS 'The kinds of payloads of exporter/attributes.py, which a test compares, and the words of operators.';

-- Name: erase_everywhere(celerytrail.task_key[], text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erase_everywhere(tasks celerytrail.task_key[], kinds text[]) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    place text;
    removed int8;
    counts jsonb := '{}';
BEGIN
    -- Only the owner of the ledger can make functions in this schema, and the catalog is compared.
    FOR place IN
        SELECT p.proname::text
        FROM pg_proc p
        WHERE p.pronamespace = 'celerytrail'::regnamespace AND p.proname LIKE 'erase\_from\_%'
          AND p.proowner = 'celerytrail_owner'::regrole
          AND p.proargtypes[0] = 'celerytrail.task_key[]'::regtype AND p.proargtypes[1] = 'text[]'::regtype
          AND p.pronargs = 2
        ORDER BY p.proname
    LOOP
        EXECUTE format('SELECT celerytrail.%I($1, $2)', place) INTO removed USING tasks, kinds;
        counts := counts || jsonb_build_object(substr(place, 12), removed);
    END LOOP;
    RETURN counts;
END
$_$;

ALTER FUNCTION celerytrail.erase_everywhere(tasks celerytrail.task_key[], kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION erase_everywhere(tasks celerytrail.task_key[], kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erase_everywhere(tasks celerytrail.task_key[], kinds text[]) IS 'Calls each function erase_from_<place> and returns how many rows went from each.';

-- Name: erase_from_action_reasons(celerytrail.task_key[], text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erase_from_action_reasons(tasks celerytrail.task_key[], kinds text[]) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    WITH gone AS (
        DELETE FROM celerytrail.action_reasons r
        USING (
            SELECT DISTINCT a.intent_id
            FROM unnest($1) AS k
            JOIN celerytrail.task_actions a
                ON a.task_id = k.task_id
               AND (a.namespace, a.service, a.environment) = (k.namespace, k.service, k.environment)
            -- Why something was erased is said of the erasure, not of the task.
            WHERE a.verb <> 'erase' AND 'reason' = ANY ($2)
        ) AS i
        WHERE r.intent_id = i.intent_id
        RETURNING 1
    )
    SELECT count(*) FROM gone
$_$;

ALTER FUNCTION celerytrail.erase_from_action_reasons(tasks celerytrail.task_key[], kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION erase_from_action_reasons(tasks celerytrail.task_key[], kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erase_from_action_reasons(tasks celerytrail.task_key[], kinds text[]) IS 'Deletes what operators wrote about actions that named these tasks, with the salts.';

-- Name: erase_from_intents(celerytrail.task_key[], text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erase_from_intents(tasks celerytrail.task_key[], kinds text[]) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    WITH changed AS (
        UPDATE celerytrail.intents i
        -- The hash of a request is a hash of the words in it, without a salt. The same key is a conflict from now on.
        SET request_hash = sha256(uuid_send(gen_random_uuid()))
        FROM (
            SELECT DISTINCT a.intent_id
            FROM unnest($1) AS k
            JOIN celerytrail.task_actions a
                ON a.task_id = k.task_id
               AND (a.namespace, a.service, a.environment) = (k.namespace, k.service, k.environment)
            WHERE 'reason' = ANY ($2)
        ) AS n
        WHERE i.intent_id = n.intent_id AND i.request_hash IS NOT NULL
        RETURNING 1
    )
    SELECT count(*) FROM changed
$_$;

ALTER FUNCTION celerytrail.erase_from_intents(tasks celerytrail.task_key[], kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION erase_from_intents(tasks celerytrail.task_key[], kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erase_from_intents(tasks celerytrail.task_key[], kinds text[]) IS 'Makes the hashes of requests about these tasks unguessable.';

-- Name: erase_from_payloads(celerytrail.task_key[], text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erase_from_payloads(tasks celerytrail.task_key[], kinds text[]) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_seqscan TO 'off'
    AS $_$
    WITH gone AS (
        DELETE FROM celerytrail.payloads p
        USING unnest($1) AS k
        WHERE p.task_id = k.task_id
          AND (p.namespace, p.service, p.environment) = (k.namespace, k.service, k.environment)
          AND p.kind = ANY ($2)
        RETURNING 1
    )
    SELECT count(*) FROM gone
$_$;

ALTER FUNCTION celerytrail.erase_from_payloads(tasks celerytrail.task_key[], kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION erase_from_payloads(tasks celerytrail.task_key[], kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erase_from_payloads(tasks celerytrail.task_key[], kinds text[]) IS 'Deletes payloads with their salts, without which nobody can try guesses against the commitments in the ledger.';

-- Name: erase_from_quarantine(celerytrail.task_key[], text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erase_from_quarantine(tasks celerytrail.task_key[], kinds text[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    uuids text[];
    others text[];
    removed int8;
BEGIN
    IF NOT EXISTS (SELECT FROM celerytrail.quarantine) THEN
        RETURN 0;
    END IF;
    SELECT
        array_agg(k.task_id) FILTER (WHERE k.task_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
        array_agg(k.task_id) FILTER (WHERE k.task_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
    INTO uuids, others
    FROM unnest(tasks) AS k;
    -- An item is what came, in any form, so its task is found by its id alone.
    WITH gone AS (
        DELETE FROM celerytrail.quarantine q
        WHERE q.principal_id IN (
            SELECT p.principal_id
            FROM celerytrail.principals p
            JOIN unnest(tasks) AS k
                ON (k.namespace, k.service, k.environment) = (p.namespace, p.service, p.environment)
        )
          AND (
              EXISTS (
                  SELECT
                  FROM regexp_matches(
                      encode(q.item, 'escape'), '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'g'
                  ) AS m (found)
                  WHERE m.found[1] = ANY (uuids)
              )
              OR EXISTS (
                  SELECT
                  FROM unnest(others) AS o (task_id)
                  WHERE position(convert_to(o.task_id, 'UTF8') IN q.item) > 0
                     OR position(convert_to(trim('"' FROM to_json(o.task_id)::text), 'UTF8') IN q.item) > 0
              )
          )
        RETURNING 1
    )
    SELECT count(*) INTO removed FROM gone;
    RETURN removed;
END
$_$;

ALTER FUNCTION celerytrail.erase_from_quarantine(tasks celerytrail.task_key[], kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION erase_from_quarantine(tasks celerytrail.task_key[], kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erase_from_quarantine(tasks celerytrail.task_key[], kinds text[]) IS 'Deletes items of the quarantine that name these tasks, whatever the kinds: nobody knows what is in one.';

-- Name: erase_marked(uuid, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erase_marked(erasure_id uuid, at_most integer) RETURNS TABLE(tasks bigint, counts jsonb)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    batch celerytrail.task_key[];
    erasure celerytrail.erasures;
BEGIN
    SELECT * INTO erasure FROM celerytrail.erasures e WHERE e.erasure_id = $1 AND e.finished_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Of one deployment, because an action of the chain is about one; not more ids than an action may hold.
    WITH taken AS MATERIALIZED (
        SELECT t.namespace, t.service, t.environment, t.task_id
        FROM celerytrail.erasure_targets t
        WHERE t.erasure_id = $1 AND t.marked
        ORDER BY t.namespace, t.service, t.environment, t.task_id
        LIMIT least($2, 5000)
        FOR UPDATE SKIP LOCKED
    ), sized AS (
        SELECT
            t.*,
            sum(octet_length(to_json(t.task_id)::text) + 50) OVER w AS size,
            first_value((t.namespace, t.service, t.environment)) OVER w AS deployment
        FROM taken t
        WINDOW w AS (ORDER BY t.namespace, t.service, t.environment, t.task_id)
    )
    SELECT array_agg(
        (s.namespace, s.service, s.environment, s.task_id)::celerytrail.task_key ORDER BY s.task_id
    )
    INTO batch
    FROM sized s
    WHERE (s.namespace, s.service, s.environment) = s.deployment AND s.size < 900000;
    IF batch IS NULL THEN
        RETURN;
    END IF;
    tasks := cardinality(batch);
    counts := celerytrail.erase_everywhere(batch, erasure.kinds);
    DELETE FROM celerytrail.erasure_targets t
    USING unnest(batch) AS k
    WHERE t.erasure_id = $1
      AND (t.namespace, t.service, t.environment, t.task_id) = (k.namespace, k.service, k.environment, k.task_id);
    UPDATE celerytrail.erasures e
    SET counts = (
        SELECT jsonb_object_agg(c.place, c.sum)
        FROM (
            SELECT b.key AS place, sum(b.value::int8) AS sum
            FROM (
                SELECT * FROM jsonb_each_text(e.counts)
                UNION ALL
                SELECT * FROM jsonb_each_text(erase_marked.counts)
                UNION ALL
                SELECT 'tasks', erase_marked.tasks::text
            ) AS b (key, value)
            GROUP BY b.key
        ) AS c
    )
    WHERE e.erasure_id = $1;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'progress', verb => 'erase', actor => erasure.actor,
        actor_kind => erasure.actor_kind, namespace => batch[1].namespace, service => batch[1].service,
        environment => batch[1].environment, intent_id => $1,
        detail => json_build_object(
            'tasks', (
                SELECT json_agg(json_build_object('task_id', k.task_id, 'result', 'erased'))
                FROM unnest(batch) AS k
            ),
            'counts', counts
        )
    );
    RETURN NEXT;
END
$_$;

ALTER FUNCTION celerytrail.erase_marked(erasure_id uuid, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION erase_marked(erasure_id uuid, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erase_marked(erasure_id uuid, at_most integer) IS 'Erases the next marked tasks of an erasure and writes into the chain which they were. No row when none is left.';

-- Name: erase_reasons(uuid, text, text, text, uuid[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erase_reasons(erasure_id uuid, actor text, actor_kind text, reason text, intent_ids uuid[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    removed int8;
BEGIN
    IF coalesce(cardinality($5), 0) NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'celerytrail: 1 to 1000 actions, not %', cardinality($5) USING ERRCODE = 'CT007';
    END IF;
    PERFORM celerytrail.append_action(
        action_id => $1, phase => 'intent', verb => 'erase', actor => $2, actor_kind => $3,
        intent_id => $1, target => json_build_object('actions', $5, 'kinds', ARRAY['reason']),
        reason_commitment => celerytrail.keep_reason($1, $4)
    );
    DELETE FROM celerytrail.action_reasons r WHERE r.intent_id = ANY ($5) AND r.intent_id <> $1;
    GET DIAGNOSTICS removed = ROW_COUNT;
    UPDATE celerytrail.intents i
    SET request_hash = sha256(uuid_send(gen_random_uuid()))
    WHERE i.intent_id = ANY ($5) AND i.request_hash IS NOT NULL;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'outcome', verb => 'erase', actor => $2,
        actor_kind => $3, intent_id => $1,
        target => json_build_object('actions', $5, 'kinds', ARRAY['reason']),
        detail => json_build_object('state', 'succeeded', 'counts', json_build_object('action_reasons', removed))
    );
    RETURN removed;
END
$_$;

ALTER FUNCTION celerytrail.erase_reasons(erasure_id uuid, actor text, actor_kind text, reason text, intent_ids uuid[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION erase_reasons(erasure_id uuid, actor text, actor_kind text, reason text, intent_ids uuid[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erase_reasons(erasure_id uuid, actor text, actor_kind text, reason text, intent_ids uuid[]) IS 'Erases the words given as the reasons of these actions, named by their intents. Returns how many there were.';

-- Name: erase_searchable(text, text, text, text[], text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.erase_searchable(namespace text, service text, environment text, task_ids text[], kinds text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    erased int8;
BEGIN
    IF cardinality(task_ids) > 10000 THEN
        RAISE EXCEPTION 'celerytrail: % tasks at once, at most 10000 may be erased', cardinality(task_ids)
            USING ERRCODE = 'CT007';
    END IF;
    DELETE FROM celerytrail.searchable s
    WHERE s.task_id = ANY (task_ids) AND s.namespace = $1 AND s.service = $2 AND s.environment = $3
      AND (kinds IS NULL OR s.kind = ANY (kinds));
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END
$_$;

ALTER FUNCTION celerytrail.erase_searchable(namespace text, service text, environment text, task_ids text[], kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION erase_searchable(namespace text, service text, environment text, task_ids text[], kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.erase_searchable(namespace text, service text, environment text, task_ids text[], kinds text[]) IS 'Removes the excerpts of tasks of one deployment, of all kinds where kinds is NULL. Returns how many. Raises CT007 above 10,000 tasks.';

-- Name: event_key(bigint, integer, bigint, uuid); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((int8send(GREATEST(sent_unix_nano, (0)::bigint)) || int2send((rank)::smallint)) || int8send(GREATEST(event_unix_nano, (0)::bigint))) || uuid_send(event_id));

ALTER FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) OWNER TO celerytrail_owner;

-- Name: finish_erasure(uuid); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.finish_erasure(erasure_id uuid) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    done celerytrail.erasures;
BEGIN
    UPDATE celerytrail.erasures e
    SET finished_at = clock_timestamp()
    WHERE e.erasure_id = $1 AND e.finished_at IS NULL
      AND NOT EXISTS (SELECT FROM celerytrail.erasure_targets t WHERE t.erasure_id = $1)
    RETURNING * INTO done;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'outcome', verb => 'erase', actor => done.actor,
        actor_kind => done.actor_kind, namespace => done.selection ->> 'namespace',
        service => done.selection ->> 'service', environment => done.selection ->> 'environment',
        intent_id => $1, target => json_build_object('select', done.selection, 'kinds', done.kinds),
        detail => json_strip_nulls(json_build_object(
            'state', 'succeeded', 'counts', done.counts, 'continued_by', done.continued_by
        ))
    );
    RETURN done.counts;
END
$_$;

ALTER FUNCTION celerytrail.finish_erasure(erasure_id uuid) OWNER TO celerytrail_owner;

-- Name: FUNCTION finish_erasure(erasure_id uuid); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.finish_erasure(erasure_id uuid) IS 'Writes the outcome of an erasure into the chain and returns its counts; NULL when something is left to do, or somebody has finished it.';

-- Name: finish_forgetting(date, jsonb); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.finish_forgetting(dropped_until date, removed jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    days int8;
BEGIN
    UPDATE celerytrail.day_drops d
    SET forgotten_at = clock_timestamp(),
        forgotten = CASE
            WHEN d.day = (
                SELECT max(o.day)
                FROM celerytrail.day_drops o
                WHERE o.dropped_at IS NOT NULL AND o.forgotten_at IS NULL AND o.day < $1
            ) AND octet_length($2::text) < 4096 THEN $2
            ELSE '{}'
        END
    WHERE d.dropped_at IS NOT NULL AND d.forgotten_at IS NULL AND d.day < $1;
    GET DIAGNOSTICS days = ROW_COUNT;
    RETURN days;
END
$_$;

ALTER FUNCTION celerytrail.finish_forgetting(dropped_until date, removed jsonb) OWNER TO celerytrail_owner;

-- Name: FUNCTION finish_forgetting(dropped_until date, removed jsonb); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.finish_forgetting(dropped_until date, removed jsonb) IS 'Notes that nothing is left in the read model of the days before this one that were dropped. Returns how many days.';

-- Name: finish_intent(uuid, text, text, json); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.finish_intent(intent_id uuid, holder text, state text, outcome json) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.finish_intent(intent_id uuid, holder text, state text, outcome json) OWNER TO celerytrail_owner;

-- Name: FUNCTION finish_intent(intent_id uuid, holder text, state text, outcome json); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.finish_intent(intent_id uuid, holder text, state text, outcome json) IS 'Ends an intent and writes its one row of phase outcome into the chain, with the state in its detail. False, and no row, when it is finished or held by another.';

-- Name: first_batch_heard(timestamp with time zone, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.first_batch_heard(since timestamp with time zone, slots integer) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now_is timestamptz := clock_timestamp();
    heard bool[] := array_fill(false, ARRAY[slots]);
    slot int4;
    one record;
    first_batch int8;
BEGIN
    FOR one IN
        SELECT b.batch_id, b.sealed_at
        FROM celerytrail.blocks b
        -- What was concluded is no sign of life.
        WHERE b.kind = 1 AND b.sealed_by <> session_user
        ORDER BY b.batch_id DESC
    LOOP
        EXIT WHEN one.sealed_at < since;
        first_batch := one.batch_id;
        slot := 1 + floor(
            extract(epoch FROM one.sealed_at - since) / extract(epoch FROM now_is - since) * slots
        )::int4;
        heard[least(slot, slots)] := true;
    END LOOP;
    IF false = ANY (heard) THEN
        RETURN NULL;
    END IF;
    RETURN first_batch;
END
$$;

ALTER FUNCTION celerytrail.first_batch_heard(since timestamp with time zone, slots integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION first_batch_heard(since timestamp with time zone, slots integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.first_batch_heard(since timestamp with time zone, slots integer) IS 'The first batch that a sink wrote since then, or null where in one of so many equal parts of that time it wrote none: it, the database or the network was down.';

-- Name: forbid(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.forbid() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'celerytrail: % on %.% is forbidden: what is written stays as it is',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'CT005';
END
$$;

ALTER FUNCTION celerytrail.forbid() OWNER TO celerytrail_owner;

-- Name: forget_in_runs(celerytrail.task_key[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.forget_in_runs(tasks celerytrail.task_key[]) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    WITH gone AS (
        DELETE FROM celerytrail.runs r
        USING unnest($1) AS k
        WHERE r.task_id = k.task_id
          AND (r.namespace, r.service, r.environment) = (k.namespace, k.service, k.environment)
        RETURNING 1
    )
    SELECT count(*) FROM gone
$_$;

ALTER FUNCTION celerytrail.forget_in_runs(tasks celerytrail.task_key[]) OWNER TO celerytrail_owner;

-- Name: forget_leftovers(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.forget_leftovers(at_most integer) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    retained_from timestamptz := (
        SELECT h.retained_from::timestamp AT TIME ZONE 'UTC' FROM celerytrail.horizon h
    );
    removed jsonb := '{}';
    number int8;
BEGIN
    at_most := least(at_most, 10000);
    DELETE FROM celerytrail.groups g
    WHERE g.ctid IN (
        SELECT o.ctid
        FROM celerytrail.groups o
        WHERE o.updated_at < retained_from
          AND NOT EXISTS (
              SELECT
              FROM celerytrail.tasks t
              WHERE t.group_id = o.group_id
                AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
          )
          AND NOT EXISTS (
              SELECT
              FROM celerytrail.spans s
              WHERE s.day IN ('-infinity', 'infinity') AND s.group_id = o.group_id
          )
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS number = ROW_COUNT;
    removed := removed || jsonb_build_object('groups', number);
    DELETE FROM celerytrail.run_ends e
    WHERE e.ctid IN (
        SELECT o.ctid
        FROM celerytrail.run_ends o
        WHERE o.finished_at < retained_from
          AND NOT EXISTS (
              SELECT
              FROM celerytrail.tasks t
              WHERE t.task_id = o.task_id
                AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
          )
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS number = ROW_COUNT;
    removed := removed || jsonb_build_object('run_ends', number);
    -- Rows with an impossible clock stay, their user data goes by when it came.
    WITH gone AS (
        DELETE FROM celerytrail.payloads p
        USING (
            SELECT o.task_id, o.commitment, o.day, o.namespace, o.service, o.environment
            FROM celerytrail.payloads o
            WHERE o.day IN ('-infinity', 'infinity') AND o.received_at < retained_from
            LIMIT at_most
        ) AS o
        WHERE p.task_id = o.task_id AND p.commitment = o.commitment AND p.day = o.day
          AND (p.namespace, p.service, p.environment) = (o.namespace, o.service, o.environment)
        RETURNING 1
    )
    SELECT count(*) INTO number FROM gone;
    removed := removed || jsonb_build_object('payloads_of_no_day', number);
    -- Tables that later migrations make. No row of theirs goes with a table of the day.
    IF to_regclass('celerytrail.failures') IS NOT NULL THEN
        DELETE FROM celerytrail.failures f
        WHERE f.ctid IN (
            SELECT o.ctid
            FROM celerytrail.failures o
            WHERE o.event_time < retained_from
              AND NOT EXISTS (
                  SELECT
                  FROM celerytrail.spans s
                  WHERE s.event_id = o.event_id AND s.day IN ('-infinity', 'infinity')
              )
            LIMIT at_most
            FOR UPDATE SKIP LOCKED
        );
        GET DIAGNOSTICS number = ROW_COUNT;
        removed := removed || jsonb_build_object('failures', number);
    END IF;
    IF to_regprocedure('celerytrail.trim_searchable(int4)') IS NOT NULL THEN
        EXECUTE 'SELECT celerytrail.trim_searchable($1)' INTO number USING at_most;
        removed := removed || jsonb_build_object('excerpts', number);
    END IF;
    -- What these marks keep out is older than the horizon, which keeps it out as well.
    DELETE FROM celerytrail.erased_tasks e
    WHERE e.ctid IN (
        SELECT o.ctid
        FROM celerytrail.erased_tasks o
        WHERE o.erased_at < retained_from
          AND NOT EXISTS (
              SELECT
              FROM celerytrail.tasks t
              WHERE t.task_id = o.task_id
                AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
          )
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS number = ROW_COUNT;
    RETURN removed || jsonb_build_object('marks', number);
END
$_$;

ALTER FUNCTION celerytrail.forget_leftovers(at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION forget_leftovers(at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.forget_leftovers(at_most integer) IS 'Removes groups without members, ends without a task, payloads of impossible clocks, failures, searchable excerpts and marks of erasures, all before the horizon. Returns how many of each, 0 of all when there is no more.';

-- Name: forget_tasks(timestamp with time zone, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.forget_tasks(after timestamp with time zone, at_most integer) RETURNS TABLE(examined bigint, up_to timestamp with time zone, removed jsonb)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $_$
#variable_conflict use_column
DECLARE
    retained_from timestamptz := (
        SELECT h.retained_from::timestamp AT TIME ZONE 'UTC' FROM celerytrail.horizon h
    );
    batch celerytrail.task_key[];
    place text;
    number int8;
BEGIN
    SELECT count(*), max(o.updated_at) INTO examined, up_to
    FROM (
        SELECT t.updated_at
        FROM celerytrail.tasks t
        WHERE t.updated_at > $1 AND t.updated_at < retained_from
        ORDER BY t.updated_at
        FETCH FIRST (least($2, 10000)) ROWS WITH TIES
    ) AS o;
    removed := '{}';
    IF examined > 0 OR $1 = '-infinity' THEN
        WITH old AS MATERIALIZED (
            SELECT t.namespace, t.service, t.environment, t.task_id
            FROM celerytrail.tasks t
            -- Without a time: only events whose clock is impossible. There are few, all looked at once.
            WHERE (t.updated_at > $1 AND t.updated_at <= up_to OR $1 = '-infinity' AND t.updated_at IS NULL)
              -- A clock that is impossible leaves rows in other partitions than those of the day.
              AND NOT EXISTS (
                  SELECT
                  FROM celerytrail.spans s
                  WHERE s.task_id = t.task_id
                    AND (s.namespace, s.service, s.environment) = (t.namespace, t.service, t.environment)
              )
            -- A sink that has one of them in its hands has news of it.
            FOR UPDATE OF t SKIP LOCKED
        ), gone AS (
            DELETE FROM celerytrail.tasks t
            USING old o
            WHERE t.task_id = o.task_id
              AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
            RETURNING (t.namespace, t.service, t.environment, t.task_id)::celerytrail.task_key AS key
        )
        SELECT array_agg(g.key) INTO batch FROM gone g;
    END IF;
    IF batch IS NOT NULL THEN
        removed := jsonb_build_object('tasks', cardinality(batch));
        FOR place IN
            SELECT p.proname::text
            FROM pg_proc p
            WHERE p.pronamespace = 'celerytrail'::regnamespace AND p.proname LIKE 'forget\_in\_%'
              AND p.proowner = 'celerytrail_owner'::regrole
              AND p.pronargs = 1 AND p.proargtypes[0] = 'celerytrail.task_key[]'::regtype
            ORDER BY p.proname
        LOOP
            EXECUTE format('SELECT celerytrail.%I($1)', place) INTO number USING batch;
            removed := removed || jsonb_build_object(substr(place, 11), number);
        END LOOP;
    END IF;
    RETURN NEXT;
END
$_$;

ALTER FUNCTION celerytrail.forget_tasks(after timestamp with time zone, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION forget_tasks(after timestamp with time zone, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.forget_tasks(after timestamp with time zone, at_most integer) IS 'Removes tasks without a row left in the ledger from the read model, with all that goes with each, in order of their last event. Examined 0 when there is no more.';

-- Name: hardening_gaps(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.hardening_gaps() RETURNS SETOF text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    this_database oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
    ours name[] := ARRAY(SELECT celerytrail_admin.login_roles()) || 'celerytrail_owner'::name;
BEGIN
    RETURN QUERY
    SELECT format('PUBLIC may %s in database %s', lower(x.privilege_type), current_database())
    FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS x
    WHERE d.oid = this_database AND x.grantee = 0 AND x.privilege_type IN ('TEMPORARY', 'CREATE');

    RETURN QUERY
    SELECT format('PUBLIC may create in schema %s', n.nspname)
    FROM pg_namespace n, aclexplode(n.nspacl) AS x
    WHERE x.grantee = 0 AND x.privilege_type = 'CREATE';

    RETURN QUERY
    SELECT format(
        'PUBLIC may execute %s (a superuser closes this: SELECT celerytrail_admin.harden_database())',
        string_agg(DISTINCT p.proname::text, ', ' ORDER BY p.proname::text)
    )
    FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS x
    WHERE p.oid IN (SELECT celerytrail_admin.withheld_functions()) AND x.grantee = 0
    HAVING count(*) > 0;

    RETURN QUERY
    SELECT format('PUBLIC may use language %s', l.lanname)
    FROM pg_language l, aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) AS x
    WHERE l.lanpltrusted AND l.lanname NOT IN ('sql', 'internal') AND x.grantee = 0;

    RETURN QUERY
    SELECT format('role %s is missing', o)
    FROM unnest(ours) AS o
    WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = o);

    RETURN QUERY
    SELECT format('role %s is %s', r.rolname, a.attribute)
    FROM pg_roles r
    CROSS JOIN LATERAL (VALUES
        ('superuser', r.rolsuper), ('createrole', r.rolcreaterole), ('createdb', r.rolcreatedb),
        ('replication', r.rolreplication), ('bypassrls', r.rolbypassrls),
        ('login', r.rolcanlogin AND r.rolname = 'celerytrail_owner'),
        ('without connection limit', r.rolconnlimit < 0 AND r.rolname = 'celerytrail_grafana')
    ) AS a (attribute, has)
    WHERE r.rolname = ANY (ours) AND a.has;

    RETURN QUERY
    SELECT format('role %s is a member of %s', m.member::regrole, m.roleid::regrole)
    FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.member
    WHERE r.rolname IN (SELECT celerytrail_admin.login_roles());

    -- A prepared transaction keeps its locks when its session has ended.
    RETURN QUERY
    SELECT format('max_prepared_transactions is %s, it should be 0', current_setting('max_prepared_transactions'))
    WHERE current_setting('max_prepared_transactions')::int > 0;

    RETURN QUERY
    SELECT format('view %s has no security barrier', c.oid::regclass)
    FROM pg_class c
    WHERE c.relnamespace = 'celerytrail_views'::regnamespace AND c.relkind = 'v'
      AND NOT coalesce(c.reloptions, '{}') @> ARRAY['security_barrier=true']
      -- They show every row: see where they are made.
      AND c.relname NOT IN ('tasks', 'actions', 'task_actions', 'failures', 'searchable');

    RETURN QUERY
    SELECT format('celerytrail_grafana may read %s', c.oid::regclass)
    FROM pg_class c
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND c.relnamespace NOT IN (
          'pg_catalog'::regnamespace, 'information_schema'::regnamespace,
          'celerytrail_views'::regnamespace
      )
      AND EXISTS (
          SELECT
          FROM aclexplode(c.relacl) AS x
          WHERE x.grantee IN (0, 'celerytrail_grafana'::regrole)
      );
END
$$;

ALTER FUNCTION celerytrail.hardening_gaps() OWNER TO celerytrail_owner;

-- Name: FUNCTION hardening_gaps(); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.hardening_gaps() IS 'What is not as docs/design/roles.md says, one line each; nothing when all is well.';

-- Name: intent_state(uuid); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.intent_state(intent_id uuid) RETURNS TABLE(state text, outcome json, actor text, verb text, created_at timestamp with time zone, finished_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT i.state, i.outcome, i.actor, i.verb, i.created_at, i.finished_at
    FROM celerytrail.intents i
    WHERE i.intent_id = $1
$_$;

ALTER FUNCTION celerytrail.intent_state(intent_id uuid) OWNER TO celerytrail_owner;

-- Name: FUNCTION intent_state(intent_id uuid); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.intent_state(intent_id uuid) IS 'How far an intent is; no row for one that is not known, or not any more.';

-- Name: keep_reason(uuid, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.keep_reason(intent_id uuid, reason text) RETURNS bytea
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    salt bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
    words bytea := convert_to(reason, 'UTF8');
    commitment bytea;
BEGIN
    IF coalesce(reason, '') = '' THEN
        RETURN NULL;
    END IF;
    IF char_length(reason) > 2000 THEN
        RAISE EXCEPTION 'celerytrail: a reason has at most 2000 characters, not %', char_length(reason)
            USING ERRCODE = 'CT007';
    END IF;
    commitment := sha256(
        'celerytrail/commit/v1'::bytea || '\x00'::bytea || '\x06'::bytea || 'reason'::bytea
        || int8send(octet_length(words)) || salt || words
    );
    INSERT INTO celerytrail.action_reasons (intent_id, commitment, salt, body)
    VALUES (keep_reason.intent_id, commitment, salt, reason);
    RETURN commitment;
END
$$;

ALTER FUNCTION celerytrail.keep_reason(intent_id uuid, reason text) OWNER TO celerytrail_owner;

-- Name: leave_erasure(uuid); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.leave_erasure(erasure_id uuid) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT pg_advisory_unlock(hashtextextended('celerytrail erase ' || $1, 0))
$_$;

ALTER FUNCTION celerytrail.leave_erasure(erasure_id uuid) OWNER TO celerytrail_owner;

-- Name: FUNCTION leave_erasure(erasure_id uuid); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.leave_erasure(erasure_id uuid) IS 'Takes back what attend_erasure() said.';

-- Name: link_block(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.link_block() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    head celerytrail.chain_head;
    next_n int8;
    next_hash bytea;
    next_linked_at timestamptz;
    this_ledger uuid;
BEGIN
    SELECT ledger_id INTO STRICT this_ledger FROM celerytrail.ledger;
    -- The key stays, so that a principal of this chain can be made, and its transaction seal a block, meanwhile.
    SELECT * INTO STRICT head FROM celerytrail.chain_head WHERE chain = NEW.chain FOR NO KEY UPDATE;
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

ALTER FUNCTION celerytrail.link_block() OWNER TO celerytrail_owner;

-- Name: batch_seq; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

CREATE SEQUENCE celerytrail.batch_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE celerytrail.batch_seq OWNER TO celerytrail_owner;

-- Name: principal_now; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

CREATE SEQUENCE celerytrail.principal_now
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE celerytrail.principal_now OWNER TO celerytrail_owner;

SET default_tablespace = '';

-- Name: spans; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.spans (
    event_id uuid NOT NULL,
    event_time timestamp with time zone NOT NULL,
    day date NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    stream_id uuid NOT NULL,
    seq bigint NOT NULL,
    step text NOT NULL,
    inferred boolean NOT NULL,
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    parent_span_id bytea,
    span_name text NOT NULL,
    span_kind smallint NOT NULL,
    status_code smallint NOT NULL,
    start_unix_nano bigint NOT NULL,
    end_unix_nano bigint NOT NULL,
    process_kind text,
    worker text,
    host text,
    pid integer,
    task_id text,
    task_name text,
    retries integer,
    queue text,
    root_id text,
    parent_id text,
    group_id text,
    root_group_id text,
    chord_body_id text,
    send_id bytea,
    sent_unix_nano bigint,
    run_id bytea,
    eta timestamp with time zone,
    priority integer,
    queue_wait_us bigint,
    runtime_us bigint,
    exception_class text,
    about_stream_id uuid,
    commitments json,
    links json,
    marks text,
    attributes json NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    principal_id bigint DEFAULT currval('celerytrail.principal_now'::regclass) NOT NULL,
    batch_id bigint DEFAULT currval('celerytrail.batch_seq'::regclass) NOT NULL,
    CONSTRAINT spans_day CHECK (((day = ANY (ARRAY['-infinity'::date, 'infinity'::date])) OR (day = ((event_time AT TIME ZONE 'UTC'::text))::date))),
    CONSTRAINT spans_seq CHECK ((seq >= 1))
)
PARTITION BY LIST (day);

ALTER TABLE celerytrail.spans OWNER TO celerytrail_owner;

-- Name: TABLE spans; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.spans IS 'The ledger: one row for each step in the life of a task, a group, a worker or a stream. Append only, hashed into blocks.';

-- Name: lost_rows(celerytrail.spans, timestamp with time zone); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.lost_rows(started celerytrail.spans, last_seen_at timestamp with time zone) RETURNS SETOF celerytrail.spans
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    made celerytrail.spans;
    label text := replace(replace(started.namespace, '%', '%25'), '/', '%2F')
        || '/' || replace(replace(started.service, '%', '%25'), '/', '%2F')
        || '/' || replace(replace(started.environment, '%', '%25'), '/', '%2F');
    -- When its process was last heard of: another run of the same message came after that.
    nanoseconds int8 := greatest(
        (extract(epoch FROM last_seen_at) * 1000000)::int8 * 1000, started.end_unix_nano + 1000
    );
BEGIN
    made.stream_id := encode(substr(sha256(
        convert_to('celerytrail/conclusion/v1', 'UTF8') || '\x00'::bytea || convert_to(label, 'UTF8')
        || '\x00'::bytea || started.run_id
    ), 1, 16), 'hex')::uuid;
    made.namespace := started.namespace;
    made.service := started.service;
    made.environment := started.environment;
    made.event_time := timestamptz 'epoch' + (nanoseconds / 1000) * interval '1 microsecond';
    made.day := (made.event_time AT TIME ZONE 'UTC')::date;
    made.start_unix_nano := nanoseconds;
    made.end_unix_nano := nanoseconds;
    made.process_kind := 'concluder';
    made.worker := started.worker;
    made.host := started.host;
    made.pid := started.pid;
    made.inferred := true;
    FOR number IN 1..2 LOOP
        made.seq := number;
        made.event_id := encode(
            substr(int8send(nanoseconds / 1000000), 3) || substr(sha256(
                convert_to('celerytrail/event/v1', 'UTF8') || '\x00'::bytea || convert_to(label, 'UTF8')
                || '\x00'::bytea || uuid_send(made.stream_id) || int8send(number)
            ), 1, 10), 'hex'
        )::uuid;
        made.span_id := substr(sha256(uuid_send(made.stream_id) || int8send(number)), 1, 8);
        IF number = 1 THEN
            made.step := 'lost';
            made.span_name := CASE WHEN started.task_name IS NULL THEN 'run' ELSE left('run ' || started.task_name, 256) END;
            made.span_kind := 5;
            made.status_code := 2;
            made.trace_id := started.trace_id;
            made.parent_span_id := started.send_id;
            made.task_id := started.task_id;
            made.task_name := started.task_name;
            made.retries := started.retries;
            made.queue := started.queue;
            made.root_id := started.root_id;
            made.parent_id := started.parent_id;
            made.group_id := started.group_id;
            made.root_group_id := started.root_group_id;
            made.chord_body_id := started.chord_body_id;
            made.send_id := started.send_id;
            made.sent_unix_nano := started.sent_unix_nano;
            made.run_id := started.run_id;
            made.eta := started.eta;
            made.priority := started.priority;
            made.attributes := '{"celery.event":"task-lost","messaging.system":"celery","messaging.operation.name":"process","messaging.operation.type":"process"}';
            RETURN NEXT made;
        ELSE
            -- So that nobody waits for more of this stream.
            made.step := 'stream_closed';
            made.span_name := 'stream_closed';
            made.span_kind := 1;
            made.status_code := 0;
            made.trace_id := substr(sha256(
                convert_to('celerytrail/trace/v1', 'UTF8') || '\x00'::bytea
                || convert_to(encode(uuid_send(made.stream_id), 'hex'), 'UTF8')
            ), 1, 16);
            made.parent_span_id := NULL;
            made.task_id := NULL;
            made.task_name := NULL;
            made.retries := NULL;
            made.queue := NULL;
            made.root_id := NULL;
            made.parent_id := NULL;
            made.group_id := NULL;
            made.root_group_id := NULL;
            made.chord_body_id := NULL;
            made.send_id := NULL;
            made.sent_unix_nano := NULL;
            made.run_id := NULL;
            made.eta := NULL;
            made.priority := NULL;
            made.attributes := '{"celery.event":"stream-closed"}';
            RETURN NEXT made;
        END IF;
    END LOOP;
END
$$;

ALTER FUNCTION celerytrail.lost_rows(started celerytrail.spans, last_seen_at timestamp with time zone) OWNER TO celerytrail_owner;

-- Name: mark_erased(uuid, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.mark_erased(erasure_id uuid, at_most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    batch celerytrail.task_key[];
BEGIN
    SELECT array_agg((m.namespace, m.service, m.environment, m.task_id)::celerytrail.task_key)
    INTO batch
    FROM (
        SELECT t.namespace, t.service, t.environment, t.task_id
        FROM celerytrail.erasure_targets t
        WHERE t.erasure_id = $1 AND NOT t.marked
        LIMIT least($2, 5000)
        FOR UPDATE SKIP LOCKED
    ) AS m;
    IF batch IS NULL THEN
        RETURN 0;
    END IF;
    -- Waits for whoever has inserted payloads after looking, and for nobody who only reads.
    LOCK TABLE celerytrail.erased_tasks IN EXCLUSIVE MODE;
    INSERT INTO celerytrail.erased_tasks AS e (
        namespace, service, environment, task_id, kinds, erasure_id, erased_at
    )
    SELECT k.namespace, k.service, k.environment, k.task_id, r.kinds, $1, clock_timestamp()
    FROM unnest(batch) AS k
    JOIN celerytrail.erasures r ON r.erasure_id = $1
    ON CONFLICT ON CONSTRAINT erased_tasks_pkey DO UPDATE SET
        kinds = ARRAY(SELECT DISTINCT u.kind FROM unnest(e.kinds || excluded.kinds) AS u (kind) ORDER BY 1),
        erasure_id = excluded.erasure_id,
        erased_at = excluded.erased_at;
    UPDATE celerytrail.erasure_targets t
    SET marked = true
    FROM unnest(batch) AS k
    WHERE t.erasure_id = $1
      AND (t.namespace, t.service, t.environment, t.task_id) = (k.namespace, k.service, k.environment, k.task_id);
    RETURN cardinality(batch);
END
$_$;

ALTER FUNCTION celerytrail.mark_erased(erasure_id uuid, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION mark_erased(erasure_id uuid, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.mark_erased(erasure_id uuid, at_most integer) IS 'Marks the next tasks of an erasure, from when on payloads of them are refused. Returns how many; 0 when all are.';

-- Name: message_for_retry(text, text, text, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.message_for_retry(namespace text, service text, environment text, task_id text) RETURNS TABLE(body bytea, salt bytea, commitment bytea, retries integer, stream_id uuid, seq bigint, event_id uuid, batch_id bigint, chain integer, n bigint, withheld text, span_commitment bytea, payload_namespace text, payload_service text, payload_environment text, payload_task_id text, block_fault text, verification text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.message_for_retry(namespace text, service text, environment text, task_id text) OWNER TO celerytrail_owner;

-- Name: FUNCTION message_for_retry(namespace text, service text, environment text, task_id text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.message_for_retry(namespace text, service text, environment text, task_id text) IS 'The message of the newest send of one task that has one, with what it is bound to, whether its block is what was chained, and what the last verification of that chain said. Never any other kind of payload.';

-- Name: named_tasks(text, json, json); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.named_tasks(phase text, target json, detail json) RETURNS TABLE(task_id text, result text, new_task_id text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    aim jsonb;
    said jsonb;
BEGIN
    -- An action is stored whatever its json says: json holds texts that no other type can.
    BEGIN
        aim := $2;
        said := $3;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN;
    END;
    RETURN QUERY
    WITH mentioned AS (
        SELECT t.value ->> 'task_id' AS task_id, t.value ->> 'result' AS result,
            t.value ->> 'new_task_id' AS new_task_id, 3 AS weight, t.place
        FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(said -> 'tasks') = 'array' THEN said -> 'tasks' ELSE '[]' END
        ) WITH ORDINALITY AS t (value, place)
        UNION ALL
        SELECT t.value ->> 'task_id', 'purged', NULL, 2, t.place
        FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(said -> 'purged') = 'array' THEN said -> 'purged' ELSE '[]' END
        ) WITH ORDINALITY AS t (value, place)
        UNION ALL
        SELECT
            CASE WHEN jsonb_typeof(t.value) = 'string' THEN t.value #>> '{}' ELSE t.value ->> 'task_id' END,
            NULL, NULL, 1, t.place
        FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(aim -> 'tasks') = 'array' THEN aim -> 'tasks' ELSE '[]' END
        ) WITH ORDINALITY AS t (value, place)
        UNION ALL
        SELECT aim ->> 'task_id', NULL, NULL, 0, 1
    )
    SELECT DISTINCT ON (m.task_id)
        m.task_id,
        left(
            CASE
                WHEN m.weight > 1 THEN m.result
                WHEN $1 = 'refused' THEN said ->> 'code'
                WHEN $1 IN ('outcome', 'done') THEN said ->> 'state'
            END,
            100
        ),
        -- Longer than any id of a task: no index could hold it.
        CASE WHEN octet_length(m.new_task_id) <= 1024 THEN m.new_task_id END
    FROM mentioned m
    WHERE octet_length(m.task_id) BETWEEN 1 AND 1024
    ORDER BY m.task_id, m.weight DESC, m.place DESC;
END
$_$;

ALTER FUNCTION celerytrail.named_tasks(phase text, target json, detail json) OWNER TO celerytrail_owner;

-- Name: FUNCTION named_tasks(phase text, target json, detail json); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.named_tasks(phase text, target json, detail json) IS 'The tasks that an action names: {"task_id"} or {"tasks": [..]} of its target, {"tasks": [{"task_id", "result", "new_task_id"}]} and {"purged": [{"task_id"}]} of its detail.';

-- Name: next_batch(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.next_batch() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM nextval('celerytrail.batch_seq'::regclass);
    RETURN NULL;
END
$$;

ALTER FUNCTION celerytrail.next_batch() OWNER TO celerytrail_owner;

-- Name: old_days(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.old_days(keep_days integer) RETURNS TABLE(day date, groups bigint, rows bigint, announced_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT d.day, c.groups, c.rows, a.announced_at
    FROM (
        SELECT DISTINCT to_date(right(k.relname, 8), 'YYYYMMDD') AS day
        FROM pg_inherits i
        JOIN pg_class k ON k.oid = i.inhrelid
        WHERE i.inhparent IN (
            'celerytrail.spans'::regclass, 'celerytrail.leaf_groups'::regclass, 'celerytrail.payloads'::regclass
        )
          AND k.relname ~ '_[0-9]{8}$'
    ) AS d
    CROSS JOIN LATERAL celerytrail.day_content(d.day) AS c
    -- What was announced is finished, however many days are kept by now.
    LEFT JOIN celerytrail.day_drops a ON a.day = d.day AND a.dropped_at IS NULL
    WHERE d.day < (clock_timestamp() AT TIME ZONE 'UTC')::date
        - CASE WHEN a.day IS NULL THEN greatest(keep_days, 1) ELSE 1 END
    ORDER BY d.day
$_$;

ALTER FUNCTION celerytrail.old_days(keep_days integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION old_days(keep_days integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.old_days(keep_days integer) IS 'The days that have partitions and ended more than so many full days ago, at least one, or were announced, oldest first.';

-- Name: open_erasures(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.open_erasures() RETURNS TABLE(erasure_id uuid, actor text, begun_at timestamp with time zone, remaining bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT
        e.erasure_id, e.actor, e.begun_at,
        (SELECT count(*) FROM celerytrail.erasure_targets t WHERE t.erasure_id = e.erasure_id)
    FROM celerytrail.erasures e
    WHERE e.finished_at IS NULL
    ORDER BY e.begun_at
$$;

ALTER FUNCTION celerytrail.open_erasures() OWNER TO celerytrail_owner;

-- Name: FUNCTION open_erasures(); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.open_erasures() IS 'The erasures that nobody has finished, oldest first.';

-- Name: preview_erasure(text[], text, text, text, text, text, timestamp with time zone, timestamp with time zone, text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.preview_erasure(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) RETURNS TABLE(tasks bigint, payloads bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    PERFORM celerytrail.require_selection($1, $2, $3, $4, $5, $6, $7, $8, $9);
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT c.namespace, c.service, c.environment, c.task_id
        FROM celerytrail.chosen_tasks($1, $2, $3, $4, $5, $6, $7, $8, $9) AS c
    )
    SELECT
        (SELECT count(*) FROM chosen),
        (
            SELECT count(*)
            FROM chosen c
            JOIN celerytrail.payloads p
                ON p.task_id = c.task_id
               AND (p.namespace, p.service, p.environment) = (c.namespace, c.service, c.environment)
            WHERE p.kind = ANY ($9)
        );
END
$_$;

ALTER FUNCTION celerytrail.preview_erasure(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION preview_erasure(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.preview_erasure(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) IS 'How many tasks and payloads an erasure would be about. Changes nothing.';

-- Name: progress_intent(uuid, text, json); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.progress_intent(intent_id uuid, holder text, detail json) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.progress_intent(intent_id uuid, holder text, detail json) OWNER TO celerytrail_owner;

-- Name: FUNCTION progress_intent(intent_id uuid, holder text, detail json); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.progress_intent(intent_id uuid, holder text, detail json) IS 'Writes a row of phase progress into the chain. False, and no row, when the intent is finished or held by another.';

-- Name: project_actions(uuid[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.project_actions(action_ids uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    -- First this table, then tasks: the order in which a rebuild locks them.
    INSERT INTO celerytrail.task_actions (
        action_id, task_id, namespace, service, environment, intent_id, action_time, verb, phase,
        result, new_task_id, actor
    )
    SELECT
        a.action_id, n.task_id, coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''),
        a.intent_id, a.action_time, a.verb, a.phase, n.result,
        CASE WHEN a.verb IN ('retry', 'retry-chord') THEN n.new_task_id END, a.actor
    FROM celerytrail.actions a
    CROSS JOIN LATERAL celerytrail.named_tasks(a.phase, a.target, a.detail) AS n
    WHERE a.action_id = ANY (action_ids) AND a.service IS NOT NULL
    ON CONFLICT DO NOTHING;

    -- As the sink does it (sql/queries/read_model.sql), and sorted as there. What is known of the
    -- message comes with its own events, before or after.
    INSERT INTO celerytrail.tasks AS t (
        namespace, service, environment, task_id, state, inferred, finished_at, state_day,
        state_key, attempts, updated_at
    )
    SELECT DISTINCT ON (p.task_id, coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''))
        coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''), p.task_id, s.state,
        false, a.action_time, (a.action_time AT TIME ZONE 'UTC')::date, k.state_key, 1,
        -- The newest of all of them, whichever decides the state.
        max(a.action_time) OVER (
            PARTITION BY p.task_id, coalesce(a.namespace, ''), a.service, coalesce(a.environment, '')
        )
    FROM celerytrail.actions a
    JOIN celerytrail.steps s ON s.step = 'purged'
    CROSS JOIN LATERAL celerytrail.purged_messages(a.detail) AS p
    CROSS JOIN LATERAL (
        SELECT celerytrail.event_key(
            p.sent_unix_nano, s.rank,
            (extract(epoch FROM a.action_time) * 1000000)::int8 * 1000, a.action_id
        )
    ) AS k (state_key)
    WHERE a.action_id = ANY (action_ids) AND a.service IS NOT NULL
      AND a.verb = 'purge' AND a.phase IN ('progress', 'outcome')
      -- A task that retention forgot does not come back as one that was purged.
      AND a.action_time >= (SELECT h.retained_from::timestamp AT TIME ZONE 'UTC' FROM celerytrail.horizon h)
    ORDER BY p.task_id, coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''),
        k.state_key DESC
    ON CONFLICT (task_id, namespace, service, environment) DO UPDATE SET
        state = CASE WHEN excluded.state_key > t.state_key THEN excluded.state ELSE t.state END,
        inferred = CASE WHEN excluded.state_key > t.state_key THEN excluded.inferred ELSE t.inferred END,
        worker = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.worker END,
        finished_at = CASE WHEN excluded.state_key > t.state_key THEN excluded.finished_at ELSE t.finished_at END,
        runtime_us = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.runtime_us END,
        exception_class = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.exception_class END,
        state_day = CASE WHEN excluded.state_key > t.state_key THEN excluded.state_day ELSE t.state_day END,
        exception_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.exception_commitment END,
        traceback_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.traceback_commitment END,
        result_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.result_commitment END,
        state_key = greatest(t.state_key, excluded.state_key),
        updated_at = greatest(t.updated_at, excluded.updated_at);
END
$$;

ALTER FUNCTION celerytrail.project_actions(action_ids uuid[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION project_actions(action_ids uuid[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.project_actions(action_ids uuid[]) IS 'Writes into task_actions and tasks what these rows of actions say. Repeatable, in any order.';

-- Name: project_new_actions(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.project_new_actions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM celerytrail.project_actions((SELECT array_agg(n.action_id) FROM new_rows n));
    RETURN NULL;
END
$$;

ALTER FUNCTION celerytrail.project_new_actions() OWNER TO celerytrail_owner;

-- Name: purged_messages(json); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.purged_messages(detail json) RETURNS TABLE(task_id text, sent_unix_nano bigint)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
    said jsonb;
BEGIN
    BEGIN
        said := $1;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN;
    END;
    RETURN QUERY
    SELECT
        t.value ->> 'task_id',
        CASE
            WHEN NOT t.value ->> 'sent_unix_nano' ~ '^[0-9]{1,19}$' THEN 0
            WHEN (t.value ->> 'sent_unix_nano')::numeric > 9223372036854775807 THEN 0
            ELSE coalesce((t.value ->> 'sent_unix_nano')::int8, 0)
        END
    FROM jsonb_array_elements(
        CASE WHEN jsonb_typeof(said -> 'purged') = 'array' THEN said -> 'purged' ELSE '[]' END
    ) AS t (value)
    WHERE octet_length(t.value ->> 'task_id') BETWEEN 1 AND 1024;
END
$_$;

ALTER FUNCTION celerytrail.purged_messages(detail json) OWNER TO celerytrail_owner;

-- Name: FUNCTION purged_messages(detail json); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.purged_messages(detail json) IS 'The messages that a purge took: {"purged": [{"task_id", "send_id", "sent_unix_nano"}]}. Without a time of sending 0, which any send that is known outweighs.';

-- Name: read_model_tables(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.read_model_tables() RETURNS SETOF text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    VALUES
        ('task_actions'), ('streams'), ('tasks'), ('runs'), ('run_ends'), ('groups'), ('workers'), ('failures')
$$;

ALTER FUNCTION celerytrail.read_model_tables() OWNER TO celerytrail_owner;

-- Name: FUNCTION read_model_tables(); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.read_model_tables() IS 'The tables of the read model, in the order in which a rebuild locks them: a transaction of the sink comes to streams before the others, one of the action API to task_actions.';

-- Name: rebuild_columns(text, boolean, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.rebuild_columns(table_name text, only_key boolean, alias text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT string_agg(coalesce(alias || '.', '') || quote_ident(a.attname), ', ' ORDER BY a.attnum)
    FROM pg_attribute a
    JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = format('celerytrail.%I', table_name)::regclass
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND (NOT only_key OR a.attnum = ANY (i.indkey::int2[]))
$$;

ALTER FUNCTION celerytrail.rebuild_columns(table_name text, only_key boolean, alias text) OWNER TO celerytrail_owner;

-- Name: FUNCTION rebuild_columns(table_name text, only_key boolean, alias text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.rebuild_columns(table_name text, only_key boolean, alias text) IS 'The columns of a table of the read model, or of its key, as a list for a statement.';

-- Name: rebuild_comparable(text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.rebuild_comparable(table_name text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE
        WHEN h.retained_from = '-infinity' OR table_name IN ('streams', 'task_actions') THEN 'true'
        ELSE format(
            'coalesce(least(%s) >= %L::timestamptz, true)',
            (
                SELECT string_agg('l.' || quote_ident(a.attname), ', ')
                FROM pg_attribute a
                WHERE a.attrelid = format('celerytrail.%I', table_name)::regclass
                  AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'timestamptz'::regtype
                  AND a.attname <> 'eta'
            ),
            to_char(h.retained_from, 'YYYY-MM-DD') || ' 00:00:00+00'
        )
    END
    FROM celerytrail.horizon h
$$;

ALTER FUNCTION celerytrail.rebuild_comparable(table_name text) OWNER TO celerytrail_owner;

-- Name: rebuild_differences(text, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.rebuild_differences(table_name text, at_most integer) RETURNS TABLE(key text, column_name text, stored text, rebuilt text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET bytea_output TO 'hex'
    SET enable_nestloop TO 'on'
    AS $_$
DECLARE
    keys text := celerytrail.rebuild_columns(table_name, true, NULL);
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT concat_ws('' '', %1$s),'
        ' CASE WHEN l.l IS NULL OR s.s IS NULL THEN NULL ELSE c.name END,'
        ' CASE WHEN l.l IS NULL THEN ''no row'' WHEN s.s IS NULL THEN ''a row'' ELSE to_jsonb(l.l) ->> c.name END,'
        ' CASE WHEN s.s IS NULL THEN ''no row'' WHEN l.l IS NULL THEN ''a row'' ELSE to_jsonb(s.s) ->> c.name END'
        -- Each row differs in one column at least.
        ' FROM (SELECT d.* FROM shadow_of_celerytrail.%2$I d WHERE d.place <= %8$s) AS d'
        ' LEFT JOIN LATERAL (SELECT l FROM celerytrail.%3$I l WHERE (%4$s) = (%5$s)) AS l ON true'
        ' LEFT JOIN LATERAL (SELECT s FROM shadow_of_celerytrail.%3$I s WHERE (%6$s) = (%5$s)) AS s ON true'
        ' CROSS JOIN LATERAL ('
        '     SELECT a.attname::text AS name FROM pg_attribute a'
        '     WHERE a.attrelid = %7$L::regclass AND a.attnum > 0 AND NOT a.attisdropped'
        '       AND CASE WHEN l.l IS NULL OR s.s IS NULL THEN a.attnum = 1'
        '           ELSE to_jsonb(l.l) -> a.attname::text IS DISTINCT FROM to_jsonb(s.s) -> a.attname::text END'
        ' ) AS c'
        ' ORDER BY d.place, c.name LIMIT %8$s',
        celerytrail.rebuild_columns(table_name, true, 'd'), 'differing_' || table_name, table_name,
        celerytrail.rebuild_columns(table_name, true, 'l'),
        celerytrail.rebuild_columns(table_name, true, 'd'),
        celerytrail.rebuild_columns(table_name, true, 's'),
        format('celerytrail.%I', table_name), at_most
    );
END
$_$;

ALTER FUNCTION celerytrail.rebuild_differences(table_name text, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION rebuild_differences(table_name text, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.rebuild_differences(table_name text, at_most integer) IS 'What differs, column by column, in the rows that compare_rebuild() noted.';

-- Name: rebuild_searchable(date); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.rebuild_searchable(of_day date) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    made int8;
BEGIN
    -- Whoever removes a payload meanwhile waits here, and then removes what this has made of it.
    LOCK TABLE celerytrail.searchable IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM celerytrail.searchable s WHERE of_day IS NULL OR s.day = of_day;
    INSERT INTO celerytrail.searchable (
        event_time, day, namespace, service, environment, task_id, kind, commitment, excerpt
    )
    SELECT
        p.event_time, p.day, p.namespace, p.service, p.environment, p.task_id, p.kind, p.commitment,
        celerytrail.search_excerpt(p.body)
    FROM celerytrail.payloads p
    WHERE (of_day IS NULL OR p.day = of_day)
      AND p.kind IN ('args', 'kwargs', 'exception') AND octet_length(p.body) > 2
    ORDER BY p.event_time;
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made;
END
$$;

ALTER FUNCTION celerytrail.rebuild_searchable(of_day date) OWNER TO celerytrail_owner;

-- Name: FUNCTION rebuild_searchable(of_day date); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.rebuild_searchable(of_day date) IS 'Makes the excerpts of a day, or of all days for NULL, again from the payloads. Returns how many. Writers of payloads wait meanwhile.';

-- Name: record_checkpoint(timestamp with time zone, integer, text, json, text, json, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.record_checkpoint(issued_at timestamp with time zone, epoch integer, key_id text, chains json, note text, published json, trouble text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    new_id int8;
BEGIN
    INSERT INTO celerytrail.checkpoints AS c (
        issued_at, epoch, key_id, chains, note, published, trouble, recorded_by
    ) VALUES ($1, $2, $3, coalesce($4, '[]'), $5, coalesce($6, '{}'), left($7, 2000), session_user)
    RETURNING c.checkpoint_id INTO new_id;
    -- Bounded: what went well stays for two days, trouble for 90, 50,000 rows in any case. The newest
    -- signed one stays, since its age is what an alert looks at.
    DELETE FROM celerytrail.checkpoints c
    WHERE (
          (c.trouble IS NULL AND c.recorded_at < clock_timestamp() - interval '2 days')
          OR c.recorded_at < clock_timestamp() - interval '90 days'
          OR c.checkpoint_id <= new_id - 50000
      )
      AND c.checkpoint_id IS DISTINCT FROM (
          SELECT max(s.checkpoint_id) FROM celerytrail.checkpoints s WHERE s.note IS NOT NULL
      );
    RETURN new_id;
END
$_$;

ALTER FUNCTION celerytrail.record_checkpoint(issued_at timestamp with time zone, epoch integer, key_id text, chains json, note text, published json, trouble text) OWNER TO celerytrail_owner;

-- Name: FUNCTION record_checkpoint(issued_at timestamp with time zone, epoch integer, key_id text, chains json, note text, published json, trouble text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.record_checkpoint(issued_at timestamp with time zone, epoch integer, key_id text, chains json, note text, published json, trouble text) IS 'Keeps what the checkpointer signed, or why it refused, for dashboards; drops old rows. Returns the row''s id.';

-- Name: record_verification(text, integer, bigint, bigint, bytea, text, json, bigint, double precision, boolean, text, bigint, timestamp with time zone, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean, compared_with text DEFAULT NULL::text, anchor_n bigint DEFAULT NULL::bigint, anchor_time timestamp with time zone DEFAULT NULL::timestamp with time zone, trouble text DEFAULT NULL::text) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    recorded_at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO celerytrail.verifications (
        verified_at, mode, chain, from_n, to_n, head_hash, status, first_bad, rows, seconds,
        fingerprint_ok, compared_with, anchor_n, anchor_time, trouble, verified_by
    ) VALUES (recorded_at, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, left($14, 2000), session_user);
    -- Bounded: small runs that found nothing stay for a day, the others for 90.
    DELETE FROM celerytrail.verifications v
    WHERE v.chain = $2
      AND v.verified_at < recorded_at - CASE
          WHEN v.mode = 'incremental' AND v.status <> 'broken' THEN interval '1 day'
          ELSE interval '90 days'
      END;
    RETURN recorded_at;
END
$_$;

ALTER FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean, compared_with text, anchor_n bigint, anchor_time timestamp with time zone, trouble text) OWNER TO celerytrail_owner;

-- Name: FUNCTION record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean, compared_with text, anchor_n bigint, anchor_time timestamp with time zone, trouble text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean, compared_with text, anchor_n bigint, anchor_time timestamp with time zone, trouble text) IS 'Keeps the result of a verification for dashboards and drops old ones: incremental ones that found nothing after a day, others after 90.';

-- Name: refuse_erased(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.refuse_erased() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    -- Until COMMIT: nobody marks a task between this look and the row being there for the one who deletes it.
    LOCK TABLE celerytrail.erased_tasks IN ROW SHARE MODE;
    -- A subquery with LIMIT is not turned into a join, which would read all marks for a few rows.
    PERFORM
    FROM new_rows r
    WHERE (
        SELECT true
        FROM celerytrail.erased_tasks e
        WHERE e.task_id = r.task_id
          AND (e.namespace, e.service, e.environment) = (r.namespace, r.service, r.environment)
          AND r.kind = ANY (e.kinds)
        LIMIT 1
    );
    IF FOUND THEN
        RAISE EXCEPTION 'celerytrail: a task of this batch was erased at this moment'
            USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NULL;
END
$$;

ALTER FUNCTION celerytrail.refuse_erased() OWNER TO celerytrail_owner;

-- Name: remove_large_objects(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.remove_large_objects(at_most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    removed int8;
BEGIN
    SELECT count(*)
    INTO removed
    FROM (
        SELECT m.oid
        FROM pg_largeobject_metadata m
        WHERE m.lomowner IN ('celerytrail_grafana'::regrole, 'celerytrail_sink'::regrole, 'celerytrail_actions'::regrole)
        LIMIT at_most
    ) AS owned
    WHERE lo_unlink(owned.oid) = 1;
    RETURN removed;
END
$$;

ALTER FUNCTION celerytrail.remove_large_objects(at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION remove_large_objects(at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.remove_large_objects(at_most integer) IS 'Removes large objects of the ledger''s roles, which have no use for any. Returns how many.';

-- Name: remove_searchable(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.remove_searchable() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM celerytrail.searchable s
    USING old_rows o
    WHERE s.task_id = o.task_id AND s.commitment = o.commitment AND s.day = o.day
      AND (s.namespace, s.service, s.environment) = (o.namespace, o.service, o.environment);
    RETURN NULL;
END
$$;

ALTER FUNCTION celerytrail.remove_searchable() OWNER TO celerytrail_owner;

-- Name: renew_lease(uuid, text, double precision); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.renew_lease(intent_id uuid, holder text, lease_seconds double precision) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    PERFORM celerytrail.require_lease($2, $3);
    -- Also where it ran out, as long as nobody has taken it.
    UPDATE celerytrail.intents i
    SET lease_until = clock_timestamp() + make_interval(secs => $3)
    WHERE i.intent_id = $1 AND i.holder = $2 AND i.state = 'open';
    RETURN FOUND;
END
$_$;

ALTER FUNCTION celerytrail.renew_lease(intent_id uuid, holder text, lease_seconds double precision) OWNER TO celerytrail_owner;

-- Name: FUNCTION renew_lease(intent_id uuid, holder text, lease_seconds double precision); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.renew_lease(intent_id uuid, holder text, lease_seconds double precision) IS 'Prolongs the lease of an open intent from now on, by the database''s clock. False when it is finished or held by another.';

-- Name: repair_from_rebuild(text, bigint, bigint); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.repair_from_rebuild(table_name text, after_place bigint, up_to_place bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_nestloop TO 'on'
    AS $_$
DECLARE
    columns text := celerytrail.rebuild_columns(table_name, false, NULL);
    keys_d text := celerytrail.rebuild_columns(table_name, true, 'd');
BEGIN
    EXECUTE format(
        'DELETE FROM celerytrail.%1$I l USING shadow_of_celerytrail.%2$I d'
        ' WHERE (%3$s) = (%4$s) AND d.place > $1 AND d.place <= $2',
        table_name, 'differing_' || table_name, celerytrail.rebuild_columns(table_name, true, 'l'), keys_d
    ) USING after_place, up_to_place;
    EXECUTE format(
        'INSERT INTO celerytrail.%1$I (%5$s) SELECT %6$s'
        ' FROM shadow_of_celerytrail.%1$I s JOIN shadow_of_celerytrail.%2$I d ON (%3$s) = (%4$s)'
        ' WHERE d.place > $1 AND d.place <= $2',
        table_name, 'differing_' || table_name, celerytrail.rebuild_columns(table_name, true, 's'), keys_d,
        columns, celerytrail.rebuild_columns(table_name, false, 's')
    ) USING after_place, up_to_place;
END
$_$;

ALTER FUNCTION celerytrail.repair_from_rebuild(table_name text, after_place bigint, up_to_place bigint) OWNER TO celerytrail_owner;

-- Name: FUNCTION repair_from_rebuild(table_name text, after_place bigint, up_to_place bigint); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.repair_from_rebuild(table_name text, after_place bigint, up_to_place bigint) IS 'Gives the noted rows of these places the content that the ledger has for them. The caller holds the locks and has staged everything.';

-- Name: require_deployment(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.require_deployment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION celerytrail.require_deployment() OWNER TO celerytrail_owner;

-- Name: require_lease(text, double precision); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.require_lease(holder text, lease_seconds double precision) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION celerytrail.require_lease(holder text, lease_seconds double precision) OWNER TO celerytrail_owner;

-- Name: require_principal(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.require_principal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION celerytrail.require_principal() OWNER TO celerytrail_owner;

-- Name: require_selection(text[], text, text, text, text, text, timestamp with time zone, timestamp with time zone, text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.require_selection(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
    IF coalesce(cardinality($9), 0) = 0 OR NOT $9 <@ celerytrail.erasable_kinds() THEN
        RAISE EXCEPTION 'celerytrail: kinds to erase are some of %, not %', celerytrail.erasable_kinds(), $9
            USING ERRCODE = 'CT007';
    END IF;
    IF cardinality($1) NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'celerytrail: 1 to 1000000 ids of tasks, not %', cardinality($1) USING ERRCODE = 'CT007';
    END IF;
    IF $1 IS NOT NULL AND ($5 IS NOT NULL OR $6 IS NOT NULL OR $7 IS NOT NULL OR $8 IS NOT NULL) THEN
        RAISE EXCEPTION 'celerytrail: tasks are chosen by their ids or by a filter, not by both'
            USING ERRCODE = 'CT007';
    END IF;
    IF $1 IS NULL AND num_nonnulls($2, $3, $4, $5, $6, $7, $8) = 0 THEN
        RAISE EXCEPTION 'celerytrail: an erasure needs ids of tasks or a filter' USING ERRCODE = 'CT007';
    END IF;
    IF $8 > clock_timestamp() THEN
        RAISE EXCEPTION 'celerytrail: a filter ends now at the latest, not at %', $8 USING ERRCODE = 'CT007';
    END IF;
END
$_$;

ALTER FUNCTION celerytrail.require_selection(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) OWNER TO celerytrail_owner;

-- Name: retained_from(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.retained_from() RETURNS date
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT h.retained_from FROM celerytrail.horizon h
$$;

ALTER FUNCTION celerytrail.retained_from() OWNER TO celerytrail_owner;

-- Name: FUNCTION retained_from(); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.retained_from() IS 'The first day whose events are kept.';

-- Name: runs_by_ledger(text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.runs_by_ledger(task_ids text[]) RETURNS TABLE(namespace text, service text, environment text, run_id bytea, task_id text, task_name text, send_id bytea, trace_id bytea, retries integer, queue text, worker text, host text, pid integer, state text, inferred boolean, finished_at timestamp with time zone, runtime_us bigint, exception_class text, state_day date, exception_commitment bytea, traceback_commitment bytea, result_commitment bytea, state_key bytea, started_at timestamp with time zone, queue_wait_us bigint, updated_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT DISTINCT ON (e.run_id, e.namespace, e.service, e.environment)
        e.namespace, e.service, e.environment, e.run_id, e.task_id, e.task_name, e.send_id, e.trace_id,
        e.retries, e.queue, e.worker, e.host, e.pid, e.state, e.inferred, CASE WHEN e.ends THEN e.event_time END,
        e.runtime_us, e.exception_class, e.day, decode(e.commitments ->> 'exception', 'hex'),
        decode(e.commitments ->> 'traceback', 'hex'), decode(e.commitments ->> 'result', 'hex'), e.state_key,
        min(e.event_time) FILTER (WHERE e.step = 'started') OVER one_run, max(e.queue_wait_us) OVER one_run,
        max(e.event_time) FILTER (WHERE coalesce(e.marks, '') !~ '\mclock\M') OVER one_run
    FROM (
        SELECT
            s.*, p.state, p.ends,
            celerytrail.event_key(coalesce(s.sent_unix_nano, 0), p.rank, s.end_unix_nano, s.event_id) AS state_key
        FROM celerytrail.spans s
        JOIN celerytrail.steps p ON p.step = s.step AND p.subject = 'task' AND p.rank >= 30
        WHERE s.task_id = ANY (task_ids) AND s.run_id IS NOT NULL
    ) AS e
    WINDOW one_run AS (PARTITION BY e.run_id, e.namespace, e.service, e.environment)
    ORDER BY e.run_id, e.namespace, e.service, e.environment, e.state_key DESC
$$;

ALTER FUNCTION celerytrail.runs_by_ledger(task_ids text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION runs_by_ledger(task_ids text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.runs_by_ledger(task_ids text[]) IS 'The rows of runs for these tasks as the ledger has them.';

-- Name: runs_without_process(timestamp with time zone, integer, uuid[], text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.runs_without_process(silent_since timestamp with time zone, at_most integer, heard_streams uuid[], late_hosts text[]) RETURNS TABLE(started celerytrail.spans, parent_stream_id uuid, last_seen_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT DISTINCT ON (s.task_id, s.namespace, s.service, s.environment)
        s, p.stream_id, o.updated_at
    FROM celerytrail.runs r
    JOIN celerytrail.spans s
        ON s.task_id = r.task_id AND s.run_id = r.run_id AND s.step = 'started'
       AND (s.namespace, s.service, s.environment) = (r.namespace, r.service, r.environment)
       AND s.event_time = r.started_at AND s.day = (r.started_at AT TIME ZONE 'UTC')::date
    JOIN celerytrail.streams o
        ON o.stream_id = s.stream_id
       AND (o.namespace, o.service, o.environment) = (s.namespace, s.service, s.environment)
    -- A pool child says nothing between two tasks. Its worker's main process does: the newest of that name on
    -- that host that had said anything when the run began. When it opened its stream is not asked alone: its
    -- clock may have been set back since.
    LEFT JOIN LATERAL (
        SELECT w.stream_id, w.updated_at, w.closed_at, w.abandoned_at
        FROM celerytrail.streams w
        WHERE w.process_kind = 'worker' AND w.worker = o.worker AND w.host = o.host
          AND (w.namespace, w.service, w.environment) = (o.namespace, o.service, o.environment)
          AND least(w.opened_at, w.first_seen_at) <= s.event_time
        ORDER BY least(w.opened_at, w.first_seen_at) DESC
        LIMIT 1
    ) AS p ON true
    WHERE r.finished_at IS NULL
      AND r.started_at < silent_since
      AND r.started_at >= silent_since - interval '30 days'
      AND (s.marks IS NULL OR s.marks !~ '\mclock\M')
      AND (
          least(o.closed_at, o.abandoned_at) < silent_since
          OR least(p.closed_at, p.abandoned_at) < silent_since
          OR greatest(p.updated_at, o.updated_at) < silent_since AND p.stream_id IS NOT NULL
      )
      -- What holds up a conclusion holds up no other: these do not count among those at most.
      AND NOT s.stream_id = ANY (heard_streams)
      AND NOT coalesce(p.stream_id = ANY (heard_streams), false)
      AND NOT coalesce(s.host = ANY (late_hosts), false)
      AND NOT celerytrail.concluder_is_silenced(s.namespace, s.service, s.environment)
      -- The main process told the end of its send, or the ledger has one that the read model lacks.
      AND NOT EXISTS (
          SELECT
          FROM celerytrail.spans e
          JOIN celerytrail.steps q ON q.step = e.step AND q.ends
          WHERE e.task_id = s.task_id
            AND (e.namespace, e.service, e.environment) = (s.namespace, s.service, s.environment)
            AND (e.run_id = s.run_id OR e.run_id IS NULL AND e.send_id = s.send_id AND e.event_time >= s.event_time)
            AND q.rank >= 30
      )
    ORDER BY s.task_id, s.namespace, s.service, s.environment, s.event_time
    LIMIT at_most
$$;

ALTER FUNCTION celerytrail.runs_without_process(silent_since timestamp with time zone, at_most integer, heard_streams uuid[], late_hosts text[]) OWNER TO celerytrail_owner;

-- Name: seal_actions(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.seal_actions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION celerytrail.seal_actions() OWNER TO celerytrail_owner;

-- Name: seal_spans(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.seal_spans() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

ALTER FUNCTION celerytrail.seal_spans() OWNER TO celerytrail_owner;

-- Name: search_excerpt(bytea); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.search_excerpt(body bytea) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN lower("left"(convert_from(body, 'UTF8'::name), 512));

ALTER FUNCTION celerytrail.search_excerpt(body bytea) OWNER TO celerytrail_owner;

-- Name: settle_rebuild(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.settle_rebuild() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM
    FROM celerytrail.horizon h
    JOIN shadow_of_celerytrail.about a ON a.retained_from = h.retained_from;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: retention dropped days while the read model was being rebuilt: begin again'
            USING ERRCODE = 'CT009';
    END IF;
    -- Numbers that were refused are nowhere else, nor are streams of which nothing was stored.
    INSERT INTO shadow_of_celerytrail.streams (
        stream_id, namespace, service, environment, refused, last_seq
    )
    SELECT
        l.stream_id, l.namespace, l.service, l.environment, l.refused,
        coalesce(upper(l.refused) - 1, 0)
    FROM celerytrail.streams l
    WHERE l.seqs = '{}'
    ON CONFLICT DO NOTHING;
    UPDATE shadow_of_celerytrail.streams s
    SET refused = l.refused, last_seq = greatest(s.last_seq, upper(l.refused) - 1)
    FROM celerytrail.streams l
    WHERE (l.stream_id, l.namespace, l.service, l.environment)
        = (s.stream_id, s.namespace, s.service, s.environment)
      AND l.refused <> s.refused;
END
$$;

ALTER FUNCTION celerytrail.settle_rebuild() OWNER TO celerytrail_owner;

-- Name: FUNCTION settle_rebuild(); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.settle_rebuild() IS 'Takes over from the read model in use what the ledger does not say. Raises CT009 when days were dropped since the rebuild began.';

-- Name: speak_as_concluder(text, text, text, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.speak_as_concluder(of_namespace text, of_service text, of_environment text, in_chain integer) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    called text := 'concluder of ' || concat_ws('/', of_namespace, of_service, of_environment);
    mine int8;
    is_new bool;
BEGIN
    INSERT INTO celerytrail.principals (name, namespace, service, environment, chain)
    VALUES (called, of_namespace, of_service, of_environment, in_chain)
    ON CONFLICT (name) DO NOTHING
    RETURNING principal_id INTO mine;
    is_new := FOUND;
    IF is_new THEN
        INSERT INTO celerytrail.tokens (token_hash, principal_id)
        VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), mine);
    ELSE
        SELECT p.principal_id INTO mine
        FROM celerytrail.principals p
        WHERE p.name = called AND p.disabled_at IS NULL
          AND (p.namespace, p.service, p.environment) = (of_namespace, of_service, of_environment)
          AND EXISTS (
              SELECT FROM celerytrail.tokens t
              WHERE t.principal_id = p.principal_id AND t.revoked_at IS NULL
                AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
          );
        IF NOT FOUND THEN
            RETURN false;
        END IF;
    END IF;
    PERFORM setval('celerytrail.principal_now'::regclass, mine);
    RETURN true;
END
$$;

ALTER FUNCTION celerytrail.speak_as_concluder(of_namespace text, of_service text, of_environment text, in_chain integer) OWNER TO celerytrail_owner;

-- Name: stage_rebuild(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.stage_rebuild(rows_at_once integer) RETURNS TABLE(blocks bigint, spans bigint, actions bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
    span_batches int8[];
    action_batches int8[];
    span_days date[];
    action_ids uuid[];
BEGIN
    TRUNCATE shadow_of_celerytrail.staged_spans;
    WITH next_blocks AS (
        SELECT
            h.chain, c.n, c.batch_id, c.kind, c.days,
            sum(c.cnt) OVER (ORDER BY h.chain, c.n) - c.cnt AS rows_before
        FROM celerytrail.chain_head h
        LEFT JOIN shadow_of_celerytrail.progress p ON p.chain = h.chain
        CROSS JOIN LATERAL (
            SELECT l.n, l.batch_id, b.kind, b.cnt, b.days
            FROM celerytrail.chain l
            JOIN celerytrail.blocks b ON b.batch_id = l.batch_id
            WHERE l.chain = h.chain AND l.n > coalesce(p.n, 0)
            ORDER BY l.n
            LIMIT rows_at_once
        ) AS c
    ), taken AS (
        SELECT * FROM next_blocks t WHERE t.rows_before < rows_at_once
    ), noted AS (
        INSERT INTO shadow_of_celerytrail.progress AS p (chain, n)
        SELECT t.chain, max(t.n) FROM taken t GROUP BY t.chain
        ON CONFLICT (chain) DO UPDATE SET n = excluded.n
    )
    SELECT
        count(*),
        array_agg(t.batch_id) FILTER (WHERE t.kind = 1),
        array_agg(t.batch_id) FILTER (WHERE t.kind = 2),
        (SELECT array_agg(DISTINCT d.day) FROM taken k CROSS JOIN LATERAL unnest(k.days) AS d (day) WHERE k.kind = 1)
    INTO blocks, span_batches, action_batches, span_days
    FROM taken t;

    INSERT INTO shadow_of_celerytrail.staged_spans
    SELECT s.*
    FROM celerytrail.spans s
    WHERE s.batch_id = ANY (span_batches) AND s.day = ANY (span_days);
    GET DIAGNOSTICS spans = ROW_COUNT;
    INSERT INTO shadow_of_celerytrail.streams (stream_id, namespace, service, environment)
    SELECT g.stream_id, g.namespace, g.service, g.environment FROM shadow_of_celerytrail.staged_spans g
    UNION
    SELECT g.about_stream_id, g.namespace, g.service, g.environment
    FROM shadow_of_celerytrail.staged_spans g
    WHERE g.about_stream_id IS NOT NULL
    ON CONFLICT DO NOTHING;

    SELECT array_agg(a.action_id), count(*)
    INTO action_ids, actions
    FROM celerytrail.actions a
    WHERE a.batch_id = ANY (action_batches);
    IF actions > 0 THEN
        PERFORM shadow_of_celerytrail.project_actions(action_ids);
    END IF;
    RETURN NEXT;
END
$$;

ALTER FUNCTION celerytrail.stage_rebuild(rows_at_once integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION stage_rebuild(rows_at_once integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.stage_rebuild(rows_at_once integer) IS 'Takes the next blocks with about so many rows: spans into staged_spans, where the statements of the sink read them, actions at once. Returns no blocks when there are none left.';

-- Name: stored_digests(uuid[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.stored_digests(event_ids uuid[]) RETURNS TABLE(event_id uuid, digest bytea)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT
        s.event_id,
        sha256(record_send(ROW(
            s.event_id, s.event_time, s.namespace, s.service, s.environment,
            s.stream_id, s.seq, s.step, s.inferred, s.trace_id, s.span_id, s.parent_span_id,
            s.span_name, s.span_kind, s.status_code, s.start_unix_nano, s.end_unix_nano,
            s.process_kind, s.worker, s.host, s.pid, s.task_id, s.task_name, s.retries,
            s.queue, s.root_id, s.parent_id, s.group_id, s.root_group_id, s.chord_body_id,
            s.send_id, s.sent_unix_nano, s.run_id, s.eta, s.priority, s.queue_wait_us,
            s.runtime_us, s.exception_class, s.about_stream_id, s.commitments, s.links,
            s.attributes
        )))
    FROM celerytrail.spans s
    WHERE s.event_id = ANY ($1)
      AND s.principal_id IN (
          SELECT p.principal_id
          FROM celerytrail.principals p
          JOIN celerytrail.principals mine
            ON (mine.namespace, mine.service, mine.environment) = (p.namespace, p.service, p.environment)
          WHERE mine.principal_id = currval('celerytrail.principal_now'::regclass)
      )
$_$;

ALTER FUNCTION celerytrail.stored_digests(event_ids uuid[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION stored_digests(event_ids uuid[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.stored_digests(event_ids uuid[]) IS 'Digests of what the sender said in stored events of the session''s deployment: without day and marks, which depend on when it arrived.';

-- Name: take_expired_intents(text, double precision); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.take_expired_intents(holder text, lease_seconds double precision) RETURNS TABLE(intent_id uuid, verb text, namespace text, service text, environment text, target json, target_key text, actor text, created_at timestamp with time zone, progress json[])
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.take_expired_intents(holder text, lease_seconds double precision) OWNER TO celerytrail_owner;

-- Name: FUNCTION take_expired_intents(holder text, lease_seconds double precision); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.take_expired_intents(holder text, lease_seconds double precision) IS 'Takes over the open intents whose lease ran out, at most 100, each by one caller only, with what they told on the way.';

-- Name: task_steps(text[], text, text, text, date, date); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.task_steps(of_tasks text[], of_namespace text, of_service text, of_environment text, from_day date, to_day date) RETURNS SETOF celerytrail.task_step
    LANGUAGE plpgsql STABLE COST 10000 ROWS 500
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET constraint_exclusion TO 'off'
    AS $_$
DECLARE
    -- Events whose clock was beyond all days. Mostly there are none: then nothing is planned for them.
    beyond text := CASE WHEN pg_relation_size('celerytrail.spans_before_all') > 0 THEN ' OR s.day = ''-infinity''' ELSE '' END
        || CASE WHEN pg_relation_size('celerytrail.spans_after_all') > 0 THEN ' OR s.day = ''infinity''' ELSE '' END;
BEGIN
    -- Days as constants: the partitions of all others are not even looked at. The tasks behind a subquery: the planner
    -- would look for each of them among the most common ones of each day.
    RETURN QUERY EXECUTE format(
        $spans$
            SELECT
                s.task_id, s.step, s.event_id, s.span_id, s.parent_span_id, s.send_id, s.run_id,
                s.trace_id, s.span_name, s.span_kind, s.status_code, s.start_unix_nano, s.end_unix_nano,
                s.retries, s.queue, s.worker, s.host, s.pid, s.exception_class
            FROM celerytrail.spans s
            WHERE s.task_id = ANY ((SELECT $1)::text[])
              AND (s.namespace, s.service, s.environment) = ($2, $3, $4)
              AND (s.day BETWEEN %L AND %L%s)
        $spans$,
        from_day, to_day, beyond
    )
    USING of_tasks, of_namespace, of_service, of_environment;
END
$_$;

ALTER FUNCTION celerytrail.task_steps(of_tasks text[], of_namespace text, of_service text, of_environment text, from_day date, to_day date) OWNER TO celerytrail_owner;

-- Name: FUNCTION task_steps(of_tasks text[], of_namespace text, of_service text, of_environment text, from_day date, to_day date); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.task_steps(of_tasks text[], of_namespace text, of_service text, of_environment text, from_day date, to_day date) IS 'What bars are made of: the spans of these tasks in one deployment, looked for in these days alone.';

-- Name: tasks_by_ledger(text[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.tasks_by_ledger(task_ids text[]) RETURNS TABLE(namespace text, service text, environment text, task_id text, task_name text, queue text, eta timestamp with time zone, priority integer, retries integer, send_id bytea, trace_id bytea, message_day date, args_commitment bytea, kwargs_commitment bytea, stamps_commitment bytea, body_commitment bytea, message_key bytea, state text, inferred boolean, worker text, finished_at timestamp with time zone, runtime_us bigint, exception_class text, state_day date, exception_commitment bytea, traceback_commitment bytea, result_commitment bytea, state_key bytea, started_at timestamp with time zone, queue_wait_us bigint, start_key bytea, root_id text, parent_id text, group_id text, root_group_id text, chord_body_id text, attempts integer, first_sent_at timestamp with time zone, sent_at timestamp with time zone, received_at timestamp with time zone, updated_at timestamp with time zone, chain_length integer, chain_left integer)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    WITH events AS MATERIALIZED (
        SELECT
            s.namespace, s.service, s.environment, s.task_id, s.step, p.state, p.rank, p.ends, s.event_time,
            s.day, s.inferred, s.trace_id, s.worker, s.task_name, s.queue, s.eta, s.priority, s.retries,
            s.send_id, s.root_id, s.parent_id, s.group_id, s.root_group_id, s.chord_body_id,
            s.queue_wait_us, s.runtime_us, s.exception_class, s.commitments,
            CASE WHEN s.step IN ('sent', 'send_failed') THEN s.attributes END AS of_send,
            coalesce(s.marks, '') ~ '\mclock\M' AS is_clock_wrong,
            celerytrail.event_key(
                coalesce(s.sent_unix_nano, 0), p.rank,
                CASE WHEN s.step IN ('sent', 'send_failed') THEN s.start_unix_nano ELSE s.end_unix_nano END,
                s.event_id
            ) AS state_key,
            celerytrail.event_key(
                coalesce(s.sent_unix_nano, 0), 255 - p.rank,
                CASE WHEN s.step IN ('sent', 'send_failed') THEN s.start_unix_nano ELSE s.end_unix_nano END,
                s.event_id
            ) AS message_key
        FROM celerytrail.spans s
        JOIN celerytrail.steps p ON p.step = s.step AND p.subject = 'task'
        WHERE s.task_id = ANY (task_ids)
        UNION ALL
        SELECT
            coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''), g.task_id, p.step, p.state,
            p.rank, p.ends, a.action_time, (a.action_time AT TIME ZONE 'UTC')::date, false, NULL, NULL,
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false,
            celerytrail.event_key(
                g.sent_unix_nano, p.rank, (extract(epoch FROM a.action_time) * 1000000)::int8 * 1000,
                a.action_id
            ),
            NULL
        FROM celerytrail.actions a
        JOIN celerytrail.steps p ON p.step = 'purged'
        CROSS JOIN LATERAL celerytrail.purged_messages(a.detail) AS g
        WHERE a.verb = 'purge' AND a.phase IN ('progress', 'outcome') AND a.service IS NOT NULL
          AND g.task_id = ANY (task_ids)
    )
    SELECT
        k.namespace, k.service, k.environment, k.task_id, m.task_name, m.queue, m.eta, m.priority,
        m.retries, m.send_id, m.trace_id, m.day,
        decode(m.commitments ->> 'args', 'hex'), decode(m.commitments ->> 'kwargs', 'hex'),
        decode(m.commitments ->> 'stamps', 'hex'), decode(m.commitments ->> 'body', 'hex'), m.message_key,
        l.state, l.inferred, CASE WHEN l.rank >= 20 THEN l.worker END,
        CASE WHEN l.ends THEN l.event_time END, l.runtime_us, l.exception_class, l.day,
        decode(l.commitments ->> 'exception', 'hex'), decode(l.commitments ->> 'traceback', 'hex'),
        decode(l.commitments ->> 'result', 'hex'), l.state_key, b.event_time, b.queue_wait_us, b.state_key,
        k.root_id, k.parent_id, k.group_id, k.root_group_id, k.chord_body_id, k.attempts, k.first_sent_at,
        k.sent_at, k.received_at, k.updated_at, k.chain_length, k.chain_left
    FROM (
        SELECT
            e.namespace, e.service, e.environment, e.task_id,
            max(e.root_id) AS root_id, max(e.parent_id) AS parent_id, max(e.group_id) AS group_id,
            max(e.root_group_id) AS root_group_id, max(e.chord_body_id) AS chord_body_id,
            least(greatest(coalesce(max(e.retries), 0), 0), 2147483646) + 1 AS attempts,
            min(e.event_time) FILTER (WHERE e.step IN ('sent', 'send_failed')) AS first_sent_at,
            max(e.event_time) FILTER (WHERE e.step IN ('sent', 'send_failed')) AS sent_at,
            max(e.event_time) FILTER (WHERE e.step = 'received') AS received_at,
            max(e.event_time) FILTER (WHERE NOT e.is_clock_wrong) AS updated_at,
            max(n.length) AS chain_length, max(n.links_left) AS chain_left
        FROM events e
        CROSS JOIN LATERAL (
            SELECT
                substring(e.of_send ->> 'celery.chain.length' FROM '^[0-9]{1,9}$')::int4,
                substring(e.of_send ->> 'celery.chain.left' FROM '^[0-9]{1,9}$')::int4
        ) AS n (length, links_left)
        GROUP BY e.namespace, e.service, e.environment, e.task_id
    ) AS k
    CROSS JOIN LATERAL (
        SELECT e.* FROM events e
        WHERE (e.namespace, e.service, e.environment, e.task_id) = (k.namespace, k.service, k.environment, k.task_id)
        ORDER BY e.state_key DESC LIMIT 1
    ) AS l
    LEFT JOIN LATERAL (
        SELECT e.* FROM events e
        WHERE (e.namespace, e.service, e.environment, e.task_id) = (k.namespace, k.service, k.environment, k.task_id)
          AND e.task_name IS NOT NULL
        ORDER BY e.message_key DESC LIMIT 1
    ) AS m ON true
    LEFT JOIN LATERAL (
        SELECT e.* FROM events e
        WHERE (e.namespace, e.service, e.environment, e.task_id) = (k.namespace, k.service, k.environment, k.task_id)
          AND e.step = 'started'
        ORDER BY e.state_key DESC LIMIT 1
    ) AS b ON true
$_$;

ALTER FUNCTION celerytrail.tasks_by_ledger(task_ids text[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION tasks_by_ledger(task_ids text[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.tasks_by_ledger(task_ids text[]) IS 'The rows of tasks for these ids as the ledger has them: its spans, and its actions that purged messages.';

-- Name: trim_quarantine(interval, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.trim_quarantine(older_than interval, at_most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH gone AS (
        DELETE FROM celerytrail.quarantine q
        WHERE q.quarantine_id IN (
            SELECT o.quarantine_id
            FROM celerytrail.quarantine o
            WHERE o.received_at < clock_timestamp() - greatest(older_than, interval '1 day')
            ORDER BY o.quarantine_id
            LIMIT at_most
        )
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

ALTER FUNCTION celerytrail.trim_quarantine(older_than interval, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION trim_quarantine(older_than interval, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.trim_quarantine(older_than interval, at_most integer) IS 'Removes the oldest items of the quarantine beyond an age, of all principals. Returns how many.';

-- Name: trim_searchable(integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.trim_searchable(at_most integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH gone AS (
        DELETE FROM celerytrail.searchable s
        WHERE s.ctid = ANY (ARRAY(
            SELECT o.ctid
            FROM celerytrail.searchable o
            WHERE o.event_time < (
                SELECT h.retained_from::timestamp AT TIME ZONE 'UTC' FROM celerytrail.horizon h
            )
              -- The partitions of those are not dropped.
              AND isfinite(o.day)
            ORDER BY o.event_time
            LIMIT least(at_most, 100000)
        ))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

ALTER FUNCTION celerytrail.trim_searchable(at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION trim_searchable(at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.trim_searchable(at_most integer) IS 'Removes the oldest excerpts of days that retention dropped, at most 100,000. Returns how many: call it until that is 0.';

-- Name: unforgotten_days(); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.unforgotten_days() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT count(*) FROM celerytrail.day_drops d WHERE d.dropped_at IS NOT NULL AND d.forgotten_at IS NULL
$$;

ALTER FUNCTION celerytrail.unforgotten_days() OWNER TO celerytrail_owner;

-- Name: FUNCTION unforgotten_days(); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.unforgotten_days() IS 'How many days were dropped whose tasks may still be in the read model.';

-- Name: verify_chain(integer, bigint, bytea, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.verify_chain(chain integer, from_n bigint DEFAULT 0, from_hash bytea DEFAULT NULL::bytea, at_most integer DEFAULT 100) RETURNS TABLE(n bigint, batch_id bigint, fault text, day date, row_id uuid, row_position integer, detail text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) IS 'Recomputes one chain after link from_n, whose hash is from_hash, and returns what is wrong, the earliest first; no row means consistent. See docs/design/hash-chain.md.';

-- Name: verify_ends(integer, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.verify_ends(chain integer, at_most integer DEFAULT 100) RETURNS TABLE(n bigint, batch_id bigint, fault text, detail text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT * FROM (
        SELECT c.n, c.batch_id, 'link before the first', ''
        FROM celerytrail.chain c
        WHERE c.chain = $1 AND c.n < 1
        ORDER BY c.n
        LIMIT $2
    ) AS places
    UNION ALL
    SELECT
        coalesce(l.n, 0),
        NULL,
        'head is not the last link',
        CASE
            WHEN h.chain IS NULL THEN 'it has none'
            ELSE format('it says n %s, %s...', h.n, left(encode(h.hash, 'hex'), 16))
        END
    FROM celerytrail.ledger i
    LEFT JOIN LATERAL (
        SELECT c.n, c.hash, c.linked_at
        FROM celerytrail.chain c
        WHERE c.chain = $1 AND c.n >= 1
        ORDER BY c.n DESC
        LIMIT 1
    ) AS l ON true
    LEFT JOIN celerytrail.chain_head h ON h.chain = $1
    WHERE h.n IS DISTINCT FROM coalesce(l.n, 0)
       OR h.hash IS DISTINCT FROM coalesce(l.hash, sha256(
           'celerytrail/genesis/v1'::bytea || '\x00'::bytea || uuid_send(i.ledger_id) || int4send($1)
       ))
       OR l.n IS NOT NULL AND h.linked_at IS DISTINCT FROM l.linked_at
$_$;

ALTER FUNCTION celerytrail.verify_ends(chain integer, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION verify_ends(chain integer, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.verify_ends(chain integer, at_most integer) IS 'What is wrong at the ends of one chain: links at places that no link can have, and a head that is not the last link.';

-- Name: verify_group(smallint, bigint, date, bytea); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) RETURNS TABLE(fault text, row_id uuid, row_position integer, detail text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) OWNER TO celerytrail_owner;

-- Name: FUNCTION verify_group(kind smallint, batch_id bigint, day date, leaves bytea); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) IS 'Names the rows of one day of one batch that differ from its kept leaves.';

-- Name: verify_range(integer, bigint, bytea, bigint, integer, integer[], bigint[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.verify_range(chain integer, from_n bigint, from_hash bytea, to_n bigint, at_most integer DEFAULT 100, since_chains integer[] DEFAULT NULL::integer[], since_ns bigint[] DEFAULT NULL::bigint[]) RETURNS TABLE(n bigint, batch_id bigint, fault text, day date, row_id uuid, row_position integer, detail text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION celerytrail.verify_range(chain integer, from_n bigint, from_hash bytea, to_n bigint, at_most integer, since_chains integer[], since_ns bigint[]) OWNER TO celerytrail_owner;

-- Name: FUNCTION verify_range(chain integer, from_n bigint, from_hash bytea, to_n bigint, at_most integer, since_chains integer[], since_ns bigint[]); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.verify_range(chain integer, from_n bigint, from_hash bytea, to_n bigint, at_most integer, since_chains integer[], since_ns bigint[]) IS 'Recomputes the links of one chain after from_n, whose hash is from_hash, up to to_n (NULL: its end), with their blocks, leaves and rows, and returns what is wrong, the earliest first. Ranges that meet are as good as one pass. since_chains and since_ns are where all chains stood before what is read now: a drop of a day that was announced up to there is not believed.';

-- Name: watch_sessions(interval, interval, interval, interval); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval DEFAULT '00:05:00'::interval) RETURNS TABLE(pid integer, role_name name, reason text, ended boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    right_now timestamptz := clock_timestamp();
    owns_temporary bool;
    one record;
BEGIN
    -- A bound that a caller could raise or lower at will would be none, or a way to stop the sinks.
    statement_bound := least(greatest(statement_bound, interval '1 second'), interval '10 minutes');
    idle_bound := least(greatest(idle_bound, interval '1 second'), interval '30 seconds');
    session_bound := least(greatest(session_bound, interval '5 seconds'), interval '1 hour');
    writer_bound := least(greatest(writer_bound, interval '1 second'), interval '5 minutes');
    owns_temporary := EXISTS (
        SELECT
        FROM pg_class c
        WHERE c.relowner = 'celerytrail_grafana'::regrole AND c.relpersistence = 't'
    );

    FOR one IN
        SELECT
            a.pid, a.usename, a.state, a.usename = 'celerytrail_grafana' AS is_reader,
            right_now - a.query_start AS statement_age,
            right_now - a.xact_start AS transaction_age,
            right_now - a.state_change AS state_age,
            right_now - a.backend_start AS session_age,
            EXISTS (
                SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory'
            ) AS holds_advisory
        FROM pg_stat_activity a
        WHERE a.datname = current_database()
          AND a.usename IN ('celerytrail_grafana', 'celerytrail_sink', 'celerytrail_actions')
          AND a.pid <> pg_backend_pid()
          AND a.backend_type = 'client backend'
    LOOP
        pid := one.pid;
        role_name := one.usename;
        ended := true;
        reason := CASE
            -- A reader has no need of transactions at all, so a word now and then does not prolong one.
            WHEN one.state LIKE 'idle in transaction%'
                AND CASE WHEN one.is_reader THEN one.transaction_age ELSE one.state_age END > idle_bound
                THEN format('left a transaction open for %s s', extract(epoch FROM one.transaction_age)::int)
            -- An honest batch takes seconds. A session can lift its own time limits, and be busy with
            -- locks in its hands for as long as it likes.
            WHEN NOT one.is_reader AND one.transaction_age > writer_bound
                THEN format('was in a transaction for %s s', extract(epoch FROM one.transaction_age)::int)
            -- What follows is about readers only.
            WHEN NOT one.is_reader THEN NULL
            WHEN one.holds_advisory THEN 'held an advisory lock'
            WHEN owns_temporary THEN 'had made a temporary table'
            WHEN one.transaction_age > statement_bound + idle_bound
                THEN format('was in a transaction for %s s', extract(epoch FROM one.transaction_age)::int)
            -- What a session has set for itself lives as long as the session. Between two statements
            -- nobody notices the end: a pool connects again.
            WHEN one.session_age > session_bound AND one.state = 'idle' THEN 'was older than a session may get'
            WHEN one.session_age > session_bound + statement_bound THEN 'was older than a session may get'
        END;
        IF reason IS NOT NULL THEN
            PERFORM pg_terminate_backend(one.pid);
            RETURN NEXT;
        ELSIF one.is_reader AND one.state IN ('active', 'fastpath function call')
            AND one.statement_age > statement_bound
        THEN
            reason := format('ran a statement for %s s', extract(epoch FROM one.statement_age)::int);
            -- A function can catch its cancellation; it is asked once.
            ended := one.statement_age > 2 * statement_bound;
            IF ended THEN
                PERFORM pg_terminate_backend(one.pid);
            ELSE
                PERFORM pg_cancel_backend(one.pid);
            END IF;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

ALTER FUNCTION celerytrail.watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval) OWNER TO celerytrail_owner;

-- Name: FUNCTION watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval) IS 'Ends sessions of Grafana''s role, and long or idle transactions of sinks and the action API, beyond the bounds. Returns each, with the reason.';

-- Name: workflow_bars(text, text, text, text, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.workflow_bars(of_workflow text, of_namespace text, of_service text, of_environment text, of_task text) RETURNS TABLE(task_id text, bar_id text, parent_bar_id text, name text, place text, start_ms double precision, duration_ms double precision, kind text, status_code integer, status_message text, tags text, service_tags text, points text, follows text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000 ROWS 100
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_column
DECLARE
    deployment_tags text := '[' || celerytrail.bar_attribute('service.namespace', of_namespace)
        || ',' || celerytrail.bar_attribute('deployment.environment.name', of_environment);
    quoted_workflow text := to_json(of_workflow);
    retained_from date := (SELECT h.retained_from FROM celerytrail.horizon h);
    root_span bytea;
    root_sent_at timestamptz;
    root_bar_id text;
    members text[];
    known celerytrail.bar_task[];
    from_day date;
    to_day date;
BEGIN
    SELECT
        array_agg(t.task_id),
        array_agg(ROW(
            t.task_id, t.task_name, t.updated_at, t.send_id, t.finished_at IS NULL OR t.state = 'retried',
            t.group_id, c.group_id, g.bar_id,
            '[' || celerytrail.bar_attribute('task_id', t.task_id)
                || coalesce(',' || celerytrail.bar_attribute('task', t.task_name), '')
        )::celerytrail.bar_task),
        (min(coalesce(least(t.first_sent_at, t.received_at, t.started_at, t.finished_at), '-infinity')) AT TIME ZONE 'UTC')::date - 1,
        (max(coalesce(
            greatest(t.updated_at, t.sent_at, t.received_at, t.started_at, t.finished_at), 'infinity'
        )) AT TIME ZONE 'UTC')::date + 1
    INTO members, known, from_day, to_day
    FROM (
        SELECT one.*
        FROM celerytrail.tasks one
        WHERE one.task_id = of_task
          AND (one.namespace, one.service, one.environment) = (of_namespace, of_service, of_environment)
        UNION ALL
        SELECT each.*
        FROM celerytrail.tasks each
        WHERE of_task IS NULL AND coalesce(each.root_group_id, each.root_id, each.task_id) = of_workflow
          AND (each.namespace, each.service, each.environment) = (of_namespace, of_service, of_environment)
          -- Celery's own polls for a chord are no part of what somebody published.
          AND each.task_name IS DISTINCT FROM 'celery.chord_unlock'
        -- Nobody can read a picture of more.
        LIMIT 2001
    ) AS t
    -- The chord whose body it is.
    LEFT JOIN LATERAL (
        SELECT o.group_id
        FROM celerytrail.groups o
        WHERE o.chord_body_id = t.task_id
          AND (o.namespace, o.service, o.environment) = (of_namespace, of_service, of_environment)
        LIMIT 1
    ) AS c ON true
    LEFT JOIN celerytrail.workflow_groups g
        ON g.workflow_id = of_workflow AND g.group_id = coalesce(c.group_id, t.group_id)
       AND (g.namespace, g.service, g.environment) = (of_namespace, of_service, of_environment);
    IF cardinality(members) > 2000 THEN
        RETURN;
    END IF;

    IF of_task IS NULL THEN
        SELECT g.span_id, g.first_sent_at INTO root_span, root_sent_at
        FROM celerytrail.groups g
        WHERE g.group_id = of_workflow AND g.root_group_id = of_workflow
          AND (g.namespace, g.service, g.environment) = (of_namespace, of_service, of_environment);
        root_bar_id := coalesce(
            encode(root_span, 'hex'),
            left(encode(sha256(convert_to('celerytrail/bar/v1 ' || of_workflow, 'UTF8')), 'hex'), 16)
        );

        RETURN QUERY
        SELECT
            NULL::text, root_bar_id, NULL::text, w.kind || ' ' || w.name, of_service,
            w.start_ms::float8, greatest(w.end_ms - w.start_ms, 0)::float8,
            'internal',
            CASE WHEN w.state IN ('failed', 'partially failed', 'body never ran') THEN 2 ELSE 0 END,
            CASE WHEN w.state <> 'succeeded' THEN w.state END,
            '[' || concat_ws(
                ',', celerytrail.bar_attribute('workflow', of_workflow), celerytrail.bar_attribute('kind', w.kind),
                celerytrail.bar_attribute('state', w.state), celerytrail.bar_attribute('members', w.members),
                celerytrail.bar_attribute('succeeded', w.succeeded), celerytrail.bar_attribute('failed', w.failed),
                celerytrail.bar_attribute('unfinished', w.unfinished)
            ) || ']',
            deployment_tags || ']', '[]', '[]'
        FROM (
            SELECT
                s.kind, s.name, s.state, s.members, s.succeeded, s.failed, s.unfinished,
                extract(epoch FROM least(s.started_at, root_sent_at)) * 1000 AS start_ms,
                extract(epoch FROM CASE WHEN s.unfinished > 0 THEN now() ELSE greatest(s.updated_at, s.finished_at) END) * 1000 AS end_ms
            FROM celerytrail.workflow_state(of_workflow, of_namespace, of_service, of_environment) AS s
        ) AS w;

        PERFORM
        FROM celerytrail.groups g
        WHERE g.root_group_id = of_workflow AND g.group_id <> of_workflow
          AND (g.namespace, g.service, g.environment) = (of_namespace, of_service, of_environment);
        IF FOUND THEN
            RETURN QUERY
            SELECT
                NULL::text, i.bar_id,
                coalesce(
                    (
                        SELECT o.bar_id
                        FROM celerytrail.workflow_groups o
                        WHERE o.workflow_id = of_workflow AND o.group_id <> i.group_id AND o.span_id = i.parent_span_id
                          AND (o.namespace, o.service, o.environment) = (of_namespace, of_service, of_environment)
                        LIMIT 1
                    ),
                    (
                        SELECT encode(r.run_id, 'hex')
                        FROM celerytrail.runs r
                        WHERE r.run_id = i.parent_span_id
                          AND (r.namespace, r.service, r.environment) = (of_namespace, of_service, of_environment)
                          -- What retention has dropped is no bar.
                          AND (r.started_at AT TIME ZONE 'UTC')::date >= retained_from
                          AND (
                              SELECT coalesce(t.root_group_id, t.root_id, t.task_id)
                              FROM celerytrail.tasks t
                              WHERE t.task_id = r.task_id
                                AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
                          ) = of_workflow
                    ),
                    root_bar_id
                ),
                i.kind || coalesce(' ' || m.name, ''), i.service,
                u.start_ms::float8, greatest(u.end_ms - u.start_ms, 0)::float8,
                'internal', CASE WHEN m.failed > 0 THEN 2 ELSE 0 END, NULL::text,
                '[' || concat_ws(
                    ',', celerytrail.bar_attribute('group', i.group_id), celerytrail.bar_attribute('kind', i.kind),
                    celerytrail.bar_attribute('members', m.members), celerytrail.bar_attribute('failed', m.failed),
                    celerytrail.bar_attribute('unfinished', m.unfinished)
                ) || ']',
                deployment_tags || ']', '[]', '[]'
            FROM celerytrail.workflow_groups i
            CROSS JOIN LATERAL (
                SELECT
                    count(*) AS members, min(t.task_name) AS name,
                    min(coalesce(t.first_sent_at, t.started_at)) AS started_at, max(t.finished_at) AS finished_at,
                    count(*) FILTER (WHERE t.finished_at IS NULL OR t.state = 'retried') AS unfinished,
                    count(*) FILTER (
                        WHERE t.finished_at IS NOT NULL AND t.state NOT IN ('succeeded', 'ignored', 'retried')
                    ) AS failed
                FROM celerytrail.tasks t
                WHERE t.group_id = i.group_id
                  AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
            ) AS m
            CROSS JOIN LATERAL (
                SELECT
                    extract(epoch FROM least(i.first_sent_at, m.started_at)) * 1000 AS start_ms,
                    extract(epoch FROM CASE WHEN m.unfinished > 0 THEN now() ELSE greatest(m.finished_at, i.first_sent_at) END) * 1000 AS end_ms
            ) AS u
            WHERE i.workflow_id = of_workflow AND i.group_id <> of_workflow
              AND (i.namespace, i.service, i.environment) = (of_namespace, of_service, of_environment);
        END IF;
    END IF;
    IF members IS NULL THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH step AS MATERIALIZED (
        SELECT f.*, f.step IN ('sent', 'send_failed') AS is_send, coalesce(f.send_id, '') AS of_send
        FROM celerytrail.task_steps(members, of_namespace, of_service, of_environment, from_day, to_day) AS f
    ), send AS MATERIALIZED (
        -- Whether the bar of a send is there, and who received it.
        SELECT
            f.task_id, f.of_send,
            CASE WHEN bool_or(f.is_send AND f.span_id = f.send_id) THEN encode(f.of_send, 'hex') END AS bar_id,
            '[' || string_agg(
                '{"timestamp":' || f.end_unix_nano / 1000000.0 || ',"name":"received","fields":[{"key":"event","value":"received"},'
                || coalesce(celerytrail.bar_attribute('worker', f.worker), '{"key":"worker","value":null}') || ']}',
                ','
            ) FILTER (WHERE f.step = 'received') || ']' AS points
        FROM step f
        WHERE f.is_send OR f.step = 'received'
        GROUP BY f.task_id, f.of_send
    ), doubled AS MATERIALIZED (
        SELECT f.span_id
        FROM step f
        GROUP BY f.span_id
        HAVING count(*) > 1
    ), headers AS MATERIALIZED (
        -- Of each chord with a body the newest run of each header.
        SELECT
            n.group_id,
            '[' || string_agg(
                '{"traceID":' || quoted_workflow || ',"spanID":"' || encode(n.run_id, 'hex') || '"}', ',' ORDER BY n.task_id
            ) || ']' AS bars
        FROM (
            SELECT DISTINCT ON (r.task_id) r.task_id, r.group_id, r.run_id
            FROM (
                -- Of a whole workflow their steps are at hand.
                SELECT h.task_id, h.group_id, f.run_id, min(f.end_unix_nano) FILTER (WHERE f.step = 'started') / 1000 AS started_us
                FROM unnest(known) AS h
                JOIN step f ON f.task_id = h.task_id
                JOIN celerytrail.steps p ON p.step = f.step
                WHERE of_task IS NULL AND h.body_of IS DISTINCT FROM h.group_id
                  AND (h.group_id IN (SELECT b.body_of FROM unnest(known) AS b)) IS TRUE
                  AND f.run_id IS NOT NULL AND p.subject = 'task' AND p.rank >= 30
                GROUP BY h.task_id, h.group_id, f.run_id
                UNION ALL
                SELECT h.task_id, h.group_id, r.run_id, (extract(epoch FROM r.started_at) * 1000000)::int8
                FROM celerytrail.tasks h
                JOIN celerytrail.runs r
                    ON r.task_id = h.task_id
                   AND (r.namespace, r.service, r.environment) = (of_namespace, of_service, of_environment)
                WHERE of_task IS NOT NULL AND h.task_id <> of_task AND h.group_id = (known[1]).body_of
                  AND (h.namespace, h.service, h.environment) = (of_namespace, of_service, of_environment)
            ) AS r
            ORDER BY r.task_id, r.started_us DESC NULLS LAST
        ) AS n
        GROUP BY n.group_id
    ), bar AS (
        -- A step is a bar, and of several with the same id the one that says most.
        SELECT 1 AS part, f.span_id AS id, NULL::int8 AS ended_unix_nano, f.*
        FROM step f
        WHERE f.span_id NOT IN (SELECT d.span_id FROM doubled d)
        UNION ALL
        (
            SELECT DISTINCT ON (f.span_id) 1, f.span_id, NULL, f.*
            FROM step f
            JOIN celerytrail.steps p ON p.step = f.step
            WHERE (f.span_id IN (SELECT d.span_id FROM doubled d)) IS TRUE
            ORDER BY f.span_id, p.rank DESC, f.event_id
        )
        UNION ALL
        (
            -- A start is the end of a wait, and of a run that is not over the beginning.
            SELECT 2, r.run_id, e.ended_unix_nano, r.*
            FROM (
                SELECT DISTINCT ON (f.run_id) f.*
                FROM step f
                WHERE f.step = 'started' AND f.run_id IS NOT NULL
                  AND f.run_id NOT IN (SELECT o.run_id FROM step o WHERE o.span_id = o.run_id)
                ORDER BY f.run_id, f.event_id
            ) AS r
            -- A run whose end nobody reported ended no later than its send did.
            LEFT JOIN (
                SELECT f.task_id, f.of_send, max(f.end_unix_nano) AS ended_unix_nano
                FROM step f
                JOIN celerytrail.steps p ON p.step = f.step
                WHERE p.ends AND p.rank >= 30
                GROUP BY f.task_id, f.of_send
            ) AS e ON e.task_id = r.task_id AND e.of_send = r.of_send
        )
    )
    SELECT
        k.task_id, encode(s.id, 'hex'),
        CASE
            WHEN NOT s.is_send AND x.bar_id IS NOT NULL THEN x.bar_id
            WHEN k.group_bar_id IS NOT NULL THEN k.group_bar_id
            ELSE coalesce(
                (
                    SELECT encode(r.run_id, 'hex')
                    FROM celerytrail.runs r
                    WHERE s.is_send AND r.run_id = s.parent_span_id
                      AND (r.namespace, r.service, r.environment) = (of_namespace, of_service, of_environment)
                      -- What retention has dropped is no bar.
                      AND (r.started_at AT TIME ZONE 'UTC')::date >= retained_from
                      AND (
                          SELECT coalesce(t.root_group_id, t.root_id, t.task_id)
                          FROM celerytrail.tasks t
                          WHERE t.task_id = r.task_id
                            AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
                      ) = of_workflow
                ),
                root_bar_id
            )
        END,
        CASE
            WHEN s.is_send THEN
                s.span_name || coalesce(': ' || k.task_name, '')
                || CASE WHEN s.retries > 0 THEN ', attempt ' || (s.retries + 1) ELSE '' END
            WHEN s.part = 2 THEN 'run ' || coalesce(k.task_name, '')
            ELSE s.span_name
        END,
        -- Grafana gives each its own colour: who sent it, the queue it waited in, the worker that ran it.
        CASE
            WHEN s.is_send THEN of_service
            WHEN s.part = 1 AND s.step = 'started' THEN coalesce('queue ' || s.queue, of_service)
            ELSE coalesce(s.worker, of_service)
        END,
        celerytrail.bar_ms(CASE WHEN s.part = 2 THEN s.end_unix_nano ELSE s.start_unix_nano END),
        CASE
            WHEN s.part = 1 THEN celerytrail.bar_ms_between(s.start_unix_nano, s.end_unix_nano)
            WHEN s.ended_unix_nano IS NOT NULL THEN celerytrail.bar_ms_between(s.end_unix_nano, s.ended_unix_nano)
            ELSE greatest(
                extract(epoch FROM CASE WHEN k.send_id = s.send_id AND k.is_unfinished THEN now() ELSE k.updated_at END) * 1000
                    - s.end_unix_nano / 1000000.0,
                0
            )::float8
        END,
        CASE
            WHEN s.part = 2 OR s.span_kind = 5 THEN 'consumer'
            WHEN s.span_kind = 4 THEN 'producer'
            WHEN s.span_kind = 3 THEN 'client'
            WHEN s.span_kind = 2 THEN 'server'
            ELSE 'internal'
        END,
        CASE WHEN s.part = 2 THEN 0 ELSE s.status_code::int4 END,
        s.exception_class,
        k.tags
            || ',{"key":"step","value":"' || s.step
            || coalesce('"},{"key":"attempt","value":' || s.retries + 1 || '}', '"}')
            || coalesce(',{"key":"queue","value":' || to_json(s.queue) || '}', '')
            || coalesce(',{"key":"worker","value":' || to_json(s.worker) || '}', '')
            || coalesce(',{"key":"error.type","value":' || to_json(s.exception_class) || '}', '')
            || ',{"key":"trace_id","value":"' || encode(s.trace_id, 'hex') || '"}]',
        deployment_tags
            || coalesce(',{"key":"service.instance.id","value":' || to_json(s.worker) || '}', '')
            || coalesce(',{"key":"host.name","value":' || to_json(s.host) || '}', '')
            || coalesce(',{"key":"process.pid","value":' || s.pid || '}]', ']'),
        coalesce(CASE WHEN s.is_send THEN x.points END, '[]'),
        -- A body follows its headers.
        coalesce(
            CASE WHEN s.part = 1 AND k.body_of IS NOT NULL AND (s.is_send OR s.step = 'started' AND x.bar_id IS NULL) THEN (
                SELECT h.bars FROM headers h WHERE h.group_id = k.body_of
            ) END,
            '[]'
        )
    FROM bar s
    LEFT JOIN unnest(known) AS k ON k.task_id = s.task_id
    LEFT JOIN send x ON x.task_id = s.task_id AND x.of_send = s.of_send
    WHERE s.part = 2 OR s.step <> 'received' OR x.bar_id IS NULL;
END
$$;

ALTER FUNCTION celerytrail.workflow_bars(of_workflow text, of_namespace text, of_service text, of_environment text, of_task text) OWNER TO celerytrail_owner;

-- Name: FUNCTION workflow_bars(of_workflow text, of_namespace text, of_service text, of_environment text, of_task text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.workflow_bars(of_workflow text, of_namespace text, of_service text, of_environment text, of_task text) IS 'Every bar of the waterfall of a workflow in one deployment: its root, the groups in it, each send, wait and run. Of one task its own alone.';

-- Name: workflow_members(text, text, text, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.workflow_members(of_workflow text, of_namespace text, of_service text, of_environment text) RETURNS TABLE(task_id text, task_name text, role text, group_id text, index bigint, state text, outcome text, failed boolean, queue text, worker text, retries integer, attempts integer, queue_wait_us bigint, runtime_us bigint, exception_class text, first_sent_at timestamp with time zone, started_at timestamp with time zone, finished_at timestamp with time zone, updated_at timestamp with time zone, root_id text, parent_id text, trace_id text, retried_as text, retried boolean, acknowledged boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000 ROWS 10
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
#variable_conflict use_column
DECLARE
    members text[];
    message_days date[];
    indexes jsonb;
BEGIN
    SELECT array_agg(t.task_id), array_agg(DISTINCT t.message_day) INTO members, message_days
    FROM celerytrail.tasks t
    WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = of_workflow
      AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment);
    -- Days as constants: the partitions of all others are not even looked at.
    EXECUTE format(
        $spans$
            SELECT jsonb_object_agg(s.task_id || ' ' || s.day, s.attributes ->> 'celery.group_index')
            FROM celerytrail.spans s
            WHERE s.task_id = ANY ($1) AND s.day = ANY (%L::date[])
              AND (s.namespace, s.service, s.environment) = ($2, $3, $4)
              AND s.attributes ->> 'celery.group_index' ~ '^[0-9]{1,18}$'
        $spans$,
        message_days
    )
    INTO indexes
    USING members, of_namespace, of_service, of_environment;

    RETURN QUERY
    SELECT
        m.task_id, m.task_name,
        CASE
            WHEN m.body_of IS NOT NULL THEN 'body'
            WHEN m.group_id IS NOT NULL THEN 'header'
            WHEN m.root_group_id IS NULL AND m.parent_id IS NOT NULL AND NOT EXISTS (
                SELECT
                FROM celerytrail.tasks sibling
                WHERE sibling.parent_id = m.parent_id AND sibling.task_id <> m.task_id
                  AND (sibling.namespace, sibling.service, sibling.environment) = (of_namespace, of_service, of_environment)
            ) THEN 'link'
            WHEN m.task_id = of_workflow THEN 'link'
            ELSE 'child'
        END,
        coalesce(m.body_of, m.group_id),
        (indexes ->> (m.task_id || ' ' || m.message_day))::int8,
        m.state, m.outcome, m.outcome = 'failed', m.queue, m.worker, m.retries, m.attempts,
        m.queue_wait_us, m.runtime_us, m.exception_class, m.first_sent_at, m.started_at, m.finished_at,
        m.updated_at, m.root_id, m.parent_id, encode(m.trace_id, 'hex'),
        (
            SELECT a.new_task_id
            FROM celerytrail.task_actions a
            WHERE a.task_id = m.task_id AND a.new_task_id IS NOT NULL AND a.result = 'sent'
              AND (a.namespace, a.service, a.environment) = (of_namespace, of_service, of_environment)
            ORDER BY a.action_time DESC, a.action_id DESC
            LIMIT 1
        ),
        m.is_retried, m.is_acknowledged
    FROM celerytrail.workflow_tasks m
    WHERE m.workflow_id = of_workflow
      AND (m.namespace, m.service, m.environment) = (of_namespace, of_service, of_environment);
END
$_$;

ALTER FUNCTION celerytrail.workflow_members(of_workflow text, of_namespace text, of_service text, of_environment text) OWNER TO celerytrail_owner;

-- Name: FUNCTION workflow_members(of_workflow text, of_namespace text, of_service text, of_environment text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.workflow_members(of_workflow text, of_namespace text, of_service text, of_environment text) IS 'The tasks of a workflow of one deployment, one row each.';

-- Name: workflow_state(text, text, text, text); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text) RETURNS TABLE(kind text, name text, root_id text, group_id text, state text, started_at timestamp with time zone, finished_at timestamp with time zone, updated_at timestamp with time zone, members bigint, succeeded bigint, failed bigint, unfinished bigint, culprit_task_id text, culprit_task_name text, culprit_exception_class text, acknowledged boolean, retried boolean, needs_attention boolean, headers bigint, chord_body_id text, trace_id text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 1000 ROWS 1
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $_$
#variable_conflict use_column
DECLARE
    w record;
    first record;
    group_kind text;
    -- The column of that name is one of groups too.
    known_body text;
    body_name text;
    body_state text;
    root_name text;
    root_state text;
    root_length int4;
    without_body text[];
    body_is_missing bool := false;
    body_is_late bool := false;
    body_is_retried bool := false;
    chain_is_short bool := false;
BEGIN
    SELECT
        coalesce(min(m.root_id) FILTER (WHERE m.root_group_id IS NULL), min(m.root_id)) AS root_id,
        bool_or(m.root_group_id IS NOT NULL) AS is_group,
        min(coalesce(m.first_sent_at, m.started_at, m.finished_at)) AS started_at,
        max(m.finished_at) AS finished_at,
        max(m.updated_at) AS updated_at,
        count(*) AS members,
        count(*) FILTER (WHERE m.outcome = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE m.outcome = 'failed') AS failed,
        count(*) FILTER (WHERE m.outcome = 'unfinished') AS unfinished,
        count(*) FILTER (WHERE m.group_id = m.workflow_id AND m.body_of IS DISTINCT FROM m.workflow_id) AS headers,
        count(*) FILTER (WHERE m.chain_length > 1) AS chains,
        min(m.task_name) FILTER (WHERE m.group_id IS NOT NULL AND m.body_of IS NULL) AS first_name,
        max(m.task_name) FILTER (WHERE m.group_id IS NOT NULL AND m.body_of IS NULL) AS last_name
    INTO w
    FROM (
        SELECT
            t.workflow_id, t.root_id, t.group_id, t.root_group_id, t.task_name, t.first_sent_at, t.started_at,
            t.finished_at, t.updated_at, t.outcome, t.chain_length,
            CASE WHEN t.group_id IS NOT NULL THEN t.body_of END AS body_of
        FROM celerytrail.tasks_of_workflows t
        WHERE t.workflow_id = of_workflow
          AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
        -- Whose body a task is, is looked up once a task and not each time that it is named above.
        OFFSET 0
    ) AS m;
    IF w.members = 0 THEN
        RETURN;
    END IF;
    -- Where no task is in a group, the workflow is a task, and no group has its id.
    IF w.is_group THEN
        SELECT o.group_id, o.kind, o.chord_body_id, encode(o.trace_id, 'hex')
        INTO group_id, group_kind, known_body, trace_id
        FROM celerytrail.groups o
        WHERE o.group_id = of_workflow
          AND (o.namespace, o.service, o.environment) = (of_namespace, of_service, of_environment);
        IF known_body IS NOT NULL THEN
            SELECT t.task_name, t.state INTO body_name, body_state
            FROM celerytrail.tasks t
            WHERE t.task_id = known_body
              AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment);
        END IF;
    ELSE
        SELECT t.task_name, t.state, t.chain_length INTO root_name, root_state, root_length
        FROM celerytrail.tasks t
        WHERE t.task_id = of_workflow
          AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment);
    END IF;

    IF w.is_group THEN
        kind := CASE WHEN group_kind = 'chord' OR known_body IS NOT NULL THEN 'chord' ELSE 'group' END;
        name := coalesce(w.first_name, '?') || CASE WHEN w.first_name <> w.last_name THEN ', ...' ELSE '' END
            || coalesce(' -> ' || body_name, '');
    ELSE
        name := coalesce(root_name, '?');
        kind := CASE
            WHEN root_length > 1 THEN 'chain'
            WHEN w.members = 1 THEN 'task'
            -- Where its first send is not known: a chain is a line, nobody in it has two successors.
            WHEN (
                SELECT count(l.parent_id) = count(DISTINCT l.parent_id)
                FROM celerytrail.tasks l
                WHERE coalesce(l.root_group_id, l.root_id, l.task_id) = of_workflow
                  AND (l.namespace, l.service, l.environment) = (of_namespace, of_service, of_environment)
            ) THEN 'chain'
            ELSE 'task'
        END;
    END IF;

    -- The chords in it whose body was never sent to anybody. A failed header is another matter: Celery then
    -- marks the body as failed, and never sends it.
    IF w.is_group AND w.failed = 0 THEN
        without_body := ARRAY(
            SELECT o.group_id
            FROM celerytrail.groups o
            WHERE (o.group_id = of_workflow OR o.root_group_id = of_workflow)
              AND (o.namespace, o.service, o.environment) = (of_namespace, of_service, of_environment)
              AND (o.kind = 'chord' OR o.chord_body_id IS NOT NULL)
              -- Whichever deployment the worker is of that sent it.
              AND NOT EXISTS (SELECT FROM celerytrail.tasks t WHERE t.task_id = o.chord_body_id)
              -- Where nobody knows the id of the body, whatever is beside the headers may be it.
              AND (o.chord_body_id IS NOT NULL OR NOT EXISTS (
                  SELECT
                  FROM celerytrail.tasks t
                  WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = of_workflow
                    AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
                    AND t.group_id IS DISTINCT FROM o.group_id
              ))
        );
        IF cardinality(without_body) > 0 THEN
            SELECT
                true,
                -- Time for what is under way between the last header and the body; and where not all headers are
                -- known, or their number is not, for those that are still being sent.
                coalesce(bool_or(
                    h.others = 0 AND (
                        h.members >= greatest(o.size, 1) AND h.finished_at < now() - interval '60 seconds'
                        OR w.unfinished = 0 AND w.updated_at < now() - interval '10 minutes'
                    )
                ), false),
                coalesce(bool_and(h.is_retried), false)
            INTO body_is_missing, body_is_late, body_is_retried
            FROM celerytrail.groups o
            CROSS JOIN LATERAL (
                SELECT
                    count(*) AS members,
                    count(*) FILTER (WHERE t.finished_at IS NULL OR t.state NOT IN ('succeeded', 'ignored')) AS others,
                    max(t.finished_at) AS finished_at,
                    bool_or(EXISTS (
                        SELECT
                        FROM celerytrail.task_actions a
                        WHERE a.task_id = t.task_id
                          AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
                          AND a.verb = 'retry-chord' AND a.new_task_id IS NOT NULL AND a.result = 'sent'
                    )) AS is_retried
                FROM celerytrail.tasks t
                WHERE t.group_id = o.group_id
                  AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
                  AND t.task_id IS DISTINCT FROM o.chord_body_id
            ) AS h
            WHERE o.group_id = ANY (without_body)
              AND (o.namespace, o.service, o.environment) = (of_namespace, of_service, of_environment);
        END IF;
    END IF;

    -- The chains in it of which a link was never sent. From the first on each link says how many there are from it on,
    -- so that the next one is told from what else it sent. A link that is a group or a chord says nothing: where the
    -- last known link sent one, as many tasks have to follow each other from there on as there are links.
    IF w.chains > 0 AND w.failed = 0 AND w.unfinished = 0 THEN
        WITH RECURSIVE firsts AS MATERIALIZED (
            SELECT t.task_id, t.root_id, t.chain_length
            FROM celerytrail.tasks t
            WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = of_workflow
              AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
              AND t.chain_length > 1
        ), astray AS MATERIALIZED (
            -- Another task took the place of such a link: its parent is not, or not only, the link before it.
            SELECT n.task_id, n.root_id, n.chain_left
            FROM (SELECT DISTINCT f.root_id FROM firsts f) AS r
            JOIN celerytrail.tasks n ON n.root_id = r.root_id
            WHERE n.chain_left IS NOT NULL
              AND NOT EXISTS (
                  SELECT FROM celerytrail.tasks p
                  WHERE p.task_id = n.parent_id AND p.task_id <> n.task_id
                    AND coalesce(p.chain_left, p.chain_length) = n.chain_left + 1
              )
        ), links (first_id, root_id, task_id, from_it_on) AS (
            SELECT f.task_id, f.root_id, f.task_id, f.chain_length
            FROM firsts f
            UNION
            SELECT l.first_id, l.root_id, n.task_id, l.from_it_on - 1
            FROM links l
            -- Whichever deployment the worker is of that sent it, and inside of a group or not.
            JOIN LATERAL (
                SELECT c.task_id, c.chain_left FROM celerytrail.tasks c WHERE c.parent_id = l.task_id
                UNION ALL
                SELECT a.task_id, a.chain_left FROM astray a WHERE a.root_id = l.root_id
            ) AS n ON n.chain_left = l.from_it_on - 1
        ), last_known AS (
            SELECT DISTINCT ON (l.first_id) l.first_id, l.task_id, l.from_it_on
            FROM links l
            ORDER BY l.first_id, l.from_it_on, l.task_id
        ), following (first_id, length, task_id, place) AS (
            SELECT k.first_id, k.from_it_on, k.task_id, 1
            FROM last_known k
            WHERE k.from_it_on > 1
              AND EXISTS (
                  SELECT FROM celerytrail.tasks c WHERE c.parent_id = k.task_id AND c.group_id IS NOT NULL
              )
            UNION ALL
            SELECT f.first_id, f.length, n.task_id, f.place + 1
            FROM following f
            JOIN celerytrail.tasks n ON n.parent_id = f.task_id
            WHERE f.place < f.length
        )
        SELECT count(*) > 0 INTO chain_is_short
        FROM last_known k
        WHERE k.from_it_on > 1
          AND NOT EXISTS (SELECT FROM following f WHERE f.first_id = k.first_id AND f.place >= f.length);
    END IF;

    state := CASE
        WHEN w.failed = 0 AND body_is_late THEN 'body never ran'
        WHEN w.failed = 0 AND (w.unfinished > 0 OR body_is_missing) THEN 'running'
        WHEN w.failed = 0 AND chain_is_short THEN
            CASE WHEN w.finished_at < now() - interval '60 seconds' THEN 'broken off' ELSE 'running' END
        WHEN w.failed = 0 THEN 'succeeded'
        WHEN kind = 'chord' AND body_state = 'succeeded' THEN 'partially failed'
        WHEN kind = 'group' AND w.failed < w.members THEN 'partially failed'
        WHEN kind = 'task' AND root_state = 'succeeded' THEN 'partially failed'
        ELSE 'failed'
    END;

    -- The first failure that is not the consequence of another: it stays the same when somebody retries it. What
    -- an operator ended is it only where nothing else failed. One task waits for another that it sent, and a
    -- chord's body for its headers.
    IF w.failed > 0 THEN
        SELECT
            f.task_id, f.task_name, f.exception_class,
            count(*) FILTER (WHERE NOT f.is_retried AND NOT f.is_acknowledged) OVER () AS open_failures,
            count(*) FILTER (WHERE f.is_retried) OVER () AS retried,
            count(*) FILTER (WHERE f.is_acknowledged) OVER () AS acknowledged
        INTO first
        FROM (
            SELECT t.*
            FROM celerytrail.workflow_tasks t
            WHERE t.workflow_id = of_workflow
              AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
              AND t.outcome = 'failed'
            -- Worked out once a failure, although it is counted three ways.
            OFFSET 0
        ) AS f
        ORDER BY
            coalesce(f.exception_class, '') ~ '(^|\.)ChordError$'
            OR EXISTS (
                SELECT
                FROM celerytrail.tasks child
                WHERE child.parent_id = f.task_id
                  AND (child.namespace, child.service, child.environment) = (f.namespace, f.service, f.environment)
                  AND child.state NOT IN ('succeeded', 'ignored', 'retried')
                  AND child.finished_at <= f.finished_at
            )
            OR f.body_of IS NOT NULL AND EXISTS (
                SELECT
                FROM celerytrail.tasks header
                WHERE header.group_id = f.body_of AND header.task_id <> f.task_id
                  AND (header.namespace, header.service, header.environment) = (f.namespace, f.service, f.environment)
                  AND header.state NOT IN ('succeeded', 'ignored', 'retried')
                  AND header.finished_at <= f.finished_at
            ),
            f.is_acknowledged, f.finished_at, f.task_id
        LIMIT 1;
        culprit_task_id := first.task_id;
        culprit_task_name := first.task_name;
        culprit_exception_class := first.exception_class;
    END IF;

    root_id := w.root_id;
    started_at := w.started_at;
    finished_at := CASE WHEN state <> 'running' THEN w.finished_at END;
    updated_at := w.updated_at;
    members := w.members;
    succeeded := w.succeeded;
    failed := w.failed;
    unfinished := w.unfinished;
    IF w.failed > 0 THEN
        acknowledged := first.open_failures = 0 AND first.acknowledged > 0;
        retried := first.open_failures = 0 AND first.retried > 0;
        needs_attention := state IN ('failed', 'partially failed') AND first.open_failures > 0;
    ELSE
        acknowledged := false;
        retried := state = 'body never ran' AND body_is_retried;
        needs_attention := state = 'body never ran' AND NOT body_is_retried;
    END IF;
    headers := w.headers;
    chord_body_id := known_body;
    RETURN NEXT;
END
$_$;

ALTER FUNCTION celerytrail.workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text) OWNER TO celerytrail_owner;

-- Name: FUNCTION workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text) IS 'What a workflow of one deployment is: one row, none where it has no task.';

-- Name: write_lost(celerytrail.spans[]); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.write_lost(rows celerytrail.spans[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO celerytrail.streams AS s (
        stream_id, namespace, service, environment, process_kind, worker, host, pid, seqs, last_seq,
        closed_at, first_seen_at, updated_at
    )
    SELECT
        g.stream_id, g.namespace, g.service, g.environment, max(g.process_kind), max(g.worker),
        max(g.host), max(g.pid), range_agg(int8range(g.seq, g.seq, '[]')), max(g.seq),
        max(g.event_time), min(g.event_time), max(g.event_time)
    FROM unnest(rows) AS g
    GROUP BY g.stream_id, g.namespace, g.service, g.environment
    ORDER BY g.stream_id;

    INSERT INTO celerytrail.spans (
        event_id, event_time, day, namespace, service, environment, stream_id, seq, step, inferred,
        trace_id, span_id, parent_span_id, span_name, span_kind, status_code, start_unix_nano,
        end_unix_nano, process_kind, worker, host, pid, task_id, task_name, retries, queue, root_id,
        parent_id, group_id, root_group_id, chord_body_id, send_id, sent_unix_nano, run_id, eta,
        priority, attributes
    )
    SELECT
        g.event_id, g.event_time, g.day, g.namespace, g.service, g.environment, g.stream_id, g.seq,
        g.step, g.inferred, g.trace_id, g.span_id, g.parent_span_id, g.span_name, g.span_kind,
        g.status_code, g.start_unix_nano, g.end_unix_nano, g.process_kind, g.worker, g.host, g.pid,
        g.task_id, g.task_name, g.retries, g.queue, g.root_id, g.parent_id, g.group_id,
        g.root_group_id, g.chord_body_id, g.send_id, g.sent_unix_nano, g.run_id, g.eta, g.priority,
        g.attributes
    FROM unnest(rows) AS g
    ORDER BY g.event_id;

    INSERT INTO celerytrail.tasks AS t (
        namespace, service, environment, task_id, task_name, queue, eta, priority, retries, send_id,
        trace_id, message_day, message_key, state, inferred, worker, finished_at, state_day, state_key,
        root_id, parent_id, group_id, root_group_id, chord_body_id, attempts, updated_at
    )
    SELECT
        g.namespace, g.service, g.environment, g.task_id, g.task_name, m.queue, m.eta, m.priority,
        m.retries, m.send_id, m.trace_id, m.day, m.message_key, p.state, g.inferred, g.worker,
        g.event_time, g.day,
        celerytrail.event_key(coalesce(g.sent_unix_nano, 0), p.rank, g.end_unix_nano, g.event_id),
        g.root_id, g.parent_id, g.group_id, g.root_group_id, g.chord_body_id,
        least(greatest(coalesce(g.retries, 0), 0), 2147483646) + 1, g.event_time
    FROM unnest(rows) AS g
    JOIN celerytrail.steps p ON p.step = g.step AND p.subject = 'task'
    -- An event that does not know the name of the task says nothing of the message.
    LEFT JOIN LATERAL (
        SELECT
            g.queue, g.eta, g.priority, g.retries, g.send_id, g.trace_id, g.day,
            celerytrail.event_key(
                coalesce(g.sent_unix_nano, 0), 255 - p.rank, g.end_unix_nano, g.event_id
            ) AS message_key
        WHERE g.task_name IS NOT NULL
    ) AS m ON true
    ORDER BY g.task_id, g.namespace, g.service, g.environment
    ON CONFLICT (task_id, namespace, service, environment) DO UPDATE SET
        task_name = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.task_name ELSE t.task_name END,
        queue = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.queue ELSE t.queue END,
        eta = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.eta ELSE t.eta END,
        priority = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.priority ELSE t.priority END,
        retries = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.retries ELSE t.retries END,
        send_id = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.send_id ELSE t.send_id END,
        trace_id = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.trace_id ELSE t.trace_id END,
        message_day = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN excluded.message_day ELSE t.message_day END,
        args_commitment = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN NULL ELSE t.args_commitment END,
        kwargs_commitment = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN NULL ELSE t.kwargs_commitment END,
        stamps_commitment = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN NULL ELSE t.stamps_commitment END,
        body_commitment = CASE WHEN excluded.message_key > coalesce(t.message_key, '') THEN NULL ELSE t.body_commitment END,
        message_key = greatest(t.message_key, excluded.message_key),
        state = CASE WHEN excluded.state_key > t.state_key THEN excluded.state ELSE t.state END,
        inferred = CASE WHEN excluded.state_key > t.state_key THEN excluded.inferred ELSE t.inferred END,
        worker = CASE WHEN excluded.state_key > t.state_key THEN excluded.worker ELSE t.worker END,
        finished_at = CASE WHEN excluded.state_key > t.state_key THEN excluded.finished_at ELSE t.finished_at END,
        runtime_us = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.runtime_us END,
        exception_class = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.exception_class END,
        state_day = CASE WHEN excluded.state_key > t.state_key THEN excluded.state_day ELSE t.state_day END,
        exception_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.exception_commitment END,
        traceback_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.traceback_commitment END,
        result_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.result_commitment END,
        state_key = greatest(t.state_key, excluded.state_key),
        root_id = greatest(t.root_id, excluded.root_id),
        parent_id = greatest(t.parent_id, excluded.parent_id),
        group_id = greatest(t.group_id, excluded.group_id),
        root_group_id = greatest(t.root_group_id, excluded.root_group_id),
        chord_body_id = greatest(t.chord_body_id, excluded.chord_body_id),
        attempts = greatest(t.attempts, excluded.attempts),
        updated_at = greatest(t.updated_at, excluded.updated_at);

    INSERT INTO celerytrail.runs AS r (
        namespace, service, environment, run_id, task_id, task_name, send_id, trace_id, retries, queue,
        worker, host, pid, state, inferred, finished_at, state_day, state_key, updated_at
    )
    SELECT
        g.namespace, g.service, g.environment, g.run_id, g.task_id, g.task_name, g.send_id, g.trace_id,
        g.retries, g.queue, g.worker, g.host, g.pid, p.state, g.inferred, g.event_time, g.day,
        celerytrail.event_key(coalesce(g.sent_unix_nano, 0), p.rank, g.end_unix_nano, g.event_id),
        g.event_time
    FROM unnest(rows) AS g
    JOIN celerytrail.steps p ON p.step = g.step AND p.subject = 'task'
    ORDER BY g.run_id, g.namespace, g.service, g.environment
    ON CONFLICT (run_id, namespace, service, environment) DO UPDATE SET
        -- An end that arrived at this moment may outweigh it.
        state = CASE WHEN excluded.state_key > r.state_key THEN excluded.state ELSE r.state END,
        inferred = CASE WHEN excluded.state_key > r.state_key THEN excluded.inferred ELSE r.inferred END,
        trace_id = CASE WHEN excluded.state_key > r.state_key THEN excluded.trace_id ELSE r.trace_id END,
        finished_at = CASE WHEN excluded.state_key > r.state_key THEN excluded.finished_at ELSE r.finished_at END,
        runtime_us = CASE WHEN excluded.state_key > r.state_key THEN NULL ELSE r.runtime_us END,
        exception_class = CASE WHEN excluded.state_key > r.state_key THEN NULL ELSE r.exception_class END,
        state_day = CASE WHEN excluded.state_key > r.state_key THEN excluded.state_day ELSE r.state_day END,
        exception_commitment = CASE WHEN excluded.state_key > r.state_key THEN NULL ELSE r.exception_commitment END,
        traceback_commitment = CASE WHEN excluded.state_key > r.state_key THEN NULL ELSE r.traceback_commitment END,
        result_commitment = CASE WHEN excluded.state_key > r.state_key THEN NULL ELSE r.result_commitment END,
        state_key = greatest(r.state_key, excluded.state_key),
        updated_at = greatest(r.updated_at, excluded.updated_at);

    UPDATE celerytrail.groups g
    SET updated_at = greatest(g.updated_at, n.updated_at)
    FROM (
        SELECT r.group_id, r.namespace, r.service, r.environment, max(r.event_time) AS updated_at
        FROM unnest(rows) AS r
        WHERE r.group_id IS NOT NULL
        GROUP BY r.group_id, r.namespace, r.service, r.environment
    ) AS n
    WHERE (g.group_id, g.namespace, g.service, g.environment)
        = (n.group_id, n.namespace, n.service, n.environment);
END
$$;

ALTER FUNCTION celerytrail.write_lost(rows celerytrail.spans[]) OWNER TO celerytrail_owner;

-- Name: harden_database(); Type: FUNCTION; Schema: celerytrail_admin; Owner: postgres

CREATE FUNCTION celerytrail_admin.harden_database() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    function_id oid;
BEGIN
    EXECUTE format(
        'REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database()
    );
    -- The staging table of the sink is a temporary one.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO celerytrail_sink', current_database());
    IF to_regnamespace('public') IS NOT NULL THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
    IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE NOTICE 'celerytrail: % is no superuser, so functions of Postgres stay executable by PUBLIC. '
            'The maintainer undoes what it can; to close them, run SELECT celerytrail_admin.harden_database() '
            'as a superuser.', current_user;
        RETURN;
    END IF;
    FOR function_id IN SELECT w FROM celerytrail_admin.withheld_functions() AS w LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function_id::regprocedure);
        -- Nobody can log in as the owner; its functions are what the maintainer watches with.
        EXECUTE format(
            'GRANT EXECUTE ON FUNCTION %s TO celerytrail_owner', function_id::regprocedure
        );
    END LOOP;
    -- What backups and monitoring use: pg_dump sets its search path by function, monitors read activity.
    GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO pg_read_all_data;
    GRANT EXECUTE ON FUNCTION pg_stat_get_activity(int4) TO pg_read_all_stats;
    -- DO runs any program, and one that catches its own cancellation.
    REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
    GRANT USAGE ON LANGUAGE plpgsql TO celerytrail_owner;
END
$$;

ALTER FUNCTION celerytrail_admin.harden_database() OWNER TO postgres;

-- Name: FUNCTION harden_database(); Type: COMMENT; Schema: celerytrail_admin; Owner: postgres

COMMENT ON FUNCTION celerytrail_admin.harden_database() IS 'Takes from PUBLIC what docs/design/roles.md lists. Repeatable. All of it needs a superuser.';

-- Name: login_roles(); Type: FUNCTION; Schema: celerytrail_admin; Owner: postgres

CREATE FUNCTION celerytrail_admin.login_roles() RETURNS SETOF name
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    VALUES ('celerytrail_sink'::name), ('celerytrail_actions'), ('celerytrail_grafana'),
        ('celerytrail_verifier'), ('celerytrail_maintainer'), ('celerytrail_checkpointer')
$$;

ALTER FUNCTION celerytrail_admin.login_roles() OWNER TO postgres;

-- Name: FUNCTION login_roles(); Type: COMMENT; Schema: celerytrail_admin; Owner: postgres

COMMENT ON FUNCTION celerytrail_admin.login_roles() IS 'The roles of the ledger that log in.';

-- Name: restore_roles(); Type: FUNCTION; Schema: celerytrail_admin; Owner: postgres

CREATE FUNCTION celerytrail_admin.restore_roles() RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    role_id oid;
    login name;
    wanted text[];
    found_settings text[];
    one record;
    can_read_passwords bool := has_table_privilege(current_user, 'pg_catalog.pg_authid', 'SELECT');
    changed bool;
BEGIN
    FOR login, role_id IN
        SELECT r.rolname, r.oid FROM pg_roles r WHERE r.rolname IN (SELECT celerytrail_admin.login_roles())
    LOOP
        SELECT coalesce(array_agg(s.setting || '=' || s.value ORDER BY s.setting), '{}')
        INTO wanted
        FROM celerytrail_admin.role_settings s
        WHERE s.role_name = login;
        SELECT coalesce(array_agg(c ORDER BY split_part(c, '=', 1)), '{}')
        INTO found_settings
        FROM pg_db_role_setting d, unnest(d.setconfig) AS c
        WHERE d.setrole = role_id AND d.setdatabase = 0;
        IF found_settings <> wanted THEN
            EXECUTE format('ALTER ROLE %I RESET ALL', login);
            FOR one IN
                SELECT s.setting, s.value FROM celerytrail_admin.role_settings s WHERE s.role_name = login
            LOOP
                EXECUTE format('ALTER ROLE %I SET %I = %L', login, one.setting, one.value);
            END LOOP;
            RETURN NEXT format('settings of %s', login);
        END IF;

        IF EXISTS (
            SELECT
            FROM pg_db_role_setting d
            JOIN pg_database b ON b.oid = d.setdatabase
            WHERE d.setrole = role_id AND b.datname = current_database()
        ) THEN
            EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', login, current_database());
            RETURN NEXT format('settings of %s in this database', login);
        END IF;

        -- Viewers speak as this role, so its password is held to what it was when it was first seen.
        IF login = 'celerytrail_grafana' AND can_read_passwords THEN
            EXECUTE $sql$
                INSERT INTO celerytrail_admin.role_logins (role_name, verifier, set_by)
                SELECT a.rolname, a.rolpassword, 'first seen'
                FROM pg_catalog.pg_authid a
                WHERE a.oid = $1 AND a.rolpassword LIKE 'SCRAM-SHA-256$%'
                ON CONFLICT DO NOTHING
            $sql$ USING role_id;
        END IF;
        FOR one IN SELECT l.verifier FROM celerytrail_admin.role_logins l WHERE l.role_name = login LOOP
            changed := true;
            IF can_read_passwords THEN
                EXECUTE 'SELECT a.rolpassword IS DISTINCT FROM $1 FROM pg_catalog.pg_authid a WHERE a.oid = $2'
                INTO changed
                USING one.verifier, role_id;
            END IF;
            IF changed THEN
                EXECUTE format('ALTER ROLE %I PASSWORD %L', login, one.verifier);
                -- Somebody who may not read passwords cannot tell whether this one had changed.
                IF can_read_passwords THEN
                    RETURN NEXT format('password of %s', login);
                END IF;
            END IF;
        END LOOP;
    END LOOP;
END
$_$;

ALTER FUNCTION celerytrail_admin.restore_roles() OWNER TO postgres;

-- Name: FUNCTION restore_roles(); Type: COMMENT; Schema: celerytrail_admin; Owner: postgres

COMMENT ON FUNCTION celerytrail_admin.restore_roles() IS 'Puts back the settings and passwords that a role changed of itself. Returns what it put back.';

-- Name: set_role_password(name, text); Type: FUNCTION; Schema: celerytrail_admin; Owner: postgres

CREATE FUNCTION celerytrail_admin.set_role_password(role_name name, verifier text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM celerytrail_admin.login_roles() AS r WHERE r = set_role_password.role_name
    ) THEN
        RAISE EXCEPTION 'celerytrail: % is no role of the ledger that logs in', role_name;
    END IF;
    INSERT INTO celerytrail_admin.role_logins AS l (role_name, verifier)
    VALUES (set_role_password.role_name, set_role_password.verifier)
    ON CONFLICT ON CONSTRAINT role_logins_pkey
        DO UPDATE SET verifier = excluded.verifier, set_at = clock_timestamp(), set_by = session_user;
    EXECUTE format('ALTER ROLE %I PASSWORD %L', role_name, verifier);
END
$$;

ALTER FUNCTION celerytrail_admin.set_role_password(role_name name, verifier text) OWNER TO postgres;

-- Name: FUNCTION set_role_password(role_name name, verifier text); Type: COMMENT; Schema: celerytrail_admin; Owner: postgres

COMMENT ON FUNCTION celerytrail_admin.set_role_password(role_name name, verifier text) IS 'Sets a role''s password, given as a SCRAM verifier, and remembers it. For an administrator.';

-- Name: withheld_functions(); Type: FUNCTION; Schema: celerytrail_admin; Owner: postgres

CREATE FUNCTION celerytrail_admin.withheld_functions() RETURNS SETOF oid
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT p.oid
    FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (
          -- Large objects: storage without a bound, and without a table to take the right from.
          p.proname ~ '^(lo_.+|loread|lowrite)$'
          -- A lock that nobody else's statement would explain.
          OR p.proname ~ '^pg_(try_)?advisory_'
          -- Sessions held open at no cost.
          OR p.proname ~ '^pg_sleep'
          -- The role's other sessions: ended, or their statements read, which are other people's.
          OR p.proname IN (
              'pg_cancel_backend', 'pg_terminate_backend', 'pg_stat_get_activity',
              'pg_stat_get_backend_activity'
          )
          -- Writes outside of any table: the queue of notifications, the write-ahead log, settings.
          OR p.proname IN ('pg_notify', 'pg_logical_emit_message', 'set_config')
      )
    UNION
    -- A way to other servers, and back into this one as somebody else.
    SELECT p.oid
    FROM pg_proc p
    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE e.extname = 'dblink'
$_$;

ALTER FUNCTION celerytrail_admin.withheld_functions() OWNER TO postgres;

-- Name: FUNCTION withheld_functions(); Type: COMMENT; Schema: celerytrail_admin; Owner: postgres

COMMENT ON FUNCTION celerytrail_admin.withheld_functions() IS 'The functions that PUBLIC may execute in a fresh database and must not in the ledger''s.';

SET default_table_access_method = heap;

-- Name: action_reasons; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.action_reasons (
    intent_id uuid NOT NULL,
    commitment bytea NOT NULL,
    salt bytea NOT NULL,
    body text NOT NULL,
    CONSTRAINT action_reasons_commitment_check CHECK ((octet_length(commitment) = 32)),
    CONSTRAINT action_reasons_salt_check CHECK ((octet_length(salt) = 32))
);
ALTER TABLE ONLY celerytrail.action_reasons ALTER COLUMN salt SET STATISTICS 0;
ALTER TABLE ONLY celerytrail.action_reasons ALTER COLUMN body SET STATISTICS 0;

ALTER TABLE celerytrail.action_reasons OWNER TO celerytrail_owner;

-- Name: TABLE action_reasons; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.action_reasons IS 'Why somebody did something, in their words: user data. The intent in the chain carries the commitment, kind ''reason'' of exporter/commitment.py; deleting a row erases the words everywhere.';

-- Name: actions; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.actions (
    action_id uuid NOT NULL,
    intent_id uuid,
    action_time timestamp with time zone NOT NULL,
    phase text NOT NULL,
    verb text NOT NULL,
    actor text NOT NULL,
    actor_kind text NOT NULL,
    role text,
    namespace text,
    service text,
    environment text,
    request_id text,
    target json,
    detail json,
    reason_commitment bytea,
    recorded_by text NOT NULL,
    batch_id bigint DEFAULT currval('celerytrail.batch_seq'::regclass) NOT NULL,
    CONSTRAINT actions_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT actions_actor_kind_check CHECK ((actor_kind <> ''::text)),
    CONSTRAINT actions_phase_check CHECK ((phase = ANY (ARRAY['intent'::text, 'progress'::text, 'outcome'::text, 'refused'::text, 'done'::text]))),
    CONSTRAINT actions_verb_check CHECK ((verb <> ''::text))
);

ALTER TABLE celerytrail.actions OWNER TO celerytrail_owner;

-- Name: TABLE actions; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.actions IS 'Who did what: the intent before anything happens, progress, the outcome after, refusals, erasures, retention. Blocks of kind 2.';

-- Name: blocks; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.blocks (
    batch_id bigint NOT NULL,
    chain integer NOT NULL,
    kind smallint NOT NULL,
    format_version smallint NOT NULL,
    cnt integer NOT NULL,
    days date[] NOT NULL,
    cnts integer[] NOT NULL,
    roots bytea[] NOT NULL,
    body_hash bytea NOT NULL,
    sealed_by text NOT NULL,
    sealed_at timestamp with time zone NOT NULL
);

ALTER TABLE celerytrail.blocks OWNER TO celerytrail_owner;

-- Name: TABLE blocks; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.blocks IS 'One row for each statement that inserted rows: 1 = spans, 2 = actions. Kept for ever.';

-- Name: chain; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.chain (
    chain integer NOT NULL,
    n bigint NOT NULL,
    batch_id bigint NOT NULL,
    prev bytea NOT NULL,
    hash bytea NOT NULL,
    linked_at timestamp with time zone NOT NULL,
    CONSTRAINT chain_n_check CHECK ((n >= 1))
);

ALTER TABLE celerytrail.chain OWNER TO celerytrail_owner;

-- Name: TABLE chain; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.chain IS 'The links: n counts without holes in the order of commits.';

-- Name: announced_drops; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.announced_drops WITH (security_invoker='true') AS
 SELECT DISTINCT ON (day) day,
    linked_at,
    actor,
    chain,
    n
   FROM ( SELECT t.said,
                CASE
                    WHEN (t.said ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]$'::text) THEN ((("left"(t.said, 7) || '-01'::text))::date + (("right"(t.said, 2))::integer - 1))
                    ELSE NULL::date
                END AS day,
            t.linked_at,
            t.actor,
            t.action_id,
            t.chain,
            t.n
           FROM ( SELECT
                        CASE
                            WHEN (POSITION(('\u'::text) IN ((a.target)::text)) = 0) THEN (a.target ->> 'day'::text)
                            ELSE NULL::text
                        END AS said,
                    c.linked_at,
                    a.actor,
                    a.action_id,
                    c.chain,
                    c.n
                   FROM ((celerytrail.actions a
                     JOIN celerytrail.blocks b ON (((b.batch_id = a.batch_id) AND (b.kind = 2))))
                     JOIN celerytrail.chain c ON (((c.batch_id = b.batch_id) AND (c.chain = b.chain) AND (c.n >= 1))))
                  WHERE ((a.verb = 'retention'::text) AND (a.phase = ANY (ARRAY['outcome'::text, 'done'::text])))) t) d
  WHERE ((to_char((day)::timestamp with time zone, 'YYYY-MM-DD'::text) = said) AND (day < ((linked_at AT TIME ZONE 'UTC'::text))::date))
  ORDER BY day, linked_at DESC, n DESC, action_id;

ALTER VIEW celerytrail.announced_drops OWNER TO celerytrail_owner;

-- Name: VIEW announced_drops; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail.announced_drops IS 'The days whose rows retention dropped: who, and the last time it was said in the chain that it was done. Nothing that was linked before may be left of such a day; blocks linked later cannot claim it.';

-- Name: api_tokens; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.api_tokens (
    token_hash bytea NOT NULL,
    name text NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text DEFAULT SESSION_USER NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT api_tokens_name_check CHECK ((name <> ''::text)),
    CONSTRAINT api_tokens_scopes_check CHECK (((cardinality(scopes) > 0) AND (array_position(scopes, NULL::text) IS NULL))),
    CONSTRAINT api_tokens_service_check CHECK ((service <> ''::text)),
    CONSTRAINT api_tokens_token_hash_check CHECK ((octet_length(token_hash) = 32))
);

ALTER TABLE celerytrail.api_tokens OWNER TO celerytrail_owner;

-- Name: TABLE api_tokens; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.api_tokens IS 'SHA-256 of each token of the action API, the deployment it is for and the verbs it may use. The token itself is shown once, when it is made.';

-- Name: chain_head; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.chain_head (
    chain integer NOT NULL,
    n bigint NOT NULL,
    hash bytea NOT NULL,
    linked_at timestamp with time zone NOT NULL,
    CONSTRAINT chain_head_hash_check CHECK ((octet_length(hash) = 32))
)
WITH (fillfactor='10');

ALTER TABLE celerytrail.chain_head OWNER TO celerytrail_owner;

-- Name: TABLE chain_head; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.chain_head IS 'Where each chain stands. Updated once a block, at COMMIT, hence the fill factor.';

-- Name: chain_now; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

CREATE SEQUENCE celerytrail.chain_now
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    MAXVALUE 63
    CACHE 1;

ALTER SEQUENCE celerytrail.chain_now OWNER TO celerytrail_owner;

-- Name: checkpoints; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.checkpoints (
    checkpoint_id bigint NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    issued_at timestamp with time zone,
    epoch integer,
    key_id text,
    chains json DEFAULT '[]'::json NOT NULL,
    note text,
    published json DEFAULT '{}'::json NOT NULL,
    trouble text,
    recorded_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT checkpoints_chains_check CHECK (((json_typeof(chains) = 'array'::text) AND (octet_length((chains)::text) <= 262144))),
    CONSTRAINT checkpoints_check CHECK (((note IS NULL) OR ((issued_at IS NOT NULL) AND (epoch IS NOT NULL) AND (key_id IS NOT NULL)))),
    CONSTRAINT checkpoints_check1 CHECK (((note IS NOT NULL) OR (trouble IS NOT NULL))),
    CONSTRAINT checkpoints_epoch_check CHECK ((epoch >= 1)),
    CONSTRAINT checkpoints_key_id_check CHECK ((octet_length(key_id) <= 200)),
    CONSTRAINT checkpoints_note_check CHECK ((octet_length(note) <= 262144)),
    CONSTRAINT checkpoints_published_check CHECK (((json_typeof(published) = 'object'::text) AND (octet_length((published)::text) <= 16384))),
    CONSTRAINT checkpoints_trouble_check CHECK ((octet_length(trouble) <= 8192))
);

ALTER TABLE celerytrail.checkpoints OWNER TO celerytrail_owner;

-- Name: TABLE checkpoints; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.checkpoints IS 'What `celerytrail checkpoint` signed and where it went; without a note, why it refused to sign. For dashboards: evidence are the notes kept outside of this database, and no verifier believes this table.';

-- Name: COLUMN checkpoints.chains; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail.checkpoints.chains IS '[{"chain": 0, "n": 12, "hash": "hex"}], the signed heads.';

-- Name: COLUMN checkpoints.published; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail.checkpoints.published IS 'Each destination and "ok" or what it answered: {"file": "ok", "otlp": "refused 503"}.';

-- Name: checkpoints_checkpoint_id_seq; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE celerytrail.checkpoints ALTER COLUMN checkpoint_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME celerytrail.checkpoints_checkpoint_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: conclusion; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.conclusion (
    silent_after interval DEFAULT '00:05:00'::interval NOT NULL,
    stuck_factor double precision DEFAULT 3 NOT NULL,
    stuck_at_least interval DEFAULT '00:01:00'::interval NOT NULL,
    stuck_history integer DEFAULT 20 NOT NULL,
    only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT conclusion_only_row_check CHECK (only_row),
    CONSTRAINT conclusion_silent_after_check CHECK ((silent_after >= '00:00:01'::interval)),
    CONSTRAINT conclusion_stuck_at_least_check CHECK ((stuck_at_least >= '00:00:00'::interval)),
    CONSTRAINT conclusion_stuck_factor_check CHECK ((stuck_factor >= (1)::double precision)),
    CONSTRAINT conclusion_stuck_history_check CHECK ((stuck_history >= 1))
);

ALTER TABLE celerytrail.conclusion OWNER TO celerytrail_owner;

-- Name: TABLE conclusion; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.conclusion IS 'When a process counts as gone, and a run as stuck. A table and no argument, so that no client decides it: an administrator updates it.';

-- Name: day_drops; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.day_drops (
    day date NOT NULL,
    action_id uuid NOT NULL,
    actor text NOT NULL,
    actor_kind text NOT NULL,
    announced_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    groups bigint NOT NULL,
    rows bigint NOT NULL,
    dropped_at timestamp with time zone,
    forgotten_at timestamp with time zone,
    forgotten jsonb DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE celerytrail.day_drops OWNER TO celerytrail_owner;

-- Name: TABLE day_drops; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.day_drops IS 'The days that retention announced, dropped, and forgot in the read model: how far each has come. Evidence is in the chain.';

-- Name: erased_tasks; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.erased_tasks (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    kinds text[] NOT NULL,
    erasure_id uuid NOT NULL,
    erased_at timestamp with time zone NOT NULL
);

ALTER TABLE celerytrail.erased_tasks OWNER TO celerytrail_owner;

-- Name: TABLE erased_tasks; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.erased_tasks IS 'Tasks whose payloads were erased, and which kinds: one that comes late, from a spool, is refused. No user data. Goes with retention.';

-- Name: erasure_targets; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.erasure_targets (
    erasure_id uuid NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    marked boolean DEFAULT false NOT NULL
);

ALTER TABLE celerytrail.erasure_targets OWNER TO celerytrail_owner;

-- Name: TABLE erasure_targets; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.erasure_targets IS 'What open erasures have still to do. Fixed when one begins, so that the one who finishes it does the same.';

-- Name: erasures; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.erasures (
    erasure_id uuid NOT NULL,
    actor text NOT NULL,
    actor_kind text NOT NULL,
    kinds text[] NOT NULL,
    selection json NOT NULL,
    tasks bigint NOT NULL,
    begun_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    continued_by text,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    finished_at timestamp with time zone
);

ALTER TABLE celerytrail.erasures OWNER TO celerytrail_owner;

-- Name: TABLE erasures; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.erasures IS 'Each run of `celerytrail erase`: its id is that of the intent in the chain. Open until it is finished, by itself or by the next run.';

-- Name: failures; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.failures (
    event_id uuid NOT NULL,
    event_time timestamp with time zone NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    fingerprint text NOT NULL,
    step text NOT NULL,
    exception_class text NOT NULL,
    task_id text NOT NULL,
    task_name text,
    queue text,
    worker text,
    retries integer,
    workflow_id text NOT NULL
);

ALTER TABLE celerytrail.failures OWNER TO celerytrail_owner;

-- Name: TABLE failures; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.failures IS 'Each event of a task that carries an exception, with the fingerprint of that. Derived from spans; no user data.';

-- Name: groups; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.groups (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    group_id text NOT NULL,
    kind text,
    size bigint,
    trace_id bytea,
    span_id bytea,
    parent_span_id bytea,
    group_key bytea,
    root_id text,
    parent_id text,
    root_group_id text,
    chord_body_id text,
    first_sent_at timestamp with time zone,
    updated_at timestamp with time zone
)
WITH (fillfactor='80');

ALTER TABLE celerytrail.groups OWNER TO celerytrail_owner;

-- Name: TABLE groups; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.groups IS 'Groups and chords; the members are tasks with that group_id. Derived from spans.';

-- Name: horizon; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.horizon (
    retained_from date DEFAULT '-infinity'::date NOT NULL,
    only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT horizon_only_row_check CHECK (only_row)
);

ALTER TABLE celerytrail.horizon OWNER TO celerytrail_owner;

-- Name: TABLE horizon; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.horizon IS 'Events of days before this one were dropped by retention and are refused.';

-- Name: intents; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.intents (
    intent_id uuid NOT NULL,
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
    state text DEFAULT 'open'::text NOT NULL,
    outcome json,
    holder text NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    released boolean DEFAULT false NOT NULL,
    CONSTRAINT intents_finished CHECK (((state = 'open'::text) = (finished_at IS NULL))),
    CONSTRAINT intents_released CHECK (((NOT released) OR (state <> 'open'::text))),
    CONSTRAINT intents_state_check CHECK ((state = ANY (ARRAY['open'::text, 'succeeded'::text, 'failed'::text, 'partial'::text, 'unknown'::text])))
);
ALTER TABLE ONLY celerytrail.intents ALTER COLUMN request_hash SET STATISTICS 0;

ALTER TABLE celerytrail.intents OWNER TO celerytrail_owner;

-- Name: TABLE intents; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.intents IS 'The open and the recent actions of operators. Finished ones go after 30 days, and with them their idempotency keys.';

-- Name: task_actions; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.task_actions (
    action_id uuid NOT NULL,
    task_id text NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    intent_id uuid,
    action_time timestamp with time zone NOT NULL,
    verb text NOT NULL,
    phase text NOT NULL,
    result text,
    new_task_id text,
    actor text NOT NULL
);

ALTER TABLE celerytrail.task_actions OWNER TO celerytrail_owner;

-- Name: TABLE task_actions; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.task_actions IS 'Which action named which task, and what became of it. Derived from actions.';

-- Name: tasks; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.tasks (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    task_name text,
    queue text,
    eta timestamp with time zone,
    priority integer,
    retries integer,
    send_id bytea,
    trace_id bytea,
    message_day date,
    args_commitment bytea,
    kwargs_commitment bytea,
    stamps_commitment bytea,
    body_commitment bytea,
    message_key bytea,
    state text NOT NULL,
    inferred boolean NOT NULL,
    worker text,
    finished_at timestamp with time zone,
    runtime_us bigint,
    exception_class text,
    state_day date NOT NULL,
    exception_commitment bytea,
    traceback_commitment bytea,
    result_commitment bytea,
    state_key bytea NOT NULL,
    started_at timestamp with time zone,
    queue_wait_us bigint,
    start_key bytea,
    root_id text,
    parent_id text,
    group_id text,
    root_group_id text,
    chord_body_id text,
    attempts integer NOT NULL,
    first_sent_at timestamp with time zone,
    sent_at timestamp with time zone,
    received_at timestamp with time zone,
    updated_at timestamp with time zone,
    chain_length integer,
    chain_left integer
)
WITH (fillfactor='70');

ALTER TABLE celerytrail.tasks OWNER TO celerytrail_owner;

-- Name: TABLE tasks; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.tasks IS 'The current state of each task. Derived from spans and from purges among the actions; no user data.';

-- Name: tasks_of_workflows; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.tasks_of_workflows AS
 SELECT COALESCE(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
    t.namespace,
    t.service,
    t.environment,
    t.task_id,
    t.task_name,
    t.state,
    t.queue,
    t.worker,
    t.retries,
    t.attempts,
    t.root_id,
    t.parent_id,
    t.group_id,
    t.root_group_id,
    t.message_day,
    t.send_id,
    t.first_sent_at,
    t.started_at,
    t.finished_at,
    t.updated_at,
    t.queue_wait_us,
    t.runtime_us,
    t.exception_class,
    t.trace_id,
    e.outcome,
    COALESCE((((LEAST(t.first_sent_at, t.received_at, t.started_at, t.finished_at) AT TIME ZONE 'UTC'::text))::date - 1), '-infinity'::date) AS first_day,
    COALESCE((((GREATEST(t.updated_at, t.sent_at, t.received_at, t.started_at, t.finished_at) AT TIME ZONE 'UTC'::text))::date + 1), 'infinity'::date) AS last_day,
    ( SELECT c.group_id
           FROM celerytrail.groups c
          WHERE ((c.chord_body_id = t.task_id) AND ((c.namespace = t.namespace) AND (c.service = t.service) AND (c.environment = t.environment)))
         LIMIT 1) AS body_of,
    t.chain_length
   FROM (celerytrail.tasks t
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN ((t.finished_at IS NULL) OR (t.state = 'retried'::text)) THEN 'unfinished'::text
                    WHEN (t.state = ANY (ARRAY['succeeded'::text, 'ignored'::text])) THEN 'succeeded'::text
                    ELSE 'failed'::text
                END AS "case") e(outcome))
  WHERE (t.task_name IS DISTINCT FROM 'celery.chord_unlock'::text);

ALTER VIEW celerytrail.tasks_of_workflows OWNER TO celerytrail_owner;

-- Name: VIEW tasks_of_workflows; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail.tasks_of_workflows IS 'Each task with the workflow it belongs to, and how it ended.';

-- Name: workflow_tasks; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.workflow_tasks AS
 SELECT t.workflow_id,
    t.namespace,
    t.service,
    t.environment,
    t.task_id,
    t.task_name,
    t.state,
    t.queue,
    t.worker,
    t.retries,
    t.attempts,
    t.root_id,
    t.parent_id,
    t.group_id,
    t.root_group_id,
    t.message_day,
    t.send_id,
    t.first_sent_at,
    t.started_at,
    t.finished_at,
    t.updated_at,
    t.queue_wait_us,
    t.runtime_us,
    t.exception_class,
    t.trace_id,
    t.outcome,
    t.first_day,
    t.last_day,
    t.body_of,
    COALESCE(h.is_retried, false) AS is_retried,
    COALESCE(h.is_acknowledged, false) AS is_acknowledged,
    t.chain_length
   FROM (celerytrail.tasks_of_workflows t
     LEFT JOIN LATERAL ( WITH RECURSIVE retries(task_id, depth) AS (
                 SELECT t.task_id,
                    0 AS "?column?"
                UNION ALL
                 SELECT n_1.new_task_id,
                    (r.depth + 1)
                   FROM (retries r
                     CROSS JOIN LATERAL ( SELECT a.new_task_id
                           FROM celerytrail.task_actions a
                          WHERE ((a.task_id = r.task_id) AND ((a.namespace = t.namespace) AND (a.service = t.service) AND (a.environment = t.environment)) AND (a.new_task_id IS NOT NULL) AND (a.result = 'sent'::text))
                          ORDER BY a.action_time DESC, a.action_id DESC
                         LIMIT 1) n_1)
                  WHERE (r.depth < 50)
                ), newest AS (
                 SELECT r.task_id,
                    r.depth
                   FROM retries r
                  ORDER BY r.depth DESC
                 LIMIT 1
                )
         SELECT ((n.depth > 0) AND (NOT (EXISTS ( SELECT
                   FROM celerytrail.tasks again
                  WHERE ((again.task_id = n.task_id) AND ((again.namespace = t.namespace) AND (again.service = t.service) AND (again.environment = t.environment)) AND (again.finished_at IS NOT NULL) AND (again.state <> ALL (ARRAY['succeeded'::text, 'ignored'::text, 'retried'::text, 'purged'::text])) AND (NOT ((again.state = ANY (ARRAY['revoked'::text, 'aborted'::text])) AND (EXISTS ( SELECT
                           FROM celerytrail.task_actions a
                          WHERE ((a.task_id = again.task_id) AND ((a.namespace = again.namespace) AND (a.service = again.service) AND (a.environment = again.environment)) AND (a.verb = ANY (ARRAY['cancel'::text, 'terminate'::text])) AND (a.phase = 'outcome'::text)))))) AND (again.root_group_id IS NULL) AND (COALESCE(again.root_id, again.task_id) <> t.workflow_id)))))) AS is_retried,
            ((t.state = 'purged'::text) OR ((t.state = ANY (ARRAY['revoked'::text, 'aborted'::text])) AND (EXISTS ( SELECT
                   FROM celerytrail.task_actions a
                  WHERE ((a.task_id = t.task_id) AND ((a.namespace = t.namespace) AND (a.service = t.service) AND (a.environment = t.environment)) AND (a.verb = ANY (ARRAY['cancel'::text, 'terminate'::text])) AND (a.phase = 'outcome'::text)))))) AS is_acknowledged
           FROM newest n
          WHERE (t.outcome = 'failed'::text)) h ON (true));

ALTER VIEW celerytrail.workflow_tasks OWNER TO celerytrail_owner;

-- Name: VIEW workflow_tasks; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail.workflow_tasks IS 'Each task with the workflow it belongs to, how it ended, and whether somebody saw to it.';

-- Name: judged_tasks; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.judged_tasks WITH (security_barrier='true') AS
 SELECT workflow_id,
    namespace,
    service,
    environment,
    task_id,
    task_name,
    exception_class,
    root_id,
    group_id,
    root_group_id,
    first_sent_at,
    started_at,
    finished_at,
    updated_at,
    outcome,
    is_retried,
    is_acknowledged,
        CASE
            WHEN ((group_id IS NOT NULL) OR (outcome = 'failed'::text)) THEN body_of
            ELSE NULL::text
        END AS body_of
   FROM celerytrail.workflow_tasks t;

ALTER VIEW celerytrail.judged_tasks OWNER TO celerytrail_owner;

-- Name: VIEW judged_tasks; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail.judged_tasks IS 'Each task with the workflow it belongs to, as celerytrail_views.failed_workflows counts it.';

-- Name: leaf_groups; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.leaf_groups (
    batch_id bigint NOT NULL,
    day date NOT NULL,
    cnt integer NOT NULL,
    root bytea NOT NULL,
    leaves bytea NOT NULL
)
PARTITION BY LIST (day);
ALTER TABLE ONLY celerytrail.leaf_groups ALTER COLUMN leaves SET STORAGE EXTERNAL;

ALTER TABLE celerytrail.leaf_groups OWNER TO celerytrail_owner;

-- Name: TABLE leaf_groups; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.leaf_groups IS 'The leaf hashes of one day of one batch, 32 bytes each, in order. Dropped together with the rows of that day.';

-- Name: leaf_groups_after_all; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.leaf_groups_after_all (
    batch_id bigint CONSTRAINT leaf_groups_batch_id_not_null NOT NULL,
    day date CONSTRAINT leaf_groups_day_not_null NOT NULL,
    cnt integer CONSTRAINT leaf_groups_cnt_not_null NOT NULL,
    root bytea CONSTRAINT leaf_groups_root_not_null NOT NULL,
    leaves bytea CONSTRAINT leaf_groups_leaves_not_null NOT NULL
);
ALTER TABLE ONLY celerytrail.leaf_groups_after_all ALTER COLUMN leaves SET STORAGE EXTERNAL;

ALTER TABLE celerytrail.leaf_groups_after_all OWNER TO celerytrail_owner;

-- Name: leaf_groups_before_all; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.leaf_groups_before_all (
    batch_id bigint CONSTRAINT leaf_groups_batch_id_not_null NOT NULL,
    day date CONSTRAINT leaf_groups_day_not_null NOT NULL,
    cnt integer CONSTRAINT leaf_groups_cnt_not_null NOT NULL,
    root bytea CONSTRAINT leaf_groups_root_not_null NOT NULL,
    leaves bytea CONSTRAINT leaf_groups_leaves_not_null NOT NULL
);
ALTER TABLE ONLY celerytrail.leaf_groups_before_all ALTER COLUMN leaves SET STORAGE EXTERNAL;

ALTER TABLE celerytrail.leaf_groups_before_all OWNER TO celerytrail_owner;

-- Name: ledger; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.ledger (
    ledger_id uuid DEFAULT gen_random_uuid() NOT NULL,
    format_version smallint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT ledger_only_row_check CHECK (only_row)
);

ALTER TABLE celerytrail.ledger OWNER TO celerytrail_owner;

-- Name: TABLE ledger; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.ledger IS 'Which ledger this is. Its id is part of the hash of every block.';

-- Name: migrations; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.migrations (
    id integer NOT NULL,
    name text NOT NULL,
    sha256 bytea NOT NULL,
    breaking boolean DEFAULT true NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    applied_by text DEFAULT SESSION_USER NOT NULL
);

ALTER TABLE celerytrail.migrations OWNER TO celerytrail_owner;

-- Name: TABLE migrations; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.migrations IS 'Which migrations were applied, with the SHA-256 of each file.';

-- Name: orphan_scans; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.orphan_scans (
    scan text NOT NULL,
    received_to timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT orphan_scans_scan_check CHECK ((scan = ANY (ARRAY['resent'::text, 'unclaimed'::text])))
);

ALTER TABLE celerytrail.orphan_scans OWNER TO celerytrail_owner;

-- Name: TABLE orphan_scans; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.orphan_scans IS 'How far each search for payloads without a span has come, so that each payload is looked at once by each.';

-- Name: payloads; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.payloads (
    event_time timestamp with time zone NOT NULL,
    day date NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    retries integer,
    stream_id uuid NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    commitment bytea NOT NULL,
    salt bytea NOT NULL,
    truncated boolean NOT NULL,
    body bytea NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    principal_id bigint DEFAULT currval('celerytrail.principal_now'::regclass) NOT NULL,
    CONSTRAINT payloads_day CHECK (((day = ANY (ARRAY['-infinity'::date, 'infinity'::date])) OR (day = ((event_time AT TIME ZONE 'UTC'::text))::date))),
    CONSTRAINT payloads_text CHECK (((kind = 'body'::text) OR (convert_from(body, 'UTF8'::name) IS NOT NULL)))
)
PARTITION BY LIST (day);
ALTER TABLE ONLY celerytrail.payloads ALTER COLUMN salt SET STATISTICS 0;
ALTER TABLE ONLY celerytrail.payloads ALTER COLUMN body SET STATISTICS 0;

ALTER TABLE celerytrail.payloads OWNER TO celerytrail_owner;

-- Name: TABLE payloads; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.payloads IS 'User data, apart from the ledger: a span carries salted commitments to these rows, so erasing one leaves the chain valid.';

-- Name: payloads_after_all; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.payloads_after_all (
    event_time timestamp with time zone CONSTRAINT payloads_event_time_not_null NOT NULL,
    day date CONSTRAINT payloads_day_not_null NOT NULL,
    namespace text CONSTRAINT payloads_namespace_not_null NOT NULL,
    service text CONSTRAINT payloads_service_not_null NOT NULL,
    environment text CONSTRAINT payloads_environment_not_null NOT NULL,
    task_id text CONSTRAINT payloads_task_id_not_null NOT NULL,
    retries integer,
    stream_id uuid CONSTRAINT payloads_stream_id_not_null NOT NULL,
    seq bigint CONSTRAINT payloads_seq_not_null NOT NULL,
    kind text CONSTRAINT payloads_kind_not_null NOT NULL,
    commitment bytea CONSTRAINT payloads_commitment_not_null NOT NULL,
    salt bytea CONSTRAINT payloads_salt_not_null NOT NULL,
    truncated boolean CONSTRAINT payloads_truncated_not_null NOT NULL,
    body bytea CONSTRAINT payloads_body_not_null NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT payloads_received_at_not_null NOT NULL,
    principal_id bigint DEFAULT currval('celerytrail.principal_now'::regclass) CONSTRAINT payloads_principal_id_not_null NOT NULL,
    CONSTRAINT payloads_day CHECK (((day = ANY (ARRAY['-infinity'::date, 'infinity'::date])) OR (day = ((event_time AT TIME ZONE 'UTC'::text))::date))),
    CONSTRAINT payloads_text CHECK (((kind = 'body'::text) OR (convert_from(body, 'UTF8'::name) IS NOT NULL)))
);
ALTER TABLE ONLY celerytrail.payloads_after_all ALTER COLUMN salt SET STATISTICS 0;
ALTER TABLE ONLY celerytrail.payloads_after_all ALTER COLUMN body SET STATISTICS 0;

ALTER TABLE celerytrail.payloads_after_all OWNER TO celerytrail_owner;

-- Name: payloads_before_all; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.payloads_before_all (
    event_time timestamp with time zone CONSTRAINT payloads_event_time_not_null NOT NULL,
    day date CONSTRAINT payloads_day_not_null NOT NULL,
    namespace text CONSTRAINT payloads_namespace_not_null NOT NULL,
    service text CONSTRAINT payloads_service_not_null NOT NULL,
    environment text CONSTRAINT payloads_environment_not_null NOT NULL,
    task_id text CONSTRAINT payloads_task_id_not_null NOT NULL,
    retries integer,
    stream_id uuid CONSTRAINT payloads_stream_id_not_null NOT NULL,
    seq bigint CONSTRAINT payloads_seq_not_null NOT NULL,
    kind text CONSTRAINT payloads_kind_not_null NOT NULL,
    commitment bytea CONSTRAINT payloads_commitment_not_null NOT NULL,
    salt bytea CONSTRAINT payloads_salt_not_null NOT NULL,
    truncated boolean CONSTRAINT payloads_truncated_not_null NOT NULL,
    body bytea CONSTRAINT payloads_body_not_null NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT payloads_received_at_not_null NOT NULL,
    principal_id bigint DEFAULT currval('celerytrail.principal_now'::regclass) CONSTRAINT payloads_principal_id_not_null NOT NULL,
    CONSTRAINT payloads_day CHECK (((day = ANY (ARRAY['-infinity'::date, 'infinity'::date])) OR (day = ((event_time AT TIME ZONE 'UTC'::text))::date))),
    CONSTRAINT payloads_text CHECK (((kind = 'body'::text) OR (convert_from(body, 'UTF8'::name) IS NOT NULL)))
);
ALTER TABLE ONLY celerytrail.payloads_before_all ALTER COLUMN salt SET STATISTICS 0;
ALTER TABLE ONLY celerytrail.payloads_before_all ALTER COLUMN body SET STATISTICS 0;

ALTER TABLE celerytrail.payloads_before_all OWNER TO celerytrail_owner;

-- Name: principals; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.principals (
    principal_id bigint NOT NULL,
    name text NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    chain integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT principals_name_check CHECK ((name <> ''::text)),
    CONSTRAINT principals_service_check CHECK ((service <> ''::text))
);

ALTER TABLE celerytrail.principals OWNER TO celerytrail_owner;

-- Name: TABLE principals; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.principals IS 'Who may write: one principal belongs to one deployment, one deployment may have several.';

-- Name: principals_principal_id_seq; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE celerytrail.principals ALTER COLUMN principal_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME celerytrail.principals_principal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: quarantine; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.quarantine (
    quarantine_id bigint NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    principal_id bigint NOT NULL,
    reason text NOT NULL,
    size integer NOT NULL,
    item bytea NOT NULL
);
ALTER TABLE ONLY celerytrail.quarantine ALTER COLUMN reason SET STATISTICS 0;
ALTER TABLE ONLY celerytrail.quarantine ALTER COLUMN item SET STATISTICS 0;

ALTER TABLE celerytrail.quarantine OWNER TO celerytrail_owner;

-- Name: TABLE quarantine; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.quarantine IS 'What could be decoded but not stored, for people to look at: the newest 1,000 items of each principal, 64 KiB of each.';

-- Name: quarantine_quarantine_id_seq; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE celerytrail.quarantine ALTER COLUMN quarantine_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME celerytrail.quarantine_quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: read_model_checks; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.read_model_checks (
    check_id bigint NOT NULL,
    checked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sampled integer NOT NULL,
    different integer NOT NULL,
    incomparable integer NOT NULL,
    namespace text,
    service text,
    environment text,
    task_id text,
    column_name text,
    stored text,
    recomputed text,
    seconds double precision NOT NULL
);

ALTER TABLE celerytrail.read_model_checks OWNER TO celerytrail_owner;

-- Name: TABLE read_model_checks; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.read_model_checks IS 'What each look at a sample of tasks found, and the first difference. No user data: the read model has none.';

-- Name: read_model_checks_check_id_seq; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE celerytrail.read_model_checks ALTER COLUMN check_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME celerytrail.read_model_checks_check_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: rebuilds; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.rebuilds (
    rebuild_id bigint NOT NULL,
    ended_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    run_by text DEFAULT SESSION_USER NOT NULL,
    repaired boolean NOT NULL,
    spans bigint NOT NULL,
    actions bigint NOT NULL,
    different bigint NOT NULL,
    differing jsonb NOT NULL,
    seconds double precision NOT NULL
);

ALTER TABLE celerytrail.rebuilds OWNER TO celerytrail_owner;

-- Name: TABLE rebuilds; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.rebuilds IS 'Each rebuild of the read model that came to its end, or look at what one would change: how many rows were not as the ledger has them.';

-- Name: rebuilds_rebuild_id_seq; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE celerytrail.rebuilds ALTER COLUMN rebuild_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME celerytrail.rebuilds_rebuild_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: run_ends; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.run_ends (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    send_id bytea NOT NULL,
    task_id text NOT NULL,
    state text NOT NULL,
    inferred boolean NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    runtime_us bigint,
    exception_class text,
    state_day date NOT NULL,
    exception_commitment bytea,
    traceback_commitment bytea,
    result_commitment bytea,
    state_key bytea NOT NULL
);

ALTER TABLE celerytrail.run_ends OWNER TO celerytrail_owner;

-- Name: TABLE run_ends; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.run_ends IS 'Ends that name a send but no run: the worker''s main process reports a killed child so. They close the runs of that send that are open.';

-- Name: runs; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.runs (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    run_id bytea NOT NULL,
    task_id text NOT NULL,
    task_name text,
    send_id bytea,
    trace_id bytea,
    retries integer,
    queue text,
    worker text,
    host text,
    pid integer,
    state text NOT NULL,
    inferred boolean NOT NULL,
    finished_at timestamp with time zone,
    runtime_us bigint,
    exception_class text,
    state_day date NOT NULL,
    exception_commitment bytea,
    traceback_commitment bytea,
    result_commitment bytea,
    state_key bytea NOT NULL,
    started_at timestamp with time zone,
    queue_wait_us bigint,
    updated_at timestamp with time zone
)
WITH (fillfactor='80');

ALTER TABLE celerytrail.runs OWNER TO celerytrail_owner;

-- Name: TABLE runs; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.runs IS 'Each execution of each attempt. Derived from spans.';

-- Name: searchable; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.searchable (
    event_time timestamp with time zone NOT NULL,
    day date NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    kind text NOT NULL,
    commitment bytea NOT NULL,
    excerpt text NOT NULL,
    CONSTRAINT searchable_kind_check CHECK ((kind = ANY (ARRAY['args'::text, 'kwargs'::text, 'exception'::text])))
);
ALTER TABLE ONLY celerytrail.searchable ALTER COLUMN excerpt SET STATISTICS 0;

ALTER TABLE celerytrail.searchable OWNER TO celerytrail_owner;

-- Name: TABLE searchable; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.searchable IS 'The first 512 characters of shown arguments and exceptions, in lower case. User data: a row comes and goes with its payload.';

-- Name: shown_reasons; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.shown_reasons AS
 SELECT r.intent_id,
    r.body AS reason
   FROM ((celerytrail.action_reasons r
     JOIN celerytrail.actions a ON (((a.action_id = r.intent_id) AND (a.reason_commitment = r.commitment))))
     CROSS JOIN LATERAL ( SELECT convert_to(r.body, 'UTF8'::name) AS convert_to) b(bytes))
  WHERE (r.commitment = sha256((((((('\x63656c657279747261696c2f636f6d6d69742f7631'::bytea || '\x00'::bytea) || '\x06'::bytea) || '\x726561736f6e'::bytea) || int8send((octet_length(b.bytes))::bigint)) || r.salt) || b.bytes)));

ALTER VIEW celerytrail.shown_reasons OWNER TO celerytrail_owner;

-- Name: VIEW shown_reasons; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail.shown_reasons IS 'The reasons that are what their intent in the chain commits to. One that was put in the place of another is not shown.';

-- Name: spans_after_all; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.spans_after_all (
    event_id uuid CONSTRAINT spans_event_id_not_null NOT NULL,
    event_time timestamp with time zone CONSTRAINT spans_event_time_not_null NOT NULL,
    day date CONSTRAINT spans_day_not_null NOT NULL,
    namespace text CONSTRAINT spans_namespace_not_null NOT NULL,
    service text CONSTRAINT spans_service_not_null NOT NULL,
    environment text CONSTRAINT spans_environment_not_null NOT NULL,
    stream_id uuid CONSTRAINT spans_stream_id_not_null NOT NULL,
    seq bigint CONSTRAINT spans_seq_not_null NOT NULL,
    step text CONSTRAINT spans_step_not_null NOT NULL,
    inferred boolean CONSTRAINT spans_inferred_not_null NOT NULL,
    trace_id bytea CONSTRAINT spans_trace_id_not_null NOT NULL,
    span_id bytea CONSTRAINT spans_span_id_not_null NOT NULL,
    parent_span_id bytea,
    span_name text CONSTRAINT spans_span_name_not_null NOT NULL,
    span_kind smallint CONSTRAINT spans_span_kind_not_null NOT NULL,
    status_code smallint CONSTRAINT spans_status_code_not_null NOT NULL,
    start_unix_nano bigint CONSTRAINT spans_start_unix_nano_not_null NOT NULL,
    end_unix_nano bigint CONSTRAINT spans_end_unix_nano_not_null NOT NULL,
    process_kind text,
    worker text,
    host text,
    pid integer,
    task_id text,
    task_name text,
    retries integer,
    queue text,
    root_id text,
    parent_id text,
    group_id text,
    root_group_id text,
    chord_body_id text,
    send_id bytea,
    sent_unix_nano bigint,
    run_id bytea,
    eta timestamp with time zone,
    priority integer,
    queue_wait_us bigint,
    runtime_us bigint,
    exception_class text,
    about_stream_id uuid,
    commitments json,
    links json,
    marks text,
    attributes json CONSTRAINT spans_attributes_not_null NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT spans_received_at_not_null NOT NULL,
    principal_id bigint DEFAULT currval('celerytrail.principal_now'::regclass) CONSTRAINT spans_principal_id_not_null NOT NULL,
    batch_id bigint DEFAULT currval('celerytrail.batch_seq'::regclass) CONSTRAINT spans_batch_id_not_null NOT NULL,
    CONSTRAINT spans_day CHECK (((day = ANY (ARRAY['-infinity'::date, 'infinity'::date])) OR (day = ((event_time AT TIME ZONE 'UTC'::text))::date))),
    CONSTRAINT spans_seq CHECK ((seq >= 1))
);

ALTER TABLE celerytrail.spans_after_all OWNER TO celerytrail_owner;

-- Name: spans_before_all; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.spans_before_all (
    event_id uuid CONSTRAINT spans_event_id_not_null NOT NULL,
    event_time timestamp with time zone CONSTRAINT spans_event_time_not_null NOT NULL,
    day date CONSTRAINT spans_day_not_null NOT NULL,
    namespace text CONSTRAINT spans_namespace_not_null NOT NULL,
    service text CONSTRAINT spans_service_not_null NOT NULL,
    environment text CONSTRAINT spans_environment_not_null NOT NULL,
    stream_id uuid CONSTRAINT spans_stream_id_not_null NOT NULL,
    seq bigint CONSTRAINT spans_seq_not_null NOT NULL,
    step text CONSTRAINT spans_step_not_null NOT NULL,
    inferred boolean CONSTRAINT spans_inferred_not_null NOT NULL,
    trace_id bytea CONSTRAINT spans_trace_id_not_null NOT NULL,
    span_id bytea CONSTRAINT spans_span_id_not_null NOT NULL,
    parent_span_id bytea,
    span_name text CONSTRAINT spans_span_name_not_null NOT NULL,
    span_kind smallint CONSTRAINT spans_span_kind_not_null NOT NULL,
    status_code smallint CONSTRAINT spans_status_code_not_null NOT NULL,
    start_unix_nano bigint CONSTRAINT spans_start_unix_nano_not_null NOT NULL,
    end_unix_nano bigint CONSTRAINT spans_end_unix_nano_not_null NOT NULL,
    process_kind text,
    worker text,
    host text,
    pid integer,
    task_id text,
    task_name text,
    retries integer,
    queue text,
    root_id text,
    parent_id text,
    group_id text,
    root_group_id text,
    chord_body_id text,
    send_id bytea,
    sent_unix_nano bigint,
    run_id bytea,
    eta timestamp with time zone,
    priority integer,
    queue_wait_us bigint,
    runtime_us bigint,
    exception_class text,
    about_stream_id uuid,
    commitments json,
    links json,
    marks text,
    attributes json CONSTRAINT spans_attributes_not_null NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT spans_received_at_not_null NOT NULL,
    principal_id bigint DEFAULT currval('celerytrail.principal_now'::regclass) CONSTRAINT spans_principal_id_not_null NOT NULL,
    batch_id bigint DEFAULT currval('celerytrail.batch_seq'::regclass) CONSTRAINT spans_batch_id_not_null NOT NULL,
    CONSTRAINT spans_day CHECK (((day = ANY (ARRAY['-infinity'::date, 'infinity'::date])) OR (day = ((event_time AT TIME ZONE 'UTC'::text))::date))),
    CONSTRAINT spans_seq CHECK ((seq >= 1))
);

ALTER TABLE celerytrail.spans_before_all OWNER TO celerytrail_owner;

-- Name: steps; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.steps (
    step text NOT NULL,
    code integer NOT NULL,
    subject text NOT NULL,
    rank smallint NOT NULL,
    state text,
    ends boolean NOT NULL,
    event text NOT NULL
);

ALTER TABLE celerytrail.steps OWNER TO celerytrail_owner;

-- Name: TABLE steps; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.steps IS 'The tables STEPS and ACTION_STEPS of exporter/attributes.py; a test compares them.';

-- Name: stored_leaves; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.stored_leaves WITH (security_invoker='true') AS
 SELECT (1)::smallint AS kind,
    r.batch_id,
    r.day,
    r.event_id AS row_id,
    sha256(('\x00'::bytea || record_send(ROW(r.event_id, r.event_time, r.day, r.namespace, r.service, r.environment, r.stream_id, r.seq, r.step, r.inferred, r.trace_id, r.span_id, r.parent_span_id, r.span_name, r.span_kind, r.status_code, r.start_unix_nano, r.end_unix_nano, r.process_kind, r.worker, r.host, r.pid, r.task_id, r.task_name, r.retries, r.queue, r.root_id, r.parent_id, r.group_id, r.root_group_id, r.chord_body_id, r.send_id, r.sent_unix_nano, r.run_id, r.eta, r.priority, r.queue_wait_us, r.runtime_us, r.exception_class, r.about_stream_id, r.commitments, r.links, r.marks, r.attributes, r.received_at, r.principal_id, r.batch_id)))) AS leaf
   FROM celerytrail.spans r
UNION ALL
 SELECT (2)::smallint AS kind,
    r.batch_id,
    ((r.action_time AT TIME ZONE 'UTC'::text))::date AS day,
    r.action_id AS row_id,
    sha256(('\x00'::bytea || record_send(ROW(r.action_id, r.intent_id, r.action_time, r.phase, r.verb, r.actor, r.actor_kind, r.role, r.namespace, r.service, r.environment, r.request_id, r.target, r.detail, r.reason_commitment, r.recorded_by, r.batch_id)))) AS leaf
   FROM celerytrail.actions r;

ALTER VIEW celerytrail.stored_leaves OWNER TO celerytrail_owner;

-- Name: VIEW stored_leaves; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail.stored_leaves IS 'The leaf of each stored row, computed from the row as it is now. Reading the leaf reads the row.';

-- Name: streams; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.streams (
    stream_id uuid NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    process_kind text,
    worker text,
    host text,
    pid integer,
    seqs int8multirange DEFAULT '{}'::int8multirange NOT NULL,
    refused int8multirange DEFAULT '{}'::int8multirange NOT NULL,
    last_seq bigint DEFAULT 0 NOT NULL,
    lost bigint DEFAULT 0 NOT NULL,
    opened_at timestamp with time zone,
    closed_at timestamp with time zone,
    abandoned_at timestamp with time zone,
    first_seen_at timestamp with time zone,
    updated_at timestamp with time zone,
    heartbeat_at timestamp with time zone,
    version text,
    spool_bytes bigint,
    spool_segments bigint,
    spool_lag_ms bigint,
    rejected bigint,
    delivery_error text,
    heartbeat_key bytea
)
WITH (fillfactor='50');

ALTER TABLE celerytrail.streams OWNER TO celerytrail_owner;

-- Name: TABLE streams; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.streams IS 'One row for each process that captures: seqs are the numbers that are rows of the ledger, refused those turned away on purpose.';

-- Name: tokens; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.tokens (
    token_hash bytea NOT NULL,
    principal_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text DEFAULT SESSION_USER NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT tokens_token_hash_check CHECK ((octet_length(token_hash) = 32))
);

ALTER TABLE celerytrail.tokens OWNER TO celerytrail_owner;

-- Name: TABLE tokens; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.tokens IS 'SHA-256 of each token. The token itself is shown once, when it is made.';

-- Name: verifications; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.verifications (
    verification_id bigint NOT NULL,
    verified_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    mode text NOT NULL,
    chain integer NOT NULL,
    from_n bigint NOT NULL,
    to_n bigint NOT NULL,
    head_hash bytea NOT NULL,
    status text NOT NULL,
    first_bad json,
    rows bigint NOT NULL,
    seconds double precision NOT NULL,
    fingerprint_ok boolean NOT NULL,
    verified_by text DEFAULT SESSION_USER NOT NULL,
    compared_with text,
    anchor_n bigint,
    anchor_time timestamp with time zone,
    trouble text,
    CONSTRAINT verifications_anchor_n_check CHECK ((anchor_n >= 0)),
    CONSTRAINT verifications_compared_with_check CHECK ((compared_with = ANY (ARRAY['checkpoint'::text, 'heads'::text]))),
    CONSTRAINT verifications_from_n_check CHECK ((from_n >= 0)),
    CONSTRAINT verifications_head_hash_check CHECK ((octet_length(head_hash) = 32)),
    CONSTRAINT verifications_mode_check CHECK ((mode = ANY (ARRAY['full'::text, 'incremental'::text]))),
    CONSTRAINT verifications_rows_check CHECK ((rows >= 0)),
    CONSTRAINT verifications_seconds_check CHECK ((seconds >= (0)::double precision)),
    CONSTRAINT verifications_status_check CHECK ((status = ANY (ARRAY['ok'::text, 'internal'::text, 'broken'::text]))),
    CONSTRAINT verifications_to_n_check CHECK ((to_n >= 0)),
    CONSTRAINT verifications_trouble_check CHECK ((octet_length(trouble) <= 8192))
);

ALTER TABLE celerytrail.verifications OWNER TO celerytrail_owner;

-- Name: TABLE verifications; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.verifications IS 'What each run of `celerytrail verify --every` said of each chain. ok: against a head kept outside; internal: consistent in itself only. For dashboards, not for auditors.';

-- Name: COLUMN verifications.rows; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail.verifications.rows IS 'Rows of this chain that were read after from_n.';

-- Name: COLUMN verifications.seconds; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail.verifications.seconds IS 'How long the whole run took, by both ways: chains are read together.';

-- Name: COLUMN verifications.compared_with; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail.verifications.compared_with IS 'What the run was told to compare with: signed checkpoints, a file of heads, or NULL for nothing.';

-- Name: COLUMN verifications.anchor_n; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail.verifications.anchor_n IS 'The newest block of this chain that was kept outside and compared with.';

-- Name: COLUMN verifications.anchor_time; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail.verifications.anchor_time IS 'When that block was signed or kept.';

-- Name: COLUMN verifications.trouble; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail.verifications.trouble IS 'Why the checkpoints could not be compared with, which then says no more than internal.';

-- Name: verifications_verification_id_seq; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE celerytrail.verifications ALTER COLUMN verification_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME celerytrail.verifications_verification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: workers; Type: TABLE; Schema: celerytrail; Owner: celerytrail_owner

CREATE TABLE celerytrail.workers (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    worker text NOT NULL,
    state text NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    host text,
    pid integer,
    state_key bytea NOT NULL,
    concurrency bigint,
    pool text,
    queues text,
    celery_version text,
    ready_at timestamp with time zone,
    ready_key bytea
)
WITH (fillfactor='50');

ALTER TABLE celerytrail.workers OWNER TO celerytrail_owner;

-- Name: TABLE workers; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.workers IS 'What each worker node last said of itself. Derived from spans.';

-- Name: workflow_groups; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.workflow_groups AS
 SELECT root_group_id AS workflow_id,
    namespace,
    service,
    environment,
    group_id,
    COALESCE(kind, 'group'::text) AS kind,
    chord_body_id,
    span_id,
    parent_span_id,
    first_sent_at,
    updated_at,
    COALESCE(encode(span_id, 'hex'::text), "left"(encode(sha256(convert_to(('celerytrail/bar/v1 '::text || group_id), 'UTF8'::name)), 'hex'::text), 16)) AS bar_id
   FROM celerytrail.groups g
  WHERE (root_group_id IS NOT NULL);

ALTER VIEW celerytrail.workflow_groups OWNER TO celerytrail_owner;

-- Name: workflow_inner_groups; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.workflow_inner_groups AS
 SELECT workflow_id,
    namespace,
    service,
    environment,
    group_id,
    kind,
    chord_body_id,
    span_id,
    parent_span_id,
    first_sent_at,
    updated_at,
    bar_id,
    siblings
   FROM ( SELECT i.workflow_id,
            i.namespace,
            i.service,
            i.environment,
            i.group_id,
            i.kind,
            i.chord_body_id,
            i.span_id,
            i.parent_span_id,
            i.first_sent_at,
            i.updated_at,
            i.bar_id,
            count(*) OVER (PARTITION BY i.workflow_id, i.namespace, i.service, i.environment) AS siblings
           FROM celerytrail.workflow_groups i
          WHERE (i.group_id <> i.workflow_id)) g
  WHERE ((siblings <= 30) AND (( SELECT count(*) AS count
           FROM celerytrail.tasks t
          WHERE ((COALESCE(t.root_group_id, t.root_id, t.task_id) = g.workflow_id) AND ((t.namespace = g.namespace) AND (t.service = g.service) AND (t.environment = g.environment)))) <= 60));

ALTER VIEW celerytrail.workflow_inner_groups OWNER TO celerytrail_owner;

-- Name: workflow_places; Type: VIEW; Schema: celerytrail; Owner: celerytrail_owner

CREATE VIEW celerytrail.workflow_places AS
 SELECT workflow_id,
    namespace,
    service,
    environment,
    task_id,
    task_name,
    state,
    queue,
    worker,
    retries,
    attempts,
    root_id,
    parent_id,
    group_id,
    root_group_id,
    message_day,
    send_id,
    first_sent_at,
    started_at,
    finished_at,
    updated_at,
    queue_wait_us,
    runtime_us,
    exception_class,
    trace_id,
    outcome,
    first_day,
    last_day,
    body_of,
    is_retried,
    is_acknowledged,
    members,
    name_place,
    name,
        CASE
            WHEN (members <= 60) THEN task_id
            ELSE (((('tasks:'::text || name) || ':'::text) || outcome) ||
            CASE
                WHEN (body_of IS NULL) THEN ''::text
                ELSE ':body'::text
            END)
        END AS node
   FROM ( SELECT n.workflow_id,
            n.namespace,
            n.service,
            n.environment,
            n.task_id,
            n.task_name,
            n.state,
            n.queue,
            n.worker,
            n.retries,
            n.attempts,
            n.root_id,
            n.parent_id,
            n.group_id,
            n.root_group_id,
            n.message_day,
            n.send_id,
            n.first_sent_at,
            n.started_at,
            n.finished_at,
            n.updated_at,
            n.queue_wait_us,
            n.runtime_us,
            n.exception_class,
            n.trace_id,
            n.outcome,
            n.first_day,
            n.last_day,
            n.body_of,
            n.is_retried,
            n.is_acknowledged,
            n.members,
            n.name_place,
                CASE
                    WHEN (n.name_place <= 20) THEN COALESCE(n.task_name, '?'::text)
                    ELSE 'other tasks'::text
                END AS name
           FROM ( SELECT t.workflow_id,
                    t.namespace,
                    t.service,
                    t.environment,
                    t.task_id,
                    t.task_name,
                    t.state,
                    t.queue,
                    t.worker,
                    t.retries,
                    t.attempts,
                    t.root_id,
                    t.parent_id,
                    t.group_id,
                    t.root_group_id,
                    t.message_day,
                    t.send_id,
                    t.first_sent_at,
                    t.started_at,
                    t.finished_at,
                    t.updated_at,
                    t.queue_wait_us,
                    t.runtime_us,
                    t.exception_class,
                    t.trace_id,
                    t.outcome,
                    t.first_day,
                    t.last_day,
                    t.body_of,
                    t.is_retried,
                    t.is_acknowledged,
                    count(*) OVER same_workflow AS members,
                    dense_rank() OVER (PARTITION BY t.workflow_id, t.namespace, t.service, t.environment ORDER BY t.task_name) AS name_place
                   FROM celerytrail.workflow_tasks t
                  WINDOW same_workflow AS (PARTITION BY t.workflow_id, t.namespace, t.service, t.environment)) n) m;

ALTER VIEW celerytrail.workflow_places OWNER TO celerytrail_owner;

-- Name: role_logins; Type: TABLE; Schema: celerytrail_admin; Owner: postgres

CREATE TABLE celerytrail_admin.role_logins (
    role_name name NOT NULL,
    verifier text NOT NULL,
    set_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    set_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT role_logins_role_name_check CHECK ((role_name ~~ 'celerytrail\_%'::text)),
    CONSTRAINT role_logins_verifier_check CHECK ((verifier ~~ 'SCRAM-SHA-256$%'::text))
);

ALTER TABLE celerytrail_admin.role_logins OWNER TO postgres;

-- Name: TABLE role_logins; Type: COMMENT; Schema: celerytrail_admin; Owner: postgres

COMMENT ON TABLE celerytrail_admin.role_logins IS 'The SCRAM verifier of each role whose password was set by `celerytrail maintain --set-passwords`, and of Grafana''s as first seen. Never a password.';

-- Name: role_settings; Type: TABLE; Schema: celerytrail_admin; Owner: postgres

CREATE TABLE celerytrail_admin.role_settings (
    role_name name NOT NULL,
    setting text NOT NULL,
    value text NOT NULL,
    CONSTRAINT role_settings_role_name_check CHECK ((role_name ~~ 'celerytrail\_%'::text)),
    CONSTRAINT role_settings_setting_check CHECK ((setting ~ '^[a-z_]+$'::text))
);

ALTER TABLE celerytrail_admin.role_settings OWNER TO postgres;

-- Name: TABLE role_settings; Type: COMMENT; Schema: celerytrail_admin; Owner: postgres

COMMENT ON TABLE celerytrail_admin.role_settings IS 'The settings that each role starts its sessions with. A role can change its own; `celerytrail maintain` changes them back. Edit this table to change them for good.';

-- Name: actions; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.actions WITH (security_barrier='false') AS
 SELECT action_time,
    action_id,
    intent_id,
    phase,
    verb,
    actor,
    actor_kind,
    role,
    namespace,
    service,
    environment,
    request_id,
    target,
    detail,
    recorded_by,
    batch_id,
    ( SELECT r.reason
           FROM celerytrail.shown_reasons r
          WHERE (r.intent_id = a.intent_id)) AS reason
   FROM celerytrail.actions a;

ALTER VIEW celerytrail_views.actions OWNER TO celerytrail_owner;

-- Name: chain_state; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.chain_state WITH (security_barrier='true') AS
 SELECT h.chain,
    h.n,
    encode(h.hash, 'hex'::text) AS hash,
    h.linked_at,
    l.ledger_id,
    l.format_version
   FROM (celerytrail.chain_head h
     CROSS JOIN celerytrail.ledger l);

ALTER VIEW celerytrail_views.chain_state OWNER TO celerytrail_owner;

-- Name: chains; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.chains WITH (security_barrier='true') AS
 SELECT namespace,
    service,
    environment,
    task_id,
    chain_length
   FROM celerytrail.tasks t
  WHERE (chain_length > 1);

ALTER VIEW celerytrail_views.chains OWNER TO celerytrail_owner;

-- Name: VIEW chains; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.chains IS 'The first link of each chain, and how many links that has.';

-- Name: checkpoint_silence; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.checkpoint_silence WITH (security_barrier='true') AS
 SELECT signed.recorded_at AS signed_at,
    (EXTRACT(epoch FROM (clock_timestamp() - signed.recorded_at)))::double precision AS seconds_silent,
    signed.epoch,
    signed.key_id,
    latest.recorded_at AS told_at,
    latest.trouble
   FROM ((( SELECT) one
     LEFT JOIN LATERAL ( SELECT c.recorded_at,
            c.epoch,
            c.key_id
           FROM celerytrail.checkpoints c
          WHERE (c.note IS NOT NULL)
          ORDER BY c.checkpoint_id DESC
         LIMIT 1) signed ON (true))
     LEFT JOIN LATERAL ( SELECT c.recorded_at,
            c.trouble
           FROM celerytrail.checkpoints c
          ORDER BY c.checkpoint_id DESC
         LIMIT 1) latest ON (true));

ALTER VIEW celerytrail_views.checkpoint_silence OWNER TO celerytrail_owner;

-- Name: checkpoints; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.checkpoints WITH (security_barrier='true') AS
 SELECT checkpoint_id,
    recorded_at,
    issued_at,
    epoch,
    key_id,
    chains,
    note,
    published,
    trouble,
    recorded_by
   FROM celerytrail.checkpoints c;

ALTER VIEW celerytrail_views.checkpoints OWNER TO celerytrail_owner;

-- Name: chords; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.chords WITH (security_barrier='true') AS
 SELECT namespace,
    service,
    environment,
    COALESCE(root_group_id, group_id) AS workflow_id,
    group_id,
    chord_body_id,
    size,
    first_sent_at,
    updated_at,
    (EXISTS ( SELECT
           FROM celerytrail.tasks t
          WHERE (t.task_id = g.chord_body_id))) AS body_seen
   FROM celerytrail.groups g
  WHERE ((kind = 'chord'::text) OR (chord_body_id IS NOT NULL));

ALTER VIEW celerytrail_views.chords OWNER TO celerytrail_owner;

-- Name: VIEW chords; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.chords IS 'One row a chord: its body, and whether anybody ever sent it.';

-- Name: runs; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.runs WITH (security_barrier='true') AS
 SELECT r.namespace,
    r.service,
    r.environment,
    encode(r.run_id, 'hex'::text) AS run_id,
    r.task_id,
    r.task_name,
    encode(r.send_id, 'hex'::text) AS send_id,
    encode(r.trace_id, 'hex'::text) AS trace_id,
    r.retries,
    r.queue,
    r.worker,
    r.host,
    r.pid,
    r.started_at,
    r.queue_wait_us,
    r.updated_at,
    COALESCE(e.state, r.state) AS state,
    COALESCE(e.inferred, r.inferred) AS inferred,
    COALESCE(e.finished_at, r.finished_at) AS finished_at,
        CASE
            WHEN (e.state IS NULL) THEN r.runtime_us
            ELSE e.runtime_us
        END AS runtime_us,
        CASE
            WHEN (e.state IS NULL) THEN r.exception_class
            ELSE e.exception_class
        END AS exception_class,
    (e.state IS NOT NULL) AS ended_from_outside
   FROM (celerytrail.runs r
     LEFT JOIN celerytrail.run_ends e ON (((e.send_id = r.send_id) AND ((e.namespace = r.namespace) AND (e.service = r.service) AND (e.environment = r.environment)) AND ((r.finished_at IS NULL) OR r.inferred OR (r.state = 'aborted'::text)) AND ((r.started_at IS NULL) OR (r.started_at <= e.finished_at)) AND (NOT (EXISTS ( SELECT
           FROM celerytrail.runs n
          WHERE ((n.task_id = r.task_id) AND ((n.namespace = r.namespace) AND (n.service = r.service) AND (n.environment = r.environment)) AND (n.send_id = r.send_id) AND (n.started_at > r.started_at) AND (n.started_at <= e.finished_at))))))));

ALTER VIEW celerytrail_views.runs OWNER TO celerytrail_owner;

-- Name: critical_path; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.critical_path WITH (security_barrier='true') AS
 SELECT w.namespace,
    w.service,
    w.environment,
    w.workflow_id,
    s.place,
    s.task_id,
    s.task_name,
    s.state,
    s.reason,
    s.entered_at,
    s.left_at,
    (s.took_us - r.run_us) AS wait_us,
    r.run_us,
    ((s.took_us)::double precision / (GREATEST((EXTRACT(epoch FROM (w.ended_at - w.began_at)) * (1000000)::numeric), (1)::numeric))::double precision) AS share,
    s.queue,
    s.worker,
    s.attempts
   FROM ((( SELECT COALESCE(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
            t.namespace,
            t.service,
            t.environment,
            min(LEAST(t.first_sent_at, t.received_at, t.started_at, t.finished_at)) AS began_at,
                CASE
                    WHEN bool_or(((t.finished_at IS NULL) OR (t.state = 'retried'::text))) THEN now()
                    ELSE max(t.finished_at)
                END AS ended_at,
            (array_agg(t.task_id ORDER BY ((t.finished_at IS NULL) OR (t.state = 'retried'::text)) DESC,
                CASE
                    WHEN (t.state <> 'retried'::text) THEN t.finished_at
                    ELSE NULL::timestamp with time zone
                END DESC, t.first_sent_at, t.task_id))[1] AS last_id
           FROM celerytrail.tasks t
          WHERE (t.task_name IS DISTINCT FROM 'celery.chord_unlock'::text)
          GROUP BY COALESCE(t.root_group_id, t.root_id, t.task_id), t.namespace, t.service, t.environment) w
     CROSS JOIN LATERAL ( WITH RECURSIVE back(steps_after, task_id, left_at, reason_of_next, seen) AS (
                 SELECT 0 AS "?column?",
                    w.last_id,
                    w.ended_at,
                    NULL::text AS text,
                    ARRAY[w.last_id] AS "array"
                UNION ALL
                 SELECT (b_1.steps_after + 1),
                    p.task_id,
                    LEAST(
                        CASE
                            WHEN (c.first_sent_at >= p.first_sent_at) THEN c.first_sent_at
                            ELSE c.sent_at
                        END, p.finished_at, b_1.left_at) AS "least",
                    p.reason,
                    (b_1.seen || p.task_id)
                   FROM ((back b_1
                     JOIN celerytrail.tasks c ON (((c.task_id = b_1.task_id) AND ((c.namespace = w.namespace) AND (c.service = w.service) AND (c.environment = w.environment)))))
                     CROSS JOIN LATERAL (( SELECT h.task_id,
                            h.first_sent_at,
                            h.finished_at,
                            'all headers ended'::text AS reason
                           FROM (celerytrail.groups g
                             JOIN celerytrail.tasks h ON (((h.group_id = g.group_id) AND ((h.namespace = g.namespace) AND (h.service = g.service) AND (h.environment = g.environment)))))
                          WHERE ((g.chord_body_id = c.task_id) AND ((g.namespace = c.namespace) AND (g.service = c.service) AND (g.environment = c.environment)) AND (h.task_id <> c.task_id) AND (h.finished_at <= COALESCE(c.finished_at, 'infinity'::timestamp with time zone)))
                          ORDER BY h.finished_at DESC, h.task_id
                         LIMIT 1)
                        UNION ALL
                         SELECT sender.task_id,
                            sender.first_sent_at,
                            sender.finished_at,
                            'sent by the one before'::text AS reason
                           FROM celerytrail.tasks sender
                          WHERE ((sender.task_id = c.parent_id) AND ((sender.namespace = c.namespace) AND (sender.service = c.service) AND (sender.environment = c.environment)) AND (COALESCE(sender.root_group_id, sender.root_id, sender.task_id) = w.workflow_id) AND (sender.task_name IS DISTINCT FROM 'celery.chord_unlock'::text))
                 LIMIT 1) p)
                  WHERE ((p.task_id <> ALL (b_1.seen)) AND (b_1.steps_after < 999))
                )
         SELECT row_number() OVER path AS place,
            b.task_id,
            t.task_name,
            t.state,
            t.queue,
            t.worker,
            t.attempts,
            COALESCE(lag(b.reason_of_next) OVER path, 'first'::text) AS reason,
            COALESCE(lag(b.left_at) OVER path, w.began_at) AS entered_at,
            b.left_at,
            GREATEST(((EXTRACT(epoch FROM (b.left_at - COALESCE(lag(b.left_at) OVER path, w.began_at))) * (1000000)::numeric))::bigint, (0)::bigint) AS took_us
           FROM (back b
             JOIN celerytrail.tasks t ON (((t.task_id = b.task_id) AND ((t.namespace = w.namespace) AND (t.service = w.service) AND (t.environment = w.environment)))))
          WINDOW path AS (ORDER BY b.steps_after DESC)) s)
     CROSS JOIN LATERAL ( SELECT LEAST(COALESCE((sum((EXTRACT(epoch FROM (upper(part.part) - lower(part.part))) * (1000000)::numeric)))::bigint, (0)::bigint), s.took_us) AS run_us
           FROM (( SELECT range_agg(tstzrange(u.started_at, GREATEST(u.started_at, COALESCE(u.finished_at, 'infinity'::timestamp with time zone)))) AS parts
                   FROM celerytrail_views.runs u
                  WHERE ((u.task_id = s.task_id) AND ((u.namespace = w.namespace) AND (u.service = w.service) AND (u.environment = w.environment)) AND (u.started_at IS NOT NULL))) all_runs
             CROSS JOIN LATERAL unnest((all_runs.parts * tstzmultirange(tstzrange(s.entered_at, GREATEST(s.entered_at, s.left_at))))) part(part))) r);

ALTER VIEW celerytrail_views.critical_path OWNER TO celerytrail_owner;

-- Name: VIEW critical_path; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.critical_path IS 'The tasks that made up the duration of a workflow, one row a step. Ask for one workflow by its id: that reaches the index.';

-- Name: day_drops; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.day_drops WITH (security_barrier='true') AS
 SELECT d.day,
    d.actor,
    d.actor_kind,
    d.announced_at,
    d.groups,
    d.rows,
    d.dropped_at,
    d.forgotten_at,
    d.forgotten,
    h.retained_from
   FROM (celerytrail.day_drops d
     CROSS JOIN celerytrail.horizon h);

ALTER VIEW celerytrail_views.day_drops OWNER TO celerytrail_owner;

-- Name: deployments; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.deployments WITH (security_barrier='true') AS
 SELECT DISTINCT namespace,
    service,
    environment
   FROM celerytrail.principals p;

ALTER VIEW celerytrail_views.deployments OWNER TO celerytrail_owner;

-- Name: erased_tasks; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.erased_tasks WITH (security_barrier='true') AS
 SELECT e.namespace,
    e.service,
    e.environment,
    e.task_id,
    e.kinds,
    e.erased_at,
    r.actor,
    e.erasure_id
   FROM (celerytrail.erased_tasks e
     JOIN celerytrail.erasures r ON ((r.erasure_id = e.erasure_id)));

ALTER VIEW celerytrail_views.erased_tasks OWNER TO celerytrail_owner;

-- Name: erasure_state; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.erasure_state WITH (security_barrier='true') AS
 SELECT ( SELECT count(*) AS count
           FROM celerytrail.erased_tasks) AS marks,
    ( SELECT count(*) AS count
           FROM celerytrail.erasures e
          WHERE (e.finished_at IS NULL)) AS open,
    ( SELECT count(*) AS count
           FROM celerytrail.erasure_targets) AS remaining,
    ( SELECT min(e.begun_at) AS min
           FROM celerytrail.erasures e
          WHERE (e.finished_at IS NULL)) AS oldest_open;

ALTER VIEW celerytrail_views.erasure_state OWNER TO celerytrail_owner;

-- Name: VIEW erasure_state; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.erasure_state IS 'Tasks whose late payloads are refused, erasures that are not finished, and how many tasks these have still to do.';

-- Name: erasures; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.erasures WITH (security_barrier='true') AS
 SELECT erasure_id,
    actor,
    actor_kind,
    kinds,
    selection,
    tasks,
    begun_at,
    continued_by,
    counts,
    finished_at,
    ( SELECT count(*) AS count
           FROM celerytrail.erasure_targets t
          WHERE (t.erasure_id = e.erasure_id)) AS remaining
   FROM celerytrail.erasures e;

ALTER VIEW celerytrail_views.erasures OWNER TO celerytrail_owner;

-- Name: failed_workflows; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.failed_workflows WITH (security_barrier='true') AS
 SELECT w.namespace,
    w.service,
    w.environment,
    w.workflow_id,
        CASE
            WHEN w.is_group THEN
            CASE
                WHEN k.is_chord THEN 'chord'::text
                ELSE 'group'::text
            END
            WHEN k.is_chain THEN 'chain'::text
            ELSE 'task'::text
        END AS kind,
        CASE
            WHEN w.is_group THEN ((COALESCE(w.first_name, '?'::text) ||
            CASE
                WHEN (w.first_name <> w.last_name) THEN ', ...'::text
                ELSE ''::text
            END) || COALESCE((' -> '::text || body.task_name), ''::text))
            ELSE COALESCE(root.task_name, '?'::text)
        END AS name,
    w.root_id,
    o.group_id,
        CASE
            WHEN (w.is_group AND k.is_chord AND (body.state = 'succeeded'::text)) THEN 'partially failed'::text
            WHEN (w.is_group AND (NOT k.is_chord) AND (w.failed < w.members)) THEN 'partially failed'::text
            WHEN ((NOT w.is_group) AND (root.state = 'succeeded'::text) AND (NOT k.is_chain)) THEN 'partially failed'::text
            ELSE 'failed'::text
        END AS state,
    w.started_at,
    w.finished_at,
    w.updated_at,
    w.members,
    w.succeeded,
    w.failed,
    w.unfinished,
    w.culprit[1][1] AS culprit_task_id,
    w.culprit[1][2] AS culprit_task_name,
    w.culprit[1][3] AS culprit_exception_class,
    ((w.open_failures = 0) AND (w.acknowledged > 0)) AS acknowledged,
    ((w.open_failures = 0) AND (w.retried > 0)) AS retried,
    (w.open_failures > 0) AS needs_attention,
    w.headers,
    o.chord_body_id,
    encode(o.trace_id, 'hex'::text) AS trace_id
   FROM ((((( SELECT m.workflow_id,
            m.namespace,
            m.service,
            m.environment,
            COALESCE(min(m.root_id) FILTER (WHERE (m.root_group_id IS NULL)), min(m.root_id)) AS root_id,
            bool_or((m.root_group_id IS NOT NULL)) AS is_group,
            min(COALESCE(m.first_sent_at, m.started_at, m.finished_at)) AS started_at,
            max(m.finished_at) AS finished_at,
            max(m.updated_at) AS updated_at,
            count(*) AS members,
            count(*) FILTER (WHERE (m.outcome = 'succeeded'::text)) AS succeeded,
            count(*) FILTER (WHERE (m.outcome = 'failed'::text)) AS failed,
            count(*) FILTER (WHERE (m.outcome = 'unfinished'::text)) AS unfinished,
            count(*) FILTER (WHERE ((m.group_id = m.workflow_id) AND (m.body_of IS DISTINCT FROM m.workflow_id))) AS headers,
            count(*) FILTER (WHERE ((m.outcome = 'failed'::text) AND (NOT m.is_retried) AND (NOT m.is_acknowledged))) AS open_failures,
            count(*) FILTER (WHERE m.is_retried) AS retried,
            count(*) FILTER (WHERE m.is_acknowledged) AS acknowledged,
            min(m.task_name) FILTER (WHERE ((m.group_id IS NOT NULL) AND (m.body_of IS NULL))) AS first_name,
            max(m.task_name) FILTER (WHERE ((m.group_id IS NOT NULL) AND (m.body_of IS NULL))) AS last_name,
            (array_agg(ARRAY[m.task_id, m.task_name, m.exception_class] ORDER BY ((COALESCE(m.exception_class, ''::text) ~ '(^|\.)ChordError$'::text) OR (EXISTS ( SELECT
                   FROM celerytrail.tasks child
                  WHERE ((child.parent_id = m.task_id) AND ((child.namespace = m.namespace) AND (child.service = m.service) AND (child.environment = m.environment)) AND (child.state <> ALL (ARRAY['succeeded'::text, 'ignored'::text, 'retried'::text])) AND (child.finished_at <= m.finished_at)))) OR ((m.body_of IS NOT NULL) AND (EXISTS ( SELECT
                   FROM celerytrail.tasks header
                  WHERE ((header.group_id = m.body_of) AND (header.task_id <> m.task_id) AND ((header.namespace = m.namespace) AND (header.service = m.service) AND (header.environment = m.environment)) AND (header.state <> ALL (ARRAY['succeeded'::text, 'ignored'::text, 'retried'::text])) AND (header.finished_at <= m.finished_at)))))), m.is_acknowledged, m.finished_at, m.task_id) FILTER (WHERE (m.outcome = 'failed'::text)))[1:1] AS culprit
           FROM celerytrail.judged_tasks m
          GROUP BY m.workflow_id, m.namespace, m.service, m.environment) w
     LEFT JOIN celerytrail.groups o ON ((w.is_group AND (o.group_id = w.workflow_id) AND ((o.namespace = w.namespace) AND (o.service = w.service) AND (o.environment = w.environment)))))
     LEFT JOIN celerytrail.tasks body ON (((body.task_id = o.chord_body_id) AND ((body.namespace = w.namespace) AND (body.service = w.service) AND (body.environment = w.environment)))))
     LEFT JOIN celerytrail.tasks root ON (((NOT w.is_group) AND (root.task_id = w.workflow_id) AND ((root.namespace = w.namespace) AND (root.service = w.service) AND (root.environment = w.environment)))))
     CROSS JOIN LATERAL ( SELECT (COALESCE((o.kind = 'chord'::text), false) OR (o.chord_body_id IS NOT NULL)) AS "?column?",
                CASE
                    WHEN (root.chain_length > 1) THEN true
                    WHEN (w.members = 1) THEN false
                    ELSE ( SELECT (count(l.parent_id) = count(DISTINCT l.parent_id))
                       FROM celerytrail.tasks l
                      WHERE ((COALESCE(l.root_group_id, l.root_id, l.task_id) = w.workflow_id) AND ((l.namespace = w.namespace) AND (l.service = w.service) AND (l.environment = w.environment))))
                END AS "?column?") k(is_chord, is_chain))
  WHERE (w.failed > 0);

ALTER VIEW celerytrail_views.failed_workflows OWNER TO celerytrail_owner;

-- Name: VIEW failed_workflows; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.failed_workflows IS 'Those of celerytrail_views.workflows in which a task failed, with the same columns, worked out together: for lists of many. Ask by workflow_id = ANY (ARRAY(SELECT ...)); without it all tasks are read.';

-- Name: failures; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.failures WITH (security_barrier='false') AS
 SELECT namespace,
    service,
    environment,
    fingerprint,
    event_time,
    step,
    (step = 'retried'::text) AS is_retried,
    exception_class,
    task_id,
    task_name,
    queue,
    worker,
    retries,
    workflow_id
   FROM celerytrail.failures f;

ALTER VIEW celerytrail_views.failures OWNER TO celerytrail_owner;

-- Name: VIEW failures; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.failures IS 'Each event with an exception. is_retried: the task was to be tried again after it.';

-- Name: groups; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.groups WITH (security_barrier='true') AS
 SELECT g.namespace,
    g.service,
    g.environment,
    g.group_id,
    COALESCE(g.kind, 'group'::text) AS kind,
    g.size,
    g.root_id,
    g.parent_id,
    g.root_group_id,
    g.chord_body_id,
    encode(g.trace_id, 'hex'::text) AS trace_id,
    encode(g.span_id, 'hex'::text) AS span_id,
    g.first_sent_at,
    GREATEST(g.updated_at, m.updated_at) AS updated_at,
    m.members,
    m.succeeded,
    m.failed,
    m.unfinished,
    m.finished_at
   FROM (celerytrail.groups g
     CROSS JOIN LATERAL ( SELECT count(*) AS members,
            count(*) FILTER (WHERE (t.state = 'succeeded'::text)) AS succeeded,
            count(*) FILTER (WHERE ((t.finished_at IS NOT NULL) AND (t.state <> ALL (ARRAY['succeeded'::text, 'ignored'::text, 'retried'::text])))) AS failed,
            count(*) FILTER (WHERE ((t.finished_at IS NULL) OR (t.state = 'retried'::text))) AS unfinished,
            max(t.finished_at) AS finished_at,
            max(t.updated_at) AS updated_at
           FROM celerytrail.tasks t
          WHERE ((t.group_id = g.group_id) AND ((t.namespace = g.namespace) AND (t.service = g.service) AND (t.environment = g.environment)))) m);

ALTER VIEW celerytrail_views.groups OWNER TO celerytrail_owner;

-- Name: heartbeats; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.heartbeats WITH (security_barrier='true') AS
 SELECT stream_id,
    namespace,
    service,
    environment,
    process_kind,
    worker,
    host,
    pid,
        CASE
            WHEN (closed_at IS NOT NULL) THEN 'ended'::text
            WHEN (abandoned_at IS NOT NULL) THEN 'unterminated'::text
            ELSE 'live'::text
        END AS state,
    version,
    heartbeat_at,
    spool_bytes,
    spool_segments,
    spool_lag_ms,
    rejected,
    delivery_error,
    lost
   FROM celerytrail.streams s
  WHERE (heartbeat_at IS NOT NULL);

ALTER VIEW celerytrail_views.heartbeats OWNER TO celerytrail_owner;

-- Name: missing_events; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.missing_events WITH (security_barrier='true') AS
 SELECT s.stream_id,
    s.namespace,
    s.service,
    s.environment,
    s.process_kind,
    s.worker,
    s.host,
    s.pid,
    lower(gap.gap) AS from_seq,
    (upper(gap.gap) - 1) AS to_seq,
    (upper(gap.gap) - lower(gap.gap)) AS missing,
    s.updated_at
   FROM (celerytrail.streams s
     CROSS JOIN LATERAL unnest(((int8multirange(int8range((1)::bigint, (s.last_seq + 1))) - s.seqs) - s.refused)) gap(gap));

ALTER VIEW celerytrail_views.missing_events OWNER TO celerytrail_owner;

-- Name: payloads; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.payloads WITH (security_barrier='true') AS
 SELECT event_time,
    namespace,
    service,
    environment,
    task_id,
    retries,
    kind,
    truncated,
    convert_from(body, 'UTF8'::name) AS content,
    commitment,
    day
   FROM celerytrail.payloads p
  WHERE (kind <> 'body'::text);

ALTER VIEW celerytrail_views.payloads OWNER TO celerytrail_owner;

-- Name: queue_names; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.queue_names WITH (security_barrier='true') AS
 SELECT newest.queue
   FROM ( SELECT t.queue
           FROM celerytrail.tasks t
          ORDER BY t.updated_at DESC
         LIMIT 20000) newest
  WHERE (newest.queue IS NOT NULL)
UNION
 SELECT TRIM(BOTH FROM q.q) AS queue
   FROM (celerytrail.workers w
     CROSS JOIN LATERAL unnest(string_to_array(w.queues, ','::text)) q(q))
  WHERE (TRIM(BOTH FROM q.q) <> ''::text);

ALTER VIEW celerytrail_views.queue_names OWNER TO celerytrail_owner;

-- Name: read_model_checks; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.read_model_checks WITH (security_barrier='true') AS
 SELECT checked_at,
    sampled,
    different,
    incomparable,
    namespace,
    service,
    environment,
    task_id,
    column_name,
    stored,
    recomputed,
    seconds
   FROM celerytrail.read_model_checks c;

ALTER VIEW celerytrail_views.read_model_checks OWNER TO celerytrail_owner;

-- Name: rebuilds; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.rebuilds WITH (security_barrier='true') AS
 SELECT ended_at,
    run_by,
    repaired,
    spans,
    actions,
    different,
    differing,
    seconds
   FROM celerytrail.rebuilds r;

ALTER VIEW celerytrail_views.rebuilds OWNER TO celerytrail_owner;

-- Name: searchable; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.searchable WITH (security_barrier='false') AS
 SELECT event_time,
    namespace,
    service,
    environment,
    task_id,
    kind,
    excerpt
   FROM celerytrail.searchable s;

ALTER VIEW celerytrail_views.searchable OWNER TO celerytrail_owner;

-- Name: VIEW searchable; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.searchable IS 'What a text is looked for in. Ask with bounds of event_time: every excerpt between them may be read.';

-- Name: spans; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.spans WITH (security_barrier='true') AS
 SELECT event_time,
    event_id,
    namespace,
    service,
    environment,
    task_id,
    task_name,
    step,
    inferred,
    retries,
    queue,
    worker,
    host,
    pid,
    process_kind,
    encode(trace_id, 'hex'::text) AS trace_id,
    encode(span_id, 'hex'::text) AS span_id,
    encode(parent_span_id, 'hex'::text) AS parent_span_id,
    span_name,
    span_kind,
    status_code,
    start_unix_nano,
    end_unix_nano,
    root_id,
    parent_id,
    group_id,
    root_group_id,
    chord_body_id,
    encode(send_id, 'hex'::text) AS send_id,
    sent_unix_nano,
    encode(run_id, 'hex'::text) AS run_id,
    eta,
    priority,
    queue_wait_us,
    runtime_us,
    exception_class,
    stream_id,
    seq,
    about_stream_id,
    commitments,
    links,
    marks,
    attributes,
    received_at,
    principal_id,
    batch_id,
    day
   FROM celerytrail.spans s;

ALTER VIEW celerytrail_views.spans OWNER TO celerytrail_owner;

-- Name: streams; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.streams WITH (security_barrier='true') AS
 SELECT s.stream_id,
    s.namespace,
    s.service,
    s.environment,
    s.process_kind,
    s.worker,
    s.host,
    s.pid,
        CASE
            WHEN (s.closed_at IS NOT NULL) THEN 'ended'::text
            WHEN (s.abandoned_at IS NOT NULL) THEN 'unterminated'::text
            ELSE 'live'::text
        END AS state,
    s.last_seq,
    m.missing,
    s.lost,
    s.opened_at,
    s.closed_at,
    s.abandoned_at,
    s.first_seen_at,
    s.updated_at
   FROM (celerytrail.streams s
     CROSS JOIN LATERAL ( SELECT (COALESCE(sum((upper(gap.gap) - lower(gap.gap))), (0)::numeric))::bigint AS missing
           FROM unnest(((int8multirange(int8range((1)::bigint, (s.last_seq + 1))) - s.seqs) - s.refused)) gap(gap)) m);

ALTER VIEW celerytrail_views.streams OWNER TO celerytrail_owner;

-- Name: stuck_runs; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.stuck_runs WITH (security_barrier='true') AS
 WITH open_runs AS (
         SELECT r.namespace,
            r.service,
            r.environment,
            r.run_id,
            r.task_id,
            r.task_name,
            r.send_id,
            r.trace_id,
            r.retries,
            r.queue,
            r.worker,
            r.host,
            r.pid,
            r.state,
            r.inferred,
            r.finished_at,
            r.runtime_us,
            r.exception_class,
            r.state_day,
            r.exception_commitment,
            r.traceback_commitment,
            r.result_commitment,
            r.state_key,
            r.started_at,
            r.queue_wait_us,
            r.updated_at
           FROM celerytrail.runs r
          WHERE ((r.finished_at IS NULL) AND (r.started_at IS NOT NULL) AND (NOT (EXISTS ( SELECT
                   FROM celerytrail.run_ends e
                  WHERE ((e.send_id = r.send_id) AND (e.finished_at >= r.started_at) AND ((e.namespace = r.namespace) AND (e.service = r.service) AND (e.environment = r.environment)))))))
        ), usual AS (
         SELECT n.namespace,
            n.service,
            n.environment,
            n.task_name,
            h.usual_us
           FROM ((( SELECT DISTINCT o_1.namespace,
                    o_1.service,
                    o_1.environment,
                    o_1.task_name
                   FROM open_runs o_1) n
             CROSS JOIN celerytrail.conclusion c_1)
             CROSS JOIN LATERAL ( SELECT percentile_disc((0.99)::double precision) WITHIN GROUP (ORDER BY t.runtime_us) AS usual_us,
                    count(*) AS finished
                   FROM ( SELECT t_1.runtime_us
                           FROM celerytrail.tasks t_1
                          WHERE ((t_1.task_name = n.task_name) AND ((t_1.namespace = n.namespace) AND (t_1.service = n.service) AND (t_1.environment = n.environment)) AND (t_1.state = 'succeeded'::text) AND (t_1.runtime_us IS NOT NULL))
                          ORDER BY t_1.updated_at DESC
                         LIMIT 1000) t) h)
          WHERE (h.finished >= c_1.stuck_history)
        )
 SELECT o.namespace,
    o.service,
    o.environment,
    encode(o.run_id, 'hex'::text) AS run_id,
    o.task_id,
    o.task_name,
    o.retries,
    o.queue,
    o.worker,
    o.host,
    o.pid,
    o.started_at,
    u.usual_us,
    s.stuck_since,
    COALESCE((w.seen_at < (clock_timestamp() - c.silent_after)), false) AS worker_is_silent,
    w.seen_at AS worker_seen_at
   FROM ((((open_runs o
     JOIN usual u ON (((u.namespace = o.namespace) AND (u.service = o.service) AND (u.environment = o.environment) AND (u.task_name = o.task_name))))
     CROSS JOIN celerytrail.conclusion c)
     CROSS JOIN LATERAL ( SELECT (o.started_at + GREATEST(c.stuck_at_least, (((u.usual_us)::double precision * c.stuck_factor) * '00:00:00.000001'::interval))) AS "?column?") s(stuck_since))
     LEFT JOIN celerytrail.workers w ON (((w.worker = o.worker) AND ((w.namespace = o.namespace) AND (w.service = o.service) AND (w.environment = o.environment)))))
  WHERE (s.stuck_since <= clock_timestamp());

ALTER VIEW celerytrail_views.stuck_runs OWNER TO celerytrail_owner;

-- Name: VIEW stuck_runs; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.stuck_runs IS 'Runs that have begun and take far longer than 99 of 100 of the last thousand of that name did. Nothing is said of a task with too little history.';

-- Name: task_actions; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.task_actions WITH (security_barrier='false') AS
 SELECT namespace,
    service,
    environment,
    task_id,
    action_time,
    verb,
    phase,
    result,
    new_task_id,
    actor,
    intent_id,
    ( SELECT r.reason
           FROM celerytrail.shown_reasons r
          WHERE (r.intent_id = a.intent_id)) AS reason
   FROM celerytrail.task_actions a;

ALTER VIEW celerytrail_views.task_actions OWNER TO celerytrail_owner;

-- Name: task_names; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.task_names WITH (security_barrier='true') AS
 WITH RECURSIVE names(task_name) AS (
        ( SELECT t.task_name
           FROM celerytrail.tasks t
          WHERE (t.task_name IS NOT NULL)
          ORDER BY t.task_name
         LIMIT 1)
        UNION ALL
         SELECT ( SELECT t.task_name
                   FROM celerytrail.tasks t
                  WHERE (t.task_name > n_1.task_name)
                  ORDER BY t.task_name
                 LIMIT 1) AS task_name
           FROM names n_1
          WHERE (n_1.task_name IS NOT NULL)
        )
 SELECT task_name
   FROM names n
  WHERE (task_name IS NOT NULL);

ALTER VIEW celerytrail_views.task_names OWNER TO celerytrail_owner;

-- Name: task_spans; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.task_spans WITH (security_barrier='true') AS
 SELECT t.namespace,
    t.service,
    t.environment,
    t.workflow_id,
    t.task_id,
    t.workflow_id AS "traceID",
    b.bar_id AS "spanID",
    b.parent_bar_id AS "parentSpanID",
    b.name AS "operationName",
    b.place AS "serviceName",
    b.start_ms AS "startTime",
    b.duration_ms AS duration,
    b.kind,
    b.status_code AS "statusCode",
    b.status_message AS "statusMessage",
    b.tags,
    b.service_tags AS "serviceTags",
    b.points AS logs,
    b.follows AS "references"
   FROM (celerytrail.workflow_tasks t
     CROSS JOIN LATERAL celerytrail.workflow_bars(t.workflow_id, t.namespace, t.service, t.environment, t.task_id) b(task_id, bar_id, parent_bar_id, name, place, start_ms, duration_ms, kind, status_code, status_message, tags, service_tags, points, follows));

ALTER VIEW celerytrail_views.task_spans OWNER TO celerytrail_owner;

-- Name: VIEW task_spans; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.task_spans IS 'The bars of workflow_spans that are of one task. Ask for one task by its id. A parent may be a bar of another task or group.';

-- Name: tasks; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.tasks WITH (security_barrier='false') AS
 SELECT t.namespace,
    t.service,
    t.environment,
    t.task_id,
    t.task_name,
    t.state,
    t.inferred,
    t.queue,
    t.worker,
    t.retries,
    t.attempts,
    t.root_id,
    t.parent_id,
    t.group_id,
    t.root_group_id,
    t.chord_body_id,
    encode(t.trace_id, 'hex'::text) AS trace_id,
    t.first_sent_at,
    t.sent_at,
    t.received_at,
    t.started_at,
    t.finished_at,
    t.eta,
    t.priority,
    t.queue_wait_us,
    t.runtime_us,
    t.exception_class,
    t.updated_at,
    ( SELECT count(*) AS count
           FROM celerytrail.runs r
          WHERE ((r.task_id = t.task_id) AND ((r.namespace = t.namespace) AND (r.service = t.service) AND (r.environment = t.environment)))) AS runs,
    payload_args.content AS args,
    payload_kwargs.content AS kwargs,
    payload_exception.content AS exception,
    payload_traceback.content AS traceback,
    payload_result.content AS result,
    ( SELECT a.new_task_id
           FROM celerytrail.task_actions a
          WHERE ((a.task_id = t.task_id) AND (a.new_task_id IS NOT NULL) AND (a.result = 'sent'::text) AND ((a.namespace = t.namespace) AND (a.service = t.service) AND (a.environment = t.environment)))
          ORDER BY a.action_time DESC, a.action_id DESC
         LIMIT 1) AS retried_as,
    ( SELECT max(a.action_time) AS max
           FROM celerytrail.task_actions a
          WHERE ((a.task_id = t.task_id) AND (a.new_task_id IS NOT NULL) AND (a.result = 'sent'::text) AND ((a.namespace = t.namespace) AND (a.service = t.service) AND (a.environment = t.environment)))) AS retried_at,
    ( SELECT a.task_id
           FROM celerytrail.task_actions a
          WHERE ((a.new_task_id = t.task_id) AND (a.result = 'sent'::text) AND ((a.namespace = t.namespace) AND (a.service = t.service) AND (a.environment = t.environment)))
          ORDER BY a.action_time, a.action_id
         LIMIT 1) AS retry_of
   FROM (((((celerytrail.tasks t
     CROSS JOIN LATERAL ( SELECT ( SELECT convert_from(p.body, 'UTF8'::name) AS convert_from
                   FROM celerytrail.payloads p
                  WHERE ((p.task_id = t.task_id) AND (p.commitment = t.args_commitment) AND (p.kind = 'args'::text) AND (p.day = ANY (ARRAY[(t.message_day - 1), t.message_day, (t.message_day + 1), '-infinity'::date, 'infinity'::date])) AND ((p.namespace = t.namespace) AND (p.service = t.service) AND (p.environment = t.environment)))
                 LIMIT 1) AS convert_from) payload_args(content))
     CROSS JOIN LATERAL ( SELECT ( SELECT convert_from(p.body, 'UTF8'::name) AS convert_from
                   FROM celerytrail.payloads p
                  WHERE ((p.task_id = t.task_id) AND (p.commitment = t.kwargs_commitment) AND (p.kind = 'kwargs'::text) AND (p.day = ANY (ARRAY[(t.message_day - 1), t.message_day, (t.message_day + 1), '-infinity'::date, 'infinity'::date])) AND ((p.namespace = t.namespace) AND (p.service = t.service) AND (p.environment = t.environment)))
                 LIMIT 1) AS convert_from) payload_kwargs(content))
     CROSS JOIN LATERAL ( SELECT ( SELECT convert_from(p.body, 'UTF8'::name) AS convert_from
                   FROM celerytrail.payloads p
                  WHERE ((p.task_id = t.task_id) AND (p.commitment = t.exception_commitment) AND (p.kind = 'exception'::text) AND (p.day = ANY (ARRAY[(t.state_day - 1), t.state_day, (t.state_day + 1), '-infinity'::date, 'infinity'::date])) AND ((p.namespace = t.namespace) AND (p.service = t.service) AND (p.environment = t.environment)))
                 LIMIT 1) AS convert_from) payload_exception(content))
     CROSS JOIN LATERAL ( SELECT ( SELECT convert_from(p.body, 'UTF8'::name) AS convert_from
                   FROM celerytrail.payloads p
                  WHERE ((p.task_id = t.task_id) AND (p.commitment = t.traceback_commitment) AND (p.kind = 'traceback'::text) AND (p.day = ANY (ARRAY[(t.state_day - 1), t.state_day, (t.state_day + 1), '-infinity'::date, 'infinity'::date])) AND ((p.namespace = t.namespace) AND (p.service = t.service) AND (p.environment = t.environment)))
                 LIMIT 1) AS convert_from) payload_traceback(content))
     CROSS JOIN LATERAL ( SELECT ( SELECT convert_from(p.body, 'UTF8'::name) AS convert_from
                   FROM celerytrail.payloads p
                  WHERE ((p.task_id = t.task_id) AND (p.commitment = t.result_commitment) AND (p.kind = 'result'::text) AND (p.day = ANY (ARRAY[(t.state_day - 1), t.state_day, (t.state_day + 1), '-infinity'::date, 'infinity'::date])) AND ((p.namespace = t.namespace) AND (p.service = t.service) AND (p.environment = t.environment)))
                 LIMIT 1) AS convert_from) payload_result(content));

ALTER VIEW celerytrail_views.tasks OWNER TO celerytrail_owner;

-- Name: verifications; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.verifications WITH (security_barrier='true') AS
 SELECT verified_at,
    mode,
    chain,
    from_n,
    to_n,
    encode(head_hash, 'hex'::text) AS head_hash,
    status,
    first_bad,
    rows,
    seconds,
    fingerprint_ok,
    verified_by,
    compared_with,
    anchor_n,
    anchor_time,
    trouble
   FROM celerytrail.verifications v;

ALTER VIEW celerytrail_views.verifications OWNER TO celerytrail_owner;

-- Name: COLUMN verifications.rows; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail_views.verifications.rows IS 'Rows of this chain that were read after from_n.';

-- Name: COLUMN verifications.seconds; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail_views.verifications.seconds IS 'How long the whole run took, by both ways: chains are read together.';

-- Name: COLUMN verifications.compared_with; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail_views.verifications.compared_with IS 'What the run was told to compare with: signed checkpoints, a file of heads, or NULL for nothing.';

-- Name: COLUMN verifications.anchor_n; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail_views.verifications.anchor_n IS 'The newest block of this chain that was kept outside and compared with.';

-- Name: COLUMN verifications.anchor_time; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail_views.verifications.anchor_time IS 'When that block was signed or kept.';

-- Name: COLUMN verifications.trouble; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON COLUMN celerytrail_views.verifications.trouble IS 'Why the checkpoints could not be compared with, which then says no more than internal.';

-- Name: workers; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.workers WITH (security_barrier='true') AS
 SELECT namespace,
    service,
    environment,
    worker,
    state,
    seen_at,
    host,
    pid,
    concurrency,
    pool,
    queues,
    celery_version,
    ready_at
   FROM celerytrail.workers w;

ALTER VIEW celerytrail_views.workers OWNER TO celerytrail_owner;

-- Name: workflow_edges; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.workflow_edges WITH (security_barrier='true') AS
 SELECT namespace,
    service,
    environment,
    workflow_id,
    ((source || ' > '::text) || target) AS id,
    source,
    target,
        CASE
            WHEN (count(*) = 1) THEN ''::text
            ELSE (count(*) || ' tasks'::text)
        END AS mainstat
   FROM ( SELECT t.workflow_id,
            t.namespace,
            t.service,
            t.environment,
            t.node AS target,
                CASE
                    WHEN (h.node IS NOT NULL) THEN h.node
                    WHEN ((parent.node IS NOT NULL) AND ((t.group_id IS NULL) OR (parent.group_id = t.group_id))) THEN parent.node
                    WHEN (g.group_id IS NOT NULL) THEN ('group:'::text || g.group_id)
                    WHEN (t.root_group_id IS NOT NULL) THEN ('group:'::text || t.workflow_id)
                    ELSE NULL::text
                END AS source
           FROM (((celerytrail.workflow_places t
             LEFT JOIN celerytrail.workflow_places h ON (((h.workflow_id = t.workflow_id) AND (h.group_id = t.body_of) AND (h.task_id <> t.task_id) AND ((h.namespace = t.namespace) AND (h.service = t.service) AND (h.environment = t.environment)))))
             LEFT JOIN celerytrail.workflow_places parent ON (((parent.workflow_id = t.workflow_id) AND (parent.task_id = t.parent_id) AND ((parent.namespace = t.namespace) AND (parent.service = t.service) AND (parent.environment = t.environment)))))
             LEFT JOIN celerytrail.workflow_inner_groups g ON (((g.workflow_id = t.workflow_id) AND (g.group_id = t.group_id) AND ((g.namespace = t.namespace) AND (g.service = t.service) AND (g.environment = t.environment)))))
        UNION ALL
         SELECT i.workflow_id,
            i.namespace,
            i.service,
            i.environment,
            ('group:'::text || i.group_id),
            COALESCE(p.node, ('group:'::text || COALESCE(o.group_id, i.workflow_id))) AS "coalesce"
           FROM (((celerytrail.workflow_inner_groups i
             LEFT JOIN celerytrail.workflow_inner_groups o ON (((o.workflow_id = i.workflow_id) AND (o.span_id = i.parent_span_id) AND (o.group_id <> i.group_id) AND ((o.namespace = i.namespace) AND (o.service = i.service) AND (o.environment = i.environment)))))
             LEFT JOIN celerytrail.runs r ON (((r.run_id = i.parent_span_id) AND ((r.namespace = i.namespace) AND (r.service = i.service) AND (r.environment = i.environment)))))
             LEFT JOIN celerytrail.workflow_places p ON (((p.workflow_id = i.workflow_id) AND (p.task_id = r.task_id) AND ((p.namespace = i.namespace) AND (p.service = i.service) AND (p.environment = i.environment)))))) e
  WHERE ((source IS NOT NULL) AND (source <> target))
  GROUP BY workflow_id, namespace, service, environment, source, target;

ALTER VIEW celerytrail_views.workflow_edges OWNER TO celerytrail_owner;

-- Name: VIEW workflow_edges; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.workflow_edges IS 'The edges of Grafana''s node graph: what followed what.';

-- Name: workflow_members; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.workflow_members WITH (security_barrier='true') AS
 SELECT w.namespace,
    w.service,
    w.environment,
    w.workflow_id,
    m.task_id,
    m.task_name,
    m.role,
    m.group_id,
    m.index,
    m.state,
    m.outcome,
    m.failed,
    m.queue,
    m.worker,
    m.retries,
    m.attempts,
    m.queue_wait_us,
    m.runtime_us,
    m.exception_class,
    m.first_sent_at,
    m.started_at,
    m.finished_at,
    m.updated_at,
    m.root_id,
    m.parent_id,
    m.trace_id,
    m.retried_as,
    m.retried,
    m.acknowledged
   FROM (( SELECT COALESCE(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
            t.namespace,
            t.service,
            t.environment
           FROM celerytrail.tasks t
          GROUP BY COALESCE(t.root_group_id, t.root_id, t.task_id), t.namespace, t.service, t.environment) w
     CROSS JOIN LATERAL celerytrail.workflow_members(w.workflow_id, w.namespace, w.service, w.environment) m(task_id, task_name, role, group_id, index, state, outcome, failed, queue, worker, retries, attempts, queue_wait_us, runtime_us, exception_class, first_sent_at, started_at, finished_at, updated_at, root_id, parent_id, trace_id, retried_as, retried, acknowledged));

ALTER VIEW celerytrail_views.workflow_members OWNER TO celerytrail_owner;

-- Name: VIEW workflow_members; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.workflow_members IS 'One row a task of a workflow. retried: the retry did not fail in its turn.';

-- Name: workflows; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.workflows WITH (security_barrier='true') AS
 SELECT w.namespace,
    w.service,
    w.environment,
    w.workflow_id,
    s.kind,
    s.name,
    s.root_id,
    s.group_id,
    s.state,
    s.started_at,
    s.finished_at,
    s.updated_at,
    s.members,
    s.succeeded,
    s.failed,
    s.unfinished,
    s.culprit_task_id,
    s.culprit_task_name,
    s.culprit_exception_class,
    s.acknowledged,
    s.retried,
    s.needs_attention,
    s.headers,
    s.chord_body_id,
    s.trace_id
   FROM (( SELECT COALESCE(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
            t.namespace,
            t.service,
            t.environment
           FROM celerytrail.tasks t
          GROUP BY COALESCE(t.root_group_id, t.root_id, t.task_id), t.namespace, t.service, t.environment) w
     CROSS JOIN LATERAL celerytrail.workflow_state(w.workflow_id, w.namespace, w.service, w.environment) s(kind, name, root_id, group_id, state, started_at, finished_at, updated_at, members, succeeded, failed, unfinished, culprit_task_id, culprit_task_name, culprit_exception_class, acknowledged, retried, needs_attention, headers, chord_body_id, trace_id));

ALTER VIEW celerytrail_views.workflows OWNER TO celerytrail_owner;

-- Name: VIEW workflows; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.workflows IS 'One row a workflow. Name the workflow_id, or several as workflow_id = ANY (ARRAY(SELECT coalesce(root_group_id, root_id, task_id) FROM celerytrail_views.tasks WHERE updated_at > now() - interval ''1 hour'' ORDER BY updated_at DESC LIMIT 500)): that reaches the index. A condition on any other column, a LIMIT, a join or IN (SELECT ...) works out every workflow of the ledger first. For many that failed ask failed_workflows.';

-- Name: workflow_nodes; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.workflow_nodes WITH (security_barrier='true') AS
 SELECT w.namespace,
    w.service,
    w.environment,
    w.workflow_id,
    ('group:'::text || w.workflow_id) AS id,
    w.kind AS title,
    w.name AS subtitle,
    w.state AS mainstat,
    (w.members || ' tasks'::text) AS secondarystat,
    ((w.succeeded)::double precision / (w.members)::double precision) AS arc__succeeded,
    ((w.failed)::double precision / (w.members)::double precision) AS arc__failed,
    ((w.unfinished)::double precision / (w.members)::double precision) AS arc__unfinished,
    NULL::text AS detail__task_id,
    NULL::text AS detail__worker,
    NULL::text AS detail__exception
   FROM celerytrail_views.workflows w
  WHERE (w.kind = ANY (ARRAY['group'::text, 'chord'::text]))
UNION ALL
 SELECT g.namespace,
    g.service,
    g.environment,
    g.workflow_id,
    ('group:'::text || g.group_id) AS id,
    g.kind AS title,
    m.name AS subtitle,
    (m.failed || ' failed'::text) AS mainstat,
    (m.members || ' tasks'::text) AS secondarystat,
    ((m.succeeded)::double precision / (GREATEST(m.members, (1)::bigint))::double precision) AS arc__succeeded,
        CASE
            WHEN (m.members = 0) THEN (0)::double precision
            ELSE ((m.failed)::double precision / (m.members)::double precision)
        END AS arc__failed,
        CASE
            WHEN (m.members = 0) THEN (1)::double precision
            ELSE ((m.unfinished)::double precision / (m.members)::double precision)
        END AS arc__unfinished,
    NULL::text AS detail__task_id,
    NULL::text AS detail__worker,
    NULL::text AS detail__exception
   FROM (celerytrail.workflow_inner_groups g
     CROSS JOIN LATERAL ( SELECT count(*) AS members,
            min(t.task_name) AS name,
            count(*) FILTER (WHERE (t.outcome = 'succeeded'::text)) AS succeeded,
            count(*) FILTER (WHERE (t.outcome = 'failed'::text)) AS failed,
            count(*) FILTER (WHERE (t.outcome = 'unfinished'::text)) AS unfinished
           FROM celerytrail.workflow_tasks t
          WHERE ((t.workflow_id = g.workflow_id) AND (t.group_id = g.group_id) AND ((t.namespace = g.namespace) AND (t.service = g.service) AND (t.environment = g.environment)))) m)
UNION ALL
 SELECT p.namespace,
    p.service,
    p.environment,
    p.workflow_id,
    p.node AS id,
    min(p.name) AS title,
        CASE
            WHEN (count(*) = 1) THEN min(p.state)
            ELSE min(p.outcome)
        END AS subtitle,
        CASE
            WHEN (count(*) > 1) THEN (count(*) || ' tasks'::text)
            WHEN (max(p.runtime_us) IS NULL) THEN ''::text
            ELSE (round(((max(p.runtime_us))::numeric / 1000000.0), 3) || ' s run'::text)
        END AS mainstat,
        CASE
            WHEN (max(p.queue_wait_us) IS NULL) THEN ''::text
            ELSE (round(((max(p.queue_wait_us))::numeric / 1000000.0), 3) || ' s wait'::text)
        END AS secondarystat,
    ((count(*) FILTER (WHERE (p.outcome = 'succeeded'::text)))::double precision / (count(*))::double precision) AS arc__succeeded,
    ((count(*) FILTER (WHERE (p.outcome = 'failed'::text)))::double precision / (count(*))::double precision) AS arc__failed,
    ((count(*) FILTER (WHERE (p.outcome = 'unfinished'::text)))::double precision / (count(*))::double precision) AS arc__unfinished,
        CASE
            WHEN (count(*) = 1) THEN min(p.task_id)
            ELSE NULL::text
        END AS detail__task_id,
        CASE
            WHEN (count(*) = 1) THEN min(p.worker)
            ELSE NULL::text
        END AS detail__worker,
        CASE
            WHEN (count(*) = 1) THEN min(p.exception_class)
            ELSE NULL::text
        END AS detail__exception
   FROM celerytrail.workflow_places p
  GROUP BY p.workflow_id, p.namespace, p.service, p.environment, p.node;

ALTER VIEW celerytrail_views.workflow_nodes OWNER TO celerytrail_owner;

-- Name: VIEW workflow_nodes; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.workflow_nodes IS 'The nodes of Grafana''s node graph: groups and tasks; above 60 tasks one node for each name and outcome.';

-- Name: workflow_spans; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.workflow_spans WITH (security_barrier='true') AS
 SELECT w.namespace,
    w.service,
    w.environment,
    w.workflow_id,
    b.task_id,
    w.workflow_id AS "traceID",
    b.bar_id AS "spanID",
    b.parent_bar_id AS "parentSpanID",
    b.name AS "operationName",
    b.place AS "serviceName",
    b.start_ms AS "startTime",
    b.duration_ms AS duration,
    b.kind,
    b.status_code AS "statusCode",
    b.status_message AS "statusMessage",
    b.tags,
    b.service_tags AS "serviceTags",
    b.points AS logs,
    b.follows AS "references"
   FROM (( SELECT COALESCE(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
            t.namespace,
            t.service,
            t.environment
           FROM celerytrail.tasks t
          GROUP BY COALESCE(t.root_group_id, t.root_id, t.task_id), t.namespace, t.service, t.environment) w
     CROSS JOIN LATERAL celerytrail.workflow_bars(w.workflow_id, w.namespace, w.service, w.environment, NULL::text) b(task_id, bar_id, parent_bar_id, name, place, start_ms, duration_ms, kind, status_code, status_message, tags, service_tags, points, follows));

ALTER VIEW celerytrail_views.workflow_spans OWNER TO celerytrail_owner;

-- Name: VIEW workflow_spans; Type: COMMENT; Schema: celerytrail_views; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail_views.workflow_spans IS 'The waterfall of a workflow of up to 2,000 tasks, in the columns of Grafana''s Traces panel: one root, times in milliseconds, JSON as text.';

-- Name: leaf_groups_after_all; Type: TABLE ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.leaf_groups ATTACH PARTITION celerytrail.leaf_groups_after_all FOR VALUES IN ('infinity');

-- Name: leaf_groups_before_all; Type: TABLE ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.leaf_groups ATTACH PARTITION celerytrail.leaf_groups_before_all FOR VALUES IN ('-infinity');

-- Name: payloads_after_all; Type: TABLE ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.payloads ATTACH PARTITION celerytrail.payloads_after_all FOR VALUES IN ('infinity');

-- Name: payloads_before_all; Type: TABLE ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.payloads ATTACH PARTITION celerytrail.payloads_before_all FOR VALUES IN ('-infinity');

-- Name: spans_after_all; Type: TABLE ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.spans ATTACH PARTITION celerytrail.spans_after_all FOR VALUES IN ('infinity');

-- Name: spans_before_all; Type: TABLE ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.spans ATTACH PARTITION celerytrail.spans_before_all FOR VALUES IN ('-infinity');

-- Name: action_reasons action_reasons_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.action_reasons
    ADD CONSTRAINT action_reasons_pkey PRIMARY KEY (intent_id);

-- Name: actions actions_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.actions
    ADD CONSTRAINT actions_pkey PRIMARY KEY (action_id);

-- Name: api_tokens api_tokens_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (token_hash);

-- Name: blocks blocks_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.blocks
    ADD CONSTRAINT blocks_pkey PRIMARY KEY (batch_id);

-- Name: chain chain_batch_id_key; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.chain
    ADD CONSTRAINT chain_batch_id_key UNIQUE (batch_id);

-- Name: chain chain_chain_prev_key; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.chain
    ADD CONSTRAINT chain_chain_prev_key UNIQUE (chain, prev);

-- Name: chain_head chain_head_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.chain_head
    ADD CONSTRAINT chain_head_pkey PRIMARY KEY (chain);

-- Name: chain chain_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.chain
    ADD CONSTRAINT chain_pkey PRIMARY KEY (chain, n);

-- Name: checkpoints checkpoints_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (checkpoint_id);

-- Name: conclusion conclusion_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.conclusion
    ADD CONSTRAINT conclusion_pkey PRIMARY KEY (only_row);

-- Name: day_drops day_drops_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.day_drops
    ADD CONSTRAINT day_drops_pkey PRIMARY KEY (day);

-- Name: erased_tasks erased_tasks_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.erased_tasks
    ADD CONSTRAINT erased_tasks_pkey PRIMARY KEY (task_id, namespace, service, environment);

-- Name: erasure_targets erasure_targets_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.erasure_targets
    ADD CONSTRAINT erasure_targets_pkey PRIMARY KEY (erasure_id, namespace, service, environment, task_id);

-- Name: erasures erasures_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (erasure_id);

-- Name: failures failures_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.failures
    ADD CONSTRAINT failures_pkey PRIMARY KEY (event_id);

-- Name: groups groups_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (group_id, namespace, service, environment);

-- Name: horizon horizon_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.horizon
    ADD CONSTRAINT horizon_pkey PRIMARY KEY (only_row);

-- Name: intents intents_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.intents
    ADD CONSTRAINT intents_pkey PRIMARY KEY (intent_id);

-- Name: ledger ledger_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (only_row);

-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (id);

-- Name: orphan_scans orphan_scans_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.orphan_scans
    ADD CONSTRAINT orphan_scans_pkey PRIMARY KEY (scan);

-- Name: principals principals_name_key; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.principals
    ADD CONSTRAINT principals_name_key UNIQUE (name);

-- Name: principals principals_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.principals
    ADD CONSTRAINT principals_pkey PRIMARY KEY (principal_id);

-- Name: quarantine quarantine_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (quarantine_id);

-- Name: read_model_checks read_model_checks_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.read_model_checks
    ADD CONSTRAINT read_model_checks_pkey PRIMARY KEY (check_id);

-- Name: rebuilds rebuilds_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.rebuilds
    ADD CONSTRAINT rebuilds_pkey PRIMARY KEY (rebuild_id);

-- Name: run_ends run_ends_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.run_ends
    ADD CONSTRAINT run_ends_pkey PRIMARY KEY (send_id, namespace, service, environment);

-- Name: runs runs_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id, namespace, service, environment);

-- Name: steps steps_code_key; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.steps
    ADD CONSTRAINT steps_code_key UNIQUE (code);

-- Name: steps steps_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (step);

-- Name: streams streams_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (stream_id, namespace, service, environment);

-- Name: task_actions task_actions_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.task_actions
    ADD CONSTRAINT task_actions_pkey PRIMARY KEY (action_id, task_id);

-- Name: tasks tasks_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (task_id, namespace, service, environment);

-- Name: tokens tokens_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (token_hash);

-- Name: verifications verifications_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (verification_id);

-- Name: workers workers_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (worker, namespace, service, environment);

-- Name: role_logins role_logins_pkey; Type: CONSTRAINT; Schema: celerytrail_admin; Owner: postgres

ALTER TABLE ONLY celerytrail_admin.role_logins
    ADD CONSTRAINT role_logins_pkey PRIMARY KEY (role_name);

-- Name: role_settings role_settings_pkey; Type: CONSTRAINT; Schema: celerytrail_admin; Owner: postgres

ALTER TABLE ONLY celerytrail_admin.role_settings
    ADD CONSTRAINT role_settings_pkey PRIMARY KEY (role_name, setting);

-- Name: actions_batch; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX actions_batch ON celerytrail.actions USING btree (batch_id);

-- Name: actions_intent; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX actions_intent ON celerytrail.actions USING btree (intent_id) WHERE (intent_id IS NOT NULL);

-- Name: actions_time; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX actions_time ON celerytrail.actions USING btree (action_time);

-- Name: api_tokens_name; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX api_tokens_name ON celerytrail.api_tokens USING btree (name);

-- Name: checkpoints_signed; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX checkpoints_signed ON celerytrail.checkpoints USING btree (checkpoint_id) WHERE (note IS NOT NULL);

-- Name: checkpoints_time; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX checkpoints_time ON celerytrail.checkpoints USING btree (recorded_at);

-- Name: erasure_targets_unmarked; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX erasure_targets_unmarked ON celerytrail.erasure_targets USING btree (erasure_id) WHERE (NOT marked);

-- Name: erasures_open; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX erasures_open ON celerytrail.erasures USING btree (begun_at) WHERE (finished_at IS NULL);

-- Name: failures_fingerprint; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX failures_fingerprint ON celerytrail.failures USING btree (fingerprint, event_time);

-- Name: failures_task; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX failures_task ON celerytrail.failures USING btree (task_id);

-- Name: failures_time; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX failures_time ON celerytrail.failures USING btree (event_time);

-- Name: groups_chord_body; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX groups_chord_body ON celerytrail.groups USING btree (chord_body_id) WHERE (chord_body_id IS NOT NULL);

-- Name: groups_root_group; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX groups_root_group ON celerytrail.groups USING btree (root_group_id) WHERE (root_group_id IS NOT NULL);

-- Name: groups_updated; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX groups_updated ON celerytrail.groups USING btree (updated_at);

-- Name: intents_key; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX intents_key ON celerytrail.intents USING btree (idempotency_key, actor, service, namespace, environment) WHERE (idempotency_key IS NOT NULL);

-- Name: intents_old; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX intents_old ON celerytrail.intents USING btree (finished_at) WHERE (state <> 'open'::text);

-- Name: intents_open; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX intents_open ON celerytrail.intents USING btree (lease_until) WHERE (state = 'open'::text);

-- Name: intents_target; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX intents_target ON celerytrail.intents USING btree (target_key, verb, service, namespace, environment) WHERE (NOT released);

-- Name: leaf_groups_batch; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX leaf_groups_batch ON ONLY celerytrail.leaf_groups USING btree (batch_id, day);

-- Name: leaf_groups_after_all_batch_id_day_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX leaf_groups_after_all_batch_id_day_idx ON celerytrail.leaf_groups_after_all USING btree (batch_id, day);

-- Name: leaf_groups_before_all_batch_id_day_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX leaf_groups_before_all_batch_id_day_idx ON celerytrail.leaf_groups_before_all USING btree (batch_id, day);

-- Name: payloads_received; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX payloads_received ON ONLY celerytrail.payloads USING btree (received_at);

-- Name: payloads_after_all_received_at_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX payloads_after_all_received_at_idx ON celerytrail.payloads_after_all USING btree (received_at);

-- Name: payloads_key; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX payloads_key ON ONLY celerytrail.payloads USING btree (task_id, commitment, day, namespace, service, environment);

-- Name: payloads_after_all_task_id_commitment_day_namespace_service_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX payloads_after_all_task_id_commitment_day_namespace_service_idx ON celerytrail.payloads_after_all USING btree (task_id, commitment, day, namespace, service, environment);

-- Name: payloads_before_all_received_at_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX payloads_before_all_received_at_idx ON celerytrail.payloads_before_all USING btree (received_at);

-- Name: payloads_before_all_task_id_commitment_day_namespace_servic_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX payloads_before_all_task_id_commitment_day_namespace_servic_idx ON celerytrail.payloads_before_all USING btree (task_id, commitment, day, namespace, service, environment);

-- Name: quarantine_principal; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX quarantine_principal ON celerytrail.quarantine USING btree (principal_id, quarantine_id);

-- Name: read_model_checks_time; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX read_model_checks_time ON celerytrail.read_model_checks USING btree (checked_at);

-- Name: rebuilds_time; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX rebuilds_time ON celerytrail.rebuilds USING btree (ended_at);

-- Name: runs_open; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX runs_open ON celerytrail.runs USING btree (started_at) WHERE (finished_at IS NULL);

-- Name: runs_task; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX runs_task ON celerytrail.runs USING btree (task_id, started_at);

-- Name: searchable_task; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX searchable_task ON celerytrail.searchable USING btree (task_id);

-- Name: searchable_time; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX searchable_time ON celerytrail.searchable USING btree (event_time);

-- Name: spans_batch; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_batch ON ONLY celerytrail.spans USING btree (batch_id);

-- Name: spans_after_all_batch_id_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_after_all_batch_id_idx ON celerytrail.spans_after_all USING btree (batch_id);

-- Name: spans_event; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX spans_event ON ONLY celerytrail.spans USING btree (event_id, day);

-- Name: spans_after_all_event_id_day_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX spans_after_all_event_id_day_idx ON celerytrail.spans_after_all USING btree (event_id, day);

-- Name: spans_time; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_time ON ONLY celerytrail.spans USING brin (event_time);

-- Name: spans_after_all_event_time_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_after_all_event_time_idx ON celerytrail.spans_after_all USING brin (event_time);

-- Name: spans_task; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_task ON ONLY celerytrail.spans USING btree (task_id) WHERE (task_id IS NOT NULL);

-- Name: spans_after_all_task_id_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_after_all_task_id_idx ON celerytrail.spans_after_all USING btree (task_id) WHERE (task_id IS NOT NULL);

-- Name: spans_before_all_batch_id_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_before_all_batch_id_idx ON celerytrail.spans_before_all USING btree (batch_id);

-- Name: spans_before_all_event_id_day_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX spans_before_all_event_id_day_idx ON celerytrail.spans_before_all USING btree (event_id, day);

-- Name: spans_before_all_event_time_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_before_all_event_time_idx ON celerytrail.spans_before_all USING brin (event_time);

-- Name: spans_before_all_task_id_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_before_all_task_id_idx ON celerytrail.spans_before_all USING btree (task_id) WHERE (task_id IS NOT NULL);

-- Name: task_actions_new; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX task_actions_new ON celerytrail.task_actions USING btree (new_task_id) WHERE ((new_task_id IS NOT NULL) AND (result = 'sent'::text));

-- Name: task_actions_sent; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX task_actions_sent ON celerytrail.task_actions USING btree (task_id, action_time) WHERE ((new_task_id IS NOT NULL) AND (result = 'sent'::text));

-- Name: task_actions_task; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX task_actions_task ON celerytrail.task_actions USING btree (task_id, action_time);

-- Name: tasks_failed; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_failed ON celerytrail.tasks USING btree (finished_at, root_id) WHERE (state = 'failed'::text);

-- Name: tasks_finished; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_finished ON celerytrail.tasks USING btree (finished_at) INCLUDE (task_name, runtime_us) WHERE (finished_at IS NOT NULL);

-- Name: tasks_group; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_group ON celerytrail.tasks USING btree (group_id) WHERE (group_id IS NOT NULL);

-- Name: tasks_name; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_name ON celerytrail.tasks USING btree (task_name, updated_at);

-- Name: tasks_parent; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_parent ON celerytrail.tasks USING btree (parent_id) WHERE (parent_id IS NOT NULL);

-- Name: tasks_queue; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_queue ON celerytrail.tasks USING btree (queue, updated_at);

-- Name: tasks_root; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_root ON celerytrail.tasks USING btree (root_id);

-- Name: tasks_root_group; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_root_group ON celerytrail.tasks USING btree (root_group_id) WHERE (root_group_id IS NOT NULL);

-- Name: tasks_service; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_service ON celerytrail.tasks USING btree (service, updated_at);

-- Name: tasks_state; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_state ON celerytrail.tasks USING btree (state, updated_at, queue);

-- Name: tasks_updated; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_updated ON celerytrail.tasks USING btree (updated_at);

-- Name: tasks_worker; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_worker ON celerytrail.tasks USING btree (worker, updated_at) WHERE (worker IS NOT NULL);

-- Name: tasks_workflow; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_workflow ON celerytrail.tasks USING btree (COALESCE(root_group_id, root_id, task_id));

-- Name: tokens_principal; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tokens_principal ON celerytrail.tokens USING btree (principal_id);

-- Name: verifications_chain; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX verifications_chain ON celerytrail.verifications USING btree (chain, verified_at);

-- Name: verifications_time; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX verifications_time ON celerytrail.verifications USING btree (verified_at);

-- Name: leaf_groups_after_all_batch_id_day_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.leaf_groups_batch ATTACH PARTITION celerytrail.leaf_groups_after_all_batch_id_day_idx;

-- Name: leaf_groups_before_all_batch_id_day_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.leaf_groups_batch ATTACH PARTITION celerytrail.leaf_groups_before_all_batch_id_day_idx;

-- Name: payloads_after_all_received_at_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.payloads_received ATTACH PARTITION celerytrail.payloads_after_all_received_at_idx;

-- Name: payloads_after_all_task_id_commitment_day_namespace_service_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.payloads_key ATTACH PARTITION celerytrail.payloads_after_all_task_id_commitment_day_namespace_service_idx;

-- Name: payloads_before_all_received_at_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.payloads_received ATTACH PARTITION celerytrail.payloads_before_all_received_at_idx;

-- Name: payloads_before_all_task_id_commitment_day_namespace_servic_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.payloads_key ATTACH PARTITION celerytrail.payloads_before_all_task_id_commitment_day_namespace_servic_idx;

-- Name: spans_after_all_batch_id_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_batch ATTACH PARTITION celerytrail.spans_after_all_batch_id_idx;

-- Name: spans_after_all_event_id_day_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_event ATTACH PARTITION celerytrail.spans_after_all_event_id_day_idx;

-- Name: spans_after_all_event_time_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_time ATTACH PARTITION celerytrail.spans_after_all_event_time_idx;

-- Name: spans_after_all_task_id_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_task ATTACH PARTITION celerytrail.spans_after_all_task_id_idx;

-- Name: spans_before_all_batch_id_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_batch ATTACH PARTITION celerytrail.spans_before_all_batch_id_idx;

-- Name: spans_before_all_event_id_day_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_event ATTACH PARTITION celerytrail.spans_before_all_event_id_day_idx;

-- Name: spans_before_all_event_time_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_time ATTACH PARTITION celerytrail.spans_before_all_event_time_idx;

-- Name: spans_before_all_task_id_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_task ATTACH PARTITION celerytrail.spans_before_all_task_id_idx;

-- Name: payloads begin_batch_1; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER begin_batch_1 BEFORE INSERT ON celerytrail.payloads FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.require_principal();

ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER begin_batch_1;

-- Name: spans begin_batch_1; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER begin_batch_1 BEFORE INSERT ON celerytrail.spans FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.require_principal();

ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER begin_batch_1;

-- Name: actions begin_batch_2; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER begin_batch_2 BEFORE INSERT ON celerytrail.actions FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.next_batch();

ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER begin_batch_2;

-- Name: spans begin_batch_2; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER begin_batch_2 BEFORE INSERT ON celerytrail.spans FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.next_batch();

ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER begin_batch_2;

-- Name: action_reasons forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE UPDATE ON celerytrail.action_reasons FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.action_reasons ENABLE ALWAYS TRIGGER forbid_change;

-- Name: actions forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE DELETE OR UPDATE ON celerytrail.actions FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER forbid_change;

-- Name: blocks forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE DELETE OR UPDATE ON celerytrail.blocks FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.blocks ENABLE ALWAYS TRIGGER forbid_change;

-- Name: chain forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE DELETE OR UPDATE ON celerytrail.chain FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.chain ENABLE ALWAYS TRIGGER forbid_change;

-- Name: chain_head forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE DELETE ON celerytrail.chain_head FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.chain_head ENABLE ALWAYS TRIGGER forbid_change;

-- Name: leaf_groups forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE DELETE OR UPDATE ON celerytrail.leaf_groups FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.leaf_groups ENABLE ALWAYS TRIGGER forbid_change;

-- Name: ledger forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE DELETE OR UPDATE ON celerytrail.ledger FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.ledger ENABLE ALWAYS TRIGGER forbid_change;

-- Name: payloads forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE UPDATE ON celerytrail.payloads FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER forbid_change;

-- Name: spans forbid_change; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_change BEFORE DELETE OR UPDATE ON celerytrail.spans FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER forbid_change;

-- Name: actions forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.actions FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: blocks forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.blocks FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.blocks ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: chain forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.chain FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.chain ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: chain_head forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.chain_head FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.chain_head ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: leaf_groups forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.leaf_groups FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.leaf_groups ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: leaf_groups_after_all forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.leaf_groups_after_all FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.leaf_groups_after_all ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: leaf_groups_before_all forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.leaf_groups_before_all FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.leaf_groups_before_all ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: ledger forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.ledger FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.ledger ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: payloads forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.payloads FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: payloads_after_all forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.payloads_after_all FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.payloads_after_all ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: payloads_before_all forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.payloads_before_all FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.payloads_before_all ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: spans forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.spans FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: spans_after_all forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.spans_after_all FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.spans_after_all ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: spans_before_all forbid_truncate; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.spans_before_all FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();

ALTER TABLE celerytrail.spans_before_all ENABLE ALWAYS TRIGGER forbid_truncate;

-- Name: blocks link; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE CONSTRAINT TRIGGER link AFTER INSERT ON celerytrail.blocks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION celerytrail.link_block();

ALTER TABLE celerytrail.blocks ENABLE ALWAYS TRIGGER link;

-- Name: payloads own_deployment; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER own_deployment AFTER INSERT ON celerytrail.payloads REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.require_deployment();

ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER own_deployment;

-- Name: spans own_deployment; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER own_deployment AFTER INSERT ON celerytrail.spans REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.require_deployment();

ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER own_deployment;

-- Name: actions project; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER project AFTER INSERT ON celerytrail.actions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.project_new_actions();

ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER project;

-- Name: payloads refuse_erased; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER refuse_erased AFTER INSERT ON celerytrail.payloads REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.refuse_erased();

ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER refuse_erased;

-- Name: actions seal; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER seal AFTER INSERT ON celerytrail.actions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.seal_actions();

ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER seal;

-- Name: spans seal; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER seal AFTER INSERT ON celerytrail.spans REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.seal_spans();

ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER seal;

-- Name: payloads searchable_add; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER searchable_add AFTER INSERT ON celerytrail.payloads REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.add_searchable();

ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER searchable_add;

-- Name: payloads searchable_remove; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER searchable_remove AFTER DELETE ON celerytrail.payloads REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.remove_searchable();

ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER searchable_remove;

-- Name: erasure_targets erasure_targets_erasure_id_fkey; Type: FK CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.erasure_targets
    ADD CONSTRAINT erasure_targets_erasure_id_fkey FOREIGN KEY (erasure_id) REFERENCES celerytrail.erasures(erasure_id);

-- Name: principals principals_chain_fkey; Type: FK CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.principals
    ADD CONSTRAINT principals_chain_fkey FOREIGN KEY (chain) REFERENCES celerytrail.chain_head(chain);

-- Name: tokens tokens_principal_id_fkey; Type: FK CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.tokens
    ADD CONSTRAINT tokens_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES celerytrail.principals(principal_id);

-- Name: SCHEMA celerytrail; Type: ACL; Schema: -; Owner: celerytrail_owner

GRANT USAGE ON SCHEMA celerytrail TO celerytrail_sink;
GRANT USAGE ON SCHEMA celerytrail TO celerytrail_actions;
GRANT USAGE ON SCHEMA celerytrail TO celerytrail_verifier;
GRANT USAGE ON SCHEMA celerytrail TO celerytrail_maintainer;
GRANT USAGE ON SCHEMA celerytrail TO celerytrail_checkpointer;

-- Name: SCHEMA celerytrail_admin; Type: ACL; Schema: -; Owner: postgres

GRANT USAGE ON SCHEMA celerytrail_admin TO celerytrail_owner;
GRANT USAGE ON SCHEMA celerytrail_admin TO celerytrail_maintainer;

-- Name: SCHEMA celerytrail_views; Type: ACL; Schema: -; Owner: celerytrail_owner

GRANT USAGE ON SCHEMA celerytrail_views TO celerytrail_grafana;

-- Name: LANGUAGE plpgsql; Type: ACL; Schema: -; Owner: postgres

REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC;
GRANT ALL ON LANGUAGE plpgsql TO celerytrail_owner;

-- Name: FUNCTION abandoned_erasures(older_than_seconds integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.abandoned_erasures(older_than_seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.abandoned_erasures(older_than_seconds integer) TO celerytrail_maintainer;

-- Name: FUNCTION add_quarantine(reason text, items bytea[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.add_quarantine(reason text, items bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.add_quarantine(reason text, items bytea[]) TO celerytrail_sink;

-- Name: FUNCTION add_searchable(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.add_searchable() FROM PUBLIC;

-- Name: FUNCTION announce_day_drop(day date, actor text, actor_kind text, reason text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.announce_day_drop(day date, actor text, actor_kind text, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.announce_day_drop(day date, actor text, actor_kind text, reason text) TO celerytrail_maintainer;

-- Name: FUNCTION announcement_state(day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.announcement_state(day date) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.announcement_state(day date) TO celerytrail_maintainer;

-- Name: FUNCTION append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea) TO celerytrail_actions;

-- Name: FUNCTION attend_erasure(erasure_id uuid); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.attend_erasure(erasure_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.attend_erasure(erasure_id uuid) TO celerytrail_maintainer;

-- Name: FUNCTION authenticate(token_hash bytea); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.authenticate(token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.authenticate(token_hash bytea) TO celerytrail_sink;

-- Name: FUNCTION authenticate_api_token(token_hash bytea); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.authenticate_api_token(token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.authenticate_api_token(token_hash bytea) TO celerytrail_actions;

-- Name: FUNCTION bar_attribute(attribute text, counted bigint); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.bar_attribute(attribute text, counted bigint) FROM PUBLIC;

-- Name: FUNCTION bar_attribute(attribute text, said text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.bar_attribute(attribute text, said text) FROM PUBLIC;

-- Name: FUNCTION bar_ms(unix_nano bigint); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.bar_ms(unix_nano bigint) FROM PUBLIC;

-- Name: FUNCTION bar_ms_between(start_unix_nano bigint, end_unix_nano bigint); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.bar_ms_between(start_unix_nano bigint, end_unix_nano bigint) FROM PUBLIC;

-- Name: FUNCTION begin_erasure(erasure_id uuid, actor text, actor_kind text, reason text, task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.begin_erasure(erasure_id uuid, actor text, actor_kind text, reason text, task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.begin_erasure(erasure_id uuid, actor text, actor_kind text, reason text, task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) TO celerytrail_maintainer;

-- Name: FUNCTION begin_intent(intent_id uuid, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, target_key text, idempotency_key text, request_hash bytea, reason text, holder text, lease_seconds double precision, recent_seconds double precision); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.begin_intent(intent_id uuid, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, target_key text, idempotency_key text, request_hash bytea, reason text, holder text, lease_seconds double precision, recent_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.begin_intent(intent_id uuid, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, target_key text, idempotency_key text, request_hash bytea, reason text, holder text, lease_seconds double precision, recent_seconds double precision) TO celerytrail_actions;

-- Name: FUNCTION begin_rebuild(made_by text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.begin_rebuild(made_by text) FROM PUBLIC;

-- Name: FUNCTION block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) TO celerytrail_verifier;
GRANT ALL ON FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) TO celerytrail_maintainer;

-- Name: FUNCTION block_fault(batch_id bigint, day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.block_fault(batch_id bigint, day date) FROM PUBLIC;

-- Name: FUNCTION chain_of_session(otherwise integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.chain_of_session(otherwise integer) FROM PUBLIC;

-- Name: FUNCTION check_read_model(sample integer, every_seconds integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.check_read_model(sample integer, every_seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.check_read_model(sample integer, every_seconds integer) TO celerytrail_maintainer;

-- Name: FUNCTION choose_chain(chain integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.choose_chain(chain integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.choose_chain(chain integer) TO celerytrail_sink;

-- Name: FUNCTION chosen_tasks(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.chosen_tasks(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) FROM PUBLIC;

-- Name: FUNCTION collect_orphans(scan text, older_than interval, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.collect_orphans(scan text, older_than interval, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.collect_orphans(scan text, older_than interval, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION compare_rebuild(table_name text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.compare_rebuild(table_name text) FROM PUBLIC;

-- Name: FUNCTION conclude_lost(at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.conclude_lost(at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.conclude_lost(at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION concluder_is_silenced(of_namespace text, of_service text, of_environment text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.concluder_is_silenced(of_namespace text, of_service text, of_environment text) FROM PUBLIC;

-- Name: FUNCTION continue_erasure(erasure_id uuid, actor text, actor_kind text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.continue_erasure(erasure_id uuid, actor text, actor_kind text) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.continue_erasure(erasure_id uuid, actor text, actor_kind text) TO celerytrail_maintainer;

-- Name: FUNCTION create_partition(parent text, suffix text, partition_day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.create_partition(parent text, suffix text, partition_day date) FROM PUBLIC;

-- Name: FUNCTION day_content(of_day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.day_content(of_day date) FROM PUBLIC;

-- Name: FUNCTION drop_day(day date, without_checkpoint boolean); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.drop_day(day date, without_checkpoint boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.drop_day(day date, without_checkpoint boolean) TO celerytrail_maintainer;

-- Name: FUNCTION end_rebuild(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.end_rebuild() FROM PUBLIC;

-- Name: FUNCTION ensure_partitions(from_day date, to_day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) TO celerytrail_sink;
GRANT ALL ON FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) TO celerytrail_maintainer;

-- Name: FUNCTION erasable_kinds(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erasable_kinds() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.erasable_kinds() TO celerytrail_maintainer;

-- Name: FUNCTION erase_everywhere(tasks celerytrail.task_key[], kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erase_everywhere(tasks celerytrail.task_key[], kinds text[]) FROM PUBLIC;

-- Name: FUNCTION erase_from_action_reasons(tasks celerytrail.task_key[], kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erase_from_action_reasons(tasks celerytrail.task_key[], kinds text[]) FROM PUBLIC;

-- Name: FUNCTION erase_from_intents(tasks celerytrail.task_key[], kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erase_from_intents(tasks celerytrail.task_key[], kinds text[]) FROM PUBLIC;

-- Name: FUNCTION erase_from_payloads(tasks celerytrail.task_key[], kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erase_from_payloads(tasks celerytrail.task_key[], kinds text[]) FROM PUBLIC;

-- Name: FUNCTION erase_from_quarantine(tasks celerytrail.task_key[], kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erase_from_quarantine(tasks celerytrail.task_key[], kinds text[]) FROM PUBLIC;

-- Name: FUNCTION erase_marked(erasure_id uuid, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erase_marked(erasure_id uuid, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.erase_marked(erasure_id uuid, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION erase_reasons(erasure_id uuid, actor text, actor_kind text, reason text, intent_ids uuid[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erase_reasons(erasure_id uuid, actor text, actor_kind text, reason text, intent_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.erase_reasons(erasure_id uuid, actor text, actor_kind text, reason text, intent_ids uuid[]) TO celerytrail_maintainer;

-- Name: FUNCTION erase_searchable(namespace text, service text, environment text, task_ids text[], kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.erase_searchable(namespace text, service text, environment text, task_ids text[], kinds text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.erase_searchable(namespace text, service text, environment text, task_ids text[], kinds text[]) TO celerytrail_maintainer;

-- Name: FUNCTION event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) TO celerytrail_sink;
GRANT ALL ON FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) TO celerytrail_verifier;

-- Name: FUNCTION finish_erasure(erasure_id uuid); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.finish_erasure(erasure_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.finish_erasure(erasure_id uuid) TO celerytrail_maintainer;

-- Name: FUNCTION finish_forgetting(dropped_until date, removed jsonb); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.finish_forgetting(dropped_until date, removed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.finish_forgetting(dropped_until date, removed jsonb) TO celerytrail_maintainer;

-- Name: FUNCTION finish_intent(intent_id uuid, holder text, state text, outcome json); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.finish_intent(intent_id uuid, holder text, state text, outcome json) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.finish_intent(intent_id uuid, holder text, state text, outcome json) TO celerytrail_actions;

-- Name: FUNCTION first_batch_heard(since timestamp with time zone, slots integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.first_batch_heard(since timestamp with time zone, slots integer) FROM PUBLIC;

-- Name: FUNCTION forbid(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.forbid() FROM PUBLIC;

-- Name: FUNCTION forget_in_runs(tasks celerytrail.task_key[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.forget_in_runs(tasks celerytrail.task_key[]) FROM PUBLIC;

-- Name: FUNCTION forget_leftovers(at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.forget_leftovers(at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.forget_leftovers(at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION forget_tasks(after timestamp with time zone, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.forget_tasks(after timestamp with time zone, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.forget_tasks(after timestamp with time zone, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION hardening_gaps(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.hardening_gaps() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.hardening_gaps() TO celerytrail_maintainer;
GRANT ALL ON FUNCTION celerytrail.hardening_gaps() TO celerytrail_sink;
GRANT ALL ON FUNCTION celerytrail.hardening_gaps() TO celerytrail_verifier;

-- Name: FUNCTION intent_state(intent_id uuid); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.intent_state(intent_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.intent_state(intent_id uuid) TO celerytrail_actions;

-- Name: FUNCTION keep_reason(intent_id uuid, reason text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.keep_reason(intent_id uuid, reason text) FROM PUBLIC;

-- Name: FUNCTION leave_erasure(erasure_id uuid); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.leave_erasure(erasure_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.leave_erasure(erasure_id uuid) TO celerytrail_maintainer;

-- Name: FUNCTION link_block(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.link_block() FROM PUBLIC;

-- Name: SEQUENCE batch_seq; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON SEQUENCE celerytrail.batch_seq TO celerytrail_sink;

-- Name: SEQUENCE principal_now; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON SEQUENCE celerytrail.principal_now TO celerytrail_sink;

-- Name: TABLE spans; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.spans TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.spans TO celerytrail_checkpointer;

-- Name: COLUMN spans.event_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(event_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.event_time; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(event_time) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.day; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(day) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.namespace; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(namespace) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.service; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(service) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.environment; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(environment) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.stream_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(stream_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.seq; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(seq) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.step; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(step) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.inferred; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(inferred) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.trace_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(trace_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.span_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(span_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.parent_span_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(parent_span_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.span_name; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(span_name) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.span_kind; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(span_kind) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.status_code; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(status_code) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.start_unix_nano; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(start_unix_nano) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.end_unix_nano; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(end_unix_nano) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.process_kind; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(process_kind) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.worker; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(worker) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.host; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(host) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.pid; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(pid) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.task_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(task_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.task_name; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(task_name) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.retries; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(retries) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.queue; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(queue) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.root_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(root_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.parent_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(parent_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.group_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(group_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.root_group_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(root_group_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.chord_body_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(chord_body_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.send_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(send_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.sent_unix_nano; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(sent_unix_nano) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.run_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(run_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.eta; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(eta) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.priority; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(priority) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.queue_wait_us; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(queue_wait_us) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.runtime_us; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(runtime_us) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.exception_class; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(exception_class) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.about_stream_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(about_stream_id) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.commitments; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(commitments) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.links; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(links) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.marks; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(marks) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: COLUMN spans.attributes; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(attributes) ON TABLE celerytrail.spans TO celerytrail_sink;

-- Name: FUNCTION lost_rows(started celerytrail.spans, last_seen_at timestamp with time zone); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.lost_rows(started celerytrail.spans, last_seen_at timestamp with time zone) FROM PUBLIC;

-- Name: FUNCTION mark_erased(erasure_id uuid, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.mark_erased(erasure_id uuid, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.mark_erased(erasure_id uuid, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION message_for_retry(namespace text, service text, environment text, task_id text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.message_for_retry(namespace text, service text, environment text, task_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.message_for_retry(namespace text, service text, environment text, task_id text) TO celerytrail_actions;

-- Name: FUNCTION named_tasks(phase text, target json, detail json); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.named_tasks(phase text, target json, detail json) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.named_tasks(phase text, target json, detail json) TO celerytrail_verifier;

-- Name: FUNCTION next_batch(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.next_batch() FROM PUBLIC;

-- Name: FUNCTION old_days(keep_days integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.old_days(keep_days integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.old_days(keep_days integer) TO celerytrail_maintainer;

-- Name: FUNCTION open_erasures(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.open_erasures() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.open_erasures() TO celerytrail_maintainer;

-- Name: FUNCTION preview_erasure(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.preview_erasure(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.preview_erasure(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) TO celerytrail_maintainer;

-- Name: FUNCTION progress_intent(intent_id uuid, holder text, detail json); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.progress_intent(intent_id uuid, holder text, detail json) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.progress_intent(intent_id uuid, holder text, detail json) TO celerytrail_actions;

-- Name: FUNCTION project_actions(action_ids uuid[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.project_actions(action_ids uuid[]) FROM PUBLIC;

-- Name: FUNCTION project_new_actions(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.project_new_actions() FROM PUBLIC;

-- Name: FUNCTION purged_messages(detail json); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.purged_messages(detail json) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.purged_messages(detail json) TO celerytrail_verifier;

-- Name: FUNCTION read_model_tables(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.read_model_tables() FROM PUBLIC;

-- Name: FUNCTION rebuild_columns(table_name text, only_key boolean, alias text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.rebuild_columns(table_name text, only_key boolean, alias text) FROM PUBLIC;

-- Name: FUNCTION rebuild_comparable(table_name text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.rebuild_comparable(table_name text) FROM PUBLIC;

-- Name: FUNCTION rebuild_differences(table_name text, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.rebuild_differences(table_name text, at_most integer) FROM PUBLIC;

-- Name: FUNCTION rebuild_searchable(of_day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.rebuild_searchable(of_day date) FROM PUBLIC;

-- Name: FUNCTION record_checkpoint(issued_at timestamp with time zone, epoch integer, key_id text, chains json, note text, published json, trouble text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.record_checkpoint(issued_at timestamp with time zone, epoch integer, key_id text, chains json, note text, published json, trouble text) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.record_checkpoint(issued_at timestamp with time zone, epoch integer, key_id text, chains json, note text, published json, trouble text) TO celerytrail_checkpointer;

-- Name: FUNCTION record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean, compared_with text, anchor_n bigint, anchor_time timestamp with time zone, trouble text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean, compared_with text, anchor_n bigint, anchor_time timestamp with time zone, trouble text) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean, compared_with text, anchor_n bigint, anchor_time timestamp with time zone, trouble text) TO celerytrail_verifier;

-- Name: FUNCTION refuse_erased(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.refuse_erased() FROM PUBLIC;

-- Name: FUNCTION remove_large_objects(at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.remove_large_objects(at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.remove_large_objects(at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION remove_searchable(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.remove_searchable() FROM PUBLIC;

-- Name: FUNCTION renew_lease(intent_id uuid, holder text, lease_seconds double precision); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.renew_lease(intent_id uuid, holder text, lease_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.renew_lease(intent_id uuid, holder text, lease_seconds double precision) TO celerytrail_actions;

-- Name: FUNCTION repair_from_rebuild(table_name text, after_place bigint, up_to_place bigint); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.repair_from_rebuild(table_name text, after_place bigint, up_to_place bigint) FROM PUBLIC;

-- Name: FUNCTION require_deployment(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.require_deployment() FROM PUBLIC;

-- Name: FUNCTION require_lease(holder text, lease_seconds double precision); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.require_lease(holder text, lease_seconds double precision) FROM PUBLIC;

-- Name: FUNCTION require_principal(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.require_principal() FROM PUBLIC;

-- Name: FUNCTION require_selection(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.require_selection(task_ids text[], namespace text, service text, environment text, task_name text, state text, from_time timestamp with time zone, to_time timestamp with time zone, kinds text[]) FROM PUBLIC;

-- Name: FUNCTION retained_from(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.retained_from() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.retained_from() TO celerytrail_maintainer;

-- Name: FUNCTION runs_by_ledger(task_ids text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.runs_by_ledger(task_ids text[]) FROM PUBLIC;

-- Name: FUNCTION runs_without_process(silent_since timestamp with time zone, at_most integer, heard_streams uuid[], late_hosts text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.runs_without_process(silent_since timestamp with time zone, at_most integer, heard_streams uuid[], late_hosts text[]) FROM PUBLIC;

-- Name: FUNCTION seal_actions(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.seal_actions() FROM PUBLIC;

-- Name: FUNCTION seal_spans(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.seal_spans() FROM PUBLIC;

-- Name: FUNCTION search_excerpt(body bytea); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.search_excerpt(body bytea) FROM PUBLIC;

-- Name: FUNCTION settle_rebuild(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.settle_rebuild() FROM PUBLIC;

-- Name: FUNCTION speak_as_concluder(of_namespace text, of_service text, of_environment text, in_chain integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.speak_as_concluder(of_namespace text, of_service text, of_environment text, in_chain integer) FROM PUBLIC;

-- Name: FUNCTION stage_rebuild(rows_at_once integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.stage_rebuild(rows_at_once integer) FROM PUBLIC;

-- Name: FUNCTION stored_digests(event_ids uuid[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.stored_digests(event_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.stored_digests(event_ids uuid[]) TO celerytrail_sink;

-- Name: FUNCTION take_expired_intents(holder text, lease_seconds double precision); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.take_expired_intents(holder text, lease_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.take_expired_intents(holder text, lease_seconds double precision) TO celerytrail_actions;

-- Name: FUNCTION task_steps(of_tasks text[], of_namespace text, of_service text, of_environment text, from_day date, to_day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.task_steps(of_tasks text[], of_namespace text, of_service text, of_environment text, from_day date, to_day date) FROM PUBLIC;

-- Name: FUNCTION tasks_by_ledger(task_ids text[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.tasks_by_ledger(task_ids text[]) FROM PUBLIC;

-- Name: FUNCTION trim_quarantine(older_than interval, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.trim_quarantine(older_than interval, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.trim_quarantine(older_than interval, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION trim_searchable(at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.trim_searchable(at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.trim_searchable(at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION unforgotten_days(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.unforgotten_days() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.unforgotten_days() TO celerytrail_maintainer;

-- Name: FUNCTION verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) TO celerytrail_verifier;
GRANT ALL ON FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION verify_ends(chain integer, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.verify_ends(chain integer, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.verify_ends(chain integer, at_most integer) TO celerytrail_verifier;
GRANT ALL ON FUNCTION celerytrail.verify_ends(chain integer, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION verify_group(kind smallint, batch_id bigint, day date, leaves bytea); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) TO celerytrail_verifier;
GRANT ALL ON FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) TO celerytrail_maintainer;

-- Name: FUNCTION verify_range(chain integer, from_n bigint, from_hash bytea, to_n bigint, at_most integer, since_chains integer[], since_ns bigint[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.verify_range(chain integer, from_n bigint, from_hash bytea, to_n bigint, at_most integer, since_chains integer[], since_ns bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.verify_range(chain integer, from_n bigint, from_hash bytea, to_n bigint, at_most integer, since_chains integer[], since_ns bigint[]) TO celerytrail_verifier;
GRANT ALL ON FUNCTION celerytrail.verify_range(chain integer, from_n bigint, from_hash bytea, to_n bigint, at_most integer, since_chains integer[], since_ns bigint[]) TO celerytrail_maintainer;

-- Name: FUNCTION watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval) TO celerytrail_maintainer;

-- Name: FUNCTION workflow_bars(of_workflow text, of_namespace text, of_service text, of_environment text, of_task text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.workflow_bars(of_workflow text, of_namespace text, of_service text, of_environment text, of_task text) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.workflow_bars(of_workflow text, of_namespace text, of_service text, of_environment text, of_task text) TO celerytrail_grafana;

-- Name: FUNCTION workflow_members(of_workflow text, of_namespace text, of_service text, of_environment text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.workflow_members(of_workflow text, of_namespace text, of_service text, of_environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.workflow_members(of_workflow text, of_namespace text, of_service text, of_environment text) TO celerytrail_grafana;

-- Name: FUNCTION workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text) TO celerytrail_grafana;

-- Name: FUNCTION write_lost(rows celerytrail.spans[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.write_lost(rows celerytrail.spans[]) FROM PUBLIC;

-- Name: FUNCTION harden_database(); Type: ACL; Schema: celerytrail_admin; Owner: postgres

REVOKE ALL ON FUNCTION celerytrail_admin.harden_database() FROM PUBLIC;

-- Name: FUNCTION login_roles(); Type: ACL; Schema: celerytrail_admin; Owner: postgres

REVOKE ALL ON FUNCTION celerytrail_admin.login_roles() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail_admin.login_roles() TO celerytrail_owner;

-- Name: FUNCTION restore_roles(); Type: ACL; Schema: celerytrail_admin; Owner: postgres

REVOKE ALL ON FUNCTION celerytrail_admin.restore_roles() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail_admin.restore_roles() TO celerytrail_maintainer;

-- Name: FUNCTION set_role_password(role_name name, verifier text); Type: ACL; Schema: celerytrail_admin; Owner: postgres

REVOKE ALL ON FUNCTION celerytrail_admin.set_role_password(role_name name, verifier text) FROM PUBLIC;

-- Name: FUNCTION withheld_functions(); Type: ACL; Schema: celerytrail_admin; Owner: postgres

REVOKE ALL ON FUNCTION celerytrail_admin.withheld_functions() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail_admin.withheld_functions() TO celerytrail_owner;

-- Name: TABLE actions; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.actions TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.actions TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.actions TO celerytrail_checkpointer;

-- Name: TABLE blocks; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.blocks TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.blocks TO celerytrail_checkpointer;

-- Name: TABLE chain; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.chain TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.chain TO celerytrail_checkpointer;

-- Name: TABLE announced_drops; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.announced_drops TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.announced_drops TO celerytrail_checkpointer;

-- Name: TABLE chain_head; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.chain_head TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.chain_head TO celerytrail_checkpointer;

-- Name: TABLE checkpoints; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.checkpoints TO celerytrail_checkpointer;
GRANT SELECT ON TABLE celerytrail.checkpoints TO celerytrail_verifier;

-- Name: TABLE conclusion; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.conclusion TO celerytrail_verifier;

-- Name: TABLE day_drops; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.day_drops TO celerytrail_verifier;

-- Name: TABLE erased_tasks; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.erased_tasks TO celerytrail_verifier;

-- Name: COLUMN erased_tasks.namespace; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(namespace) ON TABLE celerytrail.erased_tasks TO celerytrail_sink;

-- Name: COLUMN erased_tasks.service; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(service) ON TABLE celerytrail.erased_tasks TO celerytrail_sink;

-- Name: COLUMN erased_tasks.environment; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(environment) ON TABLE celerytrail.erased_tasks TO celerytrail_sink;

-- Name: COLUMN erased_tasks.task_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(task_id) ON TABLE celerytrail.erased_tasks TO celerytrail_sink;

-- Name: COLUMN erased_tasks.kinds; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(kinds) ON TABLE celerytrail.erased_tasks TO celerytrail_sink;

-- Name: TABLE erasures; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.erasures TO celerytrail_verifier;

-- Name: TABLE failures; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT ON TABLE celerytrail.failures TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.failures TO celerytrail_verifier;

-- Name: TABLE groups; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.groups TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.groups TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.groups TO celerytrail_verifier;

-- Name: TABLE horizon; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.horizon TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.horizon TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.horizon TO celerytrail_verifier;

-- Name: TABLE task_actions; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.task_actions TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.task_actions TO celerytrail_verifier;

-- Name: TABLE tasks; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.tasks TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.tasks TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.tasks TO celerytrail_verifier;

-- Name: TABLE leaf_groups; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.leaf_groups TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.leaf_groups TO celerytrail_checkpointer;

-- Name: TABLE ledger; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.ledger TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.ledger TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.ledger TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.ledger TO celerytrail_checkpointer;

-- Name: TABLE migrations; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_maintainer;
GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_checkpointer;

-- Name: COLUMN payloads.event_time; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(event_time) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.day; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(day),INSERT(day) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.namespace; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(namespace),INSERT(namespace) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.service; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(service),INSERT(service) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.environment; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(environment),INSERT(environment) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.task_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(task_id),INSERT(task_id) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.retries; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(retries) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.stream_id; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(stream_id) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.seq; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(seq) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.kind; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(kind) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.commitment; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT(commitment),INSERT(commitment) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.salt; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(salt) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.truncated; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(truncated) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: COLUMN payloads.body; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT INSERT(body) ON TABLE celerytrail.payloads TO celerytrail_sink;

-- Name: TABLE principals; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.principals TO celerytrail_verifier;

-- Name: TABLE read_model_checks; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.read_model_checks TO celerytrail_verifier;

-- Name: TABLE run_ends; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.run_ends TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.run_ends TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.run_ends TO celerytrail_verifier;

-- Name: TABLE runs; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.runs TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.runs TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.runs TO celerytrail_verifier;

-- Name: TABLE steps; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.steps TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.steps TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.steps TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.steps TO celerytrail_checkpointer;

-- Name: TABLE stored_leaves; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.stored_leaves TO celerytrail_verifier;

-- Name: TABLE streams; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.streams TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.streams TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.streams TO celerytrail_verifier;

-- Name: TABLE verifications; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.verifications TO celerytrail_verifier;

-- Name: TABLE workers; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.workers TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.workers TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.workers TO celerytrail_verifier;

-- Name: TABLE role_settings; Type: ACL; Schema: celerytrail_admin; Owner: postgres

GRANT SELECT ON TABLE celerytrail_admin.role_settings TO celerytrail_owner;

-- Name: TABLE actions; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.actions TO celerytrail_grafana;

-- Name: TABLE chain_state; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.chain_state TO celerytrail_grafana;

-- Name: TABLE chains; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.chains TO celerytrail_grafana;

-- Name: TABLE checkpoint_silence; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.checkpoint_silence TO celerytrail_grafana;

-- Name: TABLE checkpoints; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.checkpoints TO celerytrail_grafana;

-- Name: TABLE chords; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.chords TO celerytrail_grafana;

-- Name: TABLE runs; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.runs TO celerytrail_grafana;

-- Name: TABLE critical_path; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.critical_path TO celerytrail_grafana;

-- Name: TABLE day_drops; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.day_drops TO celerytrail_grafana;

-- Name: TABLE deployments; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.deployments TO celerytrail_grafana;
GRANT SELECT ON TABLE celerytrail_views.deployments TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail_views.deployments TO celerytrail_maintainer;

-- Name: TABLE erased_tasks; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.erased_tasks TO celerytrail_grafana;

-- Name: TABLE erasure_state; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.erasure_state TO celerytrail_grafana;
GRANT SELECT ON TABLE celerytrail_views.erasure_state TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail_views.erasure_state TO celerytrail_maintainer;

-- Name: TABLE erasures; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.erasures TO celerytrail_grafana;

-- Name: TABLE failed_workflows; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.failed_workflows TO celerytrail_grafana;

-- Name: TABLE failures; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.failures TO celerytrail_grafana;

-- Name: TABLE groups; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.groups TO celerytrail_grafana;

-- Name: TABLE heartbeats; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.heartbeats TO celerytrail_grafana;
GRANT SELECT ON TABLE celerytrail_views.heartbeats TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail_views.heartbeats TO celerytrail_maintainer;

-- Name: TABLE missing_events; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.missing_events TO celerytrail_grafana;

-- Name: TABLE payloads; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.payloads TO celerytrail_grafana;

-- Name: TABLE queue_names; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.queue_names TO celerytrail_grafana;
GRANT SELECT ON TABLE celerytrail_views.queue_names TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail_views.queue_names TO celerytrail_maintainer;

-- Name: TABLE read_model_checks; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.read_model_checks TO celerytrail_grafana;
GRANT SELECT ON TABLE celerytrail_views.read_model_checks TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail_views.read_model_checks TO celerytrail_maintainer;

-- Name: TABLE rebuilds; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.rebuilds TO celerytrail_grafana;
GRANT SELECT ON TABLE celerytrail_views.rebuilds TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail_views.rebuilds TO celerytrail_maintainer;

-- Name: TABLE searchable; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.searchable TO celerytrail_grafana;

-- Name: TABLE spans; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.spans TO celerytrail_grafana;

-- Name: TABLE streams; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.streams TO celerytrail_grafana;

-- Name: TABLE stuck_runs; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.stuck_runs TO celerytrail_grafana;
GRANT SELECT ON TABLE celerytrail_views.stuck_runs TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail_views.stuck_runs TO celerytrail_maintainer;

-- Name: TABLE task_actions; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.task_actions TO celerytrail_grafana;

-- Name: TABLE task_names; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.task_names TO celerytrail_grafana;
GRANT SELECT ON TABLE celerytrail_views.task_names TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail_views.task_names TO celerytrail_maintainer;

-- Name: TABLE task_spans; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.task_spans TO celerytrail_grafana;

-- Name: TABLE tasks; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.tasks TO celerytrail_grafana;

-- Name: TABLE verifications; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.verifications TO celerytrail_grafana;

-- Name: TABLE workers; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.workers TO celerytrail_grafana;

-- Name: TABLE workflow_edges; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.workflow_edges TO celerytrail_grafana;

-- Name: TABLE workflow_members; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.workflow_members TO celerytrail_grafana;

-- Name: TABLE workflows; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.workflows TO celerytrail_grafana;

-- Name: TABLE workflow_nodes; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.workflow_nodes TO celerytrail_grafana;

-- Name: TABLE workflow_spans; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.workflow_spans TO celerytrail_grafana;

-- PostgreSQL database dump complete
