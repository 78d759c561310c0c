-- Adds indexes of tasks by service, queue and worker: the newest of a rare one are found without reading a week of the others.
-- Safe: three indexes on the read model, built while no more is stored than a migration may wait for.

SET LOCAL ROLE celerytrail_owner;

CREATE INDEX tasks_service ON celerytrail.tasks (service, updated_at);
CREATE INDEX tasks_queue ON celerytrail.tasks (queue, updated_at);
CREATE INDEX tasks_worker ON celerytrail.tasks (worker, updated_at);
