//! The sentence behind a code of the audit trail, for whoever may not name the stage that it comes from.

use crate::decide::Reason;

/// Why an opportunity was not taken, in words.
pub fn reason(code: &str) -> &'static str {
    let known = Reason::every().find(|reason| reason.code() == code);
    known.map_or("the plan ended so; its fills tell the rest", Reason::sentence)
}
