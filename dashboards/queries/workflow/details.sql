-- What the workflow is. One row a deployment that knows of it.
SELECT
    w.kind,
    w.name,
    w.state,
    w.started_at,
    w.finished_at,
    CASE WHEN w.retried THEN 'retried' WHEN w.acknowledged THEN 'ended by an operator' WHEN w.needs_attention THEN 'nobody' END AS seen_by,
    w.root_id,
    w.chord_body_id,
    w.workflow_id,
    w.trace_id,
    'zoom to its time' AS zoom,
    (extract(epoch FROM w.started_at) * 1000)::int8 - 2000 AS zoom_from,
    (extract(epoch FROM coalesce(w.finished_at, now())) * 1000)::int8 + 2000 AS zoom_to
FROM celerytrail_views.workflows w
WHERE w.workflow_id = ${workflow_id:sqlstring}
  AND
  -- include: deployment_filter as w
ORDER BY w.updated_at DESC
LIMIT 10
