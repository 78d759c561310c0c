-- Creates the tokens of the action API: for scripts, bound to a deployment, to verbs and to a time.
-- Safe: a new table and a new function.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.api_tokens (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    name text NOT NULL CHECK (name <> ''),
    namespace text NOT NULL,
    service text NOT NULL CHECK (service <> ''),
    environment text NOT NULL,
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND array_position(scopes, NULL) IS NULL),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL DEFAULT session_user,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
COMMENT ON TABLE celerytrail.api_tokens IS
    'SHA-256 of each token of the action API, the deployment it is for and the verbs it may use. The token itself is shown once, when it is made.';
CREATE INDEX api_tokens_name ON celerytrail.api_tokens (name);

CREATE FUNCTION celerytrail.authenticate_api_token(token_hash bytea)
RETURNS TABLE (
    token_id text, name text, namespace text, service text, environment text, scopes text[]
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        encode(substr(t.token_hash, 1, 6), 'hex'), t.name, t.namespace, t.service, t.environment,
        t.scopes
    FROM celerytrail.api_tokens t
    WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
$$;
COMMENT ON FUNCTION celerytrail.authenticate_api_token(bytea) IS
    'Whose token this is and what it may do, given the SHA-256 of the token. No row for one that is unknown, expired or revoked.';
GRANT EXECUTE ON FUNCTION celerytrail.authenticate_api_token(bytea) TO celerytrail_actions;
