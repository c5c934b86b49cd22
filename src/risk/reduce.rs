//! Orders that close an excess, or sell what is held. They are legal when halted, because they never raise what can be
//! lost.

use crate::unit::{Money, Price, Qty};

/// Proof that an order does not raise the worst-case exposure. The fields are private, so [`reduce`] and [`leave`] are
/// the only ways in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reducing {
    qty: Qty,
    limit: Price,
}

impl Reducing {
    /// How much may be sent.
    pub const fn qty(&self) -> Qty {
        self.qty
    }

    /// The worst price per contract of the outcome that is traded.
    pub const fn limit(&self) -> Price {
        self.limit
    }
}

/// Why an order would not reduce.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Raises {
    #[error("nothing stands alone on one leg")]
    NothingNaked,
    #[error("{qty} is more than the {excess} that stands alone")]
    TooMuch { qty: Qty, excess: Qty },
    #[error("selling {qty} needs as much that is final; {held} is")]
    NotHeld { qty: Qty, held: Qty },
    #[error("it would pay a whole dollar or more for what pays one")]
    NoGain,
}

/// Checks an order of `qty` against the excess that it is to close. Both ways reduce: a contract bought on the other
/// leg turns a position that may lose its cost into one that pays a dollar, as long as it costs less than that dollar
/// with its fee; a contract sold is gone. `sells` carries what is final and can be sold.
pub fn reduce(
    excess: Qty,
    qty: Qty,
    limit: Price,
    fee_per_contract: Money,
    sells: Option<Qty>,
) -> Result<Reducing, Raises> {
    if excess.is_zero() || qty.is_zero() {
        return Err(Raises::NothingNaked);
    }
    if excess < qty {
        return Err(Raises::TooMuch { qty, excess });
    }
    match sells {
        Some(held) if held < qty => return Err(Raises::NotHeld { qty, held }),
        None if Money::dollars(1) <= limit.cost(Qty::whole(1)) + fee_per_contract => return Err(Raises::NoGain),
        _ => {}
    }
    Ok(Reducing { qty, limit })
}

/// What of a market is to be sold, and how much of it is held for good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sale {
    pub limit: Price,
    pub held: Qty,
}

/// Checks the sale of `qty` of every leg given: both of a held pair, or one that stands alone. Each is of what is held
/// and final, and both are equal, so that nothing stands alone that did not before; what is sold can lose nothing any
/// more.
pub fn leave(qty: Qty, sales: [Option<Sale>; 2]) -> Result<[Option<Reducing>; 2], Raises> {
    if qty.is_zero() {
        return Err(Raises::NothingNaked);
    }
    for Sale { held, .. } in sales.into_iter().flatten() {
        if held < qty {
            return Err(Raises::NotHeld { qty, held });
        }
    }
    Ok(sales.map(|sale| sale.map(|Sale { limit, .. }| Reducing { qty, limit })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_alone_may_be_closed_and_only_for_less_than_it_pays() {
        let price = |raw| Price::new(raw).unwrap();
        let (ten, fee) = (Qty::whole(10), Money::micros(10_000));
        assert!(reduce(ten, ten, price(9_000), fee, None).is_ok());
        assert!(reduce(ten, Qty::whole(4), price(9_990), fee, Some(ten)).is_ok(), "a sale at any price reduces");
        assert_eq!(reduce(Qty::ZERO, ten, price(1), fee, None), Err(Raises::NothingNaked));
        assert_eq!(reduce(ten, Qty::ZERO, price(1), fee, None), Err(Raises::NothingNaked));
        let eleven = Qty::whole(11);
        assert_eq!(reduce(ten, eleven, price(1), fee, None), Err(Raises::TooMuch { qty: eleven, excess: ten }));
        assert_eq!(
            reduce(ten, ten, price(1), fee, Some(Qty::ZERO)),
            Err(Raises::NotHeld { qty: ten, held: Qty::ZERO })
        );
        assert_eq!(reduce(ten, ten, price(9_900), fee, None), Err(Raises::NoGain));
    }

    #[test]
    fn a_pair_is_left_with_equal_shares_of_what_both_legs_hold_for_good() {
        let (ten, nine) = (Qty::whole(10), Qty::whole(9));
        let sale = |held| Some(Sale { limit: Price::new(5_000).unwrap(), held });
        let proof = leave(ten, [sale(ten), sale(Qty::whole(11))]).unwrap();
        assert!(proof.iter().flatten().all(|sold| sold.qty() == ten && sold.limit().raw() == 5_000));
        assert_eq!(proof.iter().flatten().count(), 2);
        assert_eq!(leave(ten, [sale(ten), sale(nine)]), Err(Raises::NotHeld { qty: ten, held: nine }));
        assert_eq!(leave(ten, [sale(nine), sale(ten)]), Err(Raises::NotHeld { qty: ten, held: nine }));
        assert!(leave(nine, [None, sale(nine)]).unwrap()[0].is_none(), "one leg that stands alone");
        assert_eq!(leave(Qty::ZERO, [sale(ten), sale(ten)]), Err(Raises::NothingNaked));
    }
}
