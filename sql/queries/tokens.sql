-- name: add_principal
INSERT INTO celerytrail.principals (name, namespace, service, environment)
VALUES (%(name)s, %(namespace)s, %(service)s, %(environment)s)
ON CONFLICT (name) DO NOTHING;

-- name: principal
SELECT principal_id, namespace, service, environment
FROM celerytrail.principals
WHERE name = %(name)s;

-- name: add_token
INSERT INTO celerytrail.tokens (token_hash, principal_id, expires_at)
VALUES (
    %(token_hash)s, %(principal_id)s,
    clock_timestamp() + make_interval(days => %(expires_in_days)s::int)
)
RETURNING created_at, expires_at;

-- name: tokens
SELECT
    encode(substr(t.token_hash, 1, 6), 'hex') AS token_id, p.name, p.namespace, p.service, p.environment,
    t.created_at, t.expires_at, t.revoked_at,
    CASE
        WHEN t.revoked_at IS NOT NULL THEN 'revoked'
        WHEN t.expires_at <= clock_timestamp() THEN 'expired'
        WHEN p.disabled_at IS NOT NULL THEN 'disabled'
        ELSE 'valid'
    END AS state
FROM celerytrail.tokens t
JOIN celerytrail.principals p ON p.principal_id = t.principal_id
ORDER BY p.name, t.created_at;

-- name: revoke
-- By the id that the list shows, or every token of the principal of that name.
UPDATE celerytrail.tokens t
SET revoked_at = clock_timestamp()
FROM celerytrail.principals p
WHERE p.principal_id = t.principal_id
  AND t.revoked_at IS NULL
  AND (encode(substr(t.token_hash, 1, 6), 'hex') = %(which)s OR p.name = %(which)s)
RETURNING encode(substr(t.token_hash, 1, 6), 'hex');
