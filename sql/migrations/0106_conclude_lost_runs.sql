-- Creates what concludes that runs are lost whose process is gone together with its spool. See docs/read-model.md.
-- Safe: a new table and functions; rows are added to the ledger by the ordinary triggers, none is changed.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.conclusion (
    silent_after interval NOT NULL DEFAULT '5 minutes' CHECK (silent_after >= '1 second'),
    stuck_factor float8 NOT NULL DEFAULT 3 CHECK (stuck_factor >= 1),
    stuck_at_least interval NOT NULL DEFAULT '1 minute' CHECK (stuck_at_least >= '0'),
    stuck_history int4 NOT NULL DEFAULT 20 CHECK (stuck_history >= 1),
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE celerytrail.conclusion IS
    'When a process counts as gone, and a run as stuck. A table and no argument, so that no client decides it: an administrator updates it.';
INSERT INTO celerytrail.conclusion DEFAULT VALUES;
GRANT SELECT ON celerytrail.conclusion TO celerytrail_verifier;

-- Silence means something only while somebody else is heard.
CREATE FUNCTION celerytrail.first_batch_heard(since timestamptz, slots int4)
RETURNS int8
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
COMMENT ON FUNCTION celerytrail.first_batch_heard(timestamptz, int4) IS
    'The first batch that a sink wrote since then, or null where in one of so many equal parts of that time it wrote none: it, the database or the network was down.';

-- The runs that have begun, have not ended, and whose process is gone or silent.
CREATE FUNCTION celerytrail.runs_without_process(silent_since timestamptz, at_most int4)
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

-- A row as the sink makes one of what a shipper concludes. Nothing of it is chosen: whoever concludes
-- the same makes the same row.
CREATE FUNCTION celerytrail.lost_rows(started celerytrail.spans, last_seen_at timestamptz)
RETURNS SETOF celerytrail.spans
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

-- A principal for each deployment, whose token nobody knows: its hash is of what was thrown away.
-- To revoke it is to say that nothing is to be concluded there.
CREATE FUNCTION celerytrail.speak_as_concluder(of_namespace text, of_service text, of_environment text, in_chain int4)
RETURNS bool
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

-- What the sink does with such rows (sql/queries/ingest.sql and read_model.sql), in its order of tables.
CREATE FUNCTION celerytrail.write_lost(rows celerytrail.spans[])
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
        state = excluded.state,
        inferred = excluded.inferred,
        trace_id = excluded.trace_id,
        finished_at = excluded.finished_at,
        runtime_us = NULL,
        exception_class = NULL,
        state_day = excluded.state_day,
        exception_commitment = NULL,
        traceback_commitment = NULL,
        result_commitment = NULL,
        state_key = excluded.state_key,
        updated_at = greatest(r.updated_at, excluded.updated_at)
    WHERE excluded.state_key > r.state_key;

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

CREATE FUNCTION celerytrail.conclude_lost(at_most int4)
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
    parents uuid[] := '{}';
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
    FOR found IN
        SELECT w.started, w.parent_stream_id, w.last_seen_at
        FROM celerytrail.runs_without_process(since, least(greatest(at_most, 1), 1000)) AS w
    LOOP
        candidates := candidates || found.started;
        parents := parents || coalesce(found.parent_stream_id, (found.started).stream_id);
        seen := seen || found.last_seen_at;
    END LOOP;
    IF cardinality(candidates) = 0 THEN
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
        WHERE NOT (c.started).stream_id = ANY (heard_streams)
          AND NOT parents[c.n] = ANY (heard_streams)
          AND NOT coalesce((c.started).host = ANY (late_hosts), false)
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
COMMENT ON FUNCTION celerytrail.conclude_lost(int4) IS
    'Adds a row "lost", marked as inferred, for each run whose process is gone, and returns them. What decides is in the ledger and the table conclusion; the caller chooses only how many at most.';
GRANT EXECUTE ON FUNCTION celerytrail.conclude_lost(int4) TO celerytrail_maintainer;
