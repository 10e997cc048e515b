-- Messages that are kept for a session ('s' and its ID) or a user ('u' and its name). Numbers are
-- microseconds since 1970.
CREATE TABLE {{schema}}.kept_logs (
    app   text   COLLATE "C" NOT NULL,
    topic text   COLLATE "C" NOT NULL,
    first bigint NOT NULL, -- the number with which the log began, 0 if with a message
    last  bigint NOT NULL, -- the number of the last message
    bytes bigint NOT NULL, -- of all messages so far
    until bigint NOT NULL, -- when the log may be removed
    PRIMARY KEY (app, topic)
);
CREATE INDEX kept_logs_until ON {{schema}}.kept_logs (until);

CREATE TABLE {{schema}}.kept (
    app     text    COLLATE "C" NOT NULL,
    topic   text    COLLATE "C" NOT NULL,
    number  bigint  NOT NULL,
    prev    bigint  NOT NULL, -- the number before it
    place   bigint  NOT NULL, -- one more than that of the message before it, if that is still kept
    bytes   bigint  NOT NULL, -- of all messages before it
    expires bigint  NOT NULL,
    is_binary boolean NOT NULL,
    data    bytea   NOT NULL,
    PRIMARY KEY (app, topic, number)
);
CREATE INDEX kept_expires ON {{schema}}.kept (expires);

