-- Makes the bars of a waterfall from each task looked up once, and plans their spans without looking for each task among the common ones.
-- Safe: one function is replaced, with the same columns, rows and rights as before.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE FUNCTION celerytrail.task_bars(
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
    quoted_workflow text := to_json(of_workflow);
    retained_from date := (SELECT h.retained_from FROM celerytrail.horizon h);
    found_steps celerytrail.task_step[];
BEGIN
    -- Days as constants: the partitions of all others are not even looked at. The tasks behind a subquery: the planner
    -- would look for each of them among the most common ones of each day.
    EXECUTE format(
        $spans$
            SELECT array_agg(ROW(
                s.task_id, s.step, s.event_id, s.span_id, s.parent_span_id, s.send_id, s.run_id,
                s.trace_id, s.span_name, s.span_kind, s.status_code, s.start_unix_nano, s.end_unix_nano,
                s.retries, s.queue, s.worker, s.host, s.pid, s.exception_class
            )::celerytrail.task_step)
            FROM celerytrail.spans s
            WHERE s.task_id = ANY ((SELECT $1)::text[])
              AND (s.namespace, s.service, s.environment) = ($2, $3, $4)
              -- The partitions of these days, and those of the events whose clock was beyond all days.
              AND (s.day BETWEEN %L AND %L OR s.day IN ('-infinity', 'infinity'))
        $spans$,
        from_day, to_day
    )
    INTO found_steps
    USING of_tasks, of_namespace, of_service, of_environment;

    RETURN QUERY
    WITH known AS MATERIALIZED (
        -- What all steps of a task have in common.
        SELECT
            t.task_id, t.task_name, t.updated_at, t.send_id,
            t.finished_at IS NULL OR t.state = 'retried' AS is_unfinished,
            c.group_id AS body_of, g.bar_id AS group_bar_id,
            concat_ws(
                ',', celerytrail.bar_attribute('task_id', t.task_id), celerytrail.bar_attribute('task', t.task_name)
            ) AS tags
        FROM celerytrail.tasks t
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
           AND (g.namespace, g.service, g.environment) = (of_namespace, of_service, of_environment)
        WHERE t.task_id = ANY (of_tasks)
          AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
    )
    SELECT
        k.task_id, b.bar_id,
        CASE
            WHEN NOT s.is_send AND s.has_send THEN encode(s.send_id, 'hex')
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
            WHEN b.part = 2 THEN 'run ' || coalesce(k.task_name, '')
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
            WHEN k.send_id = s.send_id AND k.is_unfinished THEN extract(epoch FROM now()) * 1000
            ELSE greatest(extract(epoch FROM k.updated_at) * 1000, s.end_unix_nano / 1000000.0)
        END,
        CASE
            WHEN b.part = 2 OR s.span_kind = 5 THEN 'consumer'
            WHEN s.span_kind = 4 THEN 'producer'
            WHEN s.span_kind = 3 THEN 'client'
            WHEN s.span_kind = 2 THEN 'server'
            ELSE 'internal'
        END,
        CASE WHEN b.part = 2 THEN 0 ELSE s.status_code::int4 END,
        s.exception_class,
        '[' || concat_ws(
            ',', k.tags,
            -- What needs no quoting is not quoted.
            '{"key":"step","value":"' || s.step || '"}', '{"key":"attempt","value":' || s.retries + 1 || '}',
            celerytrail.bar_attribute('queue', s.queue), celerytrail.bar_attribute('worker', s.worker),
            celerytrail.bar_attribute('error.type', s.exception_class),
            '{"key":"trace_id","value":"' || encode(s.trace_id, 'hex') || '"}'
        ) || ']',
        '[' || concat_ws(
            ',', deployment_tags, celerytrail.bar_attribute('service.instance.id', s.worker),
            celerytrail.bar_attribute('host.name', s.host), celerytrail.bar_attribute('process.pid', s.pid)
        ) || ']',
        coalesce(CASE WHEN s.is_send THEN '[' || s.points || ']' END, '[]'),
        -- A body follows its headers: the newest run of each.
        coalesce(
            CASE WHEN b.part = 1 AND k.body_of IS NOT NULL AND (s.is_send OR s.step = 'started' AND NOT s.has_send) THEN (
                SELECT
                    '[' || string_agg(
                        '{"traceID":' || quoted_workflow || ',"spanID":"' || encode(last.run_id, 'hex') || '"}', ','
                    ) || ']'
                FROM (
                    SELECT DISTINCT ON (r.task_id) r.run_id
                    FROM celerytrail.tasks h
                    JOIN celerytrail.runs r
                        ON r.task_id = h.task_id
                       AND (r.namespace, r.service, r.environment) = (of_namespace, of_service, of_environment)
                    WHERE h.group_id = k.body_of AND h.task_id <> k.task_id
                      AND (h.namespace, h.service, h.environment) = (of_namespace, of_service, of_environment)
                    ORDER BY r.task_id, r.started_at DESC NULLS LAST
                ) AS last
            ) END,
            '[]'
        )
    FROM (
        -- Each step with what those beside it say: whether its send is known, and whether the end of its run is.
        SELECT
            f.*,
            f.step IN ('sent', 'send_failed') AS is_send,
            bool_or(f.step IN ('sent', 'send_failed') AND f.span_id = f.send_id) OVER same_send AS has_send,
            bool_or(f.span_id = f.run_id) OVER same_run AS has_run,
            -- A run whose end nobody reported ended no later than its send did.
            max(f.end_unix_nano) FILTER (WHERE p.ends AND p.rank >= 30) OVER same_send AS ended_unix_nano,
            row_number() OVER (PARTITION BY f.span_id ORDER BY p.rank DESC, f.event_id) AS place,
            row_number() OVER (PARTITION BY f.run_id, f.step ORDER BY f.event_id) AS place_in_run,
            string_agg(
                '{"timestamp":' || f.end_unix_nano / 1000000.0 || ',"name":"received","fields":[{"key":"event","value":"received"},'
                || coalesce(celerytrail.bar_attribute('worker', f.worker), '{"key":"worker","value":null}') || ']}',
                ','
            ) FILTER (WHERE f.step = 'received') OVER same_send AS points
        FROM unnest(found_steps) AS f
        JOIN celerytrail.steps p ON p.step = f.step
        WINDOW
            same_send AS (PARTITION BY f.task_id, f.send_id),
            same_run AS (PARTITION BY f.run_id)
    ) AS s
    JOIN known k ON k.task_id = s.task_id
    -- A step is a bar; a start is the end of a wait, and of a run that is not over the beginning.
    CROSS JOIN LATERAL (
        SELECT 1, encode(s.span_id, 'hex')
        WHERE s.place = 1 AND (s.step <> 'received' OR NOT s.has_send)
        UNION ALL
        SELECT 2, encode(s.run_id, 'hex')
        WHERE s.step = 'started' AND s.run_id IS NOT NULL AND NOT s.has_run AND s.place_in_run = 1
    ) AS b (part, bar_id);
END
$$;
