-- When a plan's profit was realised: both legs paid, or sold. Until here it was known only when the plan had ended.
ALTER TABLE plans ADD COLUMN realised_at INTEGER;
UPDATE plans SET realised_at = closed_at WHERE realised_net_micros IS NOT NULL;
CREATE INDEX plans_realised ON plans(realised_at) WHERE realised_at IS NOT NULL;

-- What was seen when an opportunity was judged first: both books, and where the time went.
CREATE TABLE decisions (
  opportunity_id INTEGER PRIMARY KEY,
  run_id         INTEGER NOT NULL REFERENCES runs(id),
  steps          TEXT    NOT NULL,   -- JSON: [{"step", "ns"}], in order
  books          TEXT    NOT NULL    -- JSON: [{"venue", "bids", "asks"}], [price, quantity] in ten-thousandths and millionths
) STRICT;
