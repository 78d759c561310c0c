-- One row a workflow with a chord all of whose headers ended well more than a minute ago, and whose body nobody ever sent; of the
-- last day. The number is how many tasks ended.
SELECT
    w.workflow_id,
    w.kind,
    w.name AS workflow,
    w.namespace,
    w.service,
    w.environment,
    w.succeeded::float8 AS ended
FROM celerytrail_views.workflows w
WHERE w.workflow_id = ANY (ARRAY(
    SELECT c.workflow_id
    FROM celerytrail_views.chords c
    -- What happened within a minute is under way, and must not take the places of others.
    WHERE c.updated_at BETWEEN now() - interval '24 hours' AND now() - interval '1 minute'
      AND NOT c.body_seen
    GROUP BY c.workflow_id
    ORDER BY max(c.updated_at) DESC
    LIMIT 2000
))
  AND w.state = 'body never ran'
  AND w.needs_attention
ORDER BY w.updated_at DESC, w.workflow_id
LIMIT 500
