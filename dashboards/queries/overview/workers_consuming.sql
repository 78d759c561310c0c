-- Workers that sent a heartbeat lately, and of those the ones that take nothing although messages wait for them.
WITH alive AS (
    SELECT w.worker, w.namespace, w.service, w.environment, string_to_array(w.queues, ',') AS queues
    FROM celerytrail_views.workers w
    WHERE w.state = 'online'
      AND w.seen_at > now() - interval '150 seconds'
      AND ('$__all' IN (${worker:sqlstring}) OR w.worker IN (${worker:sqlstring}))
      AND
      -- include: deployment_filter as w
), busy AS MATERIALIZED (
    SELECT DISTINCT t.worker, t.namespace, t.service, t.environment
    FROM celerytrail_views.tasks t
    WHERE t.updated_at > now() - interval '5 minutes'
      AND t.worker IS NOT NULL
), waiting AS MATERIALIZED (
    SELECT DISTINCT t.queue, t.namespace, t.service, t.environment
    FROM celerytrail_views.tasks t
    WHERE t.state = 'sent'
      AND t.updated_at BETWEEN now() - interval '1 day' AND now() - interval '5 minutes'
      AND (t.eta IS NULL OR t.eta < now() - interval '5 minutes')
), judged AS (
    SELECT
        a.worker,
        NOT EXISTS (
            SELECT FROM busy b
            WHERE (b.worker, b.namespace, b.service, b.environment) = (a.worker, a.namespace, a.service, a.environment)
        ) AND EXISTS (
            SELECT FROM waiting q
            WHERE (q.namespace, q.service, q.environment) = (a.namespace, a.service, a.environment)
              AND (a.queues IS NULL OR q.queue = ANY (a.queues))
        ) AS stalled
    FROM alive a
)
SELECT
    count(*) FILTER (WHERE NOT j.stalled) AS "consuming",
    count(*) FILTER (WHERE j.stalled) AS "stalled"
FROM judged j
