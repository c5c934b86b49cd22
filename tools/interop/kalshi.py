"""Kalshi's published Python client against `orion sim`: kalshi.py FOLDER, where sim.json is.

Only calls of the client are used, so paths, signatures, bodies and models are the venue's own idea of them. Numbers are
compared as decimals, never as floats. Two things about the client itself (3.34.0):

* Its ErrorResponse knows the flat shape of errors alone. The venue answers most of them nested under `error`, which the
  model reads as three times None; so refusals are read from the exception's body.
* It raises its ApiException for 429, for which it has no class of its own.
"""

import json
import pathlib
import socket
import ssl
import sys
import time
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from kalshi_python_sync import ApiException, Configuration, KalshiClient

from check import equal, holds, near, run, until

FOLDER = pathlib.Path(sys.argv[1])
SHEET = json.loads((FOLDER / "sim.json").read_text())
KEY_ID = SHEET["kalshi_key_id"]
KEY = pathlib.Path(SHEET["kalshi_key_file"]).read_text()
CA = FOLDER / "ca.pem"
CA.write_text(SHEET["ca_pem"])
SHARD = 2  # crypto: not the one to which the venue sends what does not say where it belongs
MICRO = Decimal("0.000001")


def client(key_id=None, pem=None):
    settings = Configuration(host=SHEET["kalshi_rest"], ssl_ca_cert=str(CA))
    if key_id is not None:
        settings.api_key_id, settings.private_key_pem = key_id, pem
    return KalshiClient(settings)


def pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def refused(status, code, call, details=None):
    """The call is refused like this, in the nested shape."""
    try:
        answer = call()
    except ApiException as error:
        equal("status", error.status, status)
        body = json.loads(error.body)["error"]
        equal("code", body["code"], code)
        if details is not None:
            equal("details", body.get("details"), details)
        return
    raise AssertionError(f"not refused with {status} {code}: {answer}")


KALSHI = client(KEY_ID, KEY)
MARKET = None  # the market on which everything happens
STATE = {}  # what later steps need of earlier ones
SERIAL = 0


def create(**changes):
    """A bid for ten at one cent that rests, unless told otherwise."""
    global SERIAL
    SERIAL += 1
    wish = {
        "ticker": MARKET.ticker, "client_order_id": f"interop-{SERIAL}", "side": "bid", "count": "10", "price": "0.01",
        "time_in_force": "good_till_canceled", "self_trade_prevention_type": "taker_at_cross",
    }
    return KALSHI.create_order_v2(**(wish | changes))


def balance():
    """Cash by shard. There is a budget of one such read a second."""
    time.sleep(max(0, STATE.get("balance_at", 0) + 1.1 - time.monotonic()))
    answer = KALSHI.get_balance()
    STATE["balance_at"] = time.monotonic()
    return {entry.exchange_index: Decimal(entry.balance) for entry in answer.balance_breakdown}, answer


def order(order_id, status):
    """The order, once reads show it in this state."""

    def probe():
        try:
            found = KALSHI.get_order(order_id).order
        except ApiException as error:
            if error.status == 404:  # reads have not seen it yet
                return None
            raise
        return found if found.status.value == status else None
    return until(f"order {order_id} is {status}", probe)


def fills(order_id, count):
    """The order's fills, once they add up to this."""

    def probe():
        found = KALSHI.get_fills(order_id=order_id).fills
        return found if sum(Decimal(fill.count_fp) for fill in found) == count else None
    return until(f"{count} contracts of {order_id} are among the fills", probe)


def position(count):
    """The position, once reads show this many contracts."""

    def probe():
        found = KALSHI.get_positions(ticker=MARKET.ticker).market_positions
        return found[0] if len(found) == 1 and Decimal(found[0].position_fp) == count else None
    return until(f"a position of {count}", probe)


