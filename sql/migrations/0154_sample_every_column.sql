-- Compares every column of the sampled tasks and runs with the ledger, and finds runs that it does not know.
-- Safe: what recomputes the sample is made anew with more columns, and what compares it is replaced; nobody else calls them.

SET LOCAL ROLE celerytrail_owner;

DROP FUNCTION celerytrail.tasks_by_ledger(text[]);
DROP FUNCTION celerytrail.runs_by_ledger(text[]);

-- Said in another way than the sink does it, on purpose: a mistake in one shows as a difference.
CREATE FUNCTION celerytrail.tasks_by_ledger(task_ids text[])
RETURNS TABLE (
    namespace text, service text, environment text, task_id text, task_name text, queue text,
    eta timestamptz, priority int4, retries int4, send_id bytea, trace_id bytea, message_day date,
    args_commitment bytea, kwargs_commitment bytea, stamps_commitment bytea, body_commitment bytea,
    message_key bytea, state text, inferred bool, worker text, finished_at timestamptz, runtime_us int8,
    exception_class text, state_day date, exception_commitment bytea, traceback_commitment bytea,
    result_commitment bytea, state_key bytea, started_at timestamptz, queue_wait_us int8, start_key bytea,
    root_id text, parent_id text, group_id text, root_group_id text, chord_body_id text, attempts int4,
    first_sent_at timestamptz, sent_at timestamptz, received_at timestamptz, updated_at timestamptz,
    chain_length int4, chain_left int4
)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.tasks_by_ledger(text[]) IS
    'The rows of tasks for these ids as the ledger has them: its spans, and its actions that purged messages.';

CREATE FUNCTION celerytrail.runs_by_ledger(task_ids text[])
RETURNS TABLE (
    namespace text, service text, environment text, run_id bytea, task_id text, task_name text, send_id bytea,
    trace_id bytea, retries int4, queue text, worker text, host text, pid int4, state text, inferred bool,
    finished_at timestamptz, runtime_us int8, exception_class text, state_day date, exception_commitment bytea,
    traceback_commitment bytea, result_commitment bytea, state_key bytea, started_at timestamptz,
    queue_wait_us int8, updated_at timestamptz
)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION celerytrail.runs_by_ledger(text[]) IS
    'The rows of runs for these tasks as the ledger has them.';

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
        SELECT t.* FROM celerytrail.tasks t ORDER BY t.updated_at DESC NULLS LAST LIMIT 2000
    ), chosen AS (
        (
            SELECT t.namespace, t.service, t.environment, t.task_id
            FROM celerytrail.tasks t TABLESAMPLE SYSTEM (share)
            ORDER BY random() LIMIT each
        )
        UNION
        (SELECT n.namespace, n.service, n.environment, n.task_id FROM newest n ORDER BY n.updated_at DESC NULLS LAST LIMIT each)
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
