//! Cold reads over REST: one client per host, with a rate budget, retries and hard limits. Never in the way of an
//! order.

use std::collections::HashSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::listing::{Page, Refused};

/// No catalogue page is larger.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// The headers of an answer, names and values together. What is larger than some 400 KiB is not even read to its end.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole page of a listing may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The first try and four more.
const RETRIES_MAX: usize = 4;
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// A venue that asks for a longer pause is asked again by the next poll, not by this call.
const RETRY_LAST: Duration = Duration::from_secs(30);
/// 1,000 pages of 1,000 markets are ten times what both venues list.
const PAGES_MAX: usize = 1_000;

/// Where to ask, and how often.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// Scheme, host and path prefix, without a final slash. Plain HTTP is for loopback only.
    pub base: &'a str,
    /// Roots to trust beside the public ones, in PEM: the simulated exchange's own.
    pub extra_root: Option<&'a [u8]>,
    /// Requests per second, and how many may come at once.
    pub per_second: NonZeroU32,
    /// Spreads retries; from the engine's seed.
    pub jitter_seed: u64,
    /// No answer is waited for longer.
    pub patience: Duration,
}

/// Why a read brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    #[error("{0}: not an address to read from: https, or http on loopback")]
    Address(String),
    #[error("the extra root certificate cannot be read")]
    Root,
    #[error("{0}: no client: {1}")]
    Client(String, String),
    #[error("{path}: cannot be signed: {what}")]
    Unsigned { path: String, what: String },
    #[error("{path}: {what}")]
    Transport { path: String, what: String },
    #[error("{path}: HTTP {status}: {excerpt}")]
    Status { path: String, status: u16, excerpt: String, retry_after: Option<Duration> },
    #[error("{path}: more than {BODY_BYTES_MAX} bytes")]
    TooLarge { path: String },
    #[error("{path}: more than {HEAD_BYTES_MAX} bytes of headers")]
    HeadTooLarge { path: String },
    /// No encoding was offered: what comes packed may unpack to anything.
    #[error("{path}: packed as `{encoding}`, which was not asked for")]
    Packed { path: String, encoding: String },
    #[error("{path}: {refused}")]
    Unreadable { path: String, refused: Refused },
    #[error("{path}: page after page, and cursor {cursor} came twice or there were {PAGES_MAX}")]
    Loop { path: String, cursor: String },
}

impl RestError {
    /// May the same read succeed later?
    #[must_use]
    pub const fn passes(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Status { status, .. } => *status == 429 || 500 <= *status,
            _ => false,
        }
    }

    /// Does the venue say that there is no such thing?
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }
}

/// A client for one host.
#[derive(Debug)]
pub struct Rest {
    client: Client,
    base: String,
    /// The path that every path begins with.
    prefix: String,
    limiter: DefaultDirectRateLimiter,
    jitter: AtomicU64,
}

