-- The services of all deployments that ever had a token.
SELECT DISTINCT d.service AS __text, d.service AS __value
FROM celerytrail_views.deployments d
ORDER BY 1
