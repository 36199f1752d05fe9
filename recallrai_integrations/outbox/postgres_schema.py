"""The schema of an outbox in PostgreSQL: made by its owner, used by roles that may not change it.

What takes several steps is a function of the schema: one round trip, one statement, one transaction.
Nothing is kept in a session, so that a transaction pooler may stand in between.

Every function that changes a conversation locks its row first, then at most one row of `counts`; only
`renew` locks several conversations, those of one owner. So no two of them wait for each other.

`put` and `keep` return when the transaction is as durable as the server makes it. `claim`, `done` and
`release` do not wait for the disk: when a crash of the server takes the latest of them, the message is still
marked as unconfirmed by `keep` and is looked for in the session, and a lost claim is not valid any more.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SCHEMA", "SQL", "VERSION", "grants"]

SCHEMA: Final = "recallrai_integrations"
VERSION: Final = 1
SQL: Final = """
CREATE SCHEMA IF NOT EXISTS recallrai_integrations;
SET LOCAL search_path = recallrai_integrations, pg_temp;

CREATE TABLE IF NOT EXISTS format (version integer NOT NULL);

CREATE TABLE IF NOT EXISTS conversations (
    pk bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL,              -- which service and project it is for
    user_id text NOT NULL,
    thread_id text,                     -- NULL: a conversation by itself
    key text NOT NULL,
    metadata text NOT NULL,             -- JSON
    auto_process_after_seconds integer NOT NULL,
    used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seq bigint NOT NULL DEFAULT 0,
    waiting_since timestamptz,          -- when its next entry was recorded; NULL: nothing waits
    cursor text,                        -- JSON, times in seconds from kept_at; NULL before the first delivery
    kept_at timestamptz,
    claim uuid, lease_until timestamptz,  -- NULL: free
    claimed_by text                     -- host, process and a random part
);
CREATE UNIQUE INDEX IF NOT EXISTS conversations_by_key
    ON conversations (project, user_id, key, (thread_id IS NULL));
CREATE INDEX IF NOT EXISTS conversations_waiting
    ON conversations (project, waiting_since) WHERE waiting_since IS NOT NULL;
CREATE INDEX IF NOT EXISTS conversations_claimed
    ON conversations (project) WHERE claim IS NOT NULL;

CREATE TABLE IF NOT EXISTS entries (    -- what waits, and what the service will never take
    conversation bigint NOT NULL REFERENCES conversations (pk) ON DELETE CASCADE,
    seq bigint NOT NULL,
    kind text NOT NULL,                 -- message, or a request: process, clear
    said text,                          -- JSON; of a message
    id bytea NOT NULL,                  -- see ids
    batch uuid NOT NULL,                -- random for each call of put, which may be carried out twice
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (conversation, seq)
);
CREATE TABLE IF NOT EXISTS rejected (LIKE entries INCLUDING ALL);
ALTER TABLE rejected
    ADD COLUMN IF NOT EXISTS reason text NOT NULL,
    ADD COLUMN IF NOT EXISTS rejected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    DROP CONSTRAINT IF EXISTS rejected_conversation_fkey;
ALTER TABLE rejected
    ADD CONSTRAINT rejected_conversation_fkey
        FOREIGN KEY (conversation) REFERENCES conversations (pk) ON DELETE CASCADE;

CREATE TABLE IF NOT EXISTS ids (        -- of all entries taken, so that none is taken twice
    conversation bigint NOT NULL REFERENCES conversations (pk) ON DELETE CASCADE,
    id bytea NOT NULL,                  -- hash of the message's id, or random
    seq bigint NOT NULL,
    PRIMARY KEY (conversation, id)
);
CREATE INDEX IF NOT EXISTS ids_by_seq ON ids (conversation, seq);

CREATE TABLE IF NOT EXISTS counts (     -- of what waits; sharded, so that writers do not queue for one row
    project text NOT NULL, shard integer NOT NULL, waiting bigint NOT NULL, PRIMARY KEY (project, shard)
) WITH (fillfactor = 50);

