-- Shows what was erased and what retention dropped; keeps the action API from claiming either.
-- Safe: new views; append_action refuses two verbs that the action API has never had.

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

CREATE OR REPLACE FUNCTION celerytrail.append_action(
    action_id uuid,
    phase text,
    verb text,
    actor text,
    actor_kind text,
    role text DEFAULT NULL,
    namespace text DEFAULT NULL,
    service text DEFAULT NULL,
    environment text DEFAULT NULL,
    request_id text DEFAULT NULL,
    target json DEFAULT NULL,
    detail json DEFAULT NULL,
    intent_id uuid DEFAULT NULL,
    reason_commitment bytea DEFAULT NULL
)
RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_utc timestamptz := clock_timestamp();
    today date := (now_utc AT TIME ZONE 'UTC')::date;
BEGIN
    -- Said only by the functions that do it: a verifier excuses a missing day by such a row.
    IF session_user = 'celerytrail_actions' AND verb IN ('erase', 'retention') THEN
        RAISE EXCEPTION 'celerytrail: % is not an action of celerytrail_actions', verb
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- Kept for ever, so bounded here, whoever calls. greatest() passes over what is NULL.
    IF greatest(octet_length(target::text), octet_length(detail::text)) > 1048576 THEN
        RAISE EXCEPTION 'celerytrail: target and detail of an action have at most 1048576 bytes each'
            USING ERRCODE = 'CT007';
    END IF;
    IF greatest(
        octet_length(verb), octet_length(actor), octet_length(actor_kind), octet_length(role),
        octet_length(namespace), octet_length(service), octet_length(environment),
        octet_length(request_id)
    ) > 512 THEN
        RAISE EXCEPTION 'celerytrail: verb, actor, role, deployment and request id of an action have at most 512 bytes each'
            USING ERRCODE = 'CT007';
    END IF;
    PERFORM celerytrail.ensure_partitions(today, today);
    INSERT INTO celerytrail.actions (
        action_id, intent_id, action_time, phase, verb, actor, actor_kind, role, namespace, service,
        environment, request_id, target, detail, reason_commitment, recorded_by
    ) VALUES (
        append_action.action_id, append_action.intent_id, now_utc, append_action.phase,
        append_action.verb, append_action.actor, append_action.actor_kind, append_action.role,
        append_action.namespace, append_action.service, append_action.environment,
        append_action.request_id, append_action.target, append_action.detail,
        append_action.reason_commitment, session_user
    );
    RETURN now_utc;
END
$$;
