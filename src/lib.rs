//! Orion watches Kalshi and Polymarket, knows which of their markets are the same bet, and buys YES on one and NO on
//! the other whenever both together cost less than the dollar they pay, after all fees.

pub mod unit;

pub mod book;
pub mod cli;
pub mod config;
pub mod decide;
pub mod lab;
pub mod ledger;
pub mod pairing;
pub mod risk;
pub mod run;
pub mod sim;
pub mod spread;
pub mod venue;
pub mod watch;
pub mod wire;
