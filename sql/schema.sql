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

-- Name: append_action(uuid, text, text, text, text, text, text, text, text, text, json, json, uuid, bytea); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text DEFAULT NULL::text, namespace text DEFAULT NULL::text, service text DEFAULT NULL::text, environment text DEFAULT NULL::text, request_id text DEFAULT NULL::text, target json DEFAULT NULL::json, detail json DEFAULT NULL::json, intent_id uuid DEFAULT NULL::uuid, reason_commitment bytea DEFAULT NULL::bytea) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    now_utc timestamptz := clock_timestamp();
    today date := (now_utc AT TIME ZONE 'UTC')::date;
BEGIN
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

COMMENT ON FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea) IS 'Writes one action row into the chain and returns the time that the database gave it.';

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

-- Name: create_partition(text, text, date); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.create_partition(parent text, suffix text, partition_day date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    child text := parent || '_' || suffix;
BEGIN
    -- CREATE TABLE .. PARTITION OF would wait for every open transaction that has read the parent.
    EXECUTE format(
        'CREATE TABLE celerytrail.%I (LIKE celerytrail.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        child, parent
    );
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

-- Name: event_key(bigint, integer, bigint, uuid); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((int8send(GREATEST(sent_unix_nano, (0)::bigint)) || int2send((rank)::smallint)) || int8send(GREATEST(event_unix_nano, (0)::bigint))) || uuid_send(event_id));

ALTER FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) OWNER TO celerytrail_owner;

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
      AND NOT coalesce(c.reloptions, '{}') @> ARRAY['security_barrier=true'];

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

ALTER FUNCTION celerytrail.link_block() OWNER TO celerytrail_owner;

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

-- Name: record_verification(text, integer, bigint, bigint, bytea, text, json, bigint, double precision, boolean); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    recorded_at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO celerytrail.verifications (
        verified_at, mode, chain, from_n, to_n, head_hash, status, first_bad, rows, seconds,
        fingerprint_ok, verified_by
    ) VALUES (recorded_at, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, session_user);
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

ALTER FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean) OWNER TO celerytrail_owner;

-- Name: FUNCTION record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean) IS 'Keeps the result of a verification for dashboards and drops old ones: incremental ones that found nothing after a day, others after 90.';

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

ALTER FUNCTION celerytrail.seal_spans() OWNER TO celerytrail_owner;

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

-- Name: verify_chain(integer, bigint, bytea, integer); Type: FUNCTION; Schema: celerytrail; Owner: celerytrail_owner

CREATE FUNCTION celerytrail.verify_chain(chain integer, from_n bigint DEFAULT 0, from_hash bytea DEFAULT NULL::bytea, at_most integer DEFAULT 100) RETURNS TABLE(n bigint, batch_id bigint, fault text, day date, row_id uuid, row_position integer, detail text)
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
$_$;

ALTER FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) OWNER TO celerytrail_owner;

-- Name: FUNCTION verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer); Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) IS 'Recomputes one chain after link from_n, whose hash is from_hash, and returns what is wrong, the earliest first; no row means consistent. See docs/design/hash-chain.md.';

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
        ('celerytrail_verifier'), ('celerytrail_maintainer')
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

-- Name: batch_seq; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

CREATE SEQUENCE celerytrail.batch_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE celerytrail.batch_seq OWNER TO celerytrail_owner;

SET default_tablespace = '';

SET default_table_access_method = heap;

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
    CONSTRAINT actions_phase_check CHECK ((phase = ANY (ARRAY['intent'::text, 'outcome'::text, 'refused'::text, 'done'::text]))),
    CONSTRAINT actions_verb_check CHECK ((verb <> ''::text))
);

ALTER TABLE celerytrail.actions OWNER TO celerytrail_owner;

