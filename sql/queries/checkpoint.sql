-- name: links_at
-- What stands at places of the chains: asked for all heads of many notes at once.
SELECT w.chain, w.n, c.hash
FROM unnest(%(chains)s::int4[], %(ns)s::int8[]) AS w (chain, n)
LEFT JOIN celerytrail.chain c ON c.chain = w.chain AND c.n = w.n AND c.n >= 1;

-- name: ledger_id
SELECT ledger_id FROM celerytrail.ledger;

-- name: blocks_in_all
-- How many blocks all chains have, to see how many came since.
SELECT coalesce(sum(n), 0)::int8 FROM celerytrail.chain_head;

-- name: outside_headers
-- What the hash of each block covers, and the hash, without the rows.
COPY (
    SELECT
        c.n, b.kind, b.format_version, c.prev, b.body_hash, c.hash, b.sealed_at, c.linked_at, b.sealed_by
    FROM celerytrail.chain c
    LEFT JOIN celerytrail.blocks b ON b.batch_id = c.batch_id
    WHERE c.chain = %(chain)s AND c.n > %(from_n)s AND c.n <= %(to_n)s
    ORDER BY c.n
) TO STDOUT (FORMAT BINARY);

-- name: record_checkpoint
SELECT celerytrail.record_checkpoint(
    %(issued_at)s::timestamptz, %(epoch)s::int4, %(key_id)s::text, %(chains)s::json, %(note)s::text,
    %(published)s::json, %(trouble)s::text
);
