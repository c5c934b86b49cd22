//! The executor between two gateways, without I/O: what the `execute` thread drives over sockets, and the deterministic
//! suite in virtual time.
//!
//! ```text
//! detector ─ Ready ─► executor ─ orders, cancels, looks ─► gateways ─ calls ─► venues
//!          ◄─ Word ─          ◄────── reports ──────────           ◄─ answers, private frames
//! ```
//!
//! Nothing is entered before both venues' accounts were read whole and agree with the journal, nor while they do not.

mod account;

use account::Compare;

use super::{
    event::{Event, Ready, What, Word},
    execute::{About, Acts, Door, Executor, PLANS_MAX},
    guard::Note,
    purse::Purse,
    restore::Restored,
    strays::Strays,
};
use crate::{
    fill::Whose,
    ledger::journal::Store,
    order::{Ask, Leg, Plan, leg::State},
    risk::Latch,
    unit::{Nanos, OrderId, Picture, Tag, Told, Venue},
    venue::gateway::{Answer, Call, CallNo, Gateway, Minted, Out, Prepared, Said, Unready},
    wire::Arrival,
};

/// What venues said that nobody understood, kept until somebody takes it for the log; more of it is dropped.
const STRANGE_MAX: usize = 64;
/// Letters of an answer to an order in the log; the journal has more.
const WORDS_SHOWN: usize = 200;

/// One venue's side.
pub struct Side {
    gateway: Box<dyn Gateway + Send>,
    out: Out,
    compare: Compare,
}

/// The gateways, as the executor sees them.
struct Doors<'a>(&'a mut [Side; 2]);

impl Door for Doors<'_> {
    fn prepare(&mut self, ask: &Ask, at: Arrival) -> Result<Prepared, Unready> {
        self.0[ask.venue as usize].gateway.prepare(ask, at)
    }

    fn withdraw(&mut self, ask: &Ask) {
        self.0[ask.venue as usize].gateway.withdraw(ask.id);
    }

    fn mint(&mut self, ask: &Ask, at: Arrival) -> bool {
        self.0[ask.venue as usize].gateway.mint(ask, at)
    }

    fn minted(&mut self) -> Option<Minted> {
        self.0.iter_mut().find_map(|side| side.gateway.minted())
    }

    fn discard(&mut self, order: OrderId) {
        self.0[Venue::Polymarket as usize].gateway.withdraw(order);
    }
}

/// Executor and gateways, owned by one thread.
pub struct Trader<S> {
    executor: Executor<S>,
    sides: [Side; 2],
    acts: Acts,
    names: Vec<(Venue, Tag)>,
    /// Of each market in which somebody else holds something in our account, the readings without a trace of it that
    /// are still wanted before that is believed to be over; 0 for all others.
    foreign: Vec<u32>,
    halted: bool,
    told_clean: Option<bool>,
    strange: Vec<(Venue, String)>,
    /// Orders that the guard was told of and that are not over.
    standing: Vec<(OrderId, Tag)>,
    notes: Vec<Note>,
    /// Is there room in the rings for what an entry would bring about?
    room: bool,
    /// What Polymarket's wallet should hold.
    purse: Purse,
    /// A person has said that what the venues hold is ours.
    adopts: bool,
    /// Somebody sends the transactions that put YES and NO together.
    merges: bool,
    /// Tickets of earlier starts that may have become orders.
    strays: Strays,
}

impl<S: Store> Trader<S> {
    /// Entries wait until both accounts were compared.
    pub fn new(mut executor: Executor<S>, gateways: [Box<dyn Gateway + Send>; 2], names: Vec<(Venue, Tag)>) -> Self {
        executor.block(true);
        let sides = gateways.map(|gateway| Side { gateway, out: Out::default(), compare: Compare::default() });
        Self {
            executor,
            sides,
            acts: Acts::with_room(),
            foreign: vec![0; names.len()],
            names,
            halted: false,
            told_clean: None,
            strange: Vec::with_capacity(STRANGE_MAX),
            standing: Vec::with_capacity(2 * PLANS_MAX),
            notes: Vec::with_capacity(4 * PLANS_MAX),
            room: true,
            purse: Purse::default(),
            adopts: false,
            merges: false,
            strays: Strays::default(),
        }
    }

    /// Differences that stay are not shown but settled: what the venues hold is taken for ours. On a person's word
    /// alone.
    pub fn adopt(&mut self) {
        self.adopts = true;
    }

    /// YES and NO that are held of one market on Polymarket are put together: somebody sends the transactions.
    pub fn merge(&mut self) {
        self.merges = true;
    }

    /// Goes on from what the journal says of the time before this start.
    pub fn restore(&mut self, restored: Restored, now: Nanos) {
        self.strays = Strays::new(&restored.strays);
        self.executor.restore(restored, now);
        self.note_standing();
    }

