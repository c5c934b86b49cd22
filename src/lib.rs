//! Orion watches Kalshi and Polymarket, knows which of their markets are the same bet, and buys YES on one and NO on
//! the other whenever both together cost less than the dollar they pay, after all fees.
//!
//! Read it in the order of the data:
//!
//! | | folder | turns |
//! |---|---|---|
//! | | [`mod@unit`] | plain values: prices, quantities, money, time; imports nothing of ours |
//! | 1 | [`wire`] | bytes → updates |
//! | 2 | [`book`] | updates → one YES-leg book per market that knows whether it may be traded on |
//! | 3 | [`spread`] | two books → the net edge of a pair |
//! | 4 | [`decide`] | an edge → an intent, or the reason why not |
//! | 5 | [`risk`] | an intent → approved, or the reason why not |
//! | 6 | [`order`] | approved → orders, and the plan of two of them to its end |
//! | 7 | [`fill`] | what venues tell → whose order, once |
//! | 8 | [`ledger`] | what happened → what we own and owe |
//! | | [`venue`] | the only place where a venue's name decides anything |
//! | | [`vault`] | secrets in one sealed file |
//! | | [`pairing`] | the pair book that a person approved |
//! | | [`sim`] | both exchanges, simulated, and the paper exchange; shares only [`mod@unit`] with what it checks |
//! | | [`lab`] | recordings and their replay |
//! | | [`run`] | the shell around the stages: threads, sockets, rings, start and end |
//! | | [`watch`] | what people see and touch |
//! | | [`config`] | text → checked settings |
//! | | [`cli`] | one file per command |
//!
//! Two rules hold it together, and `tests/layering.rs` keeps them. A stage names the stages before it and never those
//! after it, and no stage names anything below the line. No stage has a socket, a file, a thread, a clock, a random
//! number or a lock: `now` is an argument, so the same code runs under sockets, under replay and in tests.

pub mod unit;

pub mod wire;

pub mod book;

pub mod spread;

pub mod decide;

pub mod risk;

pub mod order;

pub mod fill;

pub mod ledger;

pub mod venue;

pub mod vault;

pub mod pairing;

pub mod sim;

pub mod lab;

pub mod run;

pub mod watch;

pub mod config;

pub mod cli;
