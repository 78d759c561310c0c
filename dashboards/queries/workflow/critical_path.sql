-- The steps that the duration of the workflow is made of, in their order; of long ones the last.
SELECT
    p.place,
    p.task_name,
    p.task_id,
    p.state,
    p.reason,
    p.wait_us / 1e6 AS waited,
    p.run_us / 1e6 AS ran,
    p.share,
    p.attempts,
    p.queue,
    p.worker,
    p.entered_at
FROM (
    SELECT c.*
    FROM celerytrail_views.critical_path c
    WHERE c.workflow_id = ${workflow_id:sqlstring}
      AND
      -- include: deployment_filter as c
    ORDER BY c.place DESC
    LIMIT 500
) AS p
ORDER BY p.namespace, p.service, p.environment, p.place
