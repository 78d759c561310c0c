-- What `celerytrail erase` asks of the ledger, as role celerytrail_maintainer.

-- name: begin_session
SET lock_timeout = '2s';
SET statement_timeout = '15min';
-- To compile a statement takes longer than it runs: Postgres takes what it looks at for far more than it is.
SET jit = off;

-- name: erasable_kinds
SELECT unnest(celerytrail.erasable_kinds());

-- name: preview
SELECT p.tasks, p.payloads
FROM celerytrail.preview_erasure(
    %(task_ids)s::text[], %(namespace)s::text, %(service)s::text, %(environment)s::text,
    %(task_name)s::text, %(state)s::text, %(from_time)s::timestamptz, %(to_time)s::timestamptz,
    %(kinds)s::text[]
) AS p;

-- name: begin
SELECT celerytrail.begin_erasure(
    %(erasure_id)s::uuid, %(actor)s::text, %(actor_kind)s::text, %(reason)s::text,
    %(task_ids)s::text[], %(namespace)s::text, %(service)s::text, %(environment)s::text,
    %(task_name)s::text, %(state)s::text, %(from_time)s::timestamptz, %(to_time)s::timestamptz,
    %(kinds)s::text[]
);

-- name: mark
SELECT celerytrail.mark_erased(%(erasure_id)s::uuid, %(at_most)s::int4);

-- name: erase
SELECT e.tasks, e.counts FROM celerytrail.erase_marked(%(erasure_id)s::uuid, %(at_most)s::int4) AS e;

-- name: finish
SELECT celerytrail.finish_erasure(%(erasure_id)s::uuid);

-- name: open
SELECT o.erasure_id, o.actor, o.begun_at, o.remaining FROM celerytrail.open_erasures() AS o;

-- name: continue
SELECT celerytrail.continue_erasure(%(erasure_id)s::uuid, %(actor)s::text, %(actor_kind)s::text);

-- name: attend
SELECT celerytrail.attend_erasure(%(erasure_id)s::uuid);

-- name: leave
SELECT celerytrail.leave_erasure(%(erasure_id)s::uuid);

-- name: abandoned
SELECT a.erasure_id, a.actor, a.begun_at, a.remaining, a.continued_by
FROM celerytrail.abandoned_erasures(%(older_than_seconds)s::int4) AS a;

-- name: erase_reasons
SELECT celerytrail.erase_reasons(
    %(erasure_id)s::uuid, %(actor)s::text, %(actor_kind)s::text, %(reason)s::text, %(intent_ids)s::uuid[]
);
