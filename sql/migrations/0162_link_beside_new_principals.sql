-- Locks the head of a chain as its change needs, so that a transaction that makes a principal and seals a block meets no deadlock.
-- Safe: replaces a function; whoever links a block waits for whoever links another, as before.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE FUNCTION celerytrail.link_block()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head celerytrail.chain_head;
    next_n int8;
    next_hash bytea;
    next_linked_at timestamptz;
    this_ledger uuid;
BEGIN
    SELECT ledger_id INTO STRICT this_ledger FROM celerytrail.ledger;
    -- The key stays, so that a principal of this chain can be made, and its transaction seal a block, meanwhile.
    SELECT * INTO STRICT head FROM celerytrail.chain_head WHERE chain = NEW.chain FOR NO KEY UPDATE;
    next_n := head.n + 1;
    next_linked_at := greatest(clock_timestamp(), head.linked_at);
    next_hash := sha256(
        '\x03'::bytea || uuid_send(this_ledger) || int2send(NEW.format_version) || int2send(NEW.kind)
        || int4send(NEW.chain) || int8send(next_n) || head.hash || NEW.body_hash
        || timestamptz_send(NEW.sealed_at) || timestamptz_send(next_linked_at)
        || int4send(octet_length(convert_to(NEW.sealed_by, 'UTF8'))) || convert_to(NEW.sealed_by, 'UTF8')
    );
    INSERT INTO celerytrail.chain (chain, n, batch_id, prev, hash, linked_at)
    VALUES (NEW.chain, next_n, NEW.batch_id, head.hash, next_hash, next_linked_at);
    -- A rule, or a trigger that returns NULL, can swallow a row without an error.
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: the link of batch % was swallowed', NEW.batch_id
            USING ERRCODE = 'CT006';
    END IF;
    UPDATE celerytrail.chain_head
    SET n = next_n, hash = next_hash, linked_at = next_linked_at
    WHERE chain = NEW.chain;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: the head of chain % was not moved', NEW.chain
            USING ERRCODE = 'CT006';
    END IF;
    RETURN NULL;
END
$$;
