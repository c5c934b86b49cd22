//! The cold half of connecting: names to addresses, and signed headers. Feed threads ask and go on with their other
//! connections meanwhile.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    thread::JoinHandle,
};

use crossbeam::channel::{Receiver, Sender};

use super::{
    clock,
    feed::{Dial, Dialled},
    sign::SignDesk,
};
use crate::unit::FeedId;

/// Where one feed's connections go.
pub struct Route {
    /// `host:port`.
    pub authority: String,
    /// Signs the handshake, where the venue wants that.
    pub desk: Option<SignDesk>,
    pub answers: Sender<Dialled>,
}

/// By feed thread.
pub type Routes = HashMap<FeedId, Route>;

/// Serves dial requests until every feed thread has ended.
pub fn start(routes: Routes, requests: Receiver<Dial>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("dial".into()).spawn(move || serve(&routes, &requests))
}

/// The addresses that names had when they were last asked for. They are kept for the day on which names do not resolve;
/// whoever answers there, the certificate decides.
#[derive(Debug, Default)]
pub struct AddressBook {
    known: HashMap<String, Vec<SocketAddr>>,
}

impl AddressBook {
    /// The addresses of `authority` (`host:port`), given what the resolver said of it just now.
    pub fn judge(&mut self, authority: &str, said: io::Result<Vec<SocketAddr>>) -> Result<Vec<SocketAddr>, String> {
        let why = match said {
            Ok(addresses) if !addresses.is_empty() => {
                self.known.insert(authority.into(), addresses.clone());
                return Ok(addresses);
            }
            Ok(_) => format!("{authority} has no address"),
            Err(e) => format!("{authority}: {e}"),
        };
        self.known.get(authority).cloned().ok_or(why)
    }
}

fn serve(routes: &Routes, requests: &Receiver<Dial>) {
    let mut book = AddressBook::default();
    while let Ok(dial) = requests.recv() {
        let Some(route) = routes.get(&dial.feed) else { continue };
        let said = route.authority.to_socket_addrs().map(Iterator::collect);
        let result = book.judge(&route.authority, said).and_then(|addresses| {
            let headers = route.desk.as_ref().map_or(Ok(Vec::new()), |desk| desk.handshake(clock::unix()))?;
            Ok((addresses, headers))
        });
        let _ = route.answers.send(Dialled { feed: dial.feed, link: dial.link, result });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 60.
    #[test]
    fn addresses_are_kept_while_names_do_not_resolve_and_replaced_once_they_do() {
        let mut book = AddressBook::default();
        let of = |last: u8| vec![SocketAddr::from(([192, 0, 2, last], 443))];
        let fails = || Err(io::Error::other("Temporary failure in name resolution"));
        let refused = book.judge("venue:443", fails()).unwrap_err();
        assert!(refused.contains("venue:443") && refused.contains("name resolution"), "{refused}");
        assert!(book.judge("venue:443", Ok(Vec::new())).unwrap_err().contains("no address"));
        assert_eq!(book.judge("venue:443", Ok(of(1))), Ok(of(1)));
        for said in [fails(), Ok(Vec::new()), fails()] {
            assert_eq!(book.judge("venue:443", said), Ok(of(1)), "what was known before");
        }
        assert!(book.judge("other:443", fails()).is_err(), "one name's addresses are not another's");
        assert_eq!(book.judge("venue:443", Ok(of(2))), Ok(of(2)));
        assert_eq!(book.judge("venue:443", fails()), Ok(of(2)));
    }
}
