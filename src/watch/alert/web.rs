//! The HTTP client of alerts: the roots of the build, no redirects, no proxies, answers of a bounded size.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Response};
use rustls::{ClientConfig, RootCertStore};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that waits for no answer longer than `patience`.
pub fn client(patience: Duration) -> Result<Client, String> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(patience)
        .user_agent(concat!("orion/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(causes)
}

/// The whole answer, unless it is too large.
pub async fn body(mut answer: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(causes)? {
        if most < body.len() + chunk.len() {
            return Err(format!("more than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why it failed, without the address: that may hold a secret.
pub fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut what = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        what = format!("{what}: {cause}");
        source = cause.source();
    }
    what
}
