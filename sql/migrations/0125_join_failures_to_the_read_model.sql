-- Lets failures be rebuilt, repaired and compared like the other tables of the read model.
-- Safe: one function gets one more row; no table is touched.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE FUNCTION celerytrail.read_model_tables()
RETURNS SETOF text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES
        ('task_actions'), ('streams'), ('tasks'), ('runs'), ('run_ends'), ('groups'), ('workers'), ('failures')
$$;