def taker_fee(fill):
    """What the venue's fee schedule charges a taker: rounded up to $0.0001, and the balance's change down to that."""
    event = KALSHI.get_event(MARKET.event_ticker).event
    series = KALSHI.get_series(event.series_ticker).series
    holds("a fee type with the usual taker coefficient", series.fee_type.value.startswith("quadratic"))
    overridden = event.fee_multiplier_override is not None
    multiplier = Decimal(str(event.fee_multiplier_override if overridden else series.fee_multiplier))
    step, price, count = Decimal("0.0001"), Decimal(fill.yes_price_dollars), Decimal(fill.count_fp)
    exact = Decimal("0.07") * multiplier * count * price * (1 - price)
    raw = -count * price - exact.quantize(step, ROUND_CEILING)
    return -raw.quantize(step, ROUND_FLOOR) - count * price


def certificate():
    address = SHEET["kalshi_rest"].split("/")[2].rsplit(":", 1)
    strict = ssl.create_default_context(cafile=str(CA))
    # Python 3.13, which the client asks for, checks like this by itself.
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection((address[0], int(address[1])), timeout=10) as plain:
        with strict.wrap_socket(plain, server_hostname=address[0]) as wrapped:
            return f"certificate passes strict verification, {wrapped.version()}"


def sign_in():
    shards, answer = balance()
    equal("balance", answer.balance, 10_000_000)
    equal("balance_dollars", answer.balance_dollars, "100000.0000")
    equal("balance_breakdown", shards, {shard: Decimal(25_000) for shard in range(4)})
    near("updated_ts", answer.updated_ts, int(time.time()), 5)
    return f"signed balance read, ${answer.balance_dollars} on {len(shards)} shards"


def balance_budget():
    for _ in range(5):  # one of them falls within a second of its predecessor, however slow the machine is
        try:
            KALSHI.get_balance()
        except ApiException as error:
            equal("status", error.status, 429)
            equal("body", json.loads(error.body), {"error": "too many requests"})
            STATE["balance_at"] = time.monotonic()
            return "second balance read within a second: 429, an error that is a string"
    raise AssertionError("five balance reads in a row passed")


def wrong_keys():
    stranger = client("00000000-0000-4000-8000-00000000dead", KEY)
    refused(401, "authentication_error", stranger.get_balance, "NOT_FOUND")
    for key in (ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)):
        forger = client(KEY_ID, pem(key))
        refused(401, "authentication_error", forger.get_balance, "INCORRECT_API_KEY_SIGNATURE")
    refused(401, "signature_is_missing_from_headers", client().get_balance)
    return "unknown key id, wrong Ed25519 key, RSA key, no key: 401 each, in its own words"


def key_and_limits():
    keys = KALSHI.get_api_keys().api_keys
    scopes = [(key.api_key_id, [scope.value for scope in key.scopes]) for key in keys]
    equal("keys", scopes, [(KEY_ID, ["read", "write"])])
    limits = KALSHI.get_account_api_limits()
    equal("tier", limits.usage_tier, "advanced")
    equal("read", (limits.read.refill_rate, limits.read.bucket_capacity), (300, 600))
    equal("write", (limits.write.refill_rate, limits.write.bucket_capacity), (300, 600))
    costs = KALSHI.get_account_endpoint_costs()
    path = "/trade-api/v2/portfolio/events/orders/:order_id"
    cancel = [row.cost for row in costs.endpoint_costs if (row.method, row.path) == ("DELETE", path)]
    equal("default cost, cost of a cancel", (costs.default_cost, cancel), (10, [2]))
    return "key with its scopes, tier advanced, buckets of 600, a request costs 10 and a cancel 2"


def exchange():
    status = KALSHI.get_exchange_status()
    shards = [(one.exchange_index, one.exchange_active, one.trading_active) for one in status.exchange_index_statuses]
    equal("shards", shards, [(shard, True, True) for shard in range(4)])
    equal("hours of a Thursday", len(KALSHI.get_exchange_schedule().schedule.standard_hours[0].thursday), 1)
    age = datetime.now(timezone.utc) - KALSHI.get_user_data_timestamp().as_of_time
    holds(f"portfolio reads are {age} old", timedelta(0) <= age < timedelta(seconds=2))
    return f"4 shards are open; schedule; portfolio reads lag by {age // timedelta(milliseconds=1)} ms"


