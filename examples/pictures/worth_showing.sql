-- What shows much: a failed task and a failed chord, a task that waits, and the deployment of them all. Of
-- equal ones the oldest is taken, so that the choice does not change from run to run.
SELECT
    failed.task_id, failed.namespace, failed.service, failed.environment,
    failed.sent_at, failed.finished_at,
    (
        SELECT w.workflow_id
        FROM celerytrail_views.workflows w
        WHERE w.failed > 0 AND w.kind = 'chord'
        ORDER BY w.members DESC, w.started_at, w.workflow_id
        LIMIT 1
    ) AS workflow_id,
    (
        SELECT t.task_id
        FROM celerytrail_views.tasks t
        WHERE t.state = 'sent' AND t.queue = 'shop.newsletter'
        ORDER BY t.sent_at, t.task_id
        LIMIT 1
    ) AS waiting_id
FROM celerytrail_views.tasks failed
WHERE failed.state = 'failed' AND failed.exception_class IS NOT NULL AND failed.finished_at IS NOT NULL
ORDER BY failed.retries DESC, failed.sent_at, failed.task_id
LIMIT 1
