//! Both exchanges, simulated: books full of traders behind each venue's own wire protocol.
//!
//! It is here to check the engine, so it shares nothing with it but [`crate::unit`]: frames, bodies and hashes are
//! written a second time, from the venues' documents. Read it in this order:
//!
//! * [`exchange`]: matching, one book per market on the YES leg, and what each level held in the last two minutes;
//! * [`question`], [`listing`]: what is traded, in each venue's words;
//! * [`world`], `maker`: fair values, makers, takers, dislocations, closes and settlements, from a seed, in virtual
//!   time;
//! * [`kalshi`], [`kalshi_rest`], [`polymarket`], [`polymarket_rest`]: the wire protocols, without I/O;
//! * [`kalshi::desk`]: Kalshi's accounts, orders, private channels, and what is planned to go wrong with them;
//! * [`clob`]: Polymarket's private side: wallets, orders, settlement, the user channel, and what goes wrong with them;
//! * [`paper`]: our own orders against real books, after a latency, for what those really offer;
//! * [`fault`]: what `--chaos` breaks, and how often it did;
//! * [`handshake`]: Kalshi's signed headers; [`serve`]: the sockets, the only place with a clock, threads, a runtime.

#![forbid(unsafe_code)]

pub mod clob;
pub mod exchange;
pub mod fault;
pub mod handshake;
pub mod kalshi;
pub mod kalshi_rest;
mod kalshi_text;
pub mod listing;
mod maker;
pub mod paper;
pub mod polymarket;
pub mod polymarket_rest;
pub mod question;
pub mod serve;
pub mod world;
