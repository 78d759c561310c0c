-- What each worker and shipper said last of itself and its spool, the longest silent first.
SELECT
    b.process_kind,
    b.worker,
    b.host,
    b.state,
    extract(epoch FROM now() - b.heartbeat_at)::float8 AS silent,
    b.spool_bytes,
    b.spool_lag_ms::float8 / 1000 AS lag,
    b.lost,
    b.rejected,
    b.delivery_error,
    b.version,
    b.deployment
FROM (
    SELECT DISTINCT ON (h.process_kind, h.worker, h.host, h.namespace, h.service, h.environment)
        h.process_kind,
        h.worker,
        h.host,
        h.state,
        h.heartbeat_at,
        h.spool_bytes,
        h.spool_lag_ms,
        h.lost,
        h.rejected,
        h.delivery_error,
        h.version,
        concat_ws('/', h.namespace, h.service, h.environment) AS deployment
    FROM celerytrail_views.heartbeats h
    WHERE $__timeFilter(h.heartbeat_at)
      AND
      -- include: deployment_filter as h
    ORDER BY
        h.process_kind, h.worker, h.host, h.namespace, h.service, h.environment, h.heartbeat_at DESC
) AS b
WHERE b.state <> 'ended'
ORDER BY b.heartbeat_at, b.process_kind, b.worker, b.host, b.deployment
LIMIT 200
