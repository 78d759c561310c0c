-- Reads the newest tasks of a sample by their index, and finds a child's main process whose clock was set back after it began.
-- Safe: two functions are replaced, with the same columns and rights as before.

SET LOCAL ROLE celerytrail_owner;

-- The runs that have begun, have not ended, and whose process is gone or silent.
CREATE OR REPLACE FUNCTION celerytrail.runs_without_process(
    silent_since timestamptz, at_most int4, heard_streams uuid[], late_hosts text[]
)
RETURNS TABLE (started celerytrail.spans, parent_stream_id uuid, last_seen_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

CREATE OR REPLACE FUNCTION celerytrail.check_read_model(sample int4, every_seconds int4)
RETURNS TABLE (sampled int4, different int4, incomparable int4, task_id text, column_name text, stored text, recomputed text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
