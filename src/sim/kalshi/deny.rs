//! A refusal before it is text: the same one is nested when it answers a request and flat inside a batch.

use serde_json::{Value, json};

use crate::sim::kalshi_rest::{Reply, flat, nested, too_many_requests};

/// Why a request is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deny {
    pub status: u16,
    pub code: &'static str,
    pub details: Option<String>,
}

impl Deny {
    /// A refusal with a code.
    pub const fn new(status: u16, code: &'static str) -> Self {
        Self { status, code, details: None }
    }

    /// The same, with details.
    #[must_use]
    pub fn because(self, details: &str) -> Self {
        Self { details: Some(details.to_owned()), ..self }
    }

    /// A body or a query that cannot be read.
    pub fn malformed(details: &str) -> Self {
        Self::new(400, "bad_request").because(details)
    }

    /// Breaks a rule of order entry.
    pub fn invalid(details: &str) -> Self {
        Self::new(400, "invalid_order").because(details)
    }

    /// No such order, or none that could still change.
    pub const fn not_found() -> Self {
        Self::new(404, "not_found")
    }

    /// The budget is used up.
    pub const fn too_many() -> Self {
        Self::new(429, "too_many_requests")
    }

    /// The `error` member of a batch's item.
    pub fn item(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.code.replace('_', " ")});
        if let Some(details) = &self.details {
            error["details"] = Value::from(details.as_str());
        }
        error
    }
}

impl From<Deny> for Reply {
    fn from(deny: Deny) -> Self {
        match deny.status {
            429 => too_many_requests(),
            400 if deny.code == "bad_request" => flat(deny.details.as_deref().unwrap_or_default()),
            status => nested(status, deny.code, deny.details.as_deref()),
        }
    }
}
