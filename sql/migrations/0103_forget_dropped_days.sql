-- Lets the read model forget tasks of days that retention dropped, in batches.
-- Safe: new functions, for one role; project_actions leaves out purges of days that were dropped, and sees the newest of several of one task.

SET LOCAL ROLE celerytrail_owner;

-- Rows of other tables that go with a task: as with erasure, each place has one function, and all are called.
CREATE FUNCTION celerytrail.forget_in_runs(tasks celerytrail.task_key[])
RETURNS int8
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM celerytrail.runs r
        USING unnest($1) AS k
        WHERE r.task_id = k.task_id
          AND (r.namespace, r.service, r.environment) = (k.namespace, k.service, k.environment)
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

CREATE FUNCTION celerytrail.forget_tasks(after timestamptz, at_most int4)
RETURNS TABLE (examined int8, up_to timestamptz, removed jsonb)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- By the index of each day that is left, however small the day: reading all days for each batch is what costs.
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.forget_tasks(timestamptz, int4) IS
    'Removes tasks without a row left in the ledger from the read model, with all that goes with each, in order of their last event. Examined 0 when there is no more.';

CREATE FUNCTION celerytrail.forget_leftovers(at_most int4)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.forget_leftovers(int4) IS
    'Removes groups without members, ends without a task, payloads of impossible clocks, failures, searchable excerpts and marks of erasures, all before the horizon. Returns how many of each, 0 of all when there is no more.';

CREATE FUNCTION celerytrail.unforgotten_days()
RETURNS int8
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FROM celerytrail.day_drops d WHERE d.dropped_at IS NOT NULL AND d.forgotten_at IS NULL
$$;
COMMENT ON FUNCTION celerytrail.unforgotten_days() IS
    'How many days were dropped whose tasks may still be in the read model.';

CREATE FUNCTION celerytrail.finish_forgetting(dropped_until date, removed jsonb)
RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.finish_forgetting(date, jsonb) IS
    'Notes that nothing is left in the read model of the days before this one that were dropped. Returns how many days.';

CREATE FUNCTION celerytrail.retained_from()
RETURNS date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT h.retained_from FROM celerytrail.horizon h
$$;
COMMENT ON FUNCTION celerytrail.retained_from() IS 'The first day whose events are kept.';

GRANT EXECUTE ON FUNCTION
    celerytrail.forget_tasks(timestamptz, int4),
    celerytrail.forget_leftovers(int4),
    celerytrail.unforgotten_days(),
    celerytrail.finish_forgetting(date, jsonb),
    celerytrail.retained_from()
TO celerytrail_maintainer;

CREATE OR REPLACE FUNCTION celerytrail.project_actions(action_ids uuid[])
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
