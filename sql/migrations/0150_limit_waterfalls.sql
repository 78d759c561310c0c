-- Looks at the size of a workflow before anything of its waterfall is made, and at its tasks without asking who saw to them.
-- Safe: one function is replaced, with the same columns and rights as before; of more than 2,000 tasks no panel asked for bars.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE FUNCTION celerytrail.workflow_bars(
    of_workflow text, of_namespace text, of_service text, of_environment text
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
    root_span bytea;
    root_sent_at timestamptz;
    root_bar_id text;
    members text[];
    from_day date;
    to_day date;
BEGIN
    -- Nobody can read a picture of more. Celery's own polls for a chord are no part of what somebody published.
    SELECT array_agg(t.task_id), min(t.first_day), max(t.last_day) INTO members, from_day, to_day
    FROM (
        SELECT m.task_id, m.first_day, m.last_day
        FROM celerytrail.tasks_of_workflows m
        WHERE m.workflow_id = of_workflow
          AND (m.namespace, m.service, m.environment) = (of_namespace, of_service, of_environment)
        LIMIT 2001
    ) AS t;
    IF cardinality(members) > 2000 THEN
        RETURN;
    END IF;

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
        extract(epoch FROM least(w.started_at, root_sent_at)) * 1000,
        extract(epoch FROM CASE WHEN w.unfinished > 0 THEN now() ELSE greatest(w.updated_at, w.finished_at) END) * 1000,
        'internal',
        CASE WHEN w.state IN ('failed', 'partially failed', 'body never ran') THEN 2 ELSE 0 END,
        CASE WHEN w.state <> 'succeeded' THEN w.state END,
        '[' || concat_ws(
            ',', celerytrail.bar_attribute('workflow', of_workflow), celerytrail.bar_attribute('kind', w.kind),
            celerytrail.bar_attribute('state', w.state), celerytrail.bar_attribute('members', w.members),
            celerytrail.bar_attribute('succeeded', w.succeeded), celerytrail.bar_attribute('failed', w.failed),
            celerytrail.bar_attribute('unfinished', w.unfinished)
        ) || ']',
        '[' || deployment_tags || ']', '[]', '[]'
    FROM celerytrail.workflow_state(of_workflow, of_namespace, of_service, of_environment) AS w;

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
            extract(epoch FROM least(i.first_sent_at, m.started_at)) * 1000,
            extract(epoch FROM CASE WHEN m.unfinished > 0 THEN now() ELSE greatest(m.finished_at, i.first_sent_at) END) * 1000,
            'internal', CASE WHEN m.failed > 0 THEN 2 ELSE 0 END, NULL::text,
            '[' || concat_ws(
                ',', celerytrail.bar_attribute('group', i.group_id), celerytrail.bar_attribute('kind', i.kind),
                celerytrail.bar_attribute('members', m.members), celerytrail.bar_attribute('failed', m.failed),
                celerytrail.bar_attribute('unfinished', m.unfinished)
            ) || ']',
            '[' || deployment_tags || ']', '[]', '[]'
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
        WHERE i.workflow_id = of_workflow AND i.group_id <> of_workflow
          AND (i.namespace, i.service, i.environment) = (of_namespace, of_service, of_environment);
    END IF;

    IF members IS NOT NULL THEN
        RETURN QUERY
        SELECT b.*
        FROM celerytrail.task_bars(
            members, of_namespace, of_service, of_environment, from_day, to_day, of_workflow, root_bar_id
        ) AS b;
    END IF;
END
$$;

COMMENT ON VIEW celerytrail_views.workflow_spans IS
    'The waterfall of a workflow of up to 2,000 tasks, in the columns of Grafana''s Traces panel: one root, times in milliseconds, JSON as text.';
