-- Processes whose events are not all here, or that went without a goodbye; those with the most missing first.
SELECT
    s.process_kind,
    s.worker,
    s.host,
    s.pid,
    s.state,
    s.missing,
    s.lost,
    s.last_seq,
    g.gaps,
    s.first_seen_at,
    s.updated_at,
    concat_ws('/', s.namespace, s.service, s.environment) AS deployment,
    s.stream_id::text AS stream_id
FROM (
    SELECT *
    FROM celerytrail_views.streams v
    WHERE $__timeFilter(v.updated_at)
      AND (v.missing > 0 OR v.lost > 0 OR v.state = 'unterminated')
      AND
      -- include: deployment_filter as v
    ORDER BY v.missing DESC, v.lost DESC, v.updated_at DESC
    LIMIT 100
) AS s
LEFT JOIN LATERAL (
    SELECT string_agg(
        CASE WHEN m.from_seq = m.to_seq THEN m.from_seq::text ELSE concat(m.from_seq, '-', m.to_seq) END,
        ', ' ORDER BY m.from_seq
    ) AS gaps
    FROM (
        SELECT e.from_seq, e.to_seq
        FROM celerytrail_views.missing_events e
        WHERE e.stream_id = s.stream_id
          AND e.namespace = s.namespace AND e.service = s.service AND e.environment = s.environment
        ORDER BY e.from_seq
        LIMIT 10
    ) AS m
) AS g ON true
ORDER BY s.missing DESC, s.lost DESC, s.updated_at DESC, s.stream_id
