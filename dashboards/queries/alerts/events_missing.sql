-- One row a worker, or a host's publishers, whose processes numbered events that are not here, or said that they dropped some; of processes heard
-- of within a day. The number is how many.
SELECT
    s.namespace,
    s.service,
    s.environment,
    s.process_kind,
    coalesce(s.worker, '') AS worker,
    coalesce(s.host, '') AS host,
    sum(s.missing + s.lost)::float8 AS missing
FROM celerytrail_views.streams s
WHERE s.updated_at > now() - interval '24 hours'
GROUP BY s.namespace, s.service, s.environment, s.process_kind, coalesce(s.worker, ''), coalesce(s.host, '')
HAVING sum(s.missing + s.lost) > 0
ORDER BY sum(s.missing + s.lost) DESC
LIMIT 200
