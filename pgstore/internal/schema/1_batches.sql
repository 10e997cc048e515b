-- set_sessions is set_session for several sessions, each of which is there once; n is the place in the
-- arrays. Ordinary updates are one statement. The others follow, each as with set_session. The rows are
-- locked in the order of their keys, so that no two batches wait for each other.
CREATE FUNCTION {{schema}}.set_sessions(
    p_actor text[], p_app text[], p_id text[], p_revision bigint[], p_writes bigint[], p_write_id bytea[],
    p_token_hash bytea[], p_prev_token_hash bytea[], p_token_generation bigint[], p_login_generation bigint[],
    p_renewal smallint[], p_rotated_at bigint[], p_logged_in bigint[], p_client_id text[], p_user_id text[],
    p_addr bytea[], p_user_agent bytea[], p_created bigint[], p_began bigint[], p_seen bigint[],
    p_expires bigint[], p_idle bigint[], p_lifetime bigint[], p_data bytea[]
) RETURNS TABLE (n bigint, status bigint, told text[], holders text[]) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    done bigint[] := '{}';
BEGIN
    PERFORM FROM unnest(p_app, p_id) k (app, id) JOIN {{schema}}.sessions s ON s.app = k.app AND s.id = k.id
    ORDER BY s.app, s.id FOR NO KEY UPDATE OF s;

    FOR n, status, told, holders IN
        WITH updated AS (
            UPDATE {{schema}}.sessions s SET
                revision = i.revision + 1, writes = i.writes, write_id = i.write_id, token_hash = i.token_hash,
                prev_token_hash = i.prev_token_hash, token_generation = i.token_generation,
                login_generation = i.login_generation, renewal = i.renewal, rotated_at = i.rotated_at,
                logged_in = i.logged_in, client_id = i.client_id, user_id = i.user_id, addr = i.addr,
                user_agent = i.user_agent, created = i.created, began = i.began, idle = i.idle,
                lifetime = i.lifetime, data = i.data, seen = greatest(s.seen, i.seen),
                seen_hour = greatest(s.seen, i.seen) / 3600000000,
                expires = {{schema}}.moved(i.expires, s.seen - i.seen, i.began, i.lifetime),
                due = CASE WHEN i.expires = 0 THEN NULL
                    ELSE least(s.due, {{schema}}.moved(i.expires, s.seen - i.seen, i.began, i.lifetime)) END,
                access = s.token_hash <> i.token_hash OR s.user_id <> i.user_id OR i.expires <> 0 AND (
                    s.expires = 0 OR {{schema}}.moved(i.expires, s.seen - i.seen, i.began, i.lifetime) < s.expires)
            FROM unnest(
            p_actor, p_app, p_id, p_revision, p_writes, p_write_id, p_token_hash, p_prev_token_hash,
            p_token_generation, p_login_generation, p_renewal, p_rotated_at, p_logged_in, p_client_id,
            p_user_id, p_addr, p_user_agent, p_created, p_began, p_seen, p_expires, p_idle, p_lifetime, p_data
            ) WITH ORDINALITY i (
            actor, app, id, revision, writes, write_id, token_hash, prev_token_hash, token_generation,
            login_generation, renewal, rotated_at, logged_in, client_id, user_id, addr, user_agent, created,
            began, seen, expires, idle, lifetime, data, n
            )
            WHERE s.app = i.app AND s.id = i.id AND s.revision = i.revision AND i.revision > 0
                AND (i.user_id = '' OR s.user_id = i.user_id AND s.token_hash = i.token_hash)
                AND (s.reserved_until IS NULL OR s.reserved_by = i.actor OR s.reserved_until <= clock_timestamp())
            RETURNING i.n, i.actor, s.app, s.id, s.revision, s.access
        )
        SELECT u.n, u.revision,
            CASE WHEN u.access THEN {{schema}}.tell(u.app, 's', u.id, u.actor, 2::smallint, u.id, '', '') END,
            CASE WHEN NOT u.access THEN (
                SELECT array_agg(h.node) FROM {{schema}}.holdings h
                WHERE h.app = u.app AND h.item = u.id AND h.kind = 's' AND h.node <> u.actor) END
        FROM updated u
    LOOP
        done := done || n;
        RETURN NEXT;
    END LOOP;

    IF cardinality(done) = cardinality(p_id) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT i.n, r.status, r.told, r.holders FROM (
        SELECT * FROM unnest(
            p_actor, p_app, p_id, p_revision, p_writes, p_write_id, p_token_hash, p_prev_token_hash,
            p_token_generation, p_login_generation, p_renewal, p_rotated_at, p_logged_in, p_client_id,
            p_user_id, p_addr, p_user_agent, p_created, p_began, p_seen, p_expires, p_idle, p_lifetime, p_data
        ) WITH ORDINALITY i (
            actor, app, id, revision, writes, write_id, token_hash, prev_token_hash, token_generation,
            login_generation, renewal, rotated_at, logged_in, client_id, user_id, addr, user_agent, created,
            began, seen, expires, idle, lifetime, data, n
        )
        WHERE i.n <> ALL (done) ORDER BY i.app, i.id
    ) i CROSS JOIN LATERAL {{schema}}.set_session(
            i.actor, i.app, i.id, i.revision, i.writes, i.write_id, i.token_hash, i.prev_token_hash,
            i.token_generation, i.login_generation, i.renewal, i.rotated_at, i.logged_in, i.client_id,
            i.user_id, i.addr, i.user_agent, i.created, i.began, i.seen, i.expires, i.idle, i.lifetime, i.data
    ) r;
END $$;

-- touch_sessions is touch_session for several sessions, each of which is there once.
CREATE FUNCTION {{schema}}.touch_sessions(p_app text[], p_id text[], p_seen bigint[])
RETURNS TABLE (n bigint, found boolean) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM FROM unnest(p_app, p_id) k (app, id) JOIN {{schema}}.sessions s ON s.app = k.app AND s.id = k.id
    ORDER BY s.app, s.id FOR NO KEY UPDATE OF s;
    UPDATE {{schema}}.sessions s SET
        seen = i.seen, seen_hour = i.seen / 3600000000,
        expires = {{schema}}.moved(s.expires, i.seen - s.seen, s.began, s.lifetime)
    FROM unnest(p_app, p_id, p_seen) i (app, id, seen)
    WHERE s.app = i.app AND s.id = i.id AND s.seen < i.seen;
    RETURN QUERY SELECT i.n, EXISTS (SELECT FROM {{schema}}.sessions s WHERE s.app = i.app AND s.id = i.id)
    FROM unnest(p_app, p_id) WITH ORDINALITY i (app, id, n);
END $$;
