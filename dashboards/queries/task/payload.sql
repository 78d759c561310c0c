-- Arguments, exception and result: redacted where they arose. Texts are shown without their JSON escapes; what was erased is named.
SELECT
    p.what,
    CASE
        WHEN p.content LIKE '"%"' THEN replace(
            replace(
                replace(
                    replace(substr(p.content, 2, length(p.content) - 2), '\\', E'\x01'),
                    '\n', E'\n'
                ),
                '\"', '"'
            ),
            E'\x01', '\'
        )
        ELSE p.content
    END AS content
FROM (
    SELECT
        v.args, v.kwargs, v.exception, v.result,
        (
            SELECT format(
                '%s: erased %s UTC by %s', array_to_string(e.kinds, ', '),
                to_char(e.erased_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), e.actor
            )
            FROM celerytrail_views.erased_tasks e
            WHERE e.task_id = v.task_id
              AND (e.namespace, e.service, e.environment) = (v.namespace, v.service, v.environment)
        ) AS erased
    FROM celerytrail_views.tasks v
    WHERE v.task_id = ${task_id:sqlstring}
      AND
      -- include: deployment_filter as v
    ORDER BY v.updated_at DESC
    LIMIT 1
) AS t
CROSS JOIN LATERAL (
    VALUES
        (1, 'args', t.args), (2, 'kwargs', t.kwargs), (3, 'exception', t.exception),
        (4, 'result', t.result), (5, 'erased', t.erased)
) AS p (place, what, content)
WHERE p.content IS NOT NULL
ORDER BY p.place
