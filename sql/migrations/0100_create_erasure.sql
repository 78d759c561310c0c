-- Creates the erasure of user data: what is chosen, a mark that keeps it from coming back, and one function a place that holds any.
-- Safe: new tables and functions, and one trigger on payloads that looks up a key; nothing is erased by it.

SET LOCAL ROLE celerytrail_owner;

CREATE TYPE celerytrail.task_key AS (namespace text, service text, environment text, task_id text);

CREATE TABLE celerytrail.erasures (
    erasure_id uuid PRIMARY KEY,
    actor text NOT NULL,
    actor_kind text NOT NULL,
    kinds text[] NOT NULL,
    selection json NOT NULL,
    tasks int8 NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    continued_by text,
    counts jsonb NOT NULL DEFAULT '{}',
    finished_at timestamptz
);
COMMENT ON TABLE celerytrail.erasures IS
    'Each run of `celerytrail erase`: its id is that of the intent in the chain. Open until it is finished, by itself or by the next run.';
CREATE INDEX erasures_open ON celerytrail.erasures (begun_at) WHERE finished_at IS NULL;

CREATE TABLE celerytrail.erasure_targets (
    erasure_id uuid NOT NULL REFERENCES celerytrail.erasures (erasure_id),
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    marked bool NOT NULL DEFAULT false,
    PRIMARY KEY (erasure_id, namespace, service, environment, task_id)
);
COMMENT ON TABLE celerytrail.erasure_targets IS
    'What open erasures have still to do. Fixed when one begins, so that the one who finishes it does the same.';
CREATE INDEX erasure_targets_unmarked ON celerytrail.erasure_targets (erasure_id) WHERE NOT marked;

CREATE TABLE celerytrail.erased_tasks (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    kinds text[] NOT NULL,
    erasure_id uuid NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (task_id, namespace, service, environment)
);
COMMENT ON TABLE celerytrail.erased_tasks IS
    'Tasks whose payloads were erased, and which kinds: one that comes late, from a spool, is refused. No user data. Goes with retention.';
-- Keys alone, as the sink has them anyway, so that it can say what it refuses.
GRANT SELECT (namespace, service, environment, task_id, kinds) ON celerytrail.erased_tasks TO celerytrail_sink;
GRANT SELECT ON celerytrail.erasures, celerytrail.erased_tasks TO celerytrail_verifier;

-- The sink takes such payloads out and counts them; this holds whoever inserts, and whoever marks meanwhile.
CREATE FUNCTION celerytrail.refuse_erased()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
CREATE TRIGGER refuse_erased AFTER INSERT ON celerytrail.payloads
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.refuse_erased();
ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER refuse_erased;

CREATE FUNCTION celerytrail.erasable_kinds()
RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY['args', 'kwargs', 'stamps', 'exception', 'traceback', 'result', 'body', 'reason']
$$;
COMMENT ON FUNCTION celerytrail.erasable_kinds() IS
    'The kinds of payloads of exporter/attributes.py, which a test compares, and the words of operators.';
GRANT EXECUTE ON FUNCTION celerytrail.erasable_kinds() TO celerytrail_maintainer;

-- The salt of a reason is drawn here, so that nobody outside of the database ever knew it.
CREATE FUNCTION celerytrail.keep_reason(intent_id uuid, reason text)
RETURNS bytea
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

-- Each place that holds user data of a task has one function celerytrail.erase_from_<place>(tasks, kinds): all that
-- there are are called. One for a new table is all that an erasure needs to reach it.
CREATE FUNCTION celerytrail.erase_from_payloads(tasks celerytrail.task_key[], kinds text[])
RETURNS int8
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
-- By the index of each day, however small the day: reading all days for each batch is what costs.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
    WITH gone AS (
        DELETE FROM celerytrail.payloads p
        USING unnest($1) AS k
        WHERE p.task_id = k.task_id
          AND (p.namespace, p.service, p.environment) = (k.namespace, k.service, k.environment)
          AND p.kind = ANY ($2)
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION celerytrail.erase_from_payloads(celerytrail.task_key[], text[]) IS
    'Deletes payloads with their salts, without which nobody can try guesses against the commitments in the ledger.';

CREATE FUNCTION celerytrail.erase_from_action_reasons(tasks celerytrail.task_key[], kinds text[])
RETURNS int8
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.erase_from_action_reasons(celerytrail.task_key[], text[]) IS
    'Deletes what operators wrote about actions that named these tasks, with the salts.';

CREATE FUNCTION celerytrail.erase_from_intents(tasks celerytrail.task_key[], kinds text[])
RETURNS int8
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.erase_from_intents(celerytrail.task_key[], text[]) IS
    'Makes the hashes of requests about these tasks unguessable.';

CREATE FUNCTION celerytrail.erase_from_quarantine(tasks celerytrail.task_key[], kinds text[])
RETURNS int8
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.erase_from_quarantine(celerytrail.task_key[], text[]) IS
    'Deletes items of the quarantine that name these tasks, whatever the kinds: nobody knows what is in one.';

CREATE FUNCTION celerytrail.erase_everywhere(tasks celerytrail.task_key[], kinds text[])
RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.erase_everywhere(celerytrail.task_key[], text[]) IS
    'Calls each function erase_from_<place> and returns how many rows went from each.';
