-- Names of all tasks that are stored.
SELECT n.task_name AS __text, n.task_name AS __value
FROM celerytrail_views.task_names n
ORDER BY 1
LIMIT 1000
