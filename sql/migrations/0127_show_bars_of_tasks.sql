-- Makes the bars of a task's waterfall from the spans of its days alone, and shows those of one task.
-- Safe: new functions and a new view.

SET LOCAL ROLE celerytrail_owner;

-- One attribute of a bar as Grafana's Traces panel takes it, or NULL for none.
CREATE FUNCTION celerytrail.bar_attribute(attribute text, said text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN '{"key":"' || attribute || '","value":' || to_json(said) || '}';
CREATE FUNCTION celerytrail.bar_attribute(attribute text, counted int8)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN '{"key":"' || attribute || '","value":' || counted || '}';

-- What a bar is made of. Of a whole row of spans most is not, and an array of those costs more than finding them.
CREATE TYPE celerytrail.task_step AS (
    task_id text, step text, event_id uuid, span_id bytea, parent_span_id bytea, send_id bytea, run_id bytea,
    trace_id bytea, span_name text, span_kind int2, status_code int2, start_unix_nano int8, end_unix_nano int8,
    retries int4, queue text, worker text, host text, pid int4, exception_class text
);

-- A function, because a view over the ledger is planned for every day there is: which days matter is known from the
-- tasks, but only to the running query. What it asks of the read model is planned once a session.
CREATE FUNCTION celerytrail.task_bars(
    of_tasks text[], of_namespace text, of_service text, of_environment text, from_day date, to_day date,
    of_workflow text, root_bar_id text
)
RETURNS TABLE (
    task_id text, bar_id text, parent_bar_id text, name text, place text, start_ms numeric, end_ms numeric,
    kind text, status_code int4, status_message text, tags text, service_tags text, points text, follows text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 COST 10000
SET search_path = pg_catalog, pg_temp
-- No task, group or workflow needs another plan than the next one.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    deployment_tags text := concat_ws(
        ',', celerytrail.bar_attribute('service.namespace', of_namespace),
        celerytrail.bar_attribute('deployment.environment.name', of_environment)
    );
    retained_from date := (SELECT h.retained_from FROM celerytrail.horizon h);
    found_steps celerytrail.task_step[];
BEGIN
    -- Days as constants: the partitions of all others are not even looked at.
    EXECUTE format(
        $spans$
            SELECT array_agg(ROW(
                s.task_id, s.step, s.event_id, s.span_id, s.parent_span_id, s.send_id, s.run_id,
                s.trace_id, s.span_name, s.span_kind, s.status_code, s.start_unix_nano, s.end_unix_nano,
                s.retries, s.queue, s.worker, s.host, s.pid, s.exception_class
            )::celerytrail.task_step)
            FROM celerytrail.spans s
            WHERE s.task_id = ANY ($1)
              AND (s.namespace, s.service, s.environment) = ($2, $3, $4)
              -- The partitions of these days, and those of the events whose clock was beyond all days.
              AND (s.day BETWEEN %L AND %L OR s.day IN ('-infinity', 'infinity'))
        $spans$,
        from_day, to_day
    )
    INTO found_steps
    USING of_tasks, of_namespace, of_service, of_environment;

    RETURN QUERY
    SELECT
        s.task_id, b.bar_id,
        CASE
            WHEN NOT s.is_send AND s.has_send THEN encode(s.send_id, 'hex')
            WHEN c.group_id IS NOT NULL THEN c.bar_id
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
                s.span_name || coalesce(': ' || s.task_name, '')
                || CASE WHEN s.retries > 0 THEN ', attempt ' || (s.retries + 1) ELSE '' END
            WHEN b.part = 2 THEN 'run ' || coalesce(s.task_name, '')
            ELSE s.span_name
        END,
        -- Grafana gives each its own colour: who sent it, the queue it waited in, the worker that ran it.
        CASE
            WHEN s.is_send THEN of_service
            WHEN b.part = 1 AND s.step = 'started' THEN coalesce('queue ' || s.queue, of_service)
            ELSE coalesce(s.worker, of_service)
        END,
        CASE WHEN b.part = 2 THEN s.end_unix_nano ELSE s.start_unix_nano END / 1000000.0,
        CASE
            WHEN b.part = 1 THEN s.end_unix_nano / 1000000.0
            WHEN s.ended_unix_nano IS NOT NULL THEN greatest(s.ended_unix_nano, s.end_unix_nano) / 1000000.0
            WHEN s.is_newest_send AND s.is_unfinished THEN extract(epoch FROM now()) * 1000
            ELSE greatest(extract(epoch FROM s.updated_at) * 1000, s.end_unix_nano / 1000000.0)
        END,
        CASE
            WHEN b.part = 2 OR s.span_kind = 5 THEN 'consumer'
            WHEN s.span_kind = 4 THEN 'producer'
            WHEN s.span_kind = 3 THEN 'client'
            WHEN s.span_kind = 2 THEN 'server'
            ELSE 'internal'
        END,
        CASE WHEN b.part = 2 THEN 0 ELSE s.status_code END,
        s.exception_class,
        '[' || concat_ws(
            ',', celerytrail.bar_attribute('task_id', s.task_id), celerytrail.bar_attribute('task', s.task_name),
            celerytrail.bar_attribute('step', s.step), celerytrail.bar_attribute('attempt', s.retries + 1),
            celerytrail.bar_attribute('queue', s.queue), celerytrail.bar_attribute('worker', s.worker),
            celerytrail.bar_attribute('error.type', s.exception_class),
            celerytrail.bar_attribute('trace_id', encode(s.trace_id, 'hex'))
        ) || ']',
        '[' || concat_ws(
            ',', deployment_tags, celerytrail.bar_attribute('service.instance.id', s.worker),
            celerytrail.bar_attribute('host.name', s.host), celerytrail.bar_attribute('process.pid', s.pid)
        ) || ']',
        coalesce(CASE WHEN s.is_send THEN '[' || s.points || ']' END, '[]'),
        -- A body follows its headers: the newest run of each.
        coalesce(
            CASE WHEN b.part = 1 AND s.body_of IS NOT NULL AND (s.is_send OR s.step = 'started' AND NOT s.has_send) THEN (
                SELECT json_agg(json_build_object('traceID', of_workflow, 'spanID', encode(last.run_id, 'hex')))::text
                FROM celerytrail.tasks h
                CROSS JOIN LATERAL (
                    SELECT r.run_id
                    FROM celerytrail.runs r
                    WHERE r.task_id = h.task_id
                      AND (r.namespace, r.service, r.environment) = (h.namespace, h.service, h.environment)
                    ORDER BY r.started_at DESC NULLS LAST
                    LIMIT 1
                ) AS last
                WHERE h.group_id = s.body_of AND h.task_id <> s.task_id
                  AND (h.namespace, h.service, h.environment) = (of_namespace, of_service, of_environment)
            ) END,
            '[]'
        )
    FROM (
        -- The steps of the tasks, each with what those beside it say: whether its send is known, and whether
        -- the end of its run is.
        SELECT
            t.task_id, t.task_name, t.group_id, t.updated_at, t.send_id = a.send_id AS is_newest_send,
            t.finished_at IS NULL OR t.state = 'retried' AS is_unfinished,
            -- The chord whose body it is.
            (
                SELECT c.group_id
                FROM celerytrail.groups c
                WHERE c.chord_body_id = t.task_id
                  AND (c.namespace, c.service, c.environment) = (of_namespace, of_service, of_environment)
                LIMIT 1
            ) AS body_of,
            a.step, a.span_id, a.parent_span_id, a.send_id, a.run_id, a.span_name, a.span_kind,
            a.status_code::int4, a.start_unix_nano, a.end_unix_nano, a.retries, a.queue, a.worker,
            a.host, a.pid, a.exception_class, a.trace_id,
            a.step IN ('sent', 'send_failed') AS is_send,
            bool_or(a.step IN ('sent', 'send_failed') AND a.span_id = a.send_id) OVER same_send AS has_send,
            bool_or(a.span_id = a.run_id) OVER same_run AS has_run,
            -- A run whose end nobody reported ended no later than its send did.
            max(a.end_unix_nano) FILTER (WHERE p.ends AND p.rank >= 30) OVER same_send AS ended_unix_nano,
            row_number() OVER (PARTITION BY a.span_id ORDER BY p.rank DESC, a.event_id) AS place,
            row_number() OVER (PARTITION BY a.run_id, a.step ORDER BY a.event_id) AS place_in_run,
            string_agg(
                '{"timestamp":' || to_json(a.end_unix_nano / 1000000.0) || ',"name":' || to_json(a.step)
                || ',"fields":[' || celerytrail.bar_attribute('event', a.step) || ','
                || coalesce(celerytrail.bar_attribute('worker', a.worker), '{"key":"worker","value":null}') || ']}',
                ','
            ) FILTER (WHERE a.step = 'received') OVER same_send AS points
        FROM unnest(found_steps) AS a
        JOIN celerytrail.tasks t
            ON t.task_id = a.task_id
           AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
        JOIN celerytrail.steps p ON p.step = a.step
        WINDOW
            same_send AS (PARTITION BY a.task_id, a.send_id),
            same_run AS (PARTITION BY a.run_id)
    ) AS s
    -- A step is a bar; a start is the end of a wait, and of a run that is not over the beginning.
    CROSS JOIN LATERAL (
        SELECT 1, encode(s.span_id, 'hex')
        WHERE s.place = 1 AND (s.step <> 'received' OR NOT s.has_send)
        UNION ALL
        SELECT 2, encode(s.run_id, 'hex')
        WHERE s.step = 'started' AND s.run_id IS NOT NULL AND NOT s.has_run AND s.place_in_run = 1
    ) AS b (part, bar_id)
    LEFT JOIN celerytrail.workflow_groups c
        ON c.workflow_id = of_workflow AND c.group_id = coalesce(s.body_of, s.group_id)
       AND (c.namespace, c.service, c.environment) = (of_namespace, of_service, of_environment);
END
$$;
COMMENT ON FUNCTION celerytrail.task_bars(text[], text, text, text, date, date, text, text) IS
    'Every bar of these tasks of one workflow in one deployment: each send, wait and run.';

CREATE VIEW celerytrail_views.task_spans WITH (security_barrier = true) AS
SELECT
    t.namespace, t.service, t.environment, t.workflow_id, t.task_id,
    t.workflow_id AS "traceID", b.bar_id AS "spanID", b.parent_bar_id AS "parentSpanID",
    b.name AS "operationName", b.place AS "serviceName",
    b.start_ms::float8 AS "startTime", greatest(b.end_ms - b.start_ms, 0)::float8 AS "duration",
    b.kind AS "kind", b.status_code AS "statusCode", b.status_message AS "statusMessage",
    b.tags AS "tags", b.service_tags AS "serviceTags", b.points AS "logs", b.follows AS "references"
FROM celerytrail.workflow_tasks t
CROSS JOIN LATERAL celerytrail.task_bars(
    ARRAY[t.task_id], t.namespace, t.service, t.environment, t.first_day, t.last_day, t.workflow_id, NULL
) AS b;
COMMENT ON VIEW celerytrail_views.task_spans IS
    'The bars of workflow_spans that are of one task. Ask for one task by its id. A parent may be a bar of another task or group.';
GRANT SELECT ON celerytrail_views.task_spans TO celerytrail_grafana;
-- A view calls as whoever reads it. Grafana's role may name nothing in this schema, so it reaches it through views alone.
GRANT EXECUTE ON FUNCTION celerytrail.task_bars(text[], text, text, text, date, date, text, text) TO celerytrail_grafana;
