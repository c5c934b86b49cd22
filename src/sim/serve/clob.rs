//! Polymarket's private side on its sockets: calls that may be held, late or cut off, and the user channel.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::sim::clob::stream::{Notice, Session};
use crate::sim::clob::{Answer, Carry, ClobDesk, Handled, Request, Rules};
use crate::sim::serve::hall::Hall;
use crate::sim::serve::socket::Wire;
use crate::sim::serve::{lock, now};
use crate::sim::world::{Happening, World};
use crate::unit::UnixMs;

/// Where the user channel is, on the market channel's port.
pub const USER_PATH: &str = "/ws/user";
/// Frames a connection may lag behind before it is cut off.
const QUEUE_FRAMES: usize = 4_096;
/// How long the bytes before a cut have to leave.
const CUT_AFTER: Duration = Duration::from_millis(20);

/// One connection to the user channel; a closed queue closes it.
#[derive(Debug)]
struct Link {
    number: u64,
    session: Session,
    queue: mpsc::Sender<String>,
}

/// The desk and whoever listens to it.
#[derive(Debug)]
pub struct Counter {
    pub desk: ClobDesk,
    links: Vec<Link>,
    seats: u64,
}

impl Counter {
    /// A desk without customers; the seed decides credentials and ids. The chain keeps pace with the world.
    pub fn new(seed: u64, speed: u32) -> Self {
        let mut rules = Rules::default();
        rules.pace = rules.pace.sped_up(speed);
        Self { desk: ClobDesk::new(seed, rules), links: Vec::new(), seats: 0 }
    }

    /// Lets the desk hear what happened and do what is due; what that made happen is returned as well, behind the rest.
    pub fn step(&mut self, world: &mut World, mut happenings: Vec<Happening>, now: UnixMs) -> Vec<Happening> {
        let mut heard = 0;
        loop {
            self.desk.advance(&happenings[heard..], world, now);
            heard = happenings.len();
            happenings.extend(world.drain());
            if happenings.len() == heard {
                break;
            }
        }
        for notice in self.desk.notices(now) {
            self.tell(&notice);
        }
        happenings
    }

    fn tell(&mut self, notice: &Notice) {
        self.links.retain(|link| match notice {
            _ if !link.session.wants(notice) => true,
            // Whoever does not read is cut off, and has to ask for what he missed.
            Notice::Frame { text, .. } => link.queue.try_send(text.to_string()).is_ok(),
            Notice::Cut { .. } => false,
        });
    }

    fn sit(&mut self) -> (u64, mpsc::Receiver<String>) {
        self.seats += 1;
        let (queue, frames) = mpsc::channel(QUEUE_FRAMES);
        self.links.push(Link { number: self.seats, session: Session::default(), queue });
        (self.seats, frames)
    }

    fn hear(&mut self, number: u64, text: &str, world: &World) {
        let Self { desk, links, .. } = self;
        let Some(link) = links.iter_mut().find(|link| link.number == number) else { return };
        let heard = link.session.handle_text(text, desk, world);
        let sent = heard.frames.into_iter().all(|frame| link.queue.try_send(frame).is_ok());
        if heard.close || !sent {
            self.leave(number);
        }
    }

    fn leave(&mut self, number: u64) {
        self.links.retain(|link| link.number != number);
    }
}

/// Carries the user channel's frames both ways until either side ends it.
pub async fn converse(mut socket: WebSocketStream<Wire>, hall: Arc<Mutex<Hall>>) -> Result<(), Error> {
    let (number, mut frames) = lock(&hall).counter().0.sit();
    let ended = loop {
        tokio::select! {
            biased;
            frame = frames.recv() => match frame {
                Some(text) => socket.send(Message::text(text)).await?,
                None => break socket.close(None).await,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let mut hall = lock(&hall);
                    let (counter, world) = hall.counter();
                    counter.hear(number, &text, world);
                }
                Some(Ok(Message::Close(_))) | None => break Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => break Err(error),
            },
        }
    };
    lock(&hall).counter().0.leave(number);
    ended
}

/// Answers a call to the desk, when its time has come.
pub async fn answer(
    hall: &Mutex<Hall>,
    method: &Method,
    path: &str,
    query: Vec<(String, String)>,
    headers: &HeaderMap,
    body: String,
) -> Response {
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let request = Request {
        method: method.to_string(),
        path: path.to_owned(),
        query,
        headers: headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body,
    };
    let handled = lock(hall).ask_polymarket(now(), |desk, world, now| desk.handle(&request, world, now));
    let answer = match handled {
        Handled::Now(answer) => answer,
        Handled::Held { call, until } => {
            let mut due = until;
            loop {
                wait(due).await;
                let ready = lock(hall).ask_polymarket(now(), |desk, world, now| desk.answer(call, world, now));
                if let Some(answer) = ready {
                    break answer;
                }
                due = UnixMs::new(now().raw() + 5);
            }
        }
    };
    wait(answer.at).await;
    response(answer)
}

async fn wait(until: UnixMs) {
    tokio::time::sleep(Duration::from_millis(until.since(now()))).await;
}

fn response(answer: Answer) -> Response {
    let mut response = Response::builder().status(StatusCode::from_u16(answer.status).unwrap_or_default());
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let body = match answer.carry {
        Carry::Whole => Body::from(answer.body),
        Carry::Cut(bytes) => {
            // The length is that of the whole, so that nobody takes the part for it.
            response = response.header("Content-Length", answer.body.len().max(bytes + 1));
            let part = Bytes::copy_from_slice(&answer.body.as_bytes()[..bytes.min(answer.body.len())]);
            let cut = stream::once(async {
                tokio::time::sleep(CUT_AFTER).await;
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
            });
            Body::from_stream(stream::once(async { Ok(part) }).chain(cut))
        }
    };
    response.body(body).unwrap_or_default()
}
