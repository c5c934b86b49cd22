-- The audit trail. Amounts are integers: *_micros are millionths of a dollar or of a contract, prices are
-- ten-thousandths of a dollar, times are milliseconds of Unix time. The views at the end speak dollars and ISO times;
-- they are the stable interface, the tables are not.

CREATE TABLE runs (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  mode        TEXT    NOT NULL,
  started_at  INTEGER NOT NULL,
  ended_at    INTEGER,              -- NULL: still running, or ended without a farewell
  build       TEXT    NOT NULL,
  config_hash TEXT    NOT NULL
) STRICT;

CREATE TABLE opportunities (
  id                   INTEGER PRIMARY KEY,
  run_id               INTEGER NOT NULL REFERENCES runs(id),
  pair_key             TEXT    NOT NULL,   -- Kalshi ticker|Polymarket condition id
  title                TEXT    NOT NULL,
  direction            TEXT    NOT NULL CHECK (direction IN ('YES kalshi', 'YES polymarket')),
  seen_at              INTEGER NOT NULL,
  ended_at             INTEGER,
  yes_price            INTEGER NOT NULL CHECK (yes_price BETWEEN 1 AND 9999),
  no_price             INTEGER NOT NULL CHECK (no_price BETWEEN 1 AND 9999),
  gross_micros         INTEGER NOT NULL,   -- per contract, at the best moment
  fee_micros           INTEGER NOT NULL,   -- per contract
  net_micros           INTEGER NOT NULL,   -- per contract
  qty_micros           INTEGER NOT NULL CHECK (0 <= qty_micros),
  depth_micros         INTEGER NOT NULL,   -- dollars
  annual_yield_ppm     INTEGER,            -- NULL: settlement unknown
  days_to_settle_milli INTEGER,
  outcome              TEXT    NOT NULL CHECK (outcome IN ('open', 'skipped', 'planned', 'filled', 'partial', 'missed')),
  reason               TEXT,               -- code; NULL while there is nothing to explain
  detect_ns            INTEGER,
  plan_id              INTEGER
) STRICT;
CREATE INDEX opportunities_seen ON opportunities(seen_at);
CREATE INDEX opportunities_pair ON opportunities(pair_key, seen_at);
CREATE INDEX opportunities_open ON opportunities(outcome) WHERE outcome = 'open';

CREATE TABLE plans (
  id                  INTEGER PRIMARY KEY,
  run_id              INTEGER NOT NULL REFERENCES runs(id),
  opportunity_id      INTEGER,
  pair_key            TEXT    NOT NULL,
  direction           TEXT    NOT NULL CHECK (direction IN ('YES kalshi', 'YES polymarket')),
  qty_micros          INTEGER NOT NULL CHECK (0 <= qty_micros),
  yes_limit           INTEGER NOT NULL CHECK (yes_limit BETWEEN 1 AND 9999),
  no_limit            INTEGER NOT NULL CHECK (no_limit BETWEEN 1 AND 9999),
  state               TEXT    NOT NULL,
  opened_at           INTEGER NOT NULL,
  closed_at           INTEGER,
  expected_net_micros INTEGER NOT NULL,
  realised_net_micros INTEGER              -- set once the profit is realised: settled, unwound or closed early
) STRICT;
CREATE INDEX plans_open ON plans(opened_at) WHERE closed_at IS NULL;
CREATE INDEX plans_closed ON plans(closed_at);

CREATE TABLE fills (
  venue       TEXT    NOT NULL CHECK (venue IN ('kalshi', 'polymarket')),
  id          TEXT    NOT NULL,            -- the venue's trade id
  run_id      INTEGER NOT NULL REFERENCES runs(id),
  plan_id     INTEGER,                     -- NULL: a trade made by hand
  leg         INTEGER NOT NULL,
  market      TEXT    NOT NULL,
  outcome     TEXT    NOT NULL CHECK (outcome IN ('YES', 'NO')),
  action      TEXT    NOT NULL CHECK (action IN ('buy', 'sell')),
  price       INTEGER NOT NULL CHECK (price BETWEEN 1 AND 9999),
  qty_micros  INTEGER NOT NULL CHECK (0 < qty_micros),
  fee_micros  INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  book_stamp  INTEGER,                     -- venue time of the book it was decided on
  provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
  void        INTEGER NOT NULL CHECK (void IN (0, 1)),
  simulated   INTEGER NOT NULL CHECK (simulated IN (0, 1)),
  PRIMARY KEY (venue, id)
) STRICT;
CREATE INDEX fills_at ON fills(at);
CREATE INDEX fills_plan ON fills(plan_id);

CREATE TABLE positions (
  venue       TEXT    NOT NULL CHECK (venue IN ('kalshi', 'polymarket')),
  market      TEXT    NOT NULL,
  outcome     TEXT    NOT NULL CHECK (outcome IN ('YES', 'NO')),
  qty_micros  INTEGER NOT NULL CHECK (0 <= qty_micros),
  cost_micros INTEGER NOT NULL,            -- with fees
  updated_at  INTEGER NOT NULL,
  PRIMARY KEY (venue, market, outcome)
) STRICT;

CREATE TABLE settlements (
  venue             TEXT    NOT NULL CHECK (venue IN ('kalshi', 'polymarket')),
  market            TEXT    NOT NULL,
  run_id            INTEGER NOT NULL REFERENCES runs(id),
  yes_payout_micros INTEGER NOT NULL CHECK (yes_payout_micros BETWEEN 0 AND 1000000),
  qty_yes_micros    INTEGER NOT NULL,
  qty_no_micros     INTEGER NOT NULL,
  paid_micros       INTEGER NOT NULL,
  at                INTEGER NOT NULL,
  PRIMARY KEY (venue, market)
) STRICT;

