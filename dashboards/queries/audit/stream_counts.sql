-- Processes with an event in the time range, by how they stand.
SELECT
    count(*) FILTER (WHERE s.state = 'live') AS "live",
    count(*) FILTER (WHERE s.state = 'ended') AS "ended",
    count(*) FILTER (WHERE s.state = 'unterminated') AS "unterminated",
    coalesce(sum(s.missing), 0)::int8 AS "missing",
    coalesce(sum(s.lost), 0)::int8 AS "dropped"
FROM celerytrail_views.streams s
WHERE $__timeFilter(s.updated_at)
  AND
  -- include: deployment_filter as s
