//! What people see and touch: the status, the control socket, alerts and the chat.

#![forbid(unsafe_code)]

pub mod alert;
pub mod control;
pub mod status;
