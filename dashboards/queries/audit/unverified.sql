-- Blocks that were chained after the newest verification that found its chain in order.
SELECT sum(greatest(c.n - coalesce(v.to_n, 0), 0))::int8 AS "blocks"
FROM celerytrail_views.chain_state c
LEFT JOIN (
    SELECT n.chain, max(n.to_n) AS to_n
    FROM celerytrail_views.verifications n
    WHERE n.status <> 'broken' AND n.fingerprint_ok
    GROUP BY n.chain
) AS v ON v.chain = c.chain
