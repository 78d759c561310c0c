-- name: settle_session
-- What the texts of the catalog depend on. Undone with the transaction.
SET LOCAL search_path = pg_catalog;
-- The planner takes a catalog without statistics for a large one, and compiling costs ten times what reading it does.
SET LOCAL jit = off;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, MDY';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL lc_monetary = 'C';
SET LOCAL quote_all_identifiers = off;

-- name: steps_readable
SELECT coalesce(has_table_privilege(to_regclass('celerytrail.steps')::oid, 'SELECT'), false);

-- name: steps
-- The rows that say what a step means: the read model follows them, no hash covers them. By code,
-- found so that a column by another name is a difference and not an error.
SELECT 'row ' || coalesce(to_jsonb(s) ->> 'code', '?') || ' of celerytrail.steps', s::text
FROM celerytrail.steps s;

-- name: migrations
SELECT id, name FROM celerytrail.migrations ORDER BY id;
