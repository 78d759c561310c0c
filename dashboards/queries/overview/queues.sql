-- What waits in each queue now (of the last seven days), and how long tasks begun in the time range had waited.
WITH waiting AS MATERIALIZED (
    SELECT
        t.namespace,
        t.service,
        t.environment,
        t.queue,
        count(*) AS waiting,
        extract(epoch FROM now() - min(coalesce(greatest(t.sent_at, t.eta), t.received_at)))::float8 AS oldest
    FROM celerytrail_views.tasks t
    WHERE t.state IN ('sent', 'received')
      AND t.updated_at >= now() - interval '7 days'
      AND (t.eta IS NULL OR t.eta <= now())
      AND
      -- include: task_filter as t
    GROUP BY t.namespace, t.service, t.environment, t.queue
), waits AS MATERIALIZED (
    -- Sorting all tasks by four texts takes longest. Waits that differ by less than a twentieth share
    -- a row here, so that few are left to sort.
    SELECT
        t.namespace,
        t.service,
        t.environment,
        t.queue,
        ceil(20 * ln(greatest(t.queue_wait_us, 1)::float8)) AS class,
        count(*) AS tasks,
        max(t.queue_wait_us) AS wait_us
    FROM celerytrail_views.tasks t
    WHERE t.updated_at >= $__timeFrom()
      AND $__timeFilter(t.started_at)
      AND
      -- include: task_filter as t
    GROUP BY 1, 2, 3, 4, 5
), running AS (
    SELECT
        w.*,
        sum(w.tasks) FILTER (WHERE w.class IS NOT NULL) OVER in_queue AS at_most,
        sum(w.tasks) OVER whole_queue AS begun,
        sum(w.tasks) FILTER (WHERE w.class IS NOT NULL) OVER whole_queue AS known
    FROM waits w
    WINDOW
        whole_queue AS (PARTITION BY w.namespace, w.service, w.environment, w.queue),
        in_queue AS (whole_queue ORDER BY w.class)
), begun AS MATERIALIZED (
    SELECT
        r.namespace,
        r.service,
        r.environment,
        r.queue,
        max(r.begun)::int8 AS begun,
        min(r.wait_us) FILTER (WHERE r.at_most >= 0.95 * r.known) / 1e6::float8 AS wait_p95
    FROM running r
    GROUP BY r.namespace, r.service, r.environment, r.queue
)
SELECT
    queue, coalesce(w.waiting, 0) AS waiting, w.oldest, b.begun, b.wait_p95, namespace, service, environment,
    coalesce(w.waiting, 0)::text AS seen_depth, '' AS actions
FROM waiting w
FULL JOIN begun b USING (namespace, service, environment, queue)
WHERE queue IS NOT NULL
ORDER BY w.oldest DESC NULLS LAST, queue
LIMIT 50
