-- Alerts and where they got to. An alert is written in the same transaction as what it tells of; each place it goes to
-- has a row of its own, written before and after every attempt.

CREATE TABLE alerts (
  id       INTEGER PRIMARY KEY,
  run_id   INTEGER NOT NULL REFERENCES runs(id),
  at       INTEGER NOT NULL,
  kind     TEXT    NOT NULL,
  key      TEXT    NOT NULL,               -- alerts of a kind with the same key are the same trouble; empty: none is
  headline TEXT    NOT NULL,
  text     TEXT    NOT NULL,
  figures  TEXT    NOT NULL,
  about    INTEGER                         -- the opportunity, where it is about one
) STRICT;
CREATE INDEX alerts_kind ON alerts(kind, at);

CREATE TABLE alert_deliveries (
  alert_id INTEGER NOT NULL REFERENCES alerts(id),
  place    TEXT    NOT NULL,               -- a chat's number, or webhook
  state    TEXT    NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'acknowledged', 'folded', 'dropped')),
  sends    INTEGER NOT NULL CHECK (0 <= sends), -- how often it is known to have arrived
  at       INTEGER NOT NULL,
  PRIMARY KEY (alert_id, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_deliveries_open ON alert_deliveries(state) WHERE state IN ('queued', 'sending', 'sent');
