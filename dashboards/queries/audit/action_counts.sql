-- Actions in the time range by what became of them.
SELECT
    count(*) FILTER (WHERE a.phase = 'intent') AS "begun",
    count(*) FILTER (WHERE a.phase = 'refused') AS "refused"
FROM celerytrail_views.actions a
WHERE $__timeFilter(a.action_time)
  AND (
      a.service IS NULL
      OR (
          -- include: deployment_filter as a
      )
  )
