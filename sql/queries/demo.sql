-- What `celerytrail demo` shows and compares. Parameters: the deployment of this run.

-- name: counts
SELECT
    (SELECT count(*) FROM celerytrail_views.tasks t
     WHERE (t.namespace, t.service, t.environment)
         = (%(namespace)s, %(service)s, %(environment)s)) AS tasks,
    (SELECT count(*) FROM celerytrail_views.spans s
     WHERE (s.namespace, s.service, s.environment)
         = (%(namespace)s, %(service)s, %(environment)s)) AS spans,
    (SELECT coalesce(sum(s.missing + s.lost), 0)::int8 FROM celerytrail_views.streams s
     WHERE (s.namespace, s.service, s.environment)
         = (%(namespace)s, %(service)s, %(environment)s)) AS missing,
    (SELECT count(*) FROM celerytrail_views.streams s
     WHERE s.state = 'unterminated'
       AND (s.namespace, s.service, s.environment)
         = (%(namespace)s, %(service)s, %(environment)s)) AS unterminated,
    (SELECT count(*) FROM celerytrail.blocks) AS blocks,
    (SELECT coalesce(max(c.n), 0) FROM celerytrail_views.chain_state c) AS head

-- name: states
SELECT t.task_name, t.state, count(*)
FROM celerytrail_views.tasks t
WHERE (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)
GROUP BY t.task_name, t.state
ORDER BY t.task_name, t.state

-- name: slowest
SELECT t.task_name, t.task_id, t.runtime_us, t.queue_wait_us, t.worker
FROM celerytrail_views.tasks t
WHERE t.runtime_us IS NOT NULL
  AND (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)
ORDER BY t.runtime_us DESC
LIMIT %(rows)s

-- name: failures
SELECT t.task_id, t.task_name, t.exception_class, t.exception, t.root_id, root.task_name AS root_name, t.finished_at
FROM celerytrail_views.tasks t
LEFT JOIN celerytrail_views.tasks root
    ON root.task_id = t.root_id
   AND (root.namespace, root.service, root.environment) = (t.namespace, t.service, t.environment)
WHERE t.state IN ('failed', 'lost')
  AND (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)
ORDER BY t.finished_at DESC
LIMIT %(rows)s

-- name: stored
-- How many of the given tasks are stored, and how many of all are neither ended nor in a queue
-- that nobody consumes.
SELECT
    count(*) FILTER (WHERE t.task_id = ANY (%(ids)s)) AS stored,
    count(*) FILTER (
        WHERE t.state IN ('sent', 'received', 'started', 'retried')
          AND t.queue IS DISTINCT FROM %(unconsumed)s
    ) AS unfinished
FROM celerytrail_views.tasks t
WHERE (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)

-- name: verifications
-- The last verification, and how many since the given time found the chain broken.
SELECT
    (SELECT v.status FROM celerytrail_views.verifications v ORDER BY v.verified_at DESC LIMIT 1)
        AS status,
    (SELECT max(v.to_n) FROM celerytrail_views.verifications v
     WHERE v.status <> 'broken') AS verified_to,
    (SELECT count(*) FROM celerytrail_views.verifications v
     WHERE v.status = 'broken' AND v.verified_at >= %(since)s) AS broken,
    clock_timestamp() AS now