    /// Something of the detector's.
    pub fn ready(&mut self, ready: Ready, at: Arrival) {
        match ready {
            Ready::Halted { .. } => self.halt(at),
            Ready::Resumed => self.resume(at),
            Ready::Terms { market, ref terms } => {
                self.sides[self.names[market.0 as usize].0 as usize].gateway.terms(market, terms);
            }
            Ready::Settled { market, .. } => {
                // What was missing may be what has been paid out: that need not wait to be seen.
                let compare = &mut self.sides[self.names[market.0 as usize].0 as usize].compare;
                if compare.differs != 0 {
                    (compare.differs, compare.losses, compare.asked) = (0, 0, Nanos::ZERO);
                }
            }
            _ => {}
        }
        let before = self.acts.events.len();
        self.executor.ready(ready, at, &mut Doors(&mut self.sides), &mut self.acts);
        self.note_money(before, at);
    }

    /// What came of a call.
    pub fn answered(&mut self, venue: Venue, no: CallNo, answer: Answer<'_>, at: Arrival) {
        let side = &mut self.sides[venue as usize];
        side.gateway.answered(no, answer, at, &mut side.out);
        self.learn(venue, at);
    }

    /// The private stream's connection stands.
    pub fn opened(&mut self, venue: Venue, at: Arrival) {
        let side = &mut self.sides[venue as usize];
        side.gateway.opened(at, &mut side.out);
        self.learn(venue, at);
    }

    /// A text message of the private stream.
    pub fn text(&mut self, venue: Venue, bytes: &mut [u8], at: Arrival) {
        let side = &mut self.sides[venue as usize];
        side.gateway.text(bytes, at, &mut side.out);
        self.learn(venue, at);
    }

    /// A control frame of the private stream.
    pub fn alive(&mut self, venue: Venue, at: Arrival) {
        let side = &mut self.sides[venue as usize];
        side.gateway.alive(at, &mut side.out);
        self.learn(venue, at);
    }

    /// How many orders each venue's request budget allows now.
    pub fn orders_left(&mut self, now: Nanos) -> [u32; 2] {
        Venue::ALL.map(|venue| self.sides[venue as usize].gateway.orders_left(now))
    }

    /// Moves every plan on, and asks for what is to be known. Call after all that came was taken in, and a few hundred
    /// times a second.
    pub fn turn(&mut self, at: Arrival) {
        for venue in Venue::ALL {
            let side = &mut self.sides[venue as usize];
            side.gateway.timeout(at, &mut side.out);
            self.compare(venue, at);
            self.learn(venue, at);
        }
        let before = self.acts.events.len();
        self.executor.turn(at, &mut self.acts);
        self.note_money(before, at);
        self.executor.restock(at, &mut Doors(&mut self.sides));
        self.note_standing();
        for ask in self.acts.sends.drain(..) {
            let side = &mut self.sides[ask.venue as usize];
            side.gateway.send(ask.id, &mut side.out);
        }
        for About { ask, tag } in self.acts.cancels.drain(..) {
            let side = &mut self.sides[ask.venue as usize];
            side.gateway.cancel(&ask, tag, at, &mut side.out);
        }
        self.acts.looks.extend(self.strays.due(at.now));
        for About { ask, tag } in self.acts.looks.drain(..) {
            let side = &mut self.sides[ask.venue as usize];
            side.gateway.look(&ask, tag, at, &mut side.out);
        }
        if self.acts.words.iter().any(|word| matches!(word, Word::Halt { .. })) {
            self.halt(at);
        }
        self.tell_clean(at);
    }

    /// Calls that are to leave for a venue. Whoever takes them answers each, once.
    pub fn calls(&mut self, venue: Venue) -> impl Iterator<Item = Call> {
        self.sides[venue as usize].out.calls.drain(..)
    }

    /// Texts for a venue's private stream, and whether it is to be opened anew.
    pub fn stream(&mut self, venue: Venue) -> (Vec<String>, bool) {
        let out = &mut self.sides[venue as usize].out;
        (std::mem::take(&mut out.sends), std::mem::take(&mut out.lost))
    }

    /// Words for the detector and events for the keeper; to be emptied after every turn.
    pub fn acts(&mut self) -> &mut Acts {
        &mut self.acts
    }

    /// What venues said that this build does not know, secrets cut: for the log.
    pub fn strange(&mut self) -> impl Iterator<Item = (Venue, String)> {
        self.strange.drain(..)
    }

    /// What the guard has to know before any call leaves; to be emptied after every turn.
    pub fn notes(&mut self) -> &mut Vec<Note> {
        &mut self.notes
    }

    /// The executor.
    pub fn executor(&mut self) -> &mut Executor<S> {
        &mut self.executor
    }

    /// Is there room in the rings to detector and keeper? Without it nothing new is entered.
    pub fn set_room(&mut self, room: bool) {
        self.room = room;
    }

    /// Do both accounts agree with the journal?
    pub fn is_clean(&self) -> bool {
        self.sides.iter().all(|side| side.compare.agrees)
    }