def market_list():
    global MARKET
    listed, pages, cursor = [], 0, None
    while cursor != "":
        page = KALSHI.get_markets(limit=20, cursor=cursor)
        holds("a page is full, or the last one", len(page.markets) == 20 or page.cursor == "")
        listed, pages, cursor = listed + page.markets, pages + 1, page.cursor
    tickers = [market.ticker for market in listed]
    equal("tickers listed twice", len(tickers) - len(set(tickers)), 0)
    equal("one large page", [market.ticker for market in KALSHI.get_markets(limit=1000).markets], tickers)
    equal("paired markets that are not listed", {pair["ticker"] for pair in SHEET["pairs"]} - set(tickers), set())
    equal("settled", KALSHI.get_markets(status="settled").markets, [])
    for market in listed:
        both = Decimal(market.yes_ask_dollars) + Decimal(market.no_bid_dollars)
        equal(f"{market.ticker}: YES ask + NO bid", both, 1)
    # A bid of a cent must rest there, and one of 99 cents trade.
    low, high = Decimal("0.1"), Decimal("0.9")
    MARKET = next(
        market for market in listed if market.exchange_index == SHARD and market.status == "active"
        and low < Decimal(market.yes_bid_dollars) < Decimal(market.yes_ask_dollars) < high)
    return f"{len(listed)} markets in {pages} pages, none twice, every pair among them"


def one_market():
    market = KALSHI.get_market(MARKET.ticker).market
    for field in ("ticker", "event_ticker", "title", "close_time", "status", "rules_primary", "price_ranges"):
        equal(field, getattr(market, field), getattr(MARKET, field))
    event = KALSHI.get_event(market.event_ticker, with_nested_markets=True).event
    holds("its event has it", market.ticker in [nested.ticker for nested in event.markets])
    listed = KALSHI.get_events(series_ticker=event.series_ticker).events
    holds("its series has the event", event.event_ticker in [one.event_ticker for one in listed])
    equal("series", KALSHI.get_series(event.series_ticker).series.exchange_index, SHARD)
    refused(404, "not_found", lambda: KALSHI.get_market("KXNOSUCH-26"))
    return f"{market.ticker} by itself, in its event and series; 404 for one that does not exist"


def order_book():
    def probe():
        # Both reads must fall between two moves of the market.
        book = KALSHI.get_market_orderbook(MARKET.ticker).orderbook_fp
        market = KALSHI.get_market(MARKET.ticker).market
        touch = [[market.yes_bid_dollars, market.yes_bid_size_fp], [market.no_bid_dollars, market.yes_ask_size_fp]]
        return book if [book.yes_dollars[-1], book.no_dollars[-1]] == touch else None
    book = until("the best levels are those of the market", probe)
    for side in (book.yes_dollars, book.no_dollars):
        prices = [Decimal(price) for price, _ in side]
        equal("order of the levels", prices, sorted(set(prices)))
        holds("every level has contracts", all(Decimal(count) > 0 for _, count in side))
    holds("not crossed", Decimal(book.yes_dollars[-1][0]) + Decimal(book.no_dollars[-1][0]) < 1)
    top = KALSHI.get_market_orderbook(MARKET.ticker, depth=1).orderbook_fp
    equal("depth 1", (len(top.yes_dollars), len(top.no_dollars)), (1, 1))
    two = [MARKET.ticker, next(pair["ticker"] for pair in SHEET["pairs"] if pair["ticker"] != MARKET.ticker)]
    equal("two books", [one.ticker for one in KALSHI.get_market_orderbooks(tickers=two).orderbooks], two)
    best = book.yes_dollars[-1][0]
    return f"{len(book.yes_dollars)} + {len(book.no_dollars)} levels, ascending, best {best} as the market says"


