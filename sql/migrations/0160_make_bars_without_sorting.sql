-- Makes the bars of a waterfall with a third of the work less: no step is sorted, or put into an array and taken out of it again.
-- Safe: two views with the same columns, rows and rights as before, and the functions behind them, which nothing else calls.

SET LOCAL ROLE celerytrail_owner;

-- What all bars of a task have in common.
CREATE TYPE celerytrail.bar_task AS (
    task_id text, task_name text, updated_at timestamptz, send_id bytea, is_unfinished bool, group_id text,
    body_of text, group_bar_id text, tags text
);

-- Milliseconds of nanoseconds as a division of numeric has them, which costs several times as much: of 13 digits before the point
-- four decimals follow. Numbers of other lengths, which no clock that is right says, have others. Without BETWEEN: what a dump says of
-- two of them is read back as another expression.
CREATE FUNCTION celerytrail.bar_ms(unix_nano int8)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN unix_nano >= 1010000000000000000 AND unix_nano <= 9000000000000000000
    THEN ((unix_nano + 50) / 1000000)::float8 + ((unix_nano + 50) / 100 % 10000)::float8 / 1e4
    ELSE (unix_nano / 1000000.0)::float8
END;
CREATE FUNCTION celerytrail.bar_ms_between(start_unix_nano int8, end_unix_nano int8)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN start_unix_nano >= 1010000000000000000 AND start_unix_nano <= 9000000000000000000
        AND end_unix_nano - start_unix_nano >= 0 AND end_unix_nano - start_unix_nano <= 9000000000000000
    THEN ((end_unix_nano + 50) / 100 - (start_unix_nano + 50) / 100)::float8 / 1e4
    ELSE greatest(end_unix_nano / 1000000.0 - start_unix_nano / 1000000.0, 0)::float8
END;

-- A function that hands out rows, and not an array of them, which would be made, copied and taken apart.
CREATE FUNCTION celerytrail.task_steps(
    of_tasks text[], of_namespace text, of_service text, of_environment text, from_day date, to_day date
)
RETURNS SETOF celerytrail.task_step
LANGUAGE plpgsql STABLE ROWS 500 COST 10000
SET search_path = pg_catalog, pg_temp
-- Partitions are chosen by their days. What a day's rows have to fulfil says nothing more.
SET constraint_exclusion = off AS $$
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
$$;
COMMENT ON FUNCTION celerytrail.task_steps(text[], text, text, text, date, date) IS
    'What bars are made of: the spans of these tasks in one deployment, looked for in these days alone.';

-- One function for a task and for a workflow: a session compiles and plans one.
CREATE FUNCTION celerytrail.workflow_bars(
    of_workflow text, of_namespace text, of_service text, of_environment text, of_task text
)
RETURNS TABLE (
    task_id text, bar_id text, parent_bar_id text, name text, place text, start_ms float8, duration_ms float8,
    kind text, status_code int4, status_message text, tags text, service_tags text, points text, follows text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 COST 10000
SET search_path = pg_catalog, pg_temp
-- No task, group or workflow needs another plan than the next one.
SET plan_cache_mode = force_generic_plan AS $$
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
COMMENT ON FUNCTION celerytrail.workflow_bars(text, text, text, text, text) IS
    'Every bar of the waterfall of a workflow in one deployment: its root, the groups in it, each send, wait and run. Of one task its own alone.';
-- A view calls as whoever reads it. Grafana's role may name nothing in this schema, so it reaches it through views alone.
GRANT EXECUTE ON FUNCTION celerytrail.workflow_bars(text, text, text, text, text) TO celerytrail_grafana;

CREATE OR REPLACE VIEW celerytrail_views.workflow_spans WITH (security_barrier = true) AS
SELECT
    w.namespace, w.service, w.environment, w.workflow_id, b.task_id,
    w.workflow_id AS "traceID", b.bar_id AS "spanID", b.parent_bar_id AS "parentSpanID",
    b.name AS "operationName", b.place AS "serviceName", b.start_ms AS "startTime", b.duration_ms AS "duration",
    b.kind AS "kind", b.status_code AS "statusCode", b.status_message AS "statusMessage",
    b.tags AS "tags", b.service_tags AS "serviceTags", b.points AS "logs", b.follows AS "references"
FROM (
    SELECT coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id, t.namespace, t.service, t.environment
    FROM celerytrail.tasks t
    GROUP BY coalesce(t.root_group_id, t.root_id, t.task_id), t.namespace, t.service, t.environment
) AS w
CROSS JOIN LATERAL celerytrail.workflow_bars(w.workflow_id, w.namespace, w.service, w.environment, NULL) AS b;

CREATE OR REPLACE VIEW celerytrail_views.task_spans WITH (security_barrier = true) AS
SELECT
    t.namespace, t.service, t.environment, t.workflow_id, t.task_id,
    t.workflow_id AS "traceID", b.bar_id AS "spanID", b.parent_bar_id AS "parentSpanID",
    b.name AS "operationName", b.place AS "serviceName", b.start_ms AS "startTime", b.duration_ms AS "duration",
    b.kind AS "kind", b.status_code AS "statusCode", b.status_message AS "statusMessage",
    b.tags AS "tags", b.service_tags AS "serviceTags", b.points AS "logs", b.follows AS "references"
FROM celerytrail.workflow_tasks t
CROSS JOIN LATERAL celerytrail.workflow_bars(t.workflow_id, t.namespace, t.service, t.environment, t.task_id) AS b;

DROP FUNCTION celerytrail.workflow_bars(text, text, text, text);
DROP FUNCTION celerytrail.task_bars(text[], text, text, text, date, date, text, text);
