-- Each chain of the ledger: how far it was verified, and what the newest verification of it said.
SELECT
    c.chain,
    CASE
        WHEN v.status IS NULL THEN 'never verified'
        WHEN v.status = 'broken' THEN 'broken'
        WHEN NOT v.fingerprint_ok THEN 'guards altered'
        WHEN v.status = 'ok' THEN 'ok'
        ELSE 'consistent in itself'
    END AS status,
    extract(epoch FROM now() - v.verified_at)::float8 AS age,
    v.to_n AS verified_to,
    greatest(c.n - v.to_n, 0) AS unverified,
    c.linked_at
FROM celerytrail_views.chain_state c
LEFT JOIN (
    SELECT DISTINCT ON (n.chain) n.chain, n.status, n.fingerprint_ok, n.verified_at, n.to_n
    FROM celerytrail_views.verifications n
    ORDER BY n.chain, n.verified_at DESC
) AS v ON v.chain = c.chain
ORDER BY c.chain
LIMIT 200
