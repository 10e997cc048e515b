-- Sessions. Times are microseconds since 1970, durations microseconds; 0 is never, or none.
--
-- No index contains what a touch or an ordinary write changes, so that those are HOT updates: they
-- change no index and need no vacuum of one. Instead of expires the index has due, a lower bound of
-- it, which only a sweep moves forward; instead of seen it has the hour of it.
CREATE TABLE {{schema}}.sessions (
    app              text   COLLATE "C" NOT NULL,
    id               text   COLLATE "C" NOT NULL,
    revision         bigint NOT NULL,
    writes           bigint NOT NULL,
    write_id         bytea  NOT NULL,
    token_hash       bytea  NOT NULL,
    prev_token_hash  bytea  NOT NULL,
    token_generation bigint NOT NULL,
    login_generation bigint NOT NULL,
    renewal          smallint NOT NULL,
    rotated_at       bigint NOT NULL,
    logged_in        bigint NOT NULL,
    client_id        text   COLLATE "C" NOT NULL,
    user_id          text   COLLATE "C" NOT NULL,
    addr             bytea  NOT NULL,
    user_agent       bytea  NOT NULL,
    created          bigint NOT NULL,
    began            bigint NOT NULL, -- created, or the last login
    seen             bigint NOT NULL,
    seen_hour        integer NOT NULL,
    expires          bigint NOT NULL,
    due              bigint,          -- at or before expires; null: never
    idle             bigint NOT NULL,
    lifetime         bigint NOT NULL,
    access           boolean NOT NULL, -- the last write changed the token or the user, or expires to an earlier time
    reserved_by      text   COLLATE "C",
    reserved_until   timestamptz,
    data             bytea  NOT NULL,
    PRIMARY KEY (app, id)
) WITH (fillfactor = 80);

CREATE INDEX sessions_due ON {{schema}}.sessions (app, due) WHERE due IS NOT NULL;
CREATE INDEX sessions_active ON {{schema}}.sessions (app, seen_hour);
CREATE INDEX sessions_user ON {{schema}}.sessions (app, user_id) WHERE user_id <> '';
CREATE INDEX sessions_client ON {{schema}}.sessions (app, client_id, began, id) WHERE client_id <> '';

-- Users whose logins are locked.
CREATE TABLE {{schema}}.user_locks (
    app     text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    owner   text COLLATE "C" NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (app, user_id, owner)
);

-- Nodes, what they hold and what they have to be told. These tables are not logged: PostgreSQL
-- empties them after a crash, and a standby doesn't have them. The nodes then join again and check
-- all that they hold.
CREATE UNLOGGED TABLE {{schema}}.nodes (
    name  text COLLATE "C" PRIMARY KEY,
    app   text COLLATE "C" NOT NULL,
    until timestamptz NOT NULL
);

CREATE UNLOGGED TABLE {{schema}}.holdings (
    app  text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL, -- s: a session, c: a client, k: a log of kept messages
    item text COLLATE "C" NOT NULL,
    node text COLLATE "C" NOT NULL,
    PRIMARY KEY (app, item, kind, node)
);
CREATE INDEX holdings_node ON {{schema}}.holdings (node);

CREATE UNLOGGED TABLE {{schema}}.inbox (
    node   text COLLATE "C" NOT NULL,
    seq    bigint GENERATED ALWAYS AS IDENTITY,
    kind   smallint NOT NULL, -- store.ChangeKind, or 100: a message was kept
    id     text COLLATE "C" NOT NULL,
    client text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    sender text COLLATE "C" NOT NULL,
    data   bytea NOT NULL,
    PRIMARY KEY (node, seq)
);

-- IDs without a session that nodes have reserved. Those of sessions are reserved in their rows.
CREATE UNLOGGED TABLE {{schema}}.reservations (
    app   text COLLATE "C" NOT NULL,
    id    text COLLATE "C" NOT NULL,
    node  text COLLATE "C" NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (app, id)
);