-- Name: TABLE actions; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.actions IS 'Who did what: the intent before anything happens, the outcome after, refusals, erasures, retention. Blocks of kind 2.';

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
    actor
   FROM ( SELECT t.said,
                CASE
                    WHEN (t.said ~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]$'::text) THEN ((("left"(t.said, 7) || '-01'::text))::date + (("right"(t.said, 2))::integer - 1))
                    ELSE NULL::date
                END AS day,
            t.linked_at,
            t.actor,
            t.action_id
           FROM ( SELECT
                        CASE
                            WHEN (POSITION(('\u'::text) IN ((a.target)::text)) = 0) THEN (a.target ->> 'day'::text)
                            ELSE NULL::text
                        END AS said,
                    c.linked_at,
                    a.actor,
                    a.action_id
                   FROM ((celerytrail.actions a
                     JOIN celerytrail.blocks b ON (((b.batch_id = a.batch_id) AND (b.kind = 2))))
                     JOIN celerytrail.chain c ON (((c.batch_id = b.batch_id) AND (c.chain = b.chain) AND (c.n >= 1))))
                  WHERE ((a.verb = 'retention'::text) AND (a.phase = ANY (ARRAY['outcome'::text, 'done'::text])))) t) d
  WHERE ((to_char((day)::timestamp with time zone, 'YYYY-MM-DD'::text) = said) AND (day < ((linked_at AT TIME ZONE 'UTC'::text))::date))
  ORDER BY day, linked_at DESC, action_id;

ALTER VIEW celerytrail.announced_drops OWNER TO celerytrail_owner;

-- Name: VIEW announced_drops; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON VIEW celerytrail.announced_drops IS 'The days whose rows retention dropped: who, and the last time it was said in the chain that it was done. Nothing that was linked before may be left of such a day; blocks linked later cannot claim it.';

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

-- Name: principal_now; Type: SEQUENCE; Schema: celerytrail; Owner: celerytrail_owner

CREATE SEQUENCE celerytrail.principal_now
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE celerytrail.principal_now OWNER TO celerytrail_owner;

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

COMMENT ON TABLE celerytrail.steps IS 'The table STEPS of exporter/attributes.py; a test compares them.';

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
    updated_at timestamp with time zone
)
WITH (fillfactor='50');

ALTER TABLE celerytrail.streams OWNER TO celerytrail_owner;

-- Name: TABLE streams; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.streams IS 'One row for each process that captures: seqs are the numbers that are rows of the ledger, refused those turned away on purpose.';

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
    updated_at timestamp with time zone
)
WITH (fillfactor='70');

ALTER TABLE celerytrail.tasks OWNER TO celerytrail_owner;

-- Name: TABLE tasks; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.tasks IS 'The current state of each task. Derived from spans; no user data.';

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
    CONSTRAINT verifications_from_n_check CHECK ((from_n >= 0)),
    CONSTRAINT verifications_head_hash_check CHECK ((octet_length(head_hash) = 32)),
    CONSTRAINT verifications_mode_check CHECK ((mode = ANY (ARRAY['full'::text, 'incremental'::text]))),
    CONSTRAINT verifications_rows_check CHECK ((rows >= 0)),
    CONSTRAINT verifications_seconds_check CHECK ((seconds >= (0)::double precision)),
    CONSTRAINT verifications_status_check CHECK ((status = ANY (ARRAY['ok'::text, 'internal'::text, 'broken'::text]))),
    CONSTRAINT verifications_to_n_check CHECK ((to_n >= 0))
);

ALTER TABLE celerytrail.verifications OWNER TO celerytrail_owner;

-- Name: TABLE verifications; Type: COMMENT; Schema: celerytrail; Owner: celerytrail_owner

COMMENT ON TABLE celerytrail.verifications IS 'What each run of `celerytrail verify --every` said of each chain. ok: against a head kept outside; internal: consistent in itself only. For dashboards, not for auditors.';

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

CREATE VIEW celerytrail_views.actions WITH (security_barrier='true') AS
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
    batch_id
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
     LEFT JOIN celerytrail.run_ends e ON (((e.send_id = r.send_id) AND ((e.namespace = r.namespace) AND (e.service = r.service) AND (e.environment = r.environment)) AND (r.finished_at IS NULL) AND ((r.started_at IS NULL) OR (r.started_at <= e.finished_at)))));

ALTER VIEW celerytrail_views.runs OWNER TO celerytrail_owner;

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

-- Name: tasks; Type: VIEW; Schema: celerytrail_views; Owner: celerytrail_owner

