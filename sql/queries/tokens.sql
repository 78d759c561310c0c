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

-- name: lock_api_tokens
-- Two makers at once could give one name to two deployments.
LOCK TABLE celerytrail.api_tokens IN SHARE ROW EXCLUSIVE MODE;

-- name: api_token_deployment
SELECT t.namespace, t.service, t.environment
FROM celerytrail.api_tokens t
WHERE t.name = %(name)s
LIMIT 1;

-- name: add_api_token
INSERT INTO celerytrail.api_tokens (
    token_hash, name, namespace, service, environment, scopes, expires_at
) VALUES (
    %(token_hash)s, %(name)s, %(namespace)s, %(service)s, %(environment)s, %(scopes)s::text[],
    clock_timestamp() + make_interval(days => %(expires_in_days)s::int)
)
RETURNING created_at, expires_at;

-- name: tokens
SELECT
    'sink' AS used_for,
    encode(substr(t.token_hash, 1, 6), 'hex') AS token_id, p.name, p.namespace, p.service, p.environment,
    t.created_at, t.expires_at, t.revoked_at,
    CASE
        WHEN t.revoked_at IS NOT NULL THEN 'revoked'
        WHEN t.expires_at <= clock_timestamp() THEN 'expired'
        WHEN p.disabled_at IS NOT NULL THEN 'disabled'
        ELSE 'valid'
    END AS state,
    '{}'::text[] AS scopes
FROM celerytrail.tokens t
JOIN celerytrail.principals p ON p.principal_id = t.principal_id
UNION ALL
SELECT
    'actions',
    encode(substr(t.token_hash, 1, 6), 'hex'), t.name, t.namespace, t.service, t.environment,
    t.created_at, t.expires_at, t.revoked_at,
    CASE
        WHEN t.revoked_at IS NOT NULL THEN 'revoked'
        WHEN t.expires_at <= clock_timestamp() THEN 'expired'
        ELSE 'valid'
    END,
    t.scopes
FROM celerytrail.api_tokens t
ORDER BY used_for DESC, name, created_at;

-- name: revoke
-- By the id that the list shows, or every token of the principal of that name.
UPDATE celerytrail.tokens t
SET revoked_at = clock_timestamp()
FROM celerytrail.principals p
WHERE p.principal_id = t.principal_id
  AND t.revoked_at IS NULL
  AND (encode(substr(t.token_hash, 1, 6), 'hex') = %(which)s OR p.name = %(which)s)
RETURNING encode(substr(t.token_hash, 1, 6), 'hex');

-- name: revoke_api
UPDATE celerytrail.api_tokens t
SET revoked_at = clock_timestamp()
WHERE t.revoked_at IS NULL
  AND (encode(substr(t.token_hash, 1, 6), 'hex') = %(which)s OR t.name = %(which)s)
RETURNING encode(substr(t.token_hash, 1, 6), 'hex');
