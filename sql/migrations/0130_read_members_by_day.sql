-- Reads the members of a workflow by a plan that the session keeps, and their places in a group from their days alone.
-- Safe: one view with the same columns and rows as before, and one new function.

SET LOCAL ROLE celerytrail_owner;

CREATE FUNCTION celerytrail.workflow_members(
    of_workflow text, of_namespace text, of_service text, of_environment text
)
RETURNS TABLE (
    task_id text, task_name text, role text, group_id text, index int8, state text, outcome text, failed bool,
    queue text, worker text, retries int4, attempts int4, queue_wait_us int8, runtime_us int8,
    exception_class text, first_sent_at timestamptz, started_at timestamptz, finished_at timestamptz,
    updated_at timestamptz, root_id text, parent_id text, trace_id text, retried_as text, retried bool,
    acknowledged bool
)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 10 COST 10000
SET search_path = pg_catalog, pg_temp
-- No workflow needs another plan than the next one.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    members text[];
    message_days date[];
    indexes jsonb;
BEGIN
    SELECT array_agg(t.task_id), array_agg(DISTINCT t.message_day) INTO members, message_days
    FROM celerytrail.tasks t
    WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = of_workflow
      AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment);
    -- Days as constants: the partitions of all others are not even looked at.
    EXECUTE format(
        $spans$
            SELECT jsonb_object_agg(s.task_id || ' ' || s.day, s.attributes ->> 'celery.group_index')
            FROM celerytrail.spans s
            WHERE s.task_id = ANY ($1) AND s.day = ANY (%L::date[])
              AND (s.namespace, s.service, s.environment) = ($2, $3, $4)
              AND s.attributes ->> 'celery.group_index' ~ '^[0-9]{1,18}$'
        $spans$,
        message_days
    )
    INTO indexes
    USING members, of_namespace, of_service, of_environment;

    RETURN QUERY
    SELECT
        m.task_id, m.task_name,
        CASE
            WHEN m.body_of IS NOT NULL THEN 'body'
            WHEN m.group_id IS NOT NULL THEN 'header'
            WHEN m.root_group_id IS NULL AND m.parent_id IS NOT NULL AND NOT EXISTS (
                SELECT
                FROM celerytrail.tasks sibling
                WHERE sibling.parent_id = m.parent_id AND sibling.task_id <> m.task_id
                  AND (sibling.namespace, sibling.service, sibling.environment) = (of_namespace, of_service, of_environment)
            ) THEN 'link'
            WHEN m.task_id = of_workflow THEN 'link'
            ELSE 'child'
        END,
        coalesce(m.body_of, m.group_id),
        (indexes ->> (m.task_id || ' ' || m.message_day))::int8,
        m.state, m.outcome, m.outcome = 'failed', m.queue, m.worker, m.retries, m.attempts,
        m.queue_wait_us, m.runtime_us, m.exception_class, m.first_sent_at, m.started_at, m.finished_at,
        m.updated_at, m.root_id, m.parent_id, encode(m.trace_id, 'hex'),
        (
            SELECT a.new_task_id
            FROM celerytrail.task_actions a
            WHERE a.task_id = m.task_id AND a.new_task_id IS NOT NULL AND a.result = 'sent'
              AND (a.namespace, a.service, a.environment) = (of_namespace, of_service, of_environment)
            ORDER BY a.action_time DESC, a.action_id DESC
            LIMIT 1
        ),
        m.is_retried, m.is_acknowledged
    FROM celerytrail.workflow_tasks m
    WHERE m.workflow_id = of_workflow
      AND (m.namespace, m.service, m.environment) = (of_namespace, of_service, of_environment);
END
$$;
COMMENT ON FUNCTION celerytrail.workflow_members(text, text, text, text) IS
    'The tasks of a workflow of one deployment, one row each.';
-- A view calls as whoever reads it. Grafana's role may name nothing in this schema, so it reaches it through views alone.
GRANT EXECUTE ON FUNCTION celerytrail.workflow_members(text, text, text, text) TO celerytrail_grafana;

CREATE OR REPLACE VIEW celerytrail_views.workflow_members WITH (security_barrier = true) AS
SELECT
    w.namespace, w.service, w.environment, w.workflow_id, m.task_id, m.task_name, m.role, m.group_id, m.index,
    m.state, m.outcome, m.failed, m.queue, m.worker, m.retries, m.attempts, m.queue_wait_us, m.runtime_us,
    m.exception_class, m.first_sent_at, m.started_at, m.finished_at, m.updated_at, m.root_id, m.parent_id,
    m.trace_id, m.retried_as, m.retried, m.acknowledged
FROM (
    SELECT coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id, t.namespace, t.service, t.environment
    FROM celerytrail.tasks t
    GROUP BY coalesce(t.root_group_id, t.root_id, t.task_id), t.namespace, t.service, t.environment
) AS w
CROSS JOIN LATERAL celerytrail.workflow_members(w.workflow_id, w.namespace, w.service, w.environment) AS m;
