-- The traceback of the newest failure, with its line breaks.
SELECT
    t.updated_at AS "time",
    replace(
        replace(
            replace(
                replace(substr(t.traceback, 2, length(t.traceback) - 2), '\\', E'\x01'),
                '\n', E'\n'
            ),
            '\"', '"'
        ),
        E'\x01', '\'
    ) AS body
FROM (
    SELECT v.updated_at, v.traceback
    FROM celerytrail_views.tasks v
    WHERE v.task_id = ${task_id:sqlstring}
      AND
      -- include: deployment_filter as v
    ORDER BY v.updated_at DESC
    LIMIT 1
) AS t
WHERE t.traceback IS NOT NULL
