-- Each chain of the ledger: how far it was verified, against what, and what is known of it. One that was verified once and has no head is gone.
SELECT
    coalesce(c.chain, v.chain) AS chain,
    CASE
        WHEN c.chain IS NULL THEN 'gone'
        WHEN v.chain IS NULL THEN 'never verified'
        WHEN v.is_broken THEN 'broken'
        WHEN v.is_altered THEN 'guards altered'
        WHEN v.trouble IS NOT NULL THEN 'not compared'
        WHEN v.status = 'ok' THEN 'ok'
        ELSE 'consistent in itself'
    END AS status,
    CASE
        WHEN v.trouble IS NOT NULL THEN v.trouble
        WHEN v.anchor_n IS NOT NULL THEN format('%s, block %s', CASE v.compared_with WHEN 'heads' THEN 'kept head' ELSE v.compared_with END, v.anchor_n)
        WHEN v.compared_with IS NOT NULL THEN 'no block of it was kept'
        WHEN v.chain IS NOT NULL THEN 'nothing'
    END AS against,
    extract(epoch FROM now() - v.verified_at)::float8 AS age,
    v.to_n AS verified_to,
    greatest(c.n - coalesce(v.to_n, 0), 0) AS unverified,
    c.linked_at
FROM celerytrail_views.chain_state c
FULL JOIN (
    -- include: verified_chains as k
) AS v ON v.chain = c.chain
ORDER BY coalesce(c.chain, v.chain)
LIMIT 200
