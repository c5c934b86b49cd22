//! What people see and touch: the status, the control socket, alerts and the chat.

#![forbid(unsafe_code)]

pub mod alert;
pub mod command;
pub mod control;
pub mod handles;
pub mod health;
pub mod keyring;
pub mod log;
pub mod metric;
pub mod settings;
pub mod status;
pub mod tax;
pub mod web;