CREATE TABLE balances (
  id            INTEGER PRIMARY KEY,
  at            INTEGER NOT NULL,
  run_id        INTEGER NOT NULL REFERENCES runs(id),
  venue         TEXT    NOT NULL CHECK (venue IN ('kalshi', 'polymarket')),
  shard         TEXT    NOT NULL,          -- Kalshi's shard or Polymarket's wallet; empty where there is one
  free_micros   INTEGER NOT NULL,
  locked_micros INTEGER NOT NULL
) STRICT;
CREATE INDEX balances_newest ON balances(venue, shard, at);

CREATE TABLE control_commands (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id  INTEGER NOT NULL REFERENCES runs(id),
  at      INTEGER NOT NULL,
  who     TEXT    NOT NULL,
  command TEXT    NOT NULL,
  args    TEXT    NOT NULL,
  result  TEXT    NOT NULL
) STRICT;

CREATE TABLE config_changes (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  at     INTEGER NOT NULL,
  run_id INTEGER NOT NULL REFERENCES runs(id),
  key    TEXT    NOT NULL,
  before TEXT    NOT NULL,
  after  TEXT    NOT NULL,
  origin TEXT    NOT NULL
) STRICT;

CREATE TABLE events (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id INTEGER NOT NULL REFERENCES runs(id),
  at     INTEGER NOT NULL,
  kind   TEXT    NOT NULL,                 -- canary, alert, breaker, ...
  text   TEXT    NOT NULL
) STRICT;
CREATE INDEX events_at ON events(at);

CREATE VIEW v_opportunities AS
SELECT o.id, o.run_id AS run, r.mode,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.seen_at / 1000.0, 'unixepoch')  AS seen,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.ended_at / 1000.0, 'unixepoch') AS ended,
       o.ended_at - o.seen_at         AS lasted_ms,
       o.title, o.pair_key AS pair, o.direction,
       o.yes_price / 1e4              AS yes_price,
       o.no_price / 1e4               AS no_price,
       o.gross_micros / 1e4           AS gross_cents,
       o.fee_micros / 1e4             AS fee_cents,
       o.net_micros / 1e4             AS net_cents,
       o.qty_micros / 1e6             AS contracts,
       o.depth_micros / 1e6           AS depth_usd,
       o.annual_yield_ppm / 1e4       AS yield_pct_per_year,
       o.days_to_settle_milli / 1e3   AS days_to_settle,
       o.outcome, o.reason,
       o.detect_ns / 1e3              AS detect_us,
       o.plan_id                      AS plan
FROM opportunities o JOIN runs r ON r.id = o.run_id;

CREATE VIEW v_trades AS
SELECT p.id, p.run_id AS run, r.mode,
       strftime('%Y-%m-%dT%H:%M:%fZ', p.opened_at / 1000.0, 'unixepoch') AS opened,
       strftime('%Y-%m-%dT%H:%M:%fZ', p.closed_at / 1000.0, 'unixepoch') AS closed,
       p.pair_key AS pair, p.direction, p.state,
       p.qty_micros / 1e6             AS contracts,
       p.yes_limit / 1e4              AS yes_limit,
       p.no_limit / 1e4               AS no_limit,
       (SELECT count(*) FROM fills f WHERE f.plan_id = p.id AND f.void = 0)                   AS fills,
       (SELECT sum(f.fee_micros) / 1e6 FROM fills f WHERE f.plan_id = p.id AND f.void = 0)    AS fees_usd,
       (SELECT max(f.provisional) FROM fills f WHERE f.plan_id = p.id AND f.void = 0)         AS provisional,
       p.expected_net_micros / 1e6    AS expected_net_usd,
       p.realised_net_micros / 1e6    AS realised_net_usd,
       p.opportunity_id               AS opportunity
FROM plans p JOIN runs r ON r.id = p.run_id;

CREATE VIEW v_pnl_daily AS
SELECT date(p.closed_at / 1000, 'unixepoch')                     AS day_utc,
       r.mode,
       count(*)                                                  AS trades,
       sum(p.realised_net_micros > 0)                            AS won,
       sum(p.realised_net_micros) / 1e6                          AS realised_usd,
       sum(p.expected_net_micros) / 1e6                          AS expected_usd
FROM plans p JOIN runs r ON r.id = p.run_id
WHERE p.closed_at IS NOT NULL AND p.realised_net_micros IS NOT NULL
GROUP BY day_utc, r.mode;

CREATE VIEW v_reasons AS
SELECT o.run_id AS run, r.mode, o.outcome, coalesce(o.reason, '') AS reason,
       count(*)                       AS times,
       max(o.net_micros) / 1e4        AS best_net_cents,
       max(o.gross_micros) / 1e4      AS best_gross_cents,
       strftime('%Y-%m-%dT%H:%M:%fZ', max(o.seen_at) / 1000.0, 'unixepoch') AS last_seen
FROM opportunities o JOIN runs r ON r.id = o.run_id
GROUP BY o.run_id, o.outcome, o.reason;

CREATE VIEW v_positions AS
SELECT venue, market, outcome,
       qty_micros / 1e6               AS contracts,
       cost_micros / 1e6              AS cost_usd,
       1.0 * cost_micros / qty_micros AS cost_per_contract,
       strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1000.0, 'unixepoch') AS updated
FROM positions WHERE 0 < qty_micros;