CREATE VIEW celerytrail_views.tasks WITH (security_barrier='true') AS
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
    payload_result.content AS result
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
    verified_by
   FROM celerytrail.verifications v;

ALTER VIEW celerytrail_views.verifications OWNER TO celerytrail_owner;

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

-- Name: actions actions_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.actions
    ADD CONSTRAINT actions_pkey PRIMARY KEY (action_id);

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

-- Name: groups groups_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (group_id, namespace, service, environment);

-- Name: horizon horizon_pkey; Type: CONSTRAINT; Schema: celerytrail; Owner: celerytrail_owner

ALTER TABLE ONLY celerytrail.horizon
    ADD CONSTRAINT horizon_pkey PRIMARY KEY (only_row);

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

-- Name: groups_root_group; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX groups_root_group ON celerytrail.groups USING btree (root_group_id) WHERE (root_group_id IS NOT NULL);

-- Name: groups_updated; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX groups_updated ON celerytrail.groups USING btree (updated_at);

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

-- Name: runs_open; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX runs_open ON celerytrail.runs USING btree (started_at) WHERE (finished_at IS NULL);

-- Name: runs_task; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX runs_task ON celerytrail.runs USING btree (task_id, started_at);

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

CREATE INDEX spans_task ON ONLY celerytrail.spans USING btree (task_id, event_time) WHERE (task_id IS NOT NULL);

-- Name: spans_after_all_task_id_event_time_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_after_all_task_id_event_time_idx ON celerytrail.spans_after_all USING btree (task_id, event_time) WHERE (task_id IS NOT NULL);

-- Name: spans_before_all_batch_id_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_before_all_batch_id_idx ON celerytrail.spans_before_all USING btree (batch_id);

-- Name: spans_before_all_event_id_day_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE UNIQUE INDEX spans_before_all_event_id_day_idx ON celerytrail.spans_before_all USING btree (event_id, day);

-- Name: spans_before_all_event_time_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_before_all_event_time_idx ON celerytrail.spans_before_all USING brin (event_time);

-- Name: spans_before_all_task_id_event_time_idx; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX spans_before_all_task_id_event_time_idx ON celerytrail.spans_before_all USING btree (task_id, event_time) WHERE (task_id IS NOT NULL);

-- Name: tasks_failed; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_failed ON celerytrail.tasks USING btree (finished_at, root_id) WHERE (state = 'failed'::text);

-- Name: tasks_finished; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_finished ON celerytrail.tasks USING btree (finished_at) INCLUDE (task_name, runtime_us);

-- Name: tasks_group; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_group ON celerytrail.tasks USING btree (group_id) WHERE (group_id IS NOT NULL);

-- Name: tasks_name; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_name ON celerytrail.tasks USING btree (task_name, updated_at);

-- Name: tasks_parent; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_parent ON celerytrail.tasks USING btree (parent_id) WHERE (parent_id IS NOT NULL);

-- Name: tasks_root; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_root ON celerytrail.tasks USING btree (root_id);

-- Name: tasks_root_group; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_root_group ON celerytrail.tasks USING btree (root_group_id) WHERE (root_group_id IS NOT NULL);

-- Name: tasks_state; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_state ON celerytrail.tasks USING btree (state, updated_at);

-- Name: tasks_updated; Type: INDEX; Schema: celerytrail; Owner: celerytrail_owner

CREATE INDEX tasks_updated ON celerytrail.tasks USING btree (updated_at);

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

-- Name: spans_after_all_task_id_event_time_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_task ATTACH PARTITION celerytrail.spans_after_all_task_id_event_time_idx;

-- Name: spans_before_all_batch_id_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_batch ATTACH PARTITION celerytrail.spans_before_all_batch_id_idx;

-- Name: spans_before_all_event_id_day_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_event ATTACH PARTITION celerytrail.spans_before_all_event_id_day_idx;

-- Name: spans_before_all_event_time_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_time ATTACH PARTITION celerytrail.spans_before_all_event_time_idx;

-- Name: spans_before_all_task_id_event_time_idx; Type: INDEX ATTACH; Schema: celerytrail; Owner: celerytrail_owner