impl Rest {
    /// A client without redirects, proxies or cookies. Roots are those of the build and the extra ones.
    pub fn new(access: &Access<'_>) -> Result<Self, RestError> {
        let base = access.base.trim_end_matches('/').to_owned();
        let url = Url::parse(&base).map_err(|_| RestError::Address(base.clone()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback());
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            return Err(RestError::Address(base));
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = access.extra_root {
            for root in CertificateDer::pem_slice_iter(pem) {
                roots.add(root.map_err(|_| RestError::Root)?).map_err(|_| RestError::Root)?;
            }
        }
        let failed = |error: &dyn std::fmt::Display| RestError::Client(base.clone(), error.to_string());
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(access.patience)
            .user_agent(concat!("orion/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| failed(&error))?;
        let limiter = RateLimiter::direct(Quota::per_second(access.per_second));
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self { client, base, prefix, limiter, jitter: AtomicU64::new(access.jitter_seed) })
    }

    /// Reads one body. Waits for the rate budget, tries again where that may help, and no longer than the venue asks.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<u8>, RestError> {
        self.get_signed(path, query, |_| Ok(HeaderMap::new())).await
    }

    /// The same with headers that `sign` makes anew for each try, from the path as the host sees it.
    pub async fn get_signed(
        &self,
        path: &str,
        query: &[(&str, String)],
        sign: impl Fn(&str) -> Result<HeaderMap, String>,
    ) -> Result<Vec<u8>, RestError> {
        let seed = self.jitter.fetch_add(1, Ordering::Relaxed);
        let backoff = ExponentialBuilder::default()
            .with_min_delay(RETRY_FIRST)
            .with_max_delay(RETRY_LAST)
            .with_max_times(RETRIES_MAX)
            .with_jitter()
            .with_jitter_seed(seed);
        let full = format!("{}{path}", self.prefix);
        (|| async { self.once(Method::GET, path, query, sign(&full), Vec::new()).await })
            .retry(backoff)
            .sleep(tokio::time::sleep)
            .when(RestError::passes)
            .adjust(|error, pause| match error {
                RestError::Status { retry_after: Some(asked), .. } if RETRY_LAST < *asked => None,
                RestError::Status { retry_after: Some(asked), .. } => pause.map(|pause| pause.max(*asked)),
                _ => pause,
            })
            .await
    }

    /// Posts or deletes, once: what changes something at a venue is not tried again by itself. `sign` is given the path
    /// as the host sees it.
    pub async fn change(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        sign: impl Fn(&str) -> Result<HeaderMap, String>,
    ) -> Result<Vec<u8>, RestError> {
        let headers = sign(&format!("{}{path}", self.prefix));
        self.once(method, path, &[], headers, body).await
    }

    /// Reads and understands one body.
    pub(super) async fn read<T>(
        &self,
        path: &str,
        query: &[(&str, String)],
        parse: impl FnOnce(&[u8]) -> Result<T, Refused>,
    ) -> Result<T, RestError> {
        let body = self.get(path, query).await?;
        parse(&body).map_err(|refused| RestError::Unreadable { path: path.into(), refused })
    }

    /// Reads page after page. A cursor that comes twice is a loop: a venue that forgot a cursor starts from page one.
    pub(super) async fn pages<T>(
        &self,
        path: &str,
        query: &[(&str, String)],
        cursor_name: &str,
        parse: impl Fn(&[u8]) -> Result<Page<T>, Refused>,
    ) -> Result<Page<T>, RestError> {
        let mut all = Page::default();
        let mut seen = HashSet::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            if let Some(cursor) = &cursor {
                query.push((cursor_name, cursor.clone()));
            }
            let page = self.read(path, &query, &parse).await?;
            all.items.extend(page.items);
            all.unreadable.extend(page.unreadable);
            let Some(next) = page.next else { return Ok(all) };
            if !seen.insert(next.clone()) || PAGES_MAX <= seen.len() {
                return Err(RestError::Loop { path: path.into(), cursor: next });
            }
            cursor = Some(next);
        }
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        headers: Result<HeaderMap, String>,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, RestError> {
        let headers = headers.map_err(|what| RestError::Unsigned { path: path.into(), what })?;
        self.limiter.until_ready().await;
        let lost = |error: reqwest::Error| {
            // The source says why; the address is ours and adds nothing.
            let error = error.without_url();
            let mut what = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                what = format!("{what}: {cause}");
                source = cause.source();
            }
            RestError::Transport { path: path.into(), what }
        };
        let mut request = self.client.request(method, format!("{}{path}", self.base)).query(query).headers(headers);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut answer = request.send().await.map_err(lost)?;
        let head: usize = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if HEAD_BYTES_MAX < head {
            return Err(RestError::HeadTooLarge { path: path.into() });
        }
        let status = answer.status();
        let encoding = answer.headers().get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity");
        if let (Some(encoding), true) = (encoding, status.is_success()) {
            let encoding = encoding.to_str().unwrap_or("?").chars().take(40).collect();
            return Err(RestError::Packed { path: path.into(), encoding });
        }
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if BODY_BYTES_MAX < body.len() + chunk.len() {
                return Err(RestError::TooLarge { path: path.into() });
            }
            body.extend_from_slice(&chunk);
        }
        if matches!(status, StatusCode::OK | StatusCode::CREATED) {
            return Ok(body);
        }
        let excerpt: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
        Err(RestError::Status { path: path.into(), status: status.as_u16(), excerpt, retry_after })
    }
}