CREATE OR REPLACE FUNCTION note(p_pk bigint, p_more bigint) RETURNS void LANGUAGE sql AS $$
    WITH changed AS (
        UPDATE recallrai_integrations.conversations SET waiting_since = (
            SELECT recorded_at FROM recallrai_integrations.entries
            WHERE conversation = p_pk ORDER BY seq LIMIT 1
        ) WHERE pk = p_pk RETURNING project
    )
    INSERT INTO recallrai_integrations.counts AS c SELECT project, p_pk % 16, p_more FROM changed
    ON CONFLICT (project, shard) DO UPDATE SET waiting = c.waiting + p_more
$$;

CREATE OR REPLACE FUNCTION put(
    p_project text, p_user text, p_thread text, p_key text, p_metadata text, p_auto integer,
    p_limit bigint, p_batch uuid, p_ids bytea[], p_kinds text[], p_said text[]
) RETURNS TABLE (place integer, seq bigint, recorded_at timestamptz)
LANGUAGE plpgsql SET search_path = recallrai_integrations, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p_pk bigint; p_last bigint; p_fresh integer := 0; p_waiting bigint; i integer;
BEGIN
    INSERT INTO conversations AS c
        (project, user_id, thread_id, key, metadata, auto_process_after_seconds, last_seq)
    VALUES (p_project, p_user, p_thread, p_key, p_metadata, p_auto, cardinality(p_ids))
    ON CONFLICT (project, user_id, key, (thread_id IS NULL)) DO UPDATE SET
        metadata = p_metadata, auto_process_after_seconds = p_auto, used_at = clock_timestamp(),
        last_seq = c.last_seq + cardinality(p_ids)
    RETURNING c.pk, c.last_seq - cardinality(p_ids) INTO p_pk, p_last;
    FOR i IN 1 .. cardinality(p_ids) LOOP
        INSERT INTO ids VALUES (p_pk, p_ids[i], p_last + i) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            p_fresh := p_fresh + 1;
            INSERT INTO entries (conversation, seq, kind, said, id, batch)
            VALUES (p_pk, p_last + i, p_kinds[i], p_said[i], p_ids[i], p_batch);
        END IF;
    END LOOP;
    IF p_fresh > 0 THEN
        DELETE FROM ids WHERE conversation = p_pk AND seq <= p_last + cardinality(p_ids) - 10000;
        PERFORM note(p_pk, p_fresh);
        SELECT sum(waiting) INTO p_waiting FROM counts WHERE project = p_project;
        IF p_waiting > p_limit THEN
            RAISE EXCEPTION '%', p_waiting - p_fresh USING ERRCODE = 'RIFUL';
        END IF;
    END IF;
    RETURN QUERY
        SELECT array_position(p_ids, e.id), e.seq, e.recorded_at FROM entries e
        WHERE e.conversation = p_pk AND e.batch = p_batch ORDER BY e.seq;
END $$;

CREATE OR REPLACE FUNCTION claim(
    p_project text, p_user text, p_thread text, p_key text, p_metadata text, p_auto integer,
    p_claim uuid, p_lease double precision, p_by text
) RETURNS TABLE (pk bigint, cursor text, age double precision)
LANGUAGE plpgsql SET search_path = recallrai_integrations, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO conversations (project, user_id, thread_id, key, metadata, auto_process_after_seconds)
    SELECT p_project, p_user, p_thread, p_key, p_metadata, p_auto WHERE NOT EXISTS (
        SELECT 1 FROM conversations
        WHERE project = p_project AND user_id = p_user AND key = p_key
            AND (thread_id IS NULL) = (p_thread IS NULL)
    ) ON CONFLICT DO NOTHING;
    RETURN QUERY UPDATE conversations AS c
    SET claim = p_claim, lease_until = clock_timestamp() + make_interval(secs => p_lease), claimed_by = p_by
    WHERE project = p_project AND user_id = p_user AND key = p_key
        AND (thread_id IS NULL) = (p_thread IS NULL)
        AND (claim IS NULL OR claimed_by = p_by OR lease_until < clock_timestamp())
    RETURNING c.pk, c.cursor, extract(epoch FROM clock_timestamp() - c.kept_at)::double precision;
