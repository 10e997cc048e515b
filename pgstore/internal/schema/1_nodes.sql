-- join_node makes a process a node, until it fails to renew its lease.
CREATE FUNCTION {{schema}}.join_node(p_app text, p_node text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO {{schema}}.nodes VALUES (p_node, p_app, clock_timestamp() + interval '12 s')
    ON CONFLICT (name) DO NOTHING
$$;

-- renew_node renews the lease of a node and removes nodes whose lease has ended. It returns false if
-- the node has been removed. The notification tells the node that notifications reach it, and which one.
CREATE FUNCTION {{schema}}.renew_node(p_node text, p_beat bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    known boolean;
    gone  text[];
BEGIN
    UPDATE {{schema}}.nodes SET until = clock_timestamp() + interval '12 s' WHERE name = p_node;
    known := FOUND;
    PERFORM pg_notify('sb_' || p_node, 'c' || p_beat);
    SELECT array_agg(n.name) INTO gone FROM (
        SELECT name FROM {{schema}}.nodes WHERE until <= clock_timestamp() FOR UPDATE SKIP LOCKED
    ) n;
    IF gone IS NOT NULL THEN
        PERFORM {{schema}}.remove_node(name) FROM unnest(gone) name;
    END IF;
    RETURN known;
END $$;

-- remove_node removes a node, what it holds and what it was to be told.
CREATE FUNCTION {{schema}}.remove_node(p_node text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {{schema}}.nodes WHERE name = p_node;
    -- Whoever has locked a row is removing it, too, or tries again: no two wait for each other.
    DELETE FROM {{schema}}.holdings h USING (
        SELECT app, item, kind, node FROM {{schema}}.holdings WHERE node = p_node FOR UPDATE SKIP LOCKED
    ) d WHERE (h.app, h.item, h.kind, h.node) = (d.app, d.item, d.kind, d.node);
    DELETE FROM {{schema}}.inbox WHERE node = p_node;
END $$;

-- remove_orphans removes what transactions have added for nodes that were being removed, and reservations
-- whose time is over.
CREATE FUNCTION {{schema}}.remove_orphans() RETURNS void LANGUAGE sql AS $$
    DELETE FROM {{schema}}.inbox i WHERE NOT EXISTS (SELECT FROM {{schema}}.nodes n WHERE n.name = i.node);
    DELETE FROM {{schema}}.holdings h USING (
        SELECT o.app, o.item, o.kind, o.node FROM {{schema}}.holdings o
        WHERE NOT EXISTS (SELECT FROM {{schema}}.nodes n WHERE n.name = o.node) FOR UPDATE SKIP LOCKED
    ) d WHERE (h.app, h.item, h.kind, h.node) = (d.app, d.item, d.kind, d.node);
    DELETE FROM {{schema}}.reservations WHERE until <= clock_timestamp()
$$;

-- hold_items makes a node hold sessions, clients and the logs of kept messages. It waits for
-- transactions that are changing one of the sessions or logs, and they for it: each change is stored
-- before, or finds the holder. It returns
-- false if the node has been removed.
CREATE FUNCTION {{schema}}.hold_items(p_app text, p_node text, p_kinds text[], p_items text[]) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM FROM {{schema}}.nodes n WHERE n.name = p_node FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM FROM {{schema}}.sessions s
    WHERE s.app = p_app AND s.id = ANY (
        ARRAY(SELECT i.item FROM unnest(p_kinds, p_items) i (kind, item) WHERE i.kind = 's'))
    ORDER BY s.id FOR SHARE;
    PERFORM pg_advisory_xact_lock_shared(l.number) FROM (
        SELECT DISTINCT {{schema}}.topic_lock(p_app, i.item) AS number
        FROM unnest(p_kinds, p_items) i (kind, item) WHERE i.kind = 'k' ORDER BY 1
    ) l;
    INSERT INTO {{schema}}.holdings (app, kind, item, node)
    SELECT p_app, i.kind, i.item, p_node FROM unnest(p_kinds, p_items) i (kind, item)
    ON CONFLICT DO NOTHING;
    RETURN true;
END $$;

-- release_items undoes hold_items.
CREATE FUNCTION {{schema}}.release_items(p_app text, p_node text, p_kinds text[], p_items text[]) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM {{schema}}.holdings h USING (
        SELECT o.app, o.item, o.kind, o.node FROM unnest(p_kinds, p_items) i (kind, item)
        JOIN {{schema}}.holdings o ON o.app = p_app AND o.kind = i.kind AND o.item = i.item AND o.node = p_node
        FOR UPDATE OF o SKIP LOCKED
    ) d WHERE (h.app, h.item, h.kind, h.node) = (d.app, d.item, d.kind, d.node)
$$;

-- announce tells the nodes that hold a client of a session, and returns their names.
CREATE FUNCTION {{schema}}.announce(p_actor text, p_app text, p_client text, p_id text) RETURNS text[]
LANGUAGE sql AS $$
    SELECT {{schema}}.tell(p_app, 'c', p_client, p_actor, 4::smallint, p_id, p_client, '')
$$;

-- send_message puts a message into the inboxes of nodes, and returns the names of those that exist.
CREATE FUNCTION {{schema}}.send_message(p_actor text, p_app text, p_to text[], p_data bytea) RETURNS text[]
LANGUAGE sql AS $$
    WITH told AS (
        INSERT INTO {{schema}}.inbox (node, kind, id, client, reason, sender, data)
        SELECT n.name, 5, '', '', '', p_actor, p_data FROM {{schema}}.nodes n
        WHERE n.app = p_app AND n.name = ANY (p_to)
        RETURNING node
    )
    SELECT array_agg(node) FROM told
$$;

-- read_inbox removes the first entries of a node's inbox and returns them. A transaction that commits
-- late may add an entry with an earlier number than those that have been read.
CREATE FUNCTION {{schema}}.read_inbox(p_node text, p_n integer) RETURNS SETOF {{schema}}.inbox
LANGUAGE sql AS $$
    DELETE FROM {{schema}}.inbox i
    WHERE i.node = p_node AND i.seq = ANY (
        ARRAY(SELECT f.seq FROM {{schema}}.inbox f WHERE f.node = p_node ORDER BY f.seq LIMIT p_n))
    RETURNING i.*
$$;

-- reserve_session makes set_session admit only the node for a second. It returns false if another
-- node has reserved the ID.
CREATE FUNCTION {{schema}}.reserve_session(p_node text, p_app text, p_id text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE {{schema}}.sessions s
    SET reserved_by = p_node, reserved_until = clock_timestamp() + interval '1 s'
    WHERE s.app = p_app AND s.id = p_id
        AND (s.reserved_until IS NULL OR s.reserved_by = p_node OR s.reserved_until <= clock_timestamp());
    IF FOUND OR EXISTS (SELECT FROM {{schema}}.sessions s WHERE s.app = p_app AND s.id = p_id) THEN
        RETURN FOUND;
    END IF;
    INSERT INTO {{schema}}.reservations AS r VALUES (p_app, p_id, p_node, clock_timestamp() + interval '1 s')
    ON CONFLICT (app, id) DO UPDATE SET node = excluded.node, until = excluded.until
    WHERE r.node = p_node OR r.until <= clock_timestamp();
    RETURN FOUND;
END $$;

-- unreserve_session undoes reserve_session.
CREATE FUNCTION {{schema}}.unreserve_session(p_node text, p_app text, p_id text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE {{schema}}.sessions s SET reserved_by = NULL, reserved_until = NULL
    WHERE s.app = p_app AND s.id = p_id AND s.reserved_by = p_node;
    DELETE FROM {{schema}}.reservations r WHERE r.app = p_app AND r.id = p_id AND r.node = p_node;
END $$;
