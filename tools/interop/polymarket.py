"""Polymarket's published Python client against `orion sim`: polymarket.py FOLDER, where sim.json is.

Only calls of the client are used for what it knows, so paths, signatures, amounts and bodies are the venue's own idea of
them; the list of positions, which it does not know, is read from the Data API. Numbers are compared as decimals.
"""

import json
import logging
import os
import pathlib
import sys
import time
from decimal import ROUND_UP, Decimal

FOLDER = pathlib.Path(sys.argv[1])
SHEET = json.loads((FOLDER / "sim.json").read_text())
CA = FOLDER / "ca.pem"
CA.write_text(SHEET["ca_pem"])
os.environ["SSL_CERT_FILE"] = str(CA)  # read when the client's module makes its connection pool

import httpx
from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    AssetType, BalanceAllowanceParams, MarketOrderArgsV2, OpenOrderParams, OrderArgsV2, OrderPayload, OrderType, TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException

from check import equal, holds, near, run, until

logging.disable(logging.CRITICAL)  # it logs every refusal, and refusals are asked for here
HOST = SHEET["polymarket_rest"]
KEY = pathlib.Path(SHEET["polymarket_key_file"]).read_text().strip()
MICRO = Decimal("0.000001")
STATE = {}  # what later steps need of earlier ones


def client(signature_type=3, key=KEY, wallet=SHEET["polymarket_wallet"]):
    return ClobClient(HOST, 137, key=key, signature_type=signature_type, funder=wallet)


CLOB = client()


def refused(status, text, call):
    """The call is refused with this status and a sentence that contains this."""
    try:
        answer = call()
    except PolyApiException as error:
        equal("status", error.status_code, status)
        sentence = error.error_msg["error"]
        holds(f"{text!r} in {sentence!r}", text in sentence)
        return
    raise AssertionError(f"not refused with {status} {text}: {answer}")


def cash():
    answer = CLOB.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    return Decimal(answer["balance"]) / 1_000_000


def tokens(token):
    params = BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=token)
    return Decimal(CLOB.get_balance_allowance(params)["balance"]) / 1_000_000


def rest(price, size, side="BUY", order_type=OrderType.GTC):
    return CLOB.create_and_post_order(
        OrderArgsV2(token_id=STATE["token"], price=float(price), size=float(size), side=side), order_type=order_type)


def settled(trade_id):
    """The trade, once it is final."""

    def probe():
        found = CLOB.get_trades(TradeParams(id=trade_id))
        return found[0] if found and found[0]["status"].endswith("CONFIRMED") else None
    return until(f"trade {trade_id} is confirmed", probe, seconds=60)


def own(met):
    """What the taker pays where it meets an order: one of the other token stands at the complement."""
    price = Decimal(met["price"])
    return price if met["asset_id"] == STATE["token"] else 1 - price


def sign_in():
    equal("server", CLOB.get_ok(), "OK")
    near("clock", Decimal(CLOB.get_server_time()), Decimal(int(time.time())), 2)
    equal("protocol", CLOB.get_version(), 2)
    made = CLOB.create_or_derive_api_key()
    again = client().derive_api_key()
    equal("derived", (again.api_key, again.api_secret), (made.api_key, made.api_secret))
    CLOB.set_api_creds(made)
    equal("keys", CLOB.get_api_keys(), {"apiKeys": [made.api_key]})
    equal("closed only", CLOB.get_closed_only_mode(), {"closed_only": False})
    return "credentials made with the wallet's signature, derived again, used"


def wrong_secret():
    stranger = client()
    creds = CLOB.derive_api_key()
    creds.api_secret = "A" * 43 + "="
    stranger.set_api_creds(creds)
    refused(401, "Unauthorized", stranger.get_api_keys)
    return "a call signed with another secret is refused"


