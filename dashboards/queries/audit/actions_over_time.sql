-- Actions over time by verb, refusals by their code: a burst of refusals is a mistake in the configuration, or somebody trying.
SELECT
    date_bin(make_interval(secs => $__interval_ms / 1000.0), a.action_time, timestamptz 'epoch') AS "time",
    CASE WHEN a.phase = 'refused' THEN concat('refused: ', coalesce(a.detail ->> 'code', 'other')) ELSE a.verb END AS metric,
    count(*) AS value
FROM celerytrail_views.actions a
WHERE $__timeFilter(a.action_time)
  AND a.phase IN ('intent', 'refused', 'done')
  AND (
      a.service IS NULL
      OR (
          -- include: deployment_filter as a
      )
  )
GROUP BY 1, 2
ORDER BY 1, 2
