//! Who is let in: looked at before any route, for every route alike.
//!
//! A page of another site can make a browser send requests here, and a name of its own can be pointed at this address; so
//! the host's name and where the request comes from are looked at first, then who asks. There is no cookie that a browser
//! would add by itself: a token stands in a header, which another site's page cannot set.

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::route::Who;
use crate::{
    unit::UnixMs,
    watch::keyring::{Keyring, Role},
};

/// The most that a change may send.
pub const BODY_MAX: u64 = 64 * 1_024;

/// Every change carries it: a form of another site cannot.
pub const MARK: HeaderName = HeaderName::from_static("x-orion");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    Host,
    Origin,
    Method,
    TooLarge,
    NotJson,
    Unmarked,
    NoToken,
    WrongToken,
    TooOften,
    ViewerActs,
}

impl Refusal {
    /// The answer's status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin | Self::Unmarked | Self::ViewerActs => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// One sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Host => "this server answers to 127.0.0.1, localhost and [::1] with its own port alone",
            Self::Origin => "another site's page may not ask here",
            Self::Method => "not with this method",
            Self::TooLarge => "the body is too large: 64 KiB for a change, nothing for a question",
            Self::NotJson => "a body is JSON: Content-Type: application/json",
            Self::Unmarked => "a change carries the header X-Orion: 1",
            Self::NoToken => "a token is wanted: Authorization: Bearer …, see orion dashboard",
            Self::WrongToken => "this token is not known, or has ended: orion dashboard gives a new link",
            Self::TooOften => "too many wrong tokens: wait a minute",
            Self::ViewerActs => "a viewer's token reads, and changes nothing",
        }
    }
}

/// What the gate knows of the server.
#[derive(Debug)]
pub struct Gate {
    /// `127.0.0.1:8501`, `localhost:8501`, `[::1]:8501`.
    hosts: [String; 3],
}

impl Gate {
    /// For the port that is served.
    pub fn new(port: u16) -> Self {
        Self { hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")] }
    }

    /// May this request go on? `asked` is the route's method and who may use it.
    pub fn judge(
        &self,
        method: &Method,
        headers: &HeaderMap,
        asked: (&Method, Who),
        keys: &Keyring,
        now: UnixMs,
    ) -> Result<(), Refusal> {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let one = |name: &HeaderName| headers.get_all(name).iter().count() <= 1;
        let host = text(&header::HOST).filter(|host| self.hosts.iter().any(|known| known == host));
        let Some(host) = host.filter(|_| one(&header::HOST)) else { return Err(Refusal::Host) };
        let from_here = text(&header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
        let same_site = text(&SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
        if !from_here || !same_site {
            return Err(Refusal::Origin);
        }
        let (wanted, who) = asked;
        if method != wanted {
            return Err(Refusal::Method);
        }
        let changes = method == Method::POST;
        let length = text(&header::CONTENT_LENGTH).map(|length| length.parse::<u64>().unwrap_or(u64::MAX));
        let endless = headers.contains_key(header::TRANSFER_ENCODING);
        if endless || length.is_some_and(|length| if changes { BODY_MAX < length } else { 0 < length }) {
            return Err(Refusal::TooLarge);
        }
        let kind = text(&header::CONTENT_TYPE);
        let json = |kind: &str| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        };
        if kind.is_some_and(|kind| !json(kind)) || (changes && kind.is_none()) {
            return Err(Refusal::NotJson);
        }
        if changes && text(&MARK) != Some("1") {
            return Err(Refusal::Unmarked);
        }
        let token = bearer(headers);
        let role = match (token, headers.contains_key(header::AUTHORIZATION)) {
            (None, false) => None,
            (token, _) => match token.and_then(|token| keys.role(token, now)) {
                Some(role) => Some(role),
                None if keys.may_be_wrong() => return Err(Refusal::WrongToken),
                None => return Err(Refusal::TooOften),
            },
        };
        match (who, role) {
            (Who::Anybody, _) | (Who::Viewer, Some(_)) | (Who::Operator, Some(Role::Operator)) => Ok(()),
            (_, None) => Err(Refusal::NoToken),
            (Who::Operator, Some(Role::Viewer)) => Err(Refusal::ViewerActs),
        }
    }
}

/// The token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
