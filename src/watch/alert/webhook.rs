//! The same alerts for other programs: each one posted as JSON, signed where there is a secret.
//!
//! The queue in front of it is the chat's: it retries, keeps the pace, and knows after a restart what was not posted.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use reqwest::{Client, StatusCode, header::RETRY_AFTER};
use serde_json::json;

use super::{
    format::Frame,
    message::{Message, Outcome},
};

/// The place's name in the database.
pub const PLACE: &str = "webhook";
/// Holds the HMAC-SHA256 of the body under `alerts.webhook_secret`, in hex.
pub const SIGNATURE: &str = "X-Orion-Signature";
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing of the answer is read but its status; what is longer is not even received.
const BODY_MAX: usize = 64 << 10;
const PAUSE: u64 = 5;

/// Where alerts are posted. It has no `Debug`: the address may hold a token of the receiver's.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the address and the key are never printed")]
pub struct Webhook {
    client: Client,
    address: Arc<str>,
    key: Option<Arc<hmac::Key>>,
}

impl Webhook {
    pub fn new(address: &str, secret: Option<&str>) -> Result<Self, String> {
        let key = secret.map(|secret| Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())));
        Ok(Self { client: super::web::client(PATIENCE)?, address: address.into(), key })
    }

    /// Posts one message. The error says why without saying where.
    pub async fn post(&self, frame: &Frame, message: &Message) -> (Outcome, Option<String>) {
        let (kind, id, at, text) = frame.facts(message);
        let body = json!({
            "id": id, "kind": kind.name(), "mode": frame.mode.to_lowercase(), "text": text,
            "at_ms": at.map(crate::unit::UnixMs::raw),
        })
        .to_string();
        let mut request = self.client.post(&*self.address).header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            request = request.header(SIGNATURE, signature(key, body.as_bytes()));
        }
        let answer = match request.body(body).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let outcome = if error.is_connect() { Outcome::Unsent } else { Outcome::Unsure };
                return (outcome, Some(super::web::causes(error)));
            }
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let _ = super::web::body(answer, BODY_MAX).await;
        if status.is_success() {
            return (Outcome::Sent(None), None);
        }
        let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let outcome = match status {
            StatusCode::TOO_MANY_REQUESTS => Outcome::Wait(Duration::from_secs(asked.unwrap_or(PAUSE))),
            status if status.is_server_error() => Outcome::Unsure,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
                Outcome::Shut
            }
            _ => Outcome::Refused,
        };
        (outcome, Some(format!("HTTP {}", status.as_u16())))
    }
}

fn signature(key: &hmac::Key, body: &[u8]) -> String {
    use std::fmt::Write as _;
    let tag = hmac::sign(key, body);
    tag.as_ref().iter().fold("sha256=".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
