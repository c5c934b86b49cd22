//! What we own and owe, and what a person can ask about it afterwards.

pub mod audit;
