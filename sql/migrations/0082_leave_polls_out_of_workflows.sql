-- Replaces the view of the tasks of workflows: Celery's own polls for a chord are no part of what somebody published.
-- Safe: the same columns of the same view, without the rows of celery.chord_unlock.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE VIEW celerytrail.workflow_tasks AS
SELECT
    coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
    t.namespace, t.service, t.environment, t.task_id, t.task_name, t.state, t.queue, t.worker,
    t.retries, t.attempts, t.root_id, t.parent_id, t.group_id, t.root_group_id, t.message_day, t.send_id,
    t.first_sent_at, t.started_at, t.finished_at, t.updated_at, t.queue_wait_us, t.runtime_us,
    t.exception_class, t.trace_id, e.outcome,
    coalesce(
        (least(t.first_sent_at, t.received_at, t.started_at, t.finished_at) AT TIME ZONE 'UTC')::date - 1, '-infinity'
    ) AS first_day,
    coalesce(
        (greatest(t.updated_at, t.sent_at, t.received_at, t.started_at, t.finished_at) AT TIME ZONE 'UTC')::date + 1, 'infinity'
    ) AS last_day,
    -- The chord whose body it is.
    (
        SELECT c.group_id
        FROM celerytrail.groups c
        WHERE c.chord_body_id = t.task_id
          AND (c.namespace, c.service, c.environment) = (t.namespace, t.service, t.environment)
        LIMIT 1
    ) AS body_of,
    -- A failure is open until an operator retried it, and that did not fail in its turn, or until an
    -- operator ended the task: then somebody knows.
    coalesce(h.is_retried, false) AS is_retried,
    coalesce(h.is_acknowledged, false) AS is_acknowledged
FROM celerytrail.tasks t
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN t.finished_at IS NULL OR t.state = 'retried' THEN 'unfinished'
        WHEN t.state IN ('succeeded', 'ignored') THEN 'succeeded'
        ELSE 'failed'
    END
) AS e (outcome)
LEFT JOIN LATERAL (
    WITH RECURSIVE retries (task_id, depth) AS (
        SELECT t.task_id, 0
        UNION ALL
        SELECT n.new_task_id, r.depth + 1
        FROM retries r
        CROSS JOIN LATERAL (
            SELECT a.new_task_id
            FROM celerytrail.task_actions a
            WHERE a.task_id = r.task_id
              AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
              AND a.new_task_id IS NOT NULL AND a.result = 'sent'
            ORDER BY a.action_time DESC, a.action_id DESC
            LIMIT 1
        ) AS n
        WHERE r.depth < 50
    ), newest AS (
        SELECT r.task_id, r.depth FROM retries r ORDER BY r.depth DESC LIMIT 1
    )
    SELECT
        n.depth > 0 AND NOT EXISTS (
            SELECT
            FROM celerytrail.tasks again
            WHERE again.task_id = n.task_id
              AND (again.namespace, again.service, again.environment) = (t.namespace, t.service, t.environment)
              AND again.finished_at IS NOT NULL AND again.state NOT IN ('succeeded', 'ignored', 'retried', 'purged')
              -- An operator ended the retry.
              AND NOT (again.state IN ('revoked', 'aborted') AND EXISTS (
                  SELECT
                  FROM celerytrail.task_actions a
                  WHERE a.task_id = again.task_id
                    AND (a.namespace, a.service, a.environment) = (again.namespace, again.service, again.environment)
                    AND a.verb IN ('cancel', 'terminate') AND a.phase = 'outcome'
              ))
              -- A failure of its own workflow, or of this one, is told there.
              AND again.root_group_id IS NULL
              AND coalesce(again.root_id, again.task_id) <> coalesce(t.root_group_id, t.root_id, t.task_id)
        ) AS is_retried,
        t.state = 'purged' OR t.state IN ('revoked', 'aborted') AND EXISTS (
            SELECT
            FROM celerytrail.task_actions a
            WHERE a.task_id = t.task_id
              AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
              AND a.verb IN ('cancel', 'terminate') AND a.phase = 'outcome'
        ) AS is_acknowledged
    FROM newest n
) AS h ON e.outcome = 'failed'
WHERE t.task_name IS DISTINCT FROM 'celery.chord_unlock';
