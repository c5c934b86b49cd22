//! Certificates of every kind that a server may show, and servers that show them.

#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Where every test's servers listen.
pub const HERE: &str = "127.0.0.1";

/// A certificate that could be used.
pub const THESE_YEARS: (i32, i32) = (2_020, 4_000);

fn params(name: &str, hosts: &[&str], (from, to): (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>())
        .expect("plain host names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    params
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider's own versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], secret);
    Arc::new(config.expect("a certificate and its key"))
}

/// Somebody who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What a client that trusts it is given.
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = params(name, &[], THESE_YEARS);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("the system gives random numbers");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server with a certificate for these hosts that holds from the first day of one year to that of another.
    pub fn server(&self, hosts: &[&str], years: (i32, i32)) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("the system gives random numbers");
        let certificate = params("a server", hosts, years).signed_by(&key, &self.issuer).expect("a certificate");
        config(certificate.der().clone(), &key)
    }
}

/// A server whose certificate nobody but itself vouches for.
pub fn self_signed() -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("the system gives random numbers");
    let certificate = params("a server", &[HERE], THESE_YEARS).self_signed(&key).expect("a certificate");
    config(certificate.der().clone(), &key)
}
