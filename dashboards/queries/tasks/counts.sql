-- How many tasks with an event in the time range are in each kind of state now.
SELECT
    count(*) FILTER (WHERE t.state IN ('sent', 'received')) AS "waiting",
    count(*) FILTER (WHERE t.state = 'started') AS "started",
    count(*) FILTER (WHERE t.state = 'retried') AS "retried",
    count(*) FILTER (WHERE t.state = 'succeeded') AS "succeeded",
    count(*) FILTER (WHERE t.state = 'failed') AS "failed",
    count(*) FILTER (
        WHERE t.state IN ('lost', 'aborted', 'rejected', 'unknown', 'malformed', 'expired', 'send_failed')
    ) AS "lost or refused",
    count(*) FILTER (WHERE t.state IN ('revoked', 'purged', 'ignored')) AS "revoked or purged"
FROM celerytrail_views.tasks t
WHERE $__timeFilter(t.updated_at)
  AND
  -- include: task_filter as t
  AND
  -- include: state_filter as t
