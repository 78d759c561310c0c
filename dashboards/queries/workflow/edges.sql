-- The edges of the graph: what followed what.
SELECT e.id, e.source, e.target, e.mainstat
FROM celerytrail_views.workflow_edges e
WHERE e.workflow_id = ${workflow_id:sqlstring}
  AND
  -- include: deployment_filter as e
ORDER BY e.id
LIMIT 2000