-- micros returns a time in microseconds.
CREATE FUNCTION {{schema}}.micros(p_time timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (extract(epoch FROM p_time) * 1000000)::bigint
$$;

-- topic_lock returns the number of the advisory lock of a topic: keepers have it exclusively, so that
-- messages have an order. Nodes that begin to hold the topic share it, so that each message is kept before,
-- or finds the holder, and readers for whom the log begins, so that it begins before its first message, or
-- with it.
CREATE FUNCTION {{schema}}.topic_lock(p_app text, p_topic text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('{{namespace}}:kept:' || length(p_app) || ':' || p_app || p_topic, 0)
$$;

-- keep_message appends a message to a log, and removes the oldest ones beyond the limits. p_session is
-- the ID of the session, '' for a user. It returns false if the session doesn't exist.
CREATE FUNCTION {{schema}}.keep_message(
    p_actor text, p_app text, p_topic text, p_session text, p_keep bigint, p_messages bigint, p_bytes bigint,
    p_binary boolean, p_data bytea, OUT kept boolean, OUT told text[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    log    {{schema}}.kept_logs;
    oldest {{schema}}.kept;
    now    bigint;
    this   bigint;
    place  bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({{schema}}.topic_lock(p_app, p_topic));
    IF p_session <> '' THEN -- its end waits for the message
        PERFORM FROM {{schema}}.sessions s WHERE s.app = p_app AND s.id = p_session FOR KEY SHARE;
        IF NOT FOUND THEN
            kept := false;
            RETURN;
        END IF;
    END IF;
    now := {{schema}}.micros(clock_timestamp());
    SELECT * INTO log FROM {{schema}}.kept_logs l WHERE l.app = p_app AND l.topic = p_topic;
    this := greatest(now, coalesce(log.last, 0) + 1);
    SELECT k.place + 1 INTO place FROM {{schema}}.kept k
    WHERE k.app = p_app AND k.topic = p_topic ORDER BY k.number DESC LIMIT 1;
    place := coalesce(place, 0);
    INSERT INTO {{schema}}.kept VALUES (
        p_app, p_topic, this, coalesce(log.last, 0), place, coalesce(log.bytes, 0), now + p_keep, p_binary, p_data);
    INSERT INTO {{schema}}.kept_logs AS l
    VALUES (p_app, p_topic, coalesce(log.first, 0), this, coalesce(log.bytes, 0) + length(p_data),
        now + greatest(p_keep, {{schema}}.log_life()))
    ON CONFLICT (app, topic) DO UPDATE SET last = excluded.last, bytes = excluded.bytes,
        until = CASE WHEN l.until < now + greatest(p_keep, {{schema}}.log_life() / 2)
            THEN now + greatest(p_keep, {{schema}}.log_life()) ELSE l.until END;

    LOOP
        SELECT * INTO oldest FROM {{schema}}.kept k
        WHERE k.app = p_app AND k.topic = p_topic ORDER BY k.number LIMIT 1;
        EXIT WHEN oldest.number = this OR place - oldest.place < p_messages AND oldest.expires > now
            AND coalesce(log.bytes, 0) + length(p_data) - oldest.bytes <= p_bytes;
        DELETE FROM {{schema}}.kept k
        WHERE k.app = p_app AND k.topic = p_topic AND k.number = oldest.number;
    END LOOP;

    kept := true;
    told := {{schema}}.tell(p_app, 'k', p_topic, p_actor, 100::smallint, '', p_topic, '');
END $$;

-- log_life is how long a log exists after the last call for it: 15 days, of which calls in the first
-- half change nothing.
CREATE FUNCTION {{schema}}.log_life() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT 15 * 86400000000
$$;

-- read_kept returns the messages of a log with a greater number than p_after, each with the first and the
-- last number of the log; number is null if there are none. A log that doesn't exist begins now.
CREATE FUNCTION {{schema}}.read_kept(p_app text, p_topic text, p_after bigint)
RETURNS TABLE (first bigint, last bigint, number bigint, prev bigint, is_binary boolean, data bytea)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    now   bigint := {{schema}}.micros(clock_timestamp());
    until bigint;
BEGIN
    LOOP
        SELECT l.until INTO until FROM {{schema}}.kept_logs l WHERE l.app = p_app AND l.topic = p_topic;
        IF until IS NULL THEN
            PERFORM pg_advisory_xact_lock_shared({{schema}}.topic_lock(p_app, p_topic));
            now := {{schema}}.micros(clock_timestamp());
            INSERT INTO {{schema}}.kept_logs VALUES (p_app, p_topic, now, now, 0, now + {{schema}}.log_life())
            ON CONFLICT DO NOTHING;
        ELSIF until < now + {{schema}}.log_life() / 2 THEN
            UPDATE {{schema}}.kept_logs l SET until = now + {{schema}}.log_life()
            WHERE l.app = p_app AND l.topic = p_topic;
        END IF;
        RETURN QUERY SELECT l.first, l.last, k.number, k.prev, k.is_binary, k.data
        FROM {{schema}}.kept_logs l LEFT JOIN {{schema}}.kept k
            ON k.app = l.app AND k.topic = l.topic AND k.number > p_after AND k.expires > now
        WHERE l.app = p_app AND l.topic = p_topic ORDER BY k.number;
        EXIT WHEN FOUND; -- otherwise the log has been removed meanwhile
    END LOOP;
END $$;

-- drop_kept removes what is kept for sessions that end.
CREATE FUNCTION {{schema}}.drop_kept(p_app text, p_ids text[]) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM {{schema}}.kept_logs l WHERE l.app = p_app AND l.topic = ANY (SELECT 's' || id FROM unnest(p_ids) id);
    IF FOUND THEN
        DELETE FROM {{schema}}.kept k WHERE k.app = p_app AND k.topic = ANY (SELECT 's' || id FROM unnest(p_ids) id);
    END IF;
END $$;

-- tidy_kept removes up to p_n messages whose time is over, if those before them in the log may be removed,
-- too: a log has no gaps, so that place and bytes tell how much there is. It removes as many logs that are
-- no longer used.
CREATE FUNCTION {{schema}}.tidy_kept(p_n integer) RETURNS void LANGUAGE sql AS $$
    DELETE FROM {{schema}}.kept k USING (
        SELECT e.app, e.topic, e.number FROM {{schema}}.kept e
        WHERE e.expires <= {{schema}}.micros(statement_timestamp()) AND NOT EXISTS (
            SELECT FROM {{schema}}.kept o WHERE o.app = e.app AND o.topic = e.topic AND o.number < e.number
                AND o.expires > {{schema}}.micros(statement_timestamp()))
        ORDER BY e.expires LIMIT p_n FOR UPDATE SKIP LOCKED
    ) d WHERE (k.app, k.topic, k.number) = (d.app, d.topic, d.number);
    DELETE FROM {{schema}}.kept_logs l USING (
        SELECT app, topic FROM {{schema}}.kept_logs WHERE until <= {{schema}}.micros(statement_timestamp())
        ORDER BY until LIMIT p_n FOR UPDATE SKIP LOCKED
    ) d WHERE (l.app, l.topic) = (d.app, d.topic)
$$;
