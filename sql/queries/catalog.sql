-- name: settle_session
-- What the texts of the catalog depend on. Undone with the transaction.
SET LOCAL search_path = pg_catalog;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, MDY';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL lc_monetary = 'C';
SET LOCAL quote_all_identifiers = off;

-- name: migrations
SELECT id, name FROM celerytrail.migrations ORDER BY id;
