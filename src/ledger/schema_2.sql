-- What a run shows for itself: evidence for the next mode. Milliseconds, told about once a minute.

ALTER TABLE runs ADD COLUMN alive_at INTEGER;                  -- the last time that the run was known to be running
ALTER TABLE runs ADD COLUMN feeds_ms INTEGER NOT NULL DEFAULT 0;  -- so long both venues were connected
ALTER TABLE runs ADD COLUMN agreed_ms INTEGER NOT NULL DEFAULT 0; -- so long both accounts agreed with the journal
