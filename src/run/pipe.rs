//! One socket of a hot thread, plain or under TLS: reads and writes that never wait.

use std::{
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

/// A connection that has been begun.
pub struct Pipe {
    pub tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// Where a connection goes.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    pub address: SocketAddr,
    /// Whose certificate it is to show.
    pub host: &'a str,
    /// Encrypted. Plain is for loopback.
    pub secure: bool,
}

impl Pipe {
    /// Begins a connection. Unanswered data for `patience` ends it (half-open TCP).
    pub fn open(site: Site<'_>, tls: &Arc<ClientConfig>, patience: Duration) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(site.address)?;
        let options = socket2::SockRef::from(&tcp);
        options.set_tcp_nodelay(true)?;
        options.set_tcp_user_timeout(Some(patience))?;
        let tls = if site.secure {
            let name = ServerName::try_from(site.host.to_owned())?;
            Some(Box::new(ClientConnection::new(tls.clone(), name)?))
        } else {
            None
        };
        Ok(Self { tcp, tls })
    }

    /// Is it through: connected, and under TLS greeted?
    pub fn is_up(&self) -> bool {
        match &self.tls {
            Some(tls) => !tls.is_handshaking(),
            None => self.tcp.peer_addr().is_ok(),
        }
    }

    /// One read. The number of plain bytes in `buffer`, and whether more may be waiting.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        self.flush()?;
        let Some(tls) = &mut self.tls else {
            return match self.tcp.read(buffer) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => Ok((len, true)),
                Err(e) if not_now(&e) => Ok((0, false)),
                Err(e) => Err(e),
            };
        };
        // What was decrypted already comes first.
        match tls.reader().read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => return Ok((len, true)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        match tls.read_tls(&mut self.tcp) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(e) if not_now(&e) => return Ok((0, false)),
            Err(e) => return Err(e),
        }
        tls.process_new_packets().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        match tls.reader().read(buffer) {
            Ok(len) => Ok((len, true)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok((0, true)),
            Err(e) => Err(e),
        }
    }

    /// Hands over as many of `bytes` as are taken now; the number.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.tls {
            Some(tls) => tls.writer().write(bytes)?,
            None => match self.tcp.write(bytes) {
                Ok(len) => len,
                Err(e) if not_now(&e) => 0,
                Err(e) => return Err(e),
            },
        };
        self.flush()?;
        Ok(taken)
    }

    /// Sends what TLS has to send, as far as the socket takes it.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.tcp) {
                    Ok(_) => {}
                    Err(e) if not_now(&e) => return Ok(()),
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }
}

/// A socket that is not connected yet says so in its own words.
fn not_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted)
}

/// Scheme, host and port of an address such as `https://host:8443/path` or `wss://host/path`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place<'a> {
    pub host: &'a str,
    pub port: u16,
    pub secure: bool,
    /// From the first slash, without it at the end; empty where there is none.
    pub path: &'a str,
}

impl<'a> Place<'a> {
    /// Reads an address of one of the four schemes.
    pub fn of(url: &'a str) -> anyhow::Result<Self> {
        let schemes = [("wss://", true), ("ws://", false), ("https://", true), ("http://", false)];
        let found = schemes.iter().find_map(|(scheme, secure)| Some((url.strip_prefix(scheme)?, *secure)));
        let Some((rest, secure)) = found else { anyhow::bail!("{url} is no address of a venue") };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse()?),
            None => (authority, if secure { 443 } else { 80 }),
        };
        Ok(Self { host, port, secure, path: path.trim_end_matches('/') })
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// TLS with one provider and the given roots, AES-128-GCM first.
pub fn tls(root: Option<&str>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // AES-128 costs half of what ChaCha20 costs on hosts with AES instructions.
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        rustls::CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        rustls::CipherSuite::TLS13_AES_256_GCM_SHA384 => 1,
        _ => 2,
    });
    let mut roots = RootCertStore::empty();
    match root {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate?)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let place = Place::of("https://external-api.kalshi.com/trade-api/v2").unwrap();
        assert_eq!(place, Place { host: "external-api.kalshi.com", port: 443, secure: true, path: "/trade-api/v2" });
        assert_eq!(place.authority(), "external-api.kalshi.com:443");
        let place = Place::of("ws://127.0.0.1:40011").unwrap();
        assert_eq!(place, Place { host: "127.0.0.1", port: 40011, secure: false, path: "" });
        assert!(Place::of("ftp://x").is_err() && Place::of("http://x:99999").is_err());
    }
}