def market_list():
    listed = [CLOB.get_clob_market_info(pair["condition_id"]) for pair in SHEET["pairs"]]
    for pair, info in zip(SHEET["pairs"], listed):
        equal("condition", info["c"], pair["condition_id"])
        equal("outcomes", len(info["t"]), 2)
    # One that is open, is no part of a group and holds nobody's orders back.
    plain = [info for info in listed if info["ao"] and info["mts"] == 0.01 and not info.get("itode")]
    for info in plain:
        book = CLOB.get_order_book(info["t"][0]["t"])
        if book["bids"] and book["asks"]:
            spread = Decimal(book["asks"][-1]["price"]) - Decimal(book["bids"][-1]["price"])
            if Decimal("0.10") < Decimal(book["asks"][-1]["price"]) < Decimal("0.90") and spread <= Decimal("0.05"):
                STATE.update(market=info["c"], token=info["t"][0]["t"], other=info["t"][1]["t"], info=info)
                return f"{len(listed)} markets with two tokens each; trading {info['c'][:12]}…"
    raise AssertionError("no market to trade on")


def order_book():
    book = CLOB.get_order_book(STATE["token"])
    equal("market", (book["market"], book["asset_id"]), (STATE["market"], STATE["token"]))
    equal("tick", CLOB.get_tick_size(STATE["token"]), book["tick_size"])
    equal("negative risk", CLOB.get_neg_risk(STATE["token"]), book["neg_risk"])
    bids, asks = ([Decimal(level["price"]) for level in book[side]] for side in ("bids", "asks"))
    equal("order of bids and asks", (bids, asks), (sorted(bids), sorted(asks, reverse=True)))
    holds("it is not crossed", bids[-1] < asks[-1])
    return f"{len(bids)} bids and {len(asks)} asks in the venue's order, touch {bids[-1]} and {asks[-1]}"


def order_rests():
    STATE["cash"] = cash()
    made = rest("0.02", 10)
    equal("answer", (made["success"], made["errorMsg"], made["status"]), (True, "", "live"))
    found = CLOB.get_order(made["orderID"])
    equal("order", (found["side"], found["price"], found["original_size"], found["size_matched"]),
          ("BUY", "0.02", "10", "0"))
    listed = CLOB.get_open_orders(OpenOrderParams(market=STATE["market"]))
    equal("open orders", [order["id"] for order in listed], [made["orderID"]])
    STATE["resting"] = made["orderID"]
    return f"a bid of ten at 0.02 stands under the digest that the client signed: {made['orderID'][:12]}…"


def order_canceled():
    order = OrderPayload(orderID=STATE["resting"])
    equal("first", CLOB.cancel_order(order), {"canceled": [STATE["resting"]], "not_canceled": {}})
    second = CLOB.cancel_order(order)
    equal("second", (second["canceled"], list(second["not_canceled"])), ([], [STATE["resting"]]))
    equal("open orders", CLOB.get_open_orders(OpenOrderParams(market=STATE["market"])), [])
    equal("cash", cash(), STATE["cash"])
    return "cancelled once; the second time it is told why not, with 200"


def orders_refused():
    refused(400, "lower than the minimum: 5", lambda: rest("0.02", 4))
    refused(400, "not enough balance / allowance", lambda: rest("0.50", 10_000_000))
    made = CLOB.create_order(OrderArgsV2(token_id=STATE["token"], price=0.02, size=10, side="BUY"))
    made.signature = made.signature[:-4] + ("00" if made.signature[-4:-2] != "00" else "11") + made.signature[-2:]
    refused(400, "invalid signature", lambda: CLOB.post_order(made))
    return "too small, too dear, and with a signature that is not the wallet's: each in the venue's words"


def taking_buy():
    book = CLOB.get_order_book(STATE["token"])
    price, before, had = Decimal(book["asks"][-1]["price"]), cash(), tokens(STATE["token"])
    made = rest(price, 20)
    equal("answer", (made["success"], made["status"]), (True, "matched"))
    equal("shares", Decimal(made["takingAmount"]), Decimal(20))
    trades = [settled(trade) for trade in made["tradeIDs"]]
    met = [(own(met), Decimal(met["matched_amount"])) for trade in trades for met in trade["maker_orders"]]
    paid = sum(price * size for price, size in met)
    holds("not above the limit", paid <= 20 * price)
    equal("of the trades", sum(Decimal(trade["size"]) for trade in trades), Decimal(20))
    STATE["fee"] = before - cash() - paid
    rate = Decimal(str(STATE["info"].get("fd", {}).get("r", 0)))
    exact = sum(size * rate * price * (1 - price) for price, size in met)
    near("fee", STATE["fee"], exact.quantize(Decimal("0.00001"), ROUND_UP), Decimal("0.00002") * len(met))
    equal("tokens", tokens(STATE["token"]) - had, Decimal(20))
    return f"twenty shares at {price} or better, confirmed on chain: {paid} and a fee of {STATE['fee']}"


