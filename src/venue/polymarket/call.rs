//! What is asked of the venue's contracts beside trading: splitting, merging and redeeming positions, and the approvals
//! before the first order (dossier 7.2 and 7.3). Calls, not transactions: [`super::relay`] signs and wraps them.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use alloy_sol_types::SolCall;

use super::catalog::Version;
use super::contract;
use crate::unit::{Outcome, Qty};

/// As the contracts declare them.
mod typed {
    alloy_sol_types::sol! {
        function splitPosition(address collateral, bytes32 parent, bytes32 condition, uint256[] partition, uint256 amount);
        function mergePositions(address collateral, bytes32 parent, bytes32 condition, uint256[] partition, uint256 amount);
        function redeemPositions(address collateral, bytes32 parent, bytes32 condition, uint256[] indexSets);
        function split(bytes31 condition, uint256 amount);
        function merge(bytes31 condition, uint256 amount);
        function redeem(bytes31 condition, uint256 outcome, uint256 amount);
        function approve(address spender, uint256 amount);
        function setApprovalForAll(address operator, bool approved);
    }
}

/// The CTF numbers sets of outcomes by bits: YES is 1, NO is 2.
const BOTH: [U256; 2] = [U256::from_limbs([1, 0, 0, 0]), U256::from_limbs([2, 0, 0, 0])];

/// One call of a contract. None of ours sends POL along.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    pub(super) target: Address,
    pub(super) data: Vec<u8>,
}

impl Call {
    fn new(target: Address, call: &impl SolCall) -> Self {
        Self { target, data: call.abi_encode() }
    }

    /// The contract that is called, with the capitals of its checksum.
    #[must_use]
    pub fn target(&self) -> String {
        self.target.to_checksum(None)
    }

    /// The selector and the arguments.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

/// A market as its contracts know it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Condition(Kind);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Kind {
    /// `v1`, through the adapter that turns its tokens into pUSD.
    Ctf { adapter: Address, condition: B256 },
    /// `v2`, through the router.
    Routed { condition: FixedBytes<31> },
}

impl Condition {
    /// A market's condition from its 32 bytes. `None` for one of `v2` whose last byte, which only fills it up, is not
    /// zero.
    #[must_use]
    pub fn new(version: Version, neg_risk: bool, condition: [u8; 32]) -> Option<Self> {
        let ctf = |adapter| Kind::Ctf { adapter, condition: condition.into() };
        match (version, neg_risk) {
            (Version::V1, false) => Some(Self(ctf(contract::COLLATERAL_ADAPTER))),
            (Version::V1, true) => Some(Self(ctf(contract::NEG_RISK_COLLATERAL_ADAPTER))),
            (Version::V2, _) => match condition {
                [id @ .., 0] => Some(Self(Kind::Routed { condition: id.into() })),
                _ => None,
            },
        }
    }

    /// A dollar each → a YES and a NO each.
    #[must_use]
    pub fn split(&self, amount: Qty) -> Call {
        let amount = U256::from(amount.micros());
        match self.0 {
            Kind::Ctf { adapter, condition } => Call::new(
                adapter,
                &typed::splitPositionCall {
                    collateral: contract::PUSD,
                    parent: B256::ZERO,
                    condition,
                    partition: BOTH.into(),
                    amount,
                },
            ),
            Kind::Routed { condition } => Call::new(contract::ROUTER, &typed::splitCall { condition, amount }),
        }
    }

    /// A YES and a NO each → a dollar each.
    #[must_use]
    pub fn merge(&self, amount: Qty) -> Call {
        let amount = U256::from(amount.micros());
        match self.0 {
            Kind::Ctf { adapter, condition } => Call::new(
                adapter,
                &typed::mergePositionsCall {
                    collateral: contract::PUSD,
                    parent: B256::ZERO,
                    condition,
                    partition: BOTH.into(),
                    amount,
                },
            ),
            Kind::Routed { condition } => Call::new(contract::ROUTER, &typed::mergeCall { condition, amount }),
        }
    }

    /// Turns tokens of a resolved market into what they pay. A `v1` market knows no outcome and no amount here: it
    /// redeems **all** of both outcomes, so one call is enough.
    #[must_use]
    pub fn redeem(&self, outcome: Outcome, amount: Qty) -> Call {
        match self.0 {
            Kind::Ctf { adapter, condition } => Call::new(
                adapter,
                &typed::redeemPositionsCall {
                    collateral: contract::PUSD,
                    parent: B256::ZERO,
                    condition,
                    indexSets: BOTH.into(),
                },
            ),
            Kind::Routed { condition } => {
                let outcome = match outcome {
                    Outcome::Yes => U256::ZERO,
                    Outcome::No => U256::ONE,
                };
                let amount = U256::from(amount.micros());
                Call::new(contract::ROUTER, &typed::redeemCall { condition, outcome, amount })
            }
        }
    }
}

/// Everything that has to be approved before the first order, for both protocols.
#[must_use]
pub fn approvals() -> Vec<Call> {
    let spenders = [
        contract::EXCHANGE_V2,
        contract::NEG_RISK_EXCHANGE_V2,
        contract::COLLATERAL_ADAPTER,
        contract::NEG_RISK_COLLATERAL_ADAPTER,
        contract::ROUTER,
        contract::EXCHANGE_V3,
    ];
    let conditional = [
        contract::EXCHANGE_V2,
        contract::NEG_RISK_EXCHANGE_V2,
        contract::COLLATERAL_ADAPTER,
        contract::NEG_RISK_COLLATERAL_ADAPTER,
        contract::AUTO_REDEEMER,
        contract::BINARY_MODULE,
        contract::NEG_RISK_MODULE,
    ];
    let positions = [contract::ROUTER, contract::EXCHANGE_V3, contract::AUTO_REDEEMER];
    let approve = |spender| Call::new(contract::PUSD, &typed::approveCall { spender, amount: U256::MAX });
    let operate = |token| move |operator| Call::new(token, &typed::setApprovalForAllCall { operator, approved: true });
    (spenders.into_iter().map(approve))
        .chain(conditional.into_iter().map(operate(contract::CONDITIONAL_TOKENS)))
        .chain(positions.into_iter().map(operate(contract::POSITION_MANAGER)))
        .collect()
}
