-- What the deliveries of a lane mean for each other, and their order by when things happened.
ALTER TABLE delivery RENAME COLUMN strict TO mode;                       -- 0 skip, 1 strict, 2 latest
ALTER TABLE delivery ADD COLUMN rank   INTEGER NOT NULL DEFAULT 0;       -- the order within a lane: by this, then by seq
ALTER TABLE delivery ADD COLUMN tries  INTEGER NOT NULL DEFAULT 0;       -- attempts that the retry schedule counts
ALTER TABLE delivery ADD COLUMN since  INTEGER NOT NULL DEFAULT 0;       -- the retry horizon counts from here
ALTER TABLE delivery ADD COLUMN claims INTEGER NOT NULL DEFAULT 0;       -- how often it was claimed: a fencing token
UPDATE delivery SET rank = accepted_at, tries = attempts, since = accepted_at, claims = attempts;

-- `rank` is that of the event, or the time of acceptance, as the handler says. What is first by it is the head, unless
-- another is in flight or awaiting; none is while the subject is paused.
DROP INDEX delivery_lane;
CREATE INDEX delivery_lane ON delivery (handler, subject_kind, subject_id, rank, seq) WHERE open = 1;

ALTER TABLE attempt ADD COLUMN class   TEXT;                             -- retry: the kind of failure
ALTER TABLE attempt ADD COLUMN within  INTEGER;                          -- accepted: microseconds to the deadline
ALTER TABLE attempt ADD COLUMN claim   INTEGER NOT NULL DEFAULT 0;       -- under which claim it was made
-- How the wait for a callback ended.
ALTER TABLE attempt ADD COLUMN settled_at      INTEGER;
ALTER TABLE attempt ADD COLUMN settled_outcome TEXT;
ALTER TABLE attempt ADD COLUMN settled_class   TEXT;
ALTER TABLE attempt ADD COLUMN settled_reason  TEXT;
ALTER TABLE attempt ADD COLUMN settled_after   INTEGER;
ALTER TABLE attempt ADD COLUMN settled_body    TEXT;
UPDATE attempt SET class = 'failed' WHERE outcome = 'retry';
UPDATE attempt SET claim = number;

-- Deliveries that wait for a callback, with what was sent: it becomes what was delivered last, if it was.
CREATE TABLE awaiting (
    delivery INTEGER PRIMARY KEY,
    claim    INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    pb_data  TEXT
) STRICT;
CREATE INDEX awaiting_deadline ON awaiting (deadline);

-- What nothing is to be claimed of: everything, a handler, a connector, a subject (its kind and id, with a space between).
CREATE TABLE pause (
    scope  TEXT NOT NULL,
    name   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    reason TEXT,
    PRIMARY KEY (scope, name)
) STRICT;

CREATE TABLE breaker (
    name     TEXT PRIMARY KEY,
    state    TEXT NOT NULL,                -- closed, open, half_open
    since    INTEGER NOT NULL,
    until    INTEGER,
    openings INTEGER NOT NULL,
    reason   TEXT,
    version  INTEGER NOT NULL
) STRICT;

-- How far a walk is, and the like.
CREATE TABLE note (
    name TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