    /// Brings up to date what the guard has to know of orders at Polymarket.
    fn note_standing(&mut self) {
        let Self { executor, standing, notes, .. } = self;
        let stands = |leg: &Leg| leg.ask.venue == Venue::Polymarket && !matches!(leg.state(), State::Done(_));
        standing.retain(|(order, tag)| {
            let still = executor.open().filter_map(|plan| plan.leg(*order)).any(stands);
            if !still {
                notes.push(Note::Over(*tag));
            }
            still
        });
        for leg in executor.open().flat_map(Plan::legs).filter(|leg| stands(leg)) {
            let Some(tag) = leg.tag() else { continue };
            if !standing.iter().any(|(order, _)| *order == leg.ask.id) {
                standing.push((leg.ask.id, tag));
                notes.push(Note::MayStand(tag));
            }
        }
    }

    /// Takes in what a gateway learnt.
    fn learn(&mut self, venue: Venue, at: Arrival) {
        let side = &mut self.sides[venue as usize];
        let (mut strangers, mut heard) = (false, std::mem::take(&mut side.out.heard));
        let before = self.acts.events.len();
        // Before what they are taken for.
        for said in side.out.said.drain(..) {
            self.executor.said(&said, at, &mut self.acts);
            let Said { order, status, words } = said;
            let words: String = words.chars().filter(|letter| !letter.is_control()).take(WORDS_SHOWN).collect();
            side.out.strange.push(format!("order {order} was answered with {status}, in words on no list: {words}"));
        }
        for report in heard.drain(..) {
            if let Some(stray) = self.strays.hear(&report) {
                strangers |= self.stray(venue, &stray, report.told, at);
            } else if !self.executor.heard(&report, at, &mut self.acts) {
                strangers = true;
                let order = match report.order {
                    Whose::Ours(order) => Some(order),
                    Whose::Named(_) => None,
                };
                let what = What::Stranger { venue, order, told: report.told };
                self.acts.events.push(Event { at: at.unix, what });
            }
        }
        self.note_money(before, at);
        let side = &mut self.sides[venue as usize];
        side.out.heard = heard;
        if std::mem::take(&mut side.out.missed) {
            self.executor.missed(venue);
        }
        let room = STRANGE_MAX - self.strange.len();
        self.strange.extend(side.out.strange.drain(..).take(room).map(|text| (venue, text)));
        if let Some(why) = side.out.halt.take() {
            if self.strange.len() < STRANGE_MAX {
                self.strange.push((venue, why.to_owned()));
            }
            // The venue's own switch for entries was thrown, by us or by its limit.
            self.executor.halt(Latch::Group, &mut self.acts);
        }
        if strangers {
            // Somebody else trades this account: nothing is entered before it was read again, every market of it.
            side.compare.agrees = false;
            side.compare.strangers = true;
            side.compare.asked = Nanos::ZERO;
        }
        if let Some(account) = side.out.account.take() {
            self.account(venue, account, at);
        }
    }

    /// Something is told of a ticket of an earlier start of which nothing else is on record. `true` if the venue has
    /// it.
    fn stray(&mut self, venue: Venue, stray: &About, told: Told, at: Arrival) -> bool {
        let (order, is_there) = (stray.ask.id, matches!(told, Told::Trade(_) | Told::Picture(_)));
        if matches!(told, Told::Absent { .. }) {
            self.strays.end(order);
            self.clear();
        } else if is_there && self.strays.show(order) {
            // What its plan was is gone, and with it what the other leg has. A person has to look.
            self.acts.events.push(Event { at: at.unix, what: What::Lost { venue, order, told } });
            self.executor.halt(Latch::Disagrees, &mut self.acts);
        }
        if let Told::Picture(Picture { open: true, .. }) = told {
            self.acts.cancels.push(*stray);
        }
        is_there
    }

    /// Once every ticket of earlier starts was asked for, the next start need not do so again.
    fn clear(&mut self) {
        if self.strays.are_over() {
            let epoch = self.executor.epoch();
            self.executor.clear(epoch, &mut self.acts);
        }
    }

    /// The process ends, and nothing that was signed will be sent any more: the next start need not ask for it.
    pub fn farewell(&mut self) {
        if self.strays.are_over() {
            let epoch = self.executor.epoch();
            self.executor.clear(epoch + 1, &mut self.acts);
        }
    }

    fn tell_clean(&mut self, at: Arrival) {
        // A plan that is in doubt since before this start keeps the pair to itself; it does not block the others.
        let clean = self.is_clean();
        self.executor.block(!clean || !self.room);
        if self.told_clean != Some(clean) {
            self.told_clean = Some(clean);
            self.acts.words.push(Word::Agrees { clean });
            self.acts.events.push(Event { at: at.unix, what: What::Agrees { clean } });
        }
    }

    fn resume(&mut self, at: Arrival) {
        self.halted = false;
        // Whoever lifts the latch has looked.
        if self.strays.rule() {
            self.clear();
        }
        for side in &mut self.sides {
            side.gateway.resume(at, &mut side.out);
        }
    }

    fn halt(&mut self, at: Arrival) {
        if !std::mem::replace(&mut self.halted, true) {
            for side in &mut self.sides {
                side.gateway.halt(at, &mut side.out);
            }
        }
    }
}
