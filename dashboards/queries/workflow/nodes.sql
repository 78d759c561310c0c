-- The nodes of the graph: groups and tasks, or, of a large workflow, one for each name and outcome.
SELECT
    n.id, n.title, n.subtitle, n.mainstat, n.secondarystat,
    n.arc__succeeded, n.arc__failed, n.arc__unfinished,
    n.detail__task_id, n.detail__worker, n.detail__exception
FROM celerytrail_views.workflow_nodes n
WHERE n.workflow_id = ${workflow_id:sqlstring}
  AND
  -- include: deployment_filter as n
ORDER BY n.id
LIMIT 199
