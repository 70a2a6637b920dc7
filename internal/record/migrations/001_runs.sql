CREATE TABLE runs (
    id       TEXT PRIMARY KEY,
    started  TEXT NOT NULL, -- RFC 3339
    status   TEXT NOT NULL,
    document TEXT NOT NULL  -- showdown.Run as JSON, without its bouts
) STRICT;

CREATE TABLE bouts (
    id        INTEGER PRIMARY KEY, -- in the order of playing
    run       TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    contender TEXT NOT NULL,
    phase     TEXT NOT NULL,
    block     INTEGER NOT NULL,
    document  TEXT NOT NULL, -- showdown.Bout as JSON, without histograms
    UNIQUE (run, contender, phase, block)
) STRICT;

CREATE TABLE histograms (
    bout     INTEGER NOT NULL REFERENCES bouts (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, -- of the window in the bout
    encoded  BLOB NOT NULL,    -- HDR histogram, compressed V2, nanoseconds
    PRIMARY KEY (bout, position)
) STRICT;
