-- Lets no run that cannot be concluded yet keep others from it, and an end that arrives meanwhile count in full.
-- Safe: functions that only the conclusion calls are replaced; what is concluded is the same.

SET LOCAL ROLE celerytrail_owner;

CREATE FUNCTION celerytrail.concluder_is_silenced(of_namespace text, of_service text, of_environment text)
RETURNS bool
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION celerytrail.concluder_is_silenced(text, text, text) IS
    'Whether somebody revoked or disabled what concludes lost runs in a deployment.';

DROP FUNCTION celerytrail.runs_without_process(timestamptz, int4);

-- The runs that have begun, have not ended, and whose process is gone or silent.
CREATE FUNCTION celerytrail.runs_without_process(
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
    -- A pool child says nothing between two tasks. Its worker's main process does: the newest of that
    -- name on that host that was there before the child.
    LEFT JOIN LATERAL (
        SELECT w.stream_id, w.updated_at, w.closed_at, w.abandoned_at
        FROM celerytrail.streams w
        WHERE w.process_kind = 'worker' AND w.worker = o.worker AND w.host = o.host
          AND (w.namespace, w.service, w.environment) = (o.namespace, o.service, o.environment)
          AND coalesce(w.opened_at, w.first_seen_at) <= coalesce(o.opened_at, o.first_seen_at)
        ORDER BY coalesce(w.opened_at, w.first_seen_at) DESC
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

-- What the sink does with such rows (sql/queries/ingest.sql and read_model.sql), in its order of tables.
CREATE OR REPLACE FUNCTION celerytrail.write_lost(rows celerytrail.spans[])
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

CREATE OR REPLACE FUNCTION celerytrail.conclude_lost(at_most int4)
RETURNS TABLE (task_id text, run_id text, worker text, last_seen_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
