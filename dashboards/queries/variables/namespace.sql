-- The namespaces of all deployments that ever had a token.
SELECT DISTINCT coalesce(nullif(d.namespace, ''), '(none)') AS __text, coalesce(nullif(d.namespace, ''), '(none)') AS __value
FROM celerytrail_views.deployments d
ORDER BY 1