END $$;

CREATE OR REPLACE FUNCTION keep(p_pk bigint, p_claim uuid, p_lease double precision, p_cursor text)
RETURNS boolean LANGUAGE sql AS $$
    UPDATE recallrai_integrations.conversations SET cursor = p_cursor, kept_at = clock_timestamp(),
        lease_until = clock_timestamp() + make_interval(secs => p_lease)
    WHERE pk = p_pk AND claim = p_claim RETURNING true
$$;

CREATE OR REPLACE FUNCTION renew(p_claims uuid[], p_pks bigint[], p_lease double precision)
RETURNS void LANGUAGE sql AS $$
    UPDATE recallrai_integrations.conversations
    SET lease_until = clock_timestamp() + make_interval(secs => p_lease)
    WHERE pk = ANY (p_pks) AND claim = ANY (p_claims)
$$;

CREATE OR REPLACE FUNCTION done(
    p_pk bigint, p_claim uuid, p_lease double precision, p_seq bigint, p_cursor text, p_reason text
) RETURNS boolean LANGUAGE plpgsql SET search_path = recallrai_integrations, pg_temp AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE conversations SET cursor = coalesce(p_cursor, cursor),
        kept_at = CASE WHEN p_cursor IS NULL THEN kept_at ELSE clock_timestamp() END,
        lease_until = clock_timestamp() + make_interval(secs => p_lease)
    WHERE pk = p_pk AND claim = p_claim;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_reason IS NOT NULL THEN
        INSERT INTO rejected SELECT e.*, p_reason FROM entries e WHERE conversation = p_pk AND seq = p_seq;
    END IF;
    DELETE FROM entries WHERE conversation = p_pk AND seq = p_seq;
    IF FOUND THEN
        PERFORM note(p_pk, -1);
    END IF;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION release(p_pk bigint, p_claim uuid, p_cursor text)
RETURNS void LANGUAGE plpgsql SET search_path = recallrai_integrations, pg_temp AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE conversations SET cursor = coalesce(p_cursor, cursor),
        kept_at = CASE WHEN p_cursor IS NULL THEN kept_at ELSE clock_timestamp() END,
        claim = NULL, lease_until = NULL, claimed_by = NULL
    WHERE pk = p_pk AND claim = p_claim;
END $$;

CREATE OR REPLACE FUNCTION withdraw(p_pk bigint, p_seqs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = recallrai_integrations, pg_temp AS $$
DECLARE
    p_dropped integer;
BEGIN
    PERFORM 1 FROM conversations WHERE pk = p_pk FOR UPDATE;
    DELETE FROM ids USING entries e WHERE ids.conversation = p_pk AND e.conversation = p_pk
        AND e.id = ids.id AND e.seq = ANY (p_seqs);
    DELETE FROM entries WHERE conversation = p_pk AND seq = ANY (p_seqs);
    GET DIAGNOSTICS p_dropped = ROW_COUNT;
    PERFORM note(p_pk, -p_dropped);
END $$;

CREATE OR REPLACE FUNCTION purge(p_pk bigint) RETURNS integer
LANGUAGE plpgsql SET search_path = recallrai_integrations, pg_temp AS $$
DECLARE
    p_dropped integer;
BEGIN
    UPDATE conversations SET cursor = NULL, kept_at = NULL, metadata = '{}' WHERE pk = p_pk;
    DELETE FROM rejected WHERE conversation = p_pk;
    DELETE FROM entries WHERE conversation = p_pk;
    GET DIAGNOSTICS p_dropped = ROW_COUNT;
    PERFORM note(p_pk, -p_dropped);
    RETURN p_dropped;
END $$;

DELETE FROM format;
INSERT INTO format VALUES (1);
"""
"""All of it may be run again; a later format adds its changes here, each so that it may be repeated."""


def grants(role: str) -> str:
    """The statements that let a role use the outbox, and change nothing of its schema."""
    return (
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role};\n"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO {role};\n"
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} TO {role};\n"
    )
