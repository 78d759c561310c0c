-- Adds the step child_exited: a pool child that ended while its worker went on.
-- Safe: one new row of a small table; no row of the ledger is touched.

SET LOCAL ROLE celerytrail_owner;

INSERT INTO celerytrail.steps (code, step, subject, rank, state, ends, event) VALUES
    (43, 'child_exited', 'worker', 0, 'online', false, 'worker-child-exited');
