-- Plans are kept by each connection. One that was made while a table was empty would read all of it when it
-- no longer is, until the next ANALYZE: so no function that depends on an index reads a whole table.

-- tell puts a change of a session or client into the inboxes of the nodes that hold it, except for
-- the one that has made it, and returns their names. Its caller has locked the row of the session.
CREATE FUNCTION {{schema}}.tell(
    p_app text, p_kind text, p_item text, p_actor text, p_change smallint, p_id text, p_client text, p_reason text
) RETURNS text[] LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    names text[];
BEGIN
    WITH told AS (
        INSERT INTO {{schema}}.inbox (node, kind, id, client, reason, sender, data)
        SELECT h.node, p_change, p_id, p_client, p_reason, '', ''
        FROM {{schema}}.holdings h
        WHERE h.app = p_app AND h.item = p_item AND h.kind = p_kind AND h.node <> p_actor
        RETURNING node
    )
    SELECT array_agg(node) INTO names FROM told;
    RETURN names;
END $$;

-- locked reports whether logins of the user are locked. It waits for callers of lock_user, and they
-- for the transaction, so that a lock sees each login that was admitted before.
CREATE FUNCTION {{schema}}.locked(p_app text, p_user text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('{{namespace}}:' || p_app || ':' || p_user, 0));
    RETURN EXISTS (
        SELECT FROM {{schema}}.user_locks
        WHERE app = p_app AND user_id = p_user AND until > clock_timestamp());
END $$;

-- reserved reports whether another node has reserved an ID without a session.
CREATE FUNCTION {{schema}}.reserved(p_actor text, p_app text, p_id text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM {{schema}}.reservations r
        WHERE r.app = p_app AND r.id = p_id AND r.node <> p_actor AND r.until > clock_timestamp())
$$;

