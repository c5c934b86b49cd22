//! A certificate authority for one run, and a server certificate for this machine.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// What the listeners need, and what clients have to trust.
pub struct Identity {
    pub acceptor: TlsAcceptor,
    pub ca_pem: String,
}

/// A new authority and a certificate for `127.0.0.1` and `localhost`.
pub fn identity() -> anyhow::Result<Identity> {
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name = name("Orion simulated venues CA");
    let authority_key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut server = CertificateParams::new(vec![String::from("localhost"), String::from("127.0.0.1")])?;
    server.distinguished_name = name("Orion simulated venues");
    // RFC 5280 asks for it, and clients that check strictly, Python's since 3.13, refuse a certificate without.
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)?;
    Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem })
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}
