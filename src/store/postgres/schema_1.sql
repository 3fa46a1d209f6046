-- Times are microseconds since 1970 (UTC), states and kinds are words. Names and columns are those of the embedded store; what
-- is here besides (lanes, gateways, `lane`, `same`, `gateway`, `taken`) serves several gateways on one database.
--
-- Text can't hold the character 0 here: it lies as 1 and the digit 0, and the character 1 as 1 and the digit 1.

CREATE SEQUENCE event_seq;

CREATE TABLE event (
    seq          bigint PRIMARY KEY,       -- the order of acceptance, nearly: gateways take numbers before they commit
    id           uuid NOT NULL UNIQUE,
    same         uuid UNIQUE,              -- digest of what makes two events the same; none where nothing does
    source       text NOT NULL,
    i_env        bigint,
    i_event      bigint,
    event_type   text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   text NOT NULL,
    event_time   bigint,
    received_at  bigint NOT NULL,
    body         text NOT NULL
);
-- By their hashes, since a text of more than 2 700 bytes can't be indexed.
CREATE INDEX event_subject ON event (hashtextextended(subject_id, 0), seq);
CREATE INDEX event_type ON event (hashtextextended(event_type, 0), seq);

-- One event for one handler. Its number is that of its event times 1024, plus its place among the event's deliveries.
CREATE TABLE delivery (
    seq          bigint PRIMARY KEY,
    lane         uuid NOT NULL,            -- digest of handler and subject: they can be too long for an index
    handler      text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   text NOT NULL,
    mode         smallint NOT NULL,        -- 0 skip, 1 strict, 2 latest
    rank         bigint NOT NULL,          -- the order within a lane: by this, then by seq
    state        text NOT NULL,            -- pending, in_flight, awaiting, delivered, parked, superseded, cancelled
    at           bigint NOT NULL,          -- pending: not before this; awaiting: until then; otherwise: since then
    reason       text,                     -- parked, cancelled: why; superseded: the id of the newer one
    attempts     integer NOT NULL,
    tries        integer NOT NULL,         -- attempts that the retry schedule counts
    accepted_at  bigint NOT NULL,
    since        bigint NOT NULL,          -- the retry horizon counts from here
    claims       integer NOT NULL,         -- how often it was claimed: a fencing token
    open         boolean NOT NULL,         -- it holds its place in the lane
    gateway      uuid,                     -- in flight: whose
    taken        uuid                      -- in flight: by which claim of that gateway, should the answer get lost
);
CREATE INDEX delivery_lane ON delivery (lane, rank, seq) WHERE open;
CREATE INDEX delivery_latest ON delivery (lane, rank, seq) WHERE open AND mode = 2 AND state = 'pending';
CREATE INDEX delivery_flying ON delivery (gateway) WHERE gateway IS NOT NULL;
-- For the operator: what isn't done, per handler.
CREATE INDEX delivery_waiting ON delivery (handler, state, seq) WHERE state <> 'delivered';

-- A handler and subject with anything open. Whoever changes one of its deliveries locks this row first, in the order of `id` if
-- there are several. All accept, claim and finish by it alone, so none of that depends on how much waits.
CREATE TABLE lane (
    id           uuid PRIMARY KEY,
    handler      text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   text NOT NULL,
    held         bigint,                   -- by this one: in flight, awaiting, or parked and strict
    head         bigint NOT NULL,          -- the open one with the lowest rank, then number
    rank         bigint NOT NULL,          -- of the head
    due          bigint NOT NULL           -- of the head, unless the lane is held
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX lane_due ON lane (handler, due, head) WHERE held IS NULL;

CREATE TABLE attempt (
    delivery        bigint NOT NULL,       -- its number
    number          integer NOT NULL,
    started_at      bigint NOT NULL,
    ended_at        bigint NOT NULL,
    outcome         text NOT NULL,         -- delivered, accepted, retry, refused
    class           text,                  -- retry: the kind of failure
    reason          text,
    after           bigint,                -- retry: not before so many microseconds
    within          bigint,                -- accepted: microseconds to the deadline
    request         text,
    response        text,
    claim           integer NOT NULL,      -- under which claim it was made
    settled_at      bigint,                -- how the wait for a callback ended
    settled_outcome text,
    settled_class   text,
    settled_reason  text,
    settled_after   bigint,
    settled_body    text,
    PRIMARY KEY (delivery, number)
);
CREATE INDEX attempt_bodies ON attempt (ended_at) WHERE request IS NOT NULL OR response IS NOT NULL OR settled_body IS NOT NULL;

-- Deliveries that wait for a callback, with what was sent: it becomes what was delivered last, if it was.
CREATE TABLE awaiting (
    delivery bigint PRIMARY KEY,
    claim    integer NOT NULL,
    deadline bigint NOT NULL,
    pb_data  text
);
CREATE INDEX awaiting_deadline ON awaiting (deadline);

-- What was delivered last for a handler and subject.
CREATE TABLE last_delivered (
    lane         uuid PRIMARY KEY,
    handler      text NOT NULL,
    subject_kind text NOT NULL,
    subject_id   text NOT NULL,
    pb_data      text NOT NULL,
    at           bigint NOT NULL
);

-- One row per account and service group: the newest status, and how far it has got.
CREATE TABLE status (
    i_account     bigint NOT NULL,
    service_group text NOT NULL,
    value         text NOT NULL,
    message       text,
    at            bigint NOT NULL,
    version       bigint NOT NULL,
    attempts      integer NOT NULL,
    due           bigint,                  -- none: nothing to write
    writing       bigint,                  -- the version that is being written now
    reason        text,                    -- of the last failure
    written_at    bigint,
    gateway       uuid,                    -- that writes it
    taken         uuid,
    PRIMARY KEY (i_account, service_group)
);
CREATE INDEX status_due ON status (due) WHERE due IS NOT NULL AND writing IS NULL;
CREATE INDEX status_writing ON status (gateway) WHERE gateway IS NOT NULL;

CREATE TABLE sample (
    seq         bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    source      text NOT NULL,
    received_at bigint NOT NULL,
    reason      text NOT NULL,
    body        bytea NOT NULL
);

-- How many deliveries are in which state. Each commit adds by how much it changes that, and now and then it is summed up: a row
-- that every commit changes would make them wait for one another.
CREATE TABLE tally (
    handler text NOT NULL,
    state   text NOT NULL,
    count   bigint NOT NULL,
    PRIMARY KEY (handler, state)
);
CREATE TABLE tally_change (
    handler text NOT NULL,
    state   text NOT NULL,
    by      bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- What nothing is to be claimed of: everything, a handler, a connector, a subject (its kind and id, with a space between).
CREATE TABLE pause (
    scope  text NOT NULL,
    name   text NOT NULL,
    at     bigint NOT NULL,
    reason text,
    PRIMARY KEY (scope, name)
);

CREATE TABLE breaker (
    name     text PRIMARY KEY,
    state    text NOT NULL,                -- closed, open, half_open
    since    bigint NOT NULL,
    until    bigint,
    openings integer NOT NULL,
    reason   text,
    version  bigint NOT NULL
);

-- How far a walk is, and the like.
CREATE TABLE note (
    name text PRIMARY KEY,
    text text NOT NULL
);

-- The gateways that are up, each for as long as it renews its lease, by this server's clock. What one had in flight when its
-- lease ran out is taken over by another, and its row goes.
CREATE TABLE gateway (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL
);

-- Written by the readiness check: only a write shows that writing works.
CREATE TABLE probe (gateway uuid PRIMARY KEY, count bigint NOT NULL);
