//! Kalshi's frames as values: the envelope, a grid, a signed quantity, a payout.

use crate::{
    unit::{Grid, Money, Qty, decimal},
    wire::json::{Item, Malformed, Slot},
};

/// What one frame says, before it touches any state.
#[derive(Clone, Copy)]
pub(super) struct Envelope<'t, 'b> {
    pub(super) kind: &'b str,
    pub(super) id: Option<u64>,
    pub(super) sid: Option<u64>,
    pub(super) seq: Option<u64>,
    pub(super) msg: Slot<'t, 'b>,
    pub(super) unknown_field: bool,
}

pub(super) fn envelope<'t, 'b>(root: Item<'t, 'b>) -> Result<Envelope<'t, 'b>, Malformed> {
    let mut kind = Slot::new("type");
    let mut id = Slot::new("id");
    let mut sid = Slot::new("sid");
    let mut seq = Slot::new("seq");
    let mut msg = Slot::new("msg");
    let mut unknown_field = false;
    for (key, value) in root.members()? {
        match key {
            "type" => kind.fill(value)?,
            "id" => id.fill(value)?,
            "sid" => sid.fill(value)?,
            "seq" => seq.fill(value)?,
            "msg" => msg.fill(value)?,
            "sending_ts_ms" => {}
            _ => unknown_field = true,
        }
    }
    Ok(Envelope {
        kind: kind.text()?,
        id: id.number_if_any()?,
        sid: sid.number_if_any()?,
        seq: seq.number_if_any()?,
        msg,
        unknown_field,
    })
}

pub(super) fn read_grid(ranges: Item<'_, '_>) -> Result<Option<Grid>, Malformed> {
    let mut bands = [("", "", ""); Grid::BANDS_MAX];
    let mut len = 0;
    for range in ranges.elements()? {
        let (mut start, mut end, mut step) = (Slot::new("start"), Slot::new("end"), Slot::new("step"));
        for (key, item) in range.members()? {
            match key {
                "start" => start.fill(item)?,
                "end" => end.fill(item)?,
                "step" => step.fill(item)?,
                _ => {}
            }
        }
        let Some(band) = bands.get_mut(len) else { return Ok(None) };
        *band = (start.text()?, end.text()?, step.text()?);
        len += 1;
    }
    Ok(super::grid(bands[..len].iter().copied()))
}

/// A signed quantity: `-12.50`.
pub(super) fn signed(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    Qty::parse(digits.as_bytes()).map(|qty| sign * qty.micros() as i64)
}

/// A settlement value in dollars per YES contract, 0 to 1.
pub(super) fn payout(text: &str) -> Option<Money> {
    let micros = decimal(text.as_bytes(), 1, 6)?;
    (micros <= 1_000_000).then(|| Money::micros(micros as i64))
}