-- set_session stores a session if p_revision is the stored revision. Its status is the new revision,
-- or -1: there is none, -2: another revision is stored, -3: reserved, or the user is locked. told are
-- the nodes in whose inboxes the change is, or else holders those that hold the session.
CREATE FUNCTION {{schema}}.set_session(
    p_actor text, p_app text, p_id text, p_revision bigint, p_writes bigint, p_write_id bytea,
    p_token_hash bytea, p_prev_token_hash bytea, p_token_generation bigint, p_login_generation bigint,
    p_renewal smallint, p_rotated_at bigint, p_logged_in bigint, p_client_id text, p_user_id text,
    p_addr bytea, p_user_agent bytea, p_created bigint, p_began bigint, p_seen bigint, p_expires bigint,
    p_idle bigint, p_lifetime bigint, p_data bytea, OUT status bigint, OUT told text[], OUT holders text[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    admitted boolean := p_user_id = ''; -- by the locks on the user
    changed  boolean;
BEGIN
    IF p_revision = 0 THEN
        IF p_user_id <> '' AND {{schema}}.locked(p_app, p_user_id) THEN
            status := -3;
            RETURN;
        END IF;
        INSERT INTO {{schema}}.sessions (
            app, id, revision, writes, write_id, token_hash, prev_token_hash, token_generation, login_generation,
            renewal, rotated_at, logged_in, client_id, user_id, addr, user_agent, created, began, seen, seen_hour,
            expires, due, idle, lifetime, access, data
        ) SELECT
            p_app, p_id, 1, p_writes, p_write_id, p_token_hash, p_prev_token_hash, p_token_generation,
            p_login_generation, p_renewal, p_rotated_at, p_logged_in, p_client_id, p_user_id, p_addr, p_user_agent,
            p_created, p_began, p_seen, p_seen / 3600000000, p_expires, nullif(p_expires, 0), p_idle, p_lifetime,
            false, p_data
        WHERE NOT {{schema}}.reserved(p_actor, p_app, p_id)
        ON CONFLICT DO NOTHING;
        status := CASE WHEN FOUND THEN 1 WHEN {{schema}}.reserved(p_actor, p_app, p_id) THEN -3 ELSE -2 END;
        IF status = 1 THEN
            told := {{schema}}.tell(p_app, 's', p_id, p_actor, 2::smallint, p_id, '', '');
        END IF;
        RETURN;
    END IF;

    LOOP -- the second time admitted to give the session to another user, or another token
        UPDATE {{schema}}.sessions s SET
            revision = p_revision + 1, writes = p_writes, write_id = p_write_id, token_hash = p_token_hash,
            prev_token_hash = p_prev_token_hash, token_generation = p_token_generation,
            login_generation = p_login_generation, renewal = p_renewal, rotated_at = p_rotated_at,
            logged_in = p_logged_in, client_id = p_client_id, user_id = p_user_id, addr = p_addr,
            user_agent = p_user_agent, created = p_created, began = p_began, idle = p_idle, lifetime = p_lifetime,
            data = p_data, seen = greatest(s.seen, p_seen), seen_hour = greatest(s.seen, p_seen) / 3600000000,
            expires = {{schema}}.moved(p_expires, s.seen - p_seen, p_began, p_lifetime),
            due = CASE WHEN p_expires = 0 THEN NULL
                ELSE least(s.due, {{schema}}.moved(p_expires, s.seen - p_seen, p_began, p_lifetime)) END,
            access = s.token_hash <> p_token_hash OR s.user_id <> p_user_id OR p_expires <> 0 AND (
                s.expires = 0 OR {{schema}}.moved(p_expires, s.seen - p_seen, p_began, p_lifetime) < s.expires)
        WHERE s.app = p_app AND s.id = p_id AND s.revision = p_revision
            AND (admitted OR s.user_id = p_user_id AND s.token_hash = p_token_hash)
            AND (s.reserved_until IS NULL OR s.reserved_by = p_actor OR s.reserved_until <= clock_timestamp())
        RETURNING s.access INTO changed;
        IF FOUND THEN
            status := p_revision + 1;
            IF changed THEN
                told := {{schema}}.tell(p_app, 's', p_id, p_actor, 2::smallint, p_id, '', '');
            ELSE
                SELECT array_agg(h.node) INTO holders FROM {{schema}}.holdings h
                WHERE h.app = p_app AND h.item = p_id AND h.kind = 's' AND h.node <> p_actor;
            END IF;
            RETURN;
        END IF;
        EXIT WHEN admitted OR NOT EXISTS ( -- the user and the token change with the revision only
            SELECT FROM {{schema}}.sessions s WHERE s.app = p_app AND s.id = p_id AND s.revision = p_revision
                AND (s.user_id <> p_user_id OR s.token_hash <> p_token_hash));
        IF {{schema}}.locked(p_app, p_user_id) THEN
            status := -3;
            RETURN;
        END IF;
        admitted := true;
    END LOOP;

    SELECT CASE WHEN s.revision = p_revision THEN -3 ELSE -2 END INTO status
    FROM {{schema}}.sessions s WHERE s.app = p_app AND s.id = p_id;
    IF NOT FOUND THEN
        status := -1;
    END IF;
END $$;

-- moved returns when a session expires whose activity is ahead of the write by that much: as much
-- later, up to the end of its lifetime. 0 stays never.
CREATE FUNCTION {{schema}}.moved(p_expires bigint, p_ahead bigint, p_began bigint, p_lifetime bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_expires = 0 OR p_ahead <= 0 THEN p_expires
        WHEN p_lifetime > 0 THEN least(p_expires + p_ahead, p_began + p_lifetime)
        ELSE p_expires + p_ahead END
$$;

-- touch_session moves seen forward, and expires by the same amount. It returns false if there is no
-- such session. The transaction doesn't wait for the disk.
CREATE FUNCTION {{schema}}.touch_session(p_app text, p_id text, p_seen bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    setting text := set_config('synchronous_commit', 'off', true); -- an expression is cheaper than PERFORM
BEGIN
    UPDATE {{schema}}.sessions s SET
        seen = p_seen, seen_hour = p_seen / 3600000000,
        expires = {{schema}}.moved(s.expires, p_seen - s.seen, s.began, s.lifetime)
    WHERE s.app = p_app AND s.id = p_id AND s.seen < p_seen;
    IF FOUND THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM {{schema}}.sessions s WHERE s.app = p_app AND s.id = p_id);
END $$;

-- end_session removes a session: if p_revision isn't 0, only if that is the stored revision. Its
-- status is 1, or 0: there is none, -2: another revision is stored.
CREATE FUNCTION {{schema}}.end_session(
    p_actor text, p_app text, p_id text, p_revision bigint, p_reason text, OUT status bigint, OUT told text[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM {{schema}}.sessions s
    WHERE s.app = p_app AND s.id = p_id AND (p_revision = 0 OR s.revision = p_revision);
    IF FOUND THEN
        status := 1;
        told := {{schema}}.tell(p_app, 's', p_id, p_actor, 3::smallint, p_id, '', p_reason);
        DELETE FROM {{schema}}.holdings h WHERE h.app = p_app AND h.item = p_id AND h.kind = 's';
        PERFORM {{schema}}.drop_kept(p_app, ARRAY[p_id]);
        RETURN;
    END IF;
    status := CASE WHEN EXISTS (SELECT FROM {{schema}}.sessions s WHERE s.app = p_app AND s.id = p_id)
        THEN -2 ELSE 0 END;
END $$;

-- sweep_sessions removes up to p_n of the sessions that are due at p_now, the first to expire, and
-- returns them. Of those that expire later than they were due it moves due forward. A last row without a
-- session has looked, how many it has looked at: fewer than p_n mean that no more are due; and told, the
-- names of the nodes in whose inboxes the ends are. It skips sessions that others are changing.
CREATE FUNCTION {{schema}}.sweep_sessions(p_actor text, p_app text, p_now bigint, p_n integer)
RETURNS TABLE (
    looked bigint, told text, id text, revision bigint, writes bigint, write_id bytea, token_hash bytea,
    prev_token_hash bytea, token_generation bigint, login_generation bigint, renewal smallint, rotated_at bigint,
    logged_in bigint, client_id text, user_id text, addr bytea, user_agent bytea, created bigint, seen bigint,
    expires bigint, idle bigint, lifetime bigint, data bytea
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    ids  text[];
    ends bigint[];
    gone text[];
    last bigint;
BEGIN
    SELECT array_agg(d.id), array_agg(d.expires), max(d.due) INTO ids, ends, last FROM (
        SELECT s.id, s.expires, s.due FROM {{schema}}.sessions s WHERE s.app = p_app AND s.due <= p_now
        ORDER BY s.due LIMIT p_n FOR UPDATE SKIP LOCKED
    ) d;
    looked := coalesce(cardinality(ids), 0);
    IF looked < p_n THEN
        last := p_now; -- all that are due
    END IF;
    gone := ARRAY(SELECT e.id FROM unnest(ids, ends) e (id, expires) WHERE e.expires <> 0 AND e.expires <= last);
    IF cardinality(gone) < looked THEN
        UPDATE {{schema}}.sessions s SET due = nullif(s.expires, 0)
        WHERE s.app = p_app AND s.id = ANY (ids) AND s.id <> ALL (gone);
    END IF;
    IF cardinality(gone) > 0 THEN
        RETURN QUERY DELETE FROM {{schema}}.sessions s WHERE s.app = p_app AND s.id = ANY (gone)
        RETURNING 0::bigint, '', s.id, s.revision, s.writes, s.write_id, s.token_hash, s.prev_token_hash,
            s.token_generation, s.login_generation, s.renewal, s.rotated_at, s.logged_in, s.client_id, s.user_id,
            s.addr, s.user_agent, s.created, s.seen, s.expires, s.idle, s.lifetime, s.data;
        WITH news AS ( -- as tell does it, for all of them at once
            INSERT INTO {{schema}}.inbox (node, kind, id, client, reason, sender, data)
            SELECT h.node, 3, h.item, '', 'swept', '', ''
            FROM {{schema}}.holdings h
            WHERE h.app = p_app AND h.item = ANY (gone) AND h.kind = 's' AND h.node <> p_actor
            RETURNING node
        )
        SELECT string_agg(DISTINCT n.node, ' ') INTO told FROM news n;
        DELETE FROM {{schema}}.holdings h WHERE h.app = p_app AND h.item = ANY (gone) AND h.kind = 's';
        PERFORM {{schema}}.drop_kept(p_app, gone);
    END IF;
    RETURN QUERY SELECT looked, coalesce(told, ''), '', 0::bigint, 0::bigint, ''::bytea, ''::bytea, ''::bytea, 0::bigint, 0::bigint,
        0::smallint, 0::bigint, 0::bigint, '', '', ''::bytea, ''::bytea, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
        0::bigint, ''::bytea;
END $$;

-- lock_user locks logins of a user for ten seconds, or locks them again. It reports whether the owner
-- had the lock.
CREATE FUNCTION {{schema}}.lock_user(p_app text, p_user text, p_owner text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    had boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('{{namespace}}:' || p_app || ':' || p_user, 0));
    DELETE FROM {{schema}}.user_locks l WHERE l.until <= clock_timestamp() AND l.owner <> p_owner;
    SELECT l.until > clock_timestamp() INTO had
    FROM {{schema}}.user_locks l WHERE l.app = p_app AND l.user_id = p_user AND l.owner = p_owner;
    INSERT INTO {{schema}}.user_locks VALUES (p_app, p_user, p_owner, clock_timestamp() + interval '10 s')
    ON CONFLICT (app, user_id, owner) DO UPDATE SET until = excluded.until;
    RETURN coalesce(had, false);
END $$;

-- unlock_user reports whether the owner had the lock.
CREATE FUNCTION {{schema}}.unlock_user(p_app text, p_user text, p_owner text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    had boolean;
BEGIN
    DELETE FROM {{schema}}.user_locks l WHERE l.app = p_app AND l.user_id = p_user AND l.owner = p_owner
    RETURNING l.until > clock_timestamp() INTO had;
    RETURN coalesce(had, false);
END $$;