def positions():
    rows = httpx.get(f"{HOST}/v2/positions", params={"user": SHEET["polymarket_wallet"]}).json()["data"]
    held = {row["asset"]: Decimal(row["size"]) for row in rows}
    equal("of the token", held.get(STATE["token"]), tokens(STATE["token"]))
    return f"the Data API shows {held[STATE['token']]} shares, as the balance does"


def market_sell():
    before, had = cash(), tokens(STATE["token"])
    made = CLOB.create_and_post_market_order(
        MarketOrderArgsV2(token_id=STATE["token"], amount=8, side="SELL"), order_type=OrderType.FAK)
    equal("answer", (made["success"], made["status"], Decimal(made["makingAmount"])), (True, "matched", Decimal(8)))
    for trade in made["tradeIDs"]:
        settled(trade)
    equal("tokens", had - tokens(STATE["token"]), Decimal(8))
    received = cash() - before
    holds("less than what they fetched, by the fee", Decimal(0) < received <= Decimal(made["takingAmount"]))
    return f"eight shares sold for what was there, {received} received after the fee"


def trade_list():
    trades = CLOB.get_trades(TradeParams(market=STATE["market"]))
    sides = sorted({trade["side"] for trade in trades})
    equal("sides", sides, ["BUY", "SELL"])
    holds("all as taker", all(trade["trader_side"] == "TAKER" for trade in trades))
    sizes = [Decimal(trade["size"]) if trade["side"] == "BUY" else -Decimal(trade["size"]) for trade in trades]
    equal("net", sum(sizes), tokens(STATE["token"]))
    return f"{len(trades)} trades add up to what is held"


def killed():
    book = CLOB.get_order_book(STATE["token"])
    low = Decimal(book["bids"][-1]["price"])
    args = MarketOrderArgsV2(token_id=STATE["token"], amount=5, side="BUY", price=float(low))
    refused(400, "FOK orders are fully filled or killed",
            lambda: CLOB.create_and_post_market_order(args, order_type=OrderType.FOK))
    return "fill-or-kill below the book is killed"


def heartbeat():
    first = CLOB.post_heartbeat("")["heartbeat_id"]
    second = CLOB.post_heartbeat(first)["heartbeat_id"]
    holds("each has its own id", first != second)
    return "two heartbeats in a chain"


def cancel_all():
    orders = sorted(rest(price, 10)["orderID"] for price in ("0.01", "0.02"))
    equal("cancelled", sorted(CLOB.cancel_all()["canceled"]), orders)
    equal("open orders", CLOB.get_open_orders(), [])
    return "two resting orders gone, none left"


def orions():
    """What Orion has traded with the same wallet, in the client's eyes."""
    CLOB.set_api_creds(CLOB.derive_api_key())
    trades = CLOB.get_trades()
    holds("Orion has traded", trades)
    for trade in trades:
        order = CLOB.get_order(trade["taker_order_id"])
        equal("the order's token", order["asset_id"], trade["asset_id"])
        holds("not more than was asked for", Decimal(order["size_matched"]) <= Decimal(order["original_size"]))
    equal("left standing", CLOB.get_open_orders(), [])
    return f"{len(trades)} trades of Orion's, each with its order; nothing left standing"


if sys.argv[2:] == ["orion"]:
    run([orions])
run([sign_in, wrong_secret, market_list, order_book, order_rests, order_canceled, orders_refused, taking_buy, positions,
     market_sell, trade_list, killed, heartbeat, cancel_all])
