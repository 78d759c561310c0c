-- Verifications in the time range: those that found something first, then the newest.
SELECT
    v.verified_at,
    CASE
        WHEN v.status = 'broken' THEN 'broken'
        WHEN NOT v.fingerprint_ok THEN 'guards altered'
        WHEN v.trouble IS NOT NULL THEN 'not compared'
        WHEN v.status = 'ok' THEN 'ok'
        ELSE 'consistent in itself'
    END AS status,
    nullif(concat_ws(': ', v.first_bad ->> 'fault', v.first_bad ->> 'detail'), '') AS first_bad,
    CASE
        WHEN v.trouble IS NOT NULL THEN v.trouble
        WHEN v.anchor_n IS NOT NULL THEN format('%s, block %s', CASE v.compared_with WHEN 'heads' THEN 'kept head' ELSE v.compared_with END, v.anchor_n)
        WHEN v.compared_with IS NOT NULL THEN 'no block of it was kept'
        ELSE 'nothing'
    END AS against,
    v.chain,
    v.mode,
    concat(v.from_n, ' to ', v.to_n) AS blocks,
    v.rows,
    v.seconds,
    v.verified_by
FROM celerytrail_views.verifications v
WHERE $__timeFilter(v.verified_at)
ORDER BY (v.status = 'broken' OR NOT v.fingerprint_ok) DESC, v.verified_at DESC
LIMIT 100
