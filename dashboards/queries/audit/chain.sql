-- Each chain of the ledger: how far it was verified, and what is known of it.
SELECT
    c.chain,
    CASE
        WHEN v.chain IS NULL THEN 'never verified'
        WHEN v.is_broken THEN 'broken'
        WHEN v.is_altered THEN 'guards altered'
        WHEN v.status = 'ok' THEN 'ok'
        ELSE 'consistent in itself'
    END AS status,
    extract(epoch FROM now() - v.verified_at)::float8 AS age,
    v.to_n AS verified_to,
    greatest(c.n - coalesce(v.to_n, 0), 0) AS unverified,
    c.linked_at
FROM celerytrail_views.chain_state c
LEFT JOIN (
    -- include: verified_chains as k
) AS v ON v.chain = c.chain
ORDER BY c.chain
LIMIT 200
