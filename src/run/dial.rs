//! The cold half of connecting: names to addresses, and signed headers. Feed threads ask and go on with their other
//! connections meanwhile.

use std::{
    collections::HashMap,
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
pub fn start(routes: Routes, requests: Receiver<Dial>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("dial".into()).spawn(move || serve(&routes, &requests))
}

fn serve(routes: &Routes, requests: &Receiver<Dial>) {
    // Addresses that worked before are kept for the day on which names do not resolve; the certificate decides.
    let mut known: HashMap<&str, Vec<SocketAddr>> = HashMap::new();
    while let Ok(dial) = requests.recv() {
        let Some(route) = routes.get(&dial.feed) else { continue };
        let resolved = route.authority.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let addresses = match resolved {
            Ok(addresses) if !addresses.is_empty() => {
                known.insert(&route.authority, addresses.clone());
                Ok(addresses)
            }
            Ok(_) => Err(format!("{} has no address", route.authority)),
            Err(e) => known.get(route.authority.as_str()).cloned().ok_or(format!("{}: {e}", route.authority)),
        };
        let result = addresses.and_then(|addresses| {
            let headers = route.desk.as_ref().map_or(Ok(Vec::new()), |desk| desk.handshake(clock::unix()))?;
            Ok((addresses, headers))
        });
        let _ = route.answers.send(Dialled { link: dial.link, result });
    }
}
