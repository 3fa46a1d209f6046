-- Times are microseconds since 1970 (UTC), ids of ours are UUIDs of 16 bytes, states and kinds are words.

-- What was just accepted is in a file beside this one (its name ends in `-inbox`), and is filed here soon: before anything is
-- claimed or shown, many at a time. The two belong together by the id.
CREATE TABLE inbox (
    id    BLOB NOT NULL,
    filed INTEGER NOT NULL                 -- all up to this event.seq are here; what comes after may be in the file only
) STRICT;
INSERT INTO inbox VALUES (randomblob(16), 0);

CREATE TABLE event (
    seq          INTEGER PRIMARY KEY,      -- the order of acceptance
    id           BLOB NOT NULL UNIQUE,
    source       TEXT NOT NULL,
    i_env        INTEGER,
    i_event      INTEGER,
    event_type   TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id   TEXT NOT NULL,
    event_time   INTEGER,
    received_at  INTEGER NOT NULL,
    body         TEXT NOT NULL
) STRICT;

-- The same event twice. The number alone won't do: PortaBilling may reuse it, and two handlers may send it on purpose.
CREATE UNIQUE INDEX event_same
    ON event (i_event, source, event_type, subject_kind, subject_id, coalesce(i_env, -1))
    WHERE i_event IS NOT NULL;
CREATE INDEX event_subject ON event (subject_id);
CREATE INDEX event_type ON event (event_type);

-- One event for one handler. Its number is that of its event times 1024, plus its place among the event's deliveries: so
-- the numbers are the order within a lane (handler and subject), and neither an index nor a column says whose it is.
-- Its id is made of its number, too (see `DeliveryId` in the program).
CREATE TABLE delivery (
    seq          INTEGER PRIMARY KEY,
    handler      TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id   TEXT NOT NULL,
    strict       INTEGER NOT NULL,         -- 1: a parked one holds its lane
    state        TEXT NOT NULL,            -- pending, in_flight, delivered, parked
    at           INTEGER NOT NULL,         -- pending: not before this; otherwise: since then
    reason       TEXT,                     -- parked: why
    attempts     INTEGER NOT NULL,
    accepted_at  INTEGER NOT NULL,
    open         INTEGER NOT NULL,         -- 1: it holds its place in the lane
    head         INTEGER NOT NULL          -- 1: open, and nothing open is before it
) STRICT;

-- Only what still holds a place is in here, so it stays small whatever the history.
CREATE INDEX delivery_lane ON delivery (handler, subject_kind, subject_id, seq) WHERE open = 1;
-- What may be claimed, by the time when: a million that wait behind others are not in here.
CREATE INDEX delivery_due ON delivery (handler, at) WHERE head = 1 AND state = 'pending';
-- For the operator: what isn't done, per handler.
CREATE INDEX delivery_waiting ON delivery (handler, state, seq) WHERE state <> 'delivered';

CREATE TABLE attempt (
    delivery   INTEGER NOT NULL,           -- its number
    number     INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    outcome    TEXT NOT NULL,              -- delivered, retry, refused
    reason     TEXT,
    after      INTEGER,                    -- retry: not before so many microseconds
    request    TEXT,
    response   TEXT
) STRICT;
CREATE INDEX attempt_delivery ON attempt (delivery, number);

-- What was delivered last for a handler and subject.
CREATE TABLE last_delivered (
    handler      TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id   TEXT NOT NULL,
    pb_data      TEXT NOT NULL,
    at           INTEGER NOT NULL,
    UNIQUE (handler, subject_kind, subject_id)
) STRICT;

-- One row per account and service group: the newest status, and how far it has got.
CREATE TABLE status (
    i_account     INTEGER NOT NULL,
    service_group TEXT NOT NULL,
    value         TEXT NOT NULL,
    message       TEXT,
    at            INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    attempts      INTEGER NOT NULL,
    due           INTEGER,                 -- none: nothing to write
    writing       INTEGER,                 -- the version that is being written now
    reason        TEXT,                    -- of the last failure
    written_at    INTEGER,
    PRIMARY KEY (i_account, service_group)
) STRICT;
CREATE INDEX status_due ON status (due) WHERE due IS NOT NULL AND writing IS NULL;
CREATE INDEX status_writing ON status (writing) WHERE writing IS NOT NULL;

CREATE TABLE sample (
    seq         INTEGER PRIMARY KEY,
    source      TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    body        BLOB NOT NULL
) STRICT;

-- How many deliveries are in which state: counting tens of millions takes seconds, so each commit writes down by how much
-- it changes that.
CREATE TABLE tally (
    handler TEXT NOT NULL,
    state   TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (handler, state)
) STRICT, WITHOUT ROWID;

-- Written by the readiness check: only a write shows that writing works.
CREATE TABLE probe (one INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