ALTER INDEX celerytrail.spans_task ATTACH PARTITION celerytrail.spans_before_all_task_id_event_time_idx;

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

-- Name: actions seal; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER seal AFTER INSERT ON celerytrail.actions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.seal_actions();

ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER seal;

-- Name: spans seal; Type: TRIGGER; Schema: celerytrail; Owner: celerytrail_owner

CREATE TRIGGER seal AFTER INSERT ON celerytrail.spans REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.seal_spans();

ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER seal;

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

-- Name: SCHEMA celerytrail_admin; Type: ACL; Schema: -; Owner: postgres

GRANT USAGE ON SCHEMA celerytrail_admin TO celerytrail_owner;
GRANT USAGE ON SCHEMA celerytrail_admin TO celerytrail_maintainer;

-- Name: SCHEMA celerytrail_views; Type: ACL; Schema: -; Owner: celerytrail_owner

GRANT USAGE ON SCHEMA celerytrail_views TO celerytrail_grafana;

-- Name: LANGUAGE plpgsql; Type: ACL; Schema: -; Owner: postgres

REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC;
GRANT ALL ON LANGUAGE plpgsql TO celerytrail_owner;

-- Name: FUNCTION add_quarantine(reason text, items bytea[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.add_quarantine(reason text, items bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.add_quarantine(reason text, items bytea[]) TO celerytrail_sink;

-- Name: FUNCTION append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.append_action(action_id uuid, phase text, verb text, actor text, actor_kind text, role text, namespace text, service text, environment text, request_id text, target json, detail json, intent_id uuid, reason_commitment bytea) TO celerytrail_actions;

-- Name: FUNCTION authenticate(token_hash bytea); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.authenticate(token_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.authenticate(token_hash bytea) TO celerytrail_sink;

-- Name: FUNCTION block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) TO celerytrail_verifier;
GRANT ALL ON FUNCTION celerytrail.block_body(batch_id bigint, cnt integer, days date[], cnts integer[], roots bytea[]) TO celerytrail_maintainer;

-- Name: FUNCTION collect_orphans(scan text, older_than interval, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.collect_orphans(scan text, older_than interval, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.collect_orphans(scan text, older_than interval, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION create_partition(parent text, suffix text, partition_day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.create_partition(parent text, suffix text, partition_day date) FROM PUBLIC;

-- Name: FUNCTION ensure_partitions(from_day date, to_day date); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) TO celerytrail_sink;
GRANT ALL ON FUNCTION celerytrail.ensure_partitions(from_day date, to_day date) TO celerytrail_maintainer;

-- Name: FUNCTION event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) TO celerytrail_sink;
GRANT ALL ON FUNCTION celerytrail.event_key(sent_unix_nano bigint, rank integer, event_unix_nano bigint, event_id uuid) TO celerytrail_verifier;

-- Name: FUNCTION forbid(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.forbid() FROM PUBLIC;

-- Name: FUNCTION hardening_gaps(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.hardening_gaps() FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.hardening_gaps() TO celerytrail_maintainer;
GRANT ALL ON FUNCTION celerytrail.hardening_gaps() TO celerytrail_sink;
GRANT ALL ON FUNCTION celerytrail.hardening_gaps() TO celerytrail_verifier;

-- Name: FUNCTION link_block(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.link_block() FROM PUBLIC;

-- Name: FUNCTION next_batch(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.next_batch() FROM PUBLIC;

-- Name: FUNCTION record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.record_verification(mode text, chain integer, from_n bigint, to_n bigint, head_hash bytea, status text, first_bad json, rows bigint, seconds double precision, fingerprint_ok boolean) TO celerytrail_verifier;

-- Name: FUNCTION remove_large_objects(at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.remove_large_objects(at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.remove_large_objects(at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION require_deployment(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.require_deployment() FROM PUBLIC;

-- Name: FUNCTION require_principal(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.require_principal() FROM PUBLIC;

-- Name: FUNCTION seal_actions(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.seal_actions() FROM PUBLIC;

-- Name: FUNCTION seal_spans(); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.seal_spans() FROM PUBLIC;

-- Name: FUNCTION stored_digests(event_ids uuid[]); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.stored_digests(event_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.stored_digests(event_ids uuid[]) TO celerytrail_sink;

-- Name: FUNCTION trim_quarantine(older_than interval, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.trim_quarantine(older_than interval, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.trim_quarantine(older_than interval, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) TO celerytrail_verifier;
GRANT ALL ON FUNCTION celerytrail.verify_chain(chain integer, from_n bigint, from_hash bytea, at_most integer) TO celerytrail_maintainer;

-- Name: FUNCTION verify_group(kind smallint, batch_id bigint, day date, leaves bytea); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) TO celerytrail_verifier;
GRANT ALL ON FUNCTION celerytrail.verify_group(kind smallint, batch_id bigint, day date, leaves bytea) TO celerytrail_maintainer;

-- Name: FUNCTION watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval); Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

REVOKE ALL ON FUNCTION celerytrail.watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval) FROM PUBLIC;
GRANT ALL ON FUNCTION celerytrail.watch_sessions(statement_bound interval, idle_bound interval, session_bound interval, writer_bound interval) TO celerytrail_maintainer;

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

-- Name: SEQUENCE batch_seq; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON SEQUENCE celerytrail.batch_seq TO celerytrail_sink;

-- Name: TABLE actions; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.actions TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.actions TO celerytrail_verifier;

-- Name: TABLE blocks; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.blocks TO celerytrail_verifier;

-- Name: TABLE chain; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.chain TO celerytrail_verifier;

-- Name: TABLE announced_drops; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.announced_drops TO celerytrail_verifier;

-- Name: TABLE chain_head; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.chain_head TO celerytrail_verifier;

-- Name: TABLE groups; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.groups TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.groups TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.groups TO celerytrail_verifier;

-- Name: TABLE horizon; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.horizon TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.horizon TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.horizon TO celerytrail_verifier;

-- Name: TABLE leaf_groups; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.leaf_groups TO celerytrail_verifier;

-- Name: TABLE ledger; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.ledger TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.ledger TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.ledger TO celerytrail_verifier;

-- Name: TABLE migrations; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_verifier;
GRANT SELECT ON TABLE celerytrail.migrations TO celerytrail_maintainer;

-- Name: SEQUENCE principal_now; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON SEQUENCE celerytrail.principal_now TO celerytrail_sink;

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

-- Name: TABLE run_ends; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.run_ends TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.run_ends TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.run_ends TO celerytrail_verifier;

-- Name: TABLE runs; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.runs TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.runs TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.runs TO celerytrail_verifier;

-- Name: TABLE spans; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.spans TO celerytrail_verifier;

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

-- Name: TABLE steps; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.steps TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.steps TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.steps TO celerytrail_verifier;

-- Name: TABLE stored_leaves; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail.stored_leaves TO celerytrail_verifier;

-- Name: TABLE streams; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.streams TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.streams TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.streams TO celerytrail_verifier;

-- Name: TABLE tasks; Type: ACL; Schema: celerytrail; Owner: celerytrail_owner

GRANT SELECT,INSERT,UPDATE ON TABLE celerytrail.tasks TO celerytrail_sink;
GRANT SELECT ON TABLE celerytrail.tasks TO celerytrail_actions;
GRANT SELECT ON TABLE celerytrail.tasks TO celerytrail_verifier;

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

-- Name: TABLE groups; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.groups TO celerytrail_grafana;

-- Name: TABLE missing_events; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.missing_events TO celerytrail_grafana;

-- Name: TABLE payloads; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.payloads TO celerytrail_grafana;

-- Name: TABLE runs; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.runs TO celerytrail_grafana;

-- Name: TABLE spans; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.spans TO celerytrail_grafana;

-- Name: TABLE streams; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.streams TO celerytrail_grafana;

-- Name: TABLE tasks; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.tasks TO celerytrail_grafana;

-- Name: TABLE verifications; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.verifications TO celerytrail_grafana;

-- Name: TABLE workers; Type: ACL; Schema: celerytrail_views; Owner: celerytrail_owner

GRANT SELECT ON TABLE celerytrail_views.workers TO celerytrail_grafana;

-- PostgreSQL database dump complete
