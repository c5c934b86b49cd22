//! What people see and touch: the status and the control socket.

#![forbid(unsafe_code)]

pub mod control;
pub mod status;
