//! What may go wrong with one request, or with one frame of the private stream: a plan, listed or drawn from a seed.

use fastrand::Rng;

use crate::unit::UnixMs;

/// What a request is to the plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Create,
    Cancel,
    /// Any other write.
    Change,
    Read,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OrderFault {
    /// The request never arrives; the connection ends without an answer.
    RequestLost,
    /// The connection ends without an answer, and the request arrives this many milliseconds later, as it was signed.
    RequestLate(u64),
    /// The request is carried out and its answer never leaves.
    AnswerLost,
    /// The request is carried out; the connection ends after this many bytes of the answer.
    AnswerCut(usize),
    /// The request is carried out and a gateway answers with this status.
    ErrorAfter(u16),
    /// The request is not carried out, and this status answers.
    ErrorBefore(u16),
    /// The request is carried out and answered this many milliseconds late.
    AnswerLate(u64),
    /// A page of HTML with status 200; nothing is carried out.
    Html,
    /// The request is carried out and a page of HTML with status 200 answers.
    HtmlAfter,
    /// 429 in the limiter's words; nothing is carried out.
    TooMany,
    Unauthorized,
    Forbidden,
    /// Status 400 with this code; nothing is carried out.
    Refused(&'static str),
    /// A listing ends a page early and says that it is complete.
    PageMissing,
    /// The frame comes twice.
    FrameTwice,
    /// The frame never comes.
    FrameLost,
    /// The frame comes this many milliseconds late.
    FrameLate(u64),
    /// Every private stream of the account ends with a reset.
    StreamsDropped,
    /// A shard refuses order writes, cancels included, for this many milliseconds.
    ExchangePaused {
        shard: u8,
        ms: u64,
    },
    /// A shard takes cancels only, for this many milliseconds.
    TradingPaused {
        shard: u8,
        ms: u64,
    },
    /// The market of the request pauses before it is carried out, and reopens after this many milliseconds.
    MarketPaused(u64),
}

/// When. Numbers count from 1, each in its own series: all private requests, those of a kind, `fill` frames.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    Request(u64),
    RequestFrom(u64),
    OfKind(Kind, u64),
    OfKindFrom(Kind, u64),
    FillFrame(u64),
    FillFrameFrom(u64),
    /// The first request at or after this time.
    At(UnixMs),
}

/// The plan.
#[derive(Clone, Debug, Default)]
pub struct OrderPlan {
    listed: Vec<(When, OrderFault)>,
    /// A generator, and how many requests (or frames) of a thousand something befalls.
    drawn: Option<(Rng, u32)>,
    requests: u64,
    kinds: [u64; 4],
    frames: u64,
    happened: Vec<OrderFault>,
}

impl OrderPlan {
    /// Exactly these.
    pub fn listed(faults: Vec<(When, OrderFault)>) -> Self {
        Self { listed: faults, ..Self::default() }
    }

    /// Something befalls `per_mille` of the requests and of the fill frames.
    pub fn drawn(seed: u64, per_mille: u32) -> Self {
        Self { drawn: Some((Rng::with_seed(seed ^ 0x0fa1_7000), per_mille)), ..Self::default() }
    }

    /// Adds one more.
    pub fn add(&mut self, when: When, fault: OrderFault) {
        self.listed.push((when, fault));
    }

    /// What happened so far, in order.
    pub fn happened(&self) -> &[OrderFault] {
        &self.happened
    }

    /// What befalls the request that has just come in.
    pub fn request(&mut self, kind: Kind, now: UnixMs) -> Vec<OrderFault> {
        self.requests += 1;
        self.kinds[kind as usize] += 1;
        let (request, of_kind) = (self.requests, self.kinds[kind as usize]);
        let mut faults = Vec::new();
        self.listed.retain(|&(when, fault)| {
            let (meets, once) = match when {
                When::Request(number) => (number == request, true),
                When::RequestFrom(number) => (number <= request, false),
                When::OfKind(of, number) => (of == kind && number == of_kind, true),
                When::OfKindFrom(of, number) => (of == kind && number <= of_kind, false),
                When::At(at) => (at <= now, true),
                When::FillFrame(_) | When::FillFrameFrom(_) => (false, true),
            };
            if meets {
                faults.push(fault);
            }
            !(meets && once)
        });
        if let Some((rng, per_mille)) = &mut self.drawn
            && rng.u32(0..1_000) < *per_mille
        {
            faults.push(draw(rng, kind));
        }
        self.happened.extend(&faults);
        faults
    }

    /// What befalls the `fill` frame that is about to leave.
    pub fn fill_frame(&mut self) -> Vec<OrderFault> {
        self.frames += 1;
        let mut faults: Vec<OrderFault> = self
            .listed
            .iter()
            .filter(|(when, _)| match when {
                When::FillFrame(number) => *number == self.frames,
                When::FillFrameFrom(number) => *number <= self.frames,
                _ => false,
            })
            .map(|&(_, fault)| fault)
            .collect();
        if let Some((rng, per_mille)) = &mut self.drawn
            && rng.u32(0..1_000) < *per_mille
        {
            faults.push(match rng.u8(0..3) {
                0 => OrderFault::FrameTwice,
                1 => OrderFault::FrameLost,
                _ => OrderFault::FrameLate(rng.u64(50..20_000)),
            });
        }
        self.happened.extend(&faults);
        faults
    }
}

fn draw(rng: &mut Rng, kind: Kind) -> OrderFault {
    let of_reads = [
        OrderFault::PageMissing,
        OrderFault::ErrorBefore(502),
        OrderFault::Html,
        OrderFault::TooMany,
        OrderFault::AnswerLate(rng.u64(50..5_000)),
    ];
    let of_writes = [
        OrderFault::RequestLost,
        OrderFault::RequestLate(rng.u64(50..20_000)),
        OrderFault::AnswerLost,
        OrderFault::AnswerCut(rng.usize(0..300)),
        OrderFault::ErrorAfter([500, 502, 503, 504][rng.usize(0..4)]),
        OrderFault::ErrorBefore([500, 502, 503, 504][rng.usize(0..4)]),
        OrderFault::AnswerLate(rng.u64(50..20_000)),
        OrderFault::Html,
        OrderFault::HtmlAfter,
        OrderFault::TooMany,
        OrderFault::Unauthorized,
        OrderFault::Forbidden,
        OrderFault::Refused(["insufficient_balance", "invalid_price", "market_inactive"][rng.usize(0..3)]),
        OrderFault::StreamsDropped,
        OrderFault::ExchangePaused { shard: rng.u8(0..4), ms: rng.u64(100..5_000) },
        OrderFault::TradingPaused { shard: rng.u8(0..4), ms: rng.u64(100..5_000) },
        OrderFault::MarketPaused(rng.u64(100..5_000)),
    ];
    if kind == Kind::Read { of_reads[rng.usize(0..of_reads.len())] } else { of_writes[rng.usize(0..of_writes.len())] }
}
