-- Where things lie. `@` stands for the schema; times are milliseconds of the server's
-- clock, but those that the near side gave an entry.

CREATE TYPE @.listed AS (token text, deadline bigint, owner text);

-- All of it is lost together. The row -1 is the incarnation: its version is the origin of
-- versions, `ends` is since when that gives them, and `home` where it lies: see `here`.
CREATE UNLOGGED TABLE @.tags (
    digest bigint PRIMARY KEY,
    version text COLLATE "C" NOT NULL,
    ends bigint NOT NULL,
    fences @.listed[],
    home text
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);

CREATE UNLOGGED TABLE @.entries (
    id bigint PRIMARY KEY,
    ends bigint NOT NULL,
    mark text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    digests bigint[] NOT NULL,
    versions text[] COLLATE "C" NOT NULL,
    born double precision NOT NULL,
    fresh double precision NOT NULL,
    stale double precision NOT NULL,
    payload bytea NOT NULL
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_threshold = 500,
    toast.autovacuum_vacuum_scale_factor = 0.05,
    toast.autovacuum_vacuum_cost_delay = 0
);

-- large ones are compressed already
ALTER TABLE @.entries ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE UNLOGGED TABLE @.claims (
    id bigint PRIMARY KEY,
    ends bigint NOT NULL,
    token text COLLATE "C" NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);

CREATE UNLOGGED SEQUENCE @.numbers;

-- What transactions of the same database have said inside themselves: which tags they
-- change. It is seen with their commit, and never if there is none. See `said.sql`.
CREATE UNLOGGED TABLE @.said (
    transaction xid8 NOT NULL,
    digests bigint[] NOT NULL
) WITH (
    vacuum_truncate = off,  -- that takes a lock which `say` would wait for
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX ON @.said (transaction);

-- Up to where that was made versions of: all that was visible in a snapshot, in which
-- transactions were `open`, and others not there yet that are numbered `since`. The newest
-- row counts, which an index finds however many dead ones there are behind it.
CREATE UNLOGGED TABLE @.folds (
    number bigint PRIMARY KEY,
    since xid8 NOT NULL,
    open xid8[] NOT NULL
) WITH (
    vacuum_truncate = off,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);

-- What is found under a key: `state` is `hit`, `same`, or why it is a miss.
CREATE TYPE @.found AS (
    state text,
    at bigint,
    mark text,
    born double precision,
    fresh double precision,
    stale double precision,
    digests text,
    versions text,
    tags text,
    payload bytea
);
