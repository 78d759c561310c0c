-- Numbers that a capturing process gave to events which never arrived, and what it said it had to drop.
SELECT coalesce(sum(s.missing), 0)::int8 AS "missing", coalesce(sum(s.lost), 0)::int8 AS "dropped"
FROM celerytrail_views.streams s
WHERE $__timeFilter(s.updated_at)
  AND
  -- include: deployment_filter as s
