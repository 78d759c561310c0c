-- The environments of all deployments that ever had a token.
SELECT DISTINCT coalesce(nullif(d.environment, ''), '(none)') AS __text, coalesce(nullif(d.environment, ''), '(none)') AS __value
FROM celerytrail_views.deployments d
ORDER BY 1
