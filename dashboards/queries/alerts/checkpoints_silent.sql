-- One row a reason: the checkpointer refused to sign; nothing was signed for longer than signed_within; there are blocks and nothing was
-- ever signed. The number is for how many seconds it is silent, at least one.
WITH limits AS (
    SELECT interval '2 minutes' AS signed_within
)
SELECT
    r.reason,
    greatest(coalesce(s.seconds_silent, 1), 1)::float8 AS seconds
FROM celerytrail_views.checkpoint_silence s
CROSS JOIN limits l
CROSS JOIN LATERAL (VALUES
    ('refused', s.trouble LIKE 'REFUSED:%'),
    ('silent', s.signed_at < now() - l.signed_within),
    (
        'never signed',
        s.signed_at IS NULL AND EXISTS (SELECT FROM celerytrail_views.chain_state c WHERE c.n > 0)
    )
) AS r (reason, is_so)
WHERE r.is_so
ORDER BY r.reason
