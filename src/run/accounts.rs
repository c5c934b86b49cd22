//! What trading has to know of both accounts before the first order, asked for once, cold: request budgets, the venue's
//! switches for entries, API credentials.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{
    Method,
    header::{HeaderMap, HeaderValue},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    boot::Endpoints,
    clock,
    sign::{Customer, SignDesk},
};
use crate::{
    unit::{Qty, Tag},
    venue::{
        kalshi::{gateway::SignCalls as _, group, limits, limits::Rates},
        polymarket::{
            contract::Chain,
            sign::{ApiSigner, KeyCall},
        },
        rest::{Access, PATIENCE, Rest, RestError},
    },
};

/// What a group lets through in fifteen seconds: the venue's largest. It is a switch to throw, not a limit of ours.
const GROUP_LIMIT: Qty = Qty::whole(1_000_000);

/// A cold client at the usual pace.
pub(super) fn rest(base: &str, endpoints: &Endpoints) -> Result<Rest, RestError> {
    client(base, endpoints, 5, PATIENCE)
}

/// For questions that a start waits for.
fn brisk(base: &str, endpoints: &Endpoints) -> Result<Rest, RestError> {
    client(base, endpoints, 5, BRISK)
}

/// For cancels when everything else hangs: no pace of ours holds them up.
pub(super) fn hasty(base: &str, endpoints: &Endpoints) -> Result<Rest, RestError> {
    client(base, endpoints, 80, PATIENCE)
}

fn client(base: &str, endpoints: &Endpoints, per_second: u32, patience: Duration) -> Result<Rest, RestError> {
    let per_second = std::num::NonZeroU32::new(per_second).expect("callers ask for some");
    let extra_root = endpoints.root.as_ref().map(String::as_bytes);
    Rest::new(&Access { base, extra_root, per_second, jitter_seed: clock::unix().raw(), patience })
}

/// Questions at start are asked so often: one that fails says little, and a group more than is needed does no harm.
const TRIES: u32 = 5;
/// An answer that is lost must not keep an engine that holds positions from its accounts.
const BRISK: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(300);

/// Kalshi's request budgets, and a group for entries on each shard.
pub fn kalshi(endpoints: &Endpoints, desk: &SignDesk, shards: &[u8]) -> anyhow::Result<(Rates, Vec<(u8, Tag)>)> {
    tried(|| kalshi_once(endpoints, desk, shards))
}

fn tried<T>(mut ask: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    for _ in 1..TRIES {
        if let Ok(found) = ask() {
            return Ok(found);
        }
        std::thread::park_timeout(PAUSE);
    }
    ask()
}

fn kalshi_once(endpoints: &Endpoints, desk: &SignDesk, shards: &[u8]) -> anyhow::Result<(Rates, Vec<(u8, Tag)>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let rest = brisk(&endpoints.kalshi_rest, endpoints)?;
        let sign = |method: &'static str| {
            move |path: &str| {
                let signed =
                    desk.signer().sign(clock::unix(), method, path).ok_or("the sign thread does not answer")?;
                headers(&signed.pairs())
            }
        };
        let limited = rest.get_signed(limits::LIMITS, &[], sign("GET")).await.context("Kalshi's request budgets")?;
        let priced = rest.get_signed(limits::COSTS, &[], sign("GET")).await.context("Kalshi's request costs")?;
        let rates = Rates::default().limited(&limited).and_then(|rates| rates.priced(&priced));
        let rates = rates.map_err(|refused| anyhow::anyhow!("Kalshi's request budgets cannot be read: {refused}"))?;
        let mut groups = Vec::with_capacity(shards.len());
        for shard in shards {
            let body = group::write_create(GROUP_LIMIT, *shard, None);
            let made = rest.change(Method::POST, group::CREATE, body, sign("POST")).await;
            let made = made
                .with_context(|| format!("no order group on Kalshi's shard {shard}: entries would have no switch"))?;
            let group = group::parse_created(&made).map_err(|refused| {
                anyhow::anyhow!("the order group on Kalshi's shard {shard} cannot be read: {refused}")
            })?;
            groups.push((*shard, group));
        }
        Ok((rates, groups))
    })
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(rename = "apiKey")]
    key: String,
    secret: Zeroizing<String>,
    passphrase: Zeroizing<String>,
}

/// API credentials of a customer: those of the vault, else made, else derived where they exist.
pub(super) fn polymarket(
    endpoints: &Endpoints,
    desk: &SignDesk,
    customer: &Customer,
    chain: Chain,
) -> anyhow::Result<ApiSigner> {
    match &customer.api {
        Some(api) => Ok(api.clone()),
        None => tried(|| polymarket_once(endpoints, desk, customer, chain)),
    }
}

fn polymarket_once(
    endpoints: &Endpoints,
    desk: &SignDesk,
    customer: &Customer,
    chain: Chain,
) -> anyhow::Result<ApiSigner> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = runtime.block_on(async {
        let rest = brisk(&endpoints.clob, endpoints)?;
        let sign = |_: &str| {
            let signed = desk.sign_in(clock::unix(), chain).ok_or("the sign thread does not answer")?;
            headers(&signed.pairs())
        };
        // Where a set exists, made by a call whose answer got lost or by an earlier start, it is derived.
        match rest.change(Method::POST, KeyCall::Create.request().1, Vec::new(), sign).await {
            Err(error) if error.passes() || matches!(error, RestError::Status { status: 400, .. }) => {
                rest.get_signed(KeyCall::Derive.request().1, &[], sign).await
            }
            made => made,
        }
    });
    let body = Zeroizing::new(body.context("Polymarket gives no API credentials")?);
    // The text of such an error would repeat what could not be read.
    let read: Result<Credentials, _> = serde_json::from_slice(&body);
    let read = read.map_err(|_| anyhow::anyhow!("Polymarket's API credentials cannot be read"))?;
    Ok(ApiSigner::new(&customer.owner, &read.key, &read.secret, &read.passphrase)?)
}

/// Signed headers for a cold client.
pub(super) fn headers(pairs: &[(&'static str, &str)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(*name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
    }
    Ok(headers)
}