def order_rests():
    expires = int(time.time()) + 600
    answer = create(post_only=True, expiration_time=expires)
    equal("filled, left", (answer.fill_count, answer.remaining_count), ("0.00", "10.00"))
    equal("average_fill_price", answer.average_fill_price, None)
    equal("client_order_id", answer.client_order_id, "interop-1")
    near("ts_ms", answer.ts_ms, time.time_ns() // 1_000_000, 2_000)
    STATE["resting"], STATE["expires"] = answer, expires
    return f"order {answer.order_id} for 10 at 0.01 rests"


def order_by_id():
    answer = STATE["resting"]
    found = order(answer.order_id, "resting")
    want = {
        "client_order_id": "interop-1", "ticker": MARKET.ticker, "outcome_side": "yes", "yes_price_dollars": "0.0100",
        "no_price_dollars": "0.9900", "initial_count_fp": "10.00", "fill_count_fp": "0.00",
        "remaining_count_fp": "10.00", "type": "limit", "exchange_index": SHARD, "subaccount_number": 0,
        "cancel_order_on_pause": False,
    }
    equal("order", {field: getattr(found, field) for field in want}, want)
    equal("book_side", found.book_side.value, "bid")
    equal("self trades", found.self_trade_prevention_type.value, "taker_at_cross")
    equal("expiration_time", int(found.expiration_time.timestamp()), STATE["expires"])
    created = found.created_time - datetime.fromtimestamp(0, timezone.utc)
    equal("created_time", created // timedelta(milliseconds=1), answer.ts_ms)
    listed = KALSHI.get_orders(status="resting", ticker=MARKET.ticker).orders
    equal("resting orders", listed, [found])
    queue = KALSHI.get_order_queue_position(answer.order_id).queue_position_fp
    queues = KALSHI.get_order_queue_positions().queue_positions
    equal("queue", [(row.order_id, row.queue_position_fp) for row in queues], [(answer.order_id, queue)])
    refused(404, "not_found", lambda: KALSHI.get_order("00000000-0000-4000-8000-00000000beef"))
    return "the order by id as it was sent, the same one in the list, and its place in the queue"


def order_changes():
    order_id = STATE["resting"].order_id
    amended = KALSHI.amend_order_v2(order_id, ticker=MARKET.ticker, side="bid", price="0.02", count="12")
    equal("amended", (amended.order_id, amended.remaining_count), (order_id, "12.00"))
    decreased = KALSHI.decrease_order_v2(order_id, reduce_by="4.5", market_ticker=MARKET.ticker)
    equal("decreased", decreased.remaining_count, "7.50")

    def probe():
        found = order(order_id, "resting")
        return found if found.remaining_count_fp == "7.50" else None
    equal("price", until("7.5 are left", probe).yes_price_dollars, "0.0200")
    return "amended to 12 at 0.02, decreased by 4.5"


def order_canceled():
    order_id = STATE["resting"].order_id
    # Without a market the request goes to shard 0, which does not know the order.
    refused(404, "not_found", lambda: KALSHI.cancel_order_v2(order_id))
    canceled = KALSHI.cancel_order_v2(order_id, market_ticker=MARKET.ticker)
    equal("canceled", (canceled.order_id, canceled.reduced_by), (order_id, "7.50"))
    refused(404, "not_found", lambda: KALSHI.cancel_order_v2(order_id, market_ticker=MARKET.ticker))
    equal("left", order(order_id, "canceled").remaining_count_fp, "0.00")
    return "canceled 7.5; a second cancel, and one sent to the wrong shard: 404"


def orders_refused():
    refused(409, "order_already_exists", lambda: create(client_order_id="interop-1"))
    refused(400, "invalid_price", lambda: create(price="0.0001"))
    refused(400, "insufficient_balance", lambda: create(price="0.99", count="30000"))
    refused(400, "invalid_order", lambda: create(price="0.99", post_only=True), "post only cross")
    rule = "reduce_only can only be used with IoC or FoK orders"
    refused(400, "invalid_order", lambda: create(reduce_only=True), rule)
    refused(404, "market_not_found", lambda: create(ticker="KXNOSUCH-26"))
    return "id used twice 409; off the grid, too dear, crossing, reduce-only 400; no such market 404"


def order_fills():
    STATE["before"], _ = balance()
    answer = create(price="0.99", time_in_force="immediate_or_cancel")
    equal("filled, left", (answer.fill_count, answer.remaining_count), ("10.00", "0.00"))
    holds("filled at the makers' price", Decimal(answer.average_fill_price) < Decimal("0.99"))
    STATE["bought"] = answer
    return f"10 bought at {answer.average_fill_price}, fee {answer.average_fee_paid} each"


def fill_list():
    answer = STATE["bought"]
    found = fills(answer.order_id, 10)
    for fill in found:
        equal("order", fill.order_id, answer.order_id)
        equal("market", (fill.ticker, fill.market_ticker), (MARKET.ticker, MARKET.ticker))
        equal("sides", (fill.outcome_side.value, fill.book_side.value), ("yes", "bid"))
        equal("ids", fill.fill_id, fill.trade_id)
        equal("taker, shard", (fill.is_taker, fill.exchange_index), (True, SHARD))
        equal("both prices", Decimal(fill.yes_price_dollars) + Decimal(fill.no_price_dollars), 1)
        equal("fee_cost", Decimal(fill.fee_cost), taker_fee(fill))
        near("ts", fill.ts, answer.ts_ms // 1_000, 1)
    paid = sum(Decimal(fill.count_fp) * Decimal(fill.yes_price_dollars) for fill in found)
    fees = sum(Decimal(fill.fee_cost) for fill in found)
    near("average_fill_price", Decimal(answer.average_fill_price), paid / 10, Decimal("0.00005"))
    near("average_fee_paid", Decimal(answer.average_fee_paid), fees / 10, Decimal("0.00005"))
    done = order(answer.order_id, "executed")
    equal("the order's cost", Decimal(done.taker_fill_cost_dollars), paid)
    equal("the order's fees", Decimal(done.taker_fees_dollars), fees)
    equal("filled, left", (done.fill_count_fp, done.remaining_count_fp), ("10.00", "0.00"))
    STATE["paid"], STATE["fees"] = paid, fees
    return f"{len(found)} fill(s), ${paid} and ${fees} fees, as the fee schedule says; the order is executed"


def position_and_cash():
    held = position(10)
    paid, fees = STATE["paid"], STATE["fees"]
    equal("exposure", Decimal(held.market_exposure_dollars), paid)
    equal("traded", Decimal(held.total_traded_dollars), paid)
    equal("fees", Decimal(held.fees_paid_dollars), fees)
    equal("profit", Decimal(held.realized_pnl_dollars), 0)
    equal("shard", held.exchange_index, SHARD)
    [event] = KALSHI.get_positions(ticker=MARKET.ticker).event_positions
    equal("event", (event.event_ticker, Decimal(event.event_exposure_dollars)), (MARKET.event_ticker, paid))
    after, answer = balance()
    equal("cash", after, STATE["before"] | {SHARD: STATE["before"][SHARD] - paid - fees})
    equal("all shards", Decimal(answer.balance_dollars), sum(after.values()))
    equal("cents", answer.balance, int(sum(after.values()) * 100))
    STATE["before"] = after
    return f"10 contracts at ${paid}; cash fell by ${paid + fees} on shard {SHARD} and nowhere else"


def position_reduced():
    answer = create(side="ask", count="4", time_in_force="immediate_or_cancel", reduce_only=True)
    equal("filled", answer.fill_count, "4.00")
    sold = fills(answer.order_id, 4)
    equal("sides", {(fill.outcome_side.value, fill.book_side.value) for fill in sold}, {("no", "ask")})
    got = sum(Decimal(fill.count_fp) * Decimal(fill.yes_price_dollars) for fill in sold)
    fees = sum(Decimal(fill.fee_cost) for fill in sold)
    held = position(6)
    near("profit", Decimal(held.realized_pnl_dollars), got - STATE["paid"] * 4 / 10, MICRO)
    near("exposure", Decimal(held.market_exposure_dollars), STATE["paid"] * 6 / 10, MICRO)
    equal("fees", Decimal(held.fees_paid_dollars), STATE["fees"] + fees)
    after, _ = balance()
    equal("cash", after, STATE["before"] | {SHARD: STATE["before"][SHARD] + got - fees})
    STATE["before"] = after
    return f"4 sold for ${got}, 6 left, profit ${held.realized_pnl_dollars} before fees, cash to the micro-dollar"


def batches():
    wish = {
        "ticker": MARKET.ticker, "side": "bid", "count": "1", "price": "0.01", "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "maker",
    }
    orders = [wish | {"client_order_id": name} for name in ("one", "one", "two")]
    made = KALSHI.batch_create_orders_v2(orders=orders).orders
    equal("accepted", [one.order_id is not None for one in made], [True, False, True])
    equal("refused", made[1].error.code, "order_already_exists")
    gone = KALSHI.batch_cancel_orders_v2(orders=[
        {"order_id": made[at].order_id, "market_ticker": MARKET.ticker} for at in (0, 2, 0)]).orders
    equal("canceled", [(one.reduced_by, one.error and one.error.code) for one in gone],
          [("1.00", None), ("1.00", None), ("0.00", "not_found")])
    return "two of three created, the same two canceled, an error at the place of each refusal"


def order_groups():
    made = KALSHI.create_order_group(contracts_limit=25, exchange_index=SHARD)
    group = made.order_group_id
    equal("shard, subaccount", (made.exchange_index, made.subaccount), (SHARD, 0))
    listed = KALSHI.get_order_groups().order_groups
    seen = [(one.id, one.contracts_limit_fp, one.is_auto_cancel_enabled) for one in listed]
    equal("listed", seen, [(group, "25.00", True)])
    first = create(order_group_id=group).order_id
    equal("its orders", KALSHI.get_order_group(group).orders, [first])
    equal("order_group_id", order(first, "resting").order_group_id, group)
    equal("answer", KALSHI.update_order_group_limit(group, contracts_limit=30), {})
    equal("limit", KALSHI.get_order_group(group).contracts_limit_fp, "30.00")
    equal("answer", KALSHI.trigger_order_group(group), {})
    order(first, "canceled")
    holds("triggered", not KALSHI.get_order_group(group).is_auto_cancel_enabled)
    refused(400, "exceeded_order_group_risk_limit", lambda: create(order_group_id=group))
    equal("answer", KALSHI.reset_order_group(group), {})
    second = create(order_group_id=group).order_id
    equal("answer", KALSHI.delete_order_group(group), {})
    order(second, "canceled")
    refused(404, "not_found", lambda: KALSHI.get_order_group(group))
    equal("groups", KALSHI.get_order_groups().order_groups, None)
    return "created, limited, triggered (its order canceled, the next refused), reset, deleted"


def transfer():
    moved = KALSHI.intra_exchange_instance_transfer(
        source="event_contract", destination="event_contract", source_exchange_shard=0,
        destination_exchange_shard=SHARD, amount=12_500)

    def probe():
        found = KALSHI.get_intra_exchange_instance_transfer(moved.transfer_id).transfer
        return None if found.status.value == "pending" else found
    found = until("the transfer is done", probe)
    equal("amount", found.amount, "1.2500")
    equal("from, to", (found.source_exchange_shard, found.destination_exchange_shard), (0, SHARD))
    time.sleep(0.5)  # reads of the balance lag
    before, (after, _) = STATE["before"], balance()
    equal("cash", after, before | {0: before[0] - Decimal("1.25"), SHARD: before[SHARD] + Decimal("1.25")})
    return f"$1.25 moved from shard 0 to shard {SHARD}: {found.status.value}"


def cancel_all():
    orders = [create().order_id, create(price="0.02").order_id]
    equal("answer", KALSHI.cancel_all_orders(), None)
    for order_id in orders:
        order(order_id, "canceled")
    equal("resting", KALSHI.get_orders(status="resting").orders, [])
    equal("settlements", KALSHI.get_settlements().settlements, [])
    return "two resting orders gone, none left"


def orions():
    """What Orion has traded with the same key, in the client's eyes."""
    orders = KALSHI.get_orders(limit=1_000).orders
    holds("Orion has sent orders", orders)
    for entry in orders:
        holds(f"its own name: {entry.client_order_id}", entry.client_order_id.startswith("orion-"))
        holds("nothing left standing", entry.status.value in ("executed", "canceled"))
    filled = sum(Decimal(entry.fill_count_fp) for entry in orders)
    listed = sum(Decimal(fill.count_fp) for fill in KALSHI.get_fills(limit=1_000).fills)
    equal("contracts by fills", listed, filled)
    holds("something was filled", filled > 0)
    return f"{len(orders)} orders of Orion's, {filled} contracts, by orders and by fills"


if sys.argv[2:] == ["orion"]:
    run([orions])
run([certificate, sign_in, balance_budget, wrong_keys, key_and_limits, exchange, market_list, one_market, order_book,
     order_rests, order_by_id, order_changes, order_canceled, orders_refused, order_fills, fill_list, position_and_cash,
     position_reduced, batches, order_groups, transfer, cancel_all])
