//! `orion transfer`: cash from one of Kalshi's shards to another, through the running engine. Between venues Orion
//! moves nothing.

use clap::Args;

use super::{
    Done, Fault, Global,
    stops::{ModeArg, nobody, reach},
};
use crate::{
    unit::Money,
    watch::command::{Answer, Request},
};

#[derive(Args, Debug)]
pub struct TransferArgs {
    #[command(flatten)]
    of: ModeArg,
    /// The shard that gives.
    #[arg(long, value_name = "N")]
    from_shard: u8,
    /// The shard that gets.
    #[arg(long, value_name = "N")]
    to_shard: u8,
    /// Dollars, at most four decimals.
    #[arg(long, value_name = "DOLLARS", value_parser = amount)]
    amount: Money,
}

fn amount(text: &str) -> Result<Money, String> {
    let units = crate::unit::decimal(text.as_bytes(), 9, 4).filter(|units| *units != 0);
    let units = units.ok_or("an amount in dollars, above nothing, at most four decimals: 250 or 250.50")?;
    i64::try_from(units).map(|units| Money::micros(units * 100)).map_err(|e| e.to_string())
}

pub fn run(global: &Global, args: &TransferArgs) -> Done {
    let request = Request::Transfer { from: args.from_shard, to: args.to_shard, amount: args.amount.raw() };
    match reach(global, args.of, request)? {
        (None, folder) => Err(nobody(&folder)),
        (Some(Answer::Done { state }), _) => {
            say!("{state}");
            Ok(())
        }
        (Some(Answer::Refused { why }), _) => Err(Fault::Gate(format!("refused: {why}"))),
        (Some(_), _) => Err(Fault::Failed(anyhow::anyhow!("the engine answered another question"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_dollars_to_the_hundredth_of_a_cent() {
        assert_eq!(amount("250.5"), Ok(Money::micros(250_500_000)));
        for bad in ["0", "-1", "1.00001", "", "ten"] {
            assert!(amount(bad).is_err(), "{bad}");
        }
    }
}
