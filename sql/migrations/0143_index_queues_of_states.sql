-- Lets the index of tasks by state say the queue too: the failed tasks of a queue are found without reading those of the others.
-- Safe: one index on the read model in place of another, built while no more is stored than a migration may wait for.

SET LOCAL ROLE celerytrail_owner;

-- The queue comes last, so that the newest of a state are still in order; it is looked at in the index all the same.
DROP INDEX celerytrail.tasks_state;
CREATE INDEX tasks_state ON celerytrail.tasks (state, updated_at, queue);
