-- Shows what was erased and what retention dropped.
-- Safe: new views only.

SET LOCAL ROLE celerytrail_owner;

CREATE VIEW celerytrail_views.erased_tasks WITH (security_barrier = true) AS
SELECT
    e.namespace, e.service, e.environment, e.task_id, e.kinds, e.erased_at, r.actor, e.erasure_id
FROM celerytrail.erased_tasks e
JOIN celerytrail.erasures r ON r.erasure_id = e.erasure_id;

CREATE VIEW celerytrail_views.erasures WITH (security_barrier = true) AS
SELECT
    e.erasure_id, e.actor, e.actor_kind, e.kinds, e.selection, e.tasks, e.begun_at, e.continued_by,
    e.counts, e.finished_at,
    (
        SELECT count(*) FROM celerytrail.erasure_targets t WHERE t.erasure_id = e.erasure_id
    ) AS remaining
FROM celerytrail.erasures e;

CREATE VIEW celerytrail_views.day_drops WITH (security_barrier = true) AS
SELECT
    d.day, d.actor, d.actor_kind, d.announced_at, d.groups, d.rows, d.dropped_at, d.forgotten_at,
    d.forgotten, h.retained_from
FROM celerytrail.day_drops d
CROSS JOIN celerytrail.horizon h;

GRANT SELECT ON celerytrail_views.erased_tasks, celerytrail_views.erasures, celerytrail_views.day_drops
    TO celerytrail_grafana;
