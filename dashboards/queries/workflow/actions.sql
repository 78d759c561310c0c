-- What people and scripts did to the tasks and chords of the workflow, or were refused to do: one row a step of an action.
SELECT
    a.action_time, a.actor, a.verb, a.phase, a.result, a.tasks, a.task_id, a.new_task_id, a.reason, a.intent_id
FROM (
    SELECT
        t.action_time, t.actor, t.verb, t.phase,
        CASE WHEN min(t.result) = max(t.result) THEN min(t.result) ELSE string_agg(DISTINCT t.result, ', ') END AS result,
        count(*) AS tasks, min(t.task_id) AS task_id,
        CASE WHEN count(*) = 1 THEN min(t.new_task_id) END AS new_task_id,
        t.reason, t.intent_id::text AS intent_id
    FROM celerytrail_views.task_actions t
    WHERE t.task_id = ANY (ARRAY(
        SELECT m.task_id FROM celerytrail_views.workflow_members m WHERE m.workflow_id = ${workflow_id:sqlstring}
    ))
      AND
      -- include: deployment_filter as t
    GROUP BY t.action_time, t.actor, t.verb, t.phase, t.reason, t.intent_id
    UNION ALL
    -- A chord that was not retried has no task to name.
    SELECT
        c.action_time, c.actor, c.verb, c.phase, CASE c.phase WHEN 'refused' THEN 'refused' END, 0, NULL, NULL, c.reason, c.intent_id::text
    FROM celerytrail_views.actions c
    WHERE c.verb = 'retry-chord' AND c.phase IN ('intent', 'refused')
      AND strpos(c.target::text, '"' || ${workflow_id:sqlstring} || '"') > 0
      -- One that names its tasks is among the rows above.
      AND (c.target -> 'tasks') IS NULL
      AND
      -- include: deployment_filter as c
) AS a
ORDER BY a.action_time DESC
LIMIT 100
