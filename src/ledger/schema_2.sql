-- What a run shows for itself: evidence for the next mode. Milliseconds, told about once a minute.

ALTER TABLE runs ADD COLUMN alive_at INTEGER;                  -- the last time that the run was known to be running
ALTER TABLE runs ADD COLUMN feeds_ms INTEGER NOT NULL DEFAULT 0;  -- so long both venues were connected
ALTER TABLE runs ADD COLUMN agreed_ms INTEGER NOT NULL DEFAULT 0; -- so long both accounts agreed with the journal

-- YES and NO of one Polymarket market that were put together: a dollar each came back.
CREATE TABLE merges (
  market     TEXT    NOT NULL,
  at         INTEGER NOT NULL,
  run_id     INTEGER NOT NULL REFERENCES runs(id),
  qty_micros INTEGER NOT NULL CHECK (0 < qty_micros),
  PRIMARY KEY (market, at)
) STRICT;
