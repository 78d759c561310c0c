-- The worker nodes that were seen last: pods get new names for ever.
SELECT DISTINCT w.worker AS __text, w.worker AS __value
FROM (
    SELECT v.worker
    FROM celerytrail_views.workers v
    ORDER BY v.seen_at DESC
    LIMIT 1000
) w
ORDER BY 1
