//! What each part is given of the configuration.

use super::{detect::LeaveSetup, ring::Idle};
use crate::{
    book::Fitness,
    config::{self, Config},
    decide::Rules,
    order::plan,
    risk::{Limits, budget::Shares},
    spread::Rate,
    unit::{Money, Nanos},
};

/// The rules of the decision stage from the configuration.
pub fn rules(config: &Config) -> Rules {
    let trading = &config.trading;
    Rules {
        threshold: Rate::of_micros(trading.threshold_spread),
        threshold_net: trading.threshold_basis == config::Basis::Net,
        slippage: u16::try_from(trading.slippage_tolerance / 100).unwrap_or(u16::MAX),
        depth_min: trading.target_liquidity_depth,
        trade_min: trading.min_trade_size,
        naked_qty_max: config.risk.naked_qty_max,
        yield_min_ppm: i64::from(trading.min_annualized_yield_ppm),
        lock_max_ms: trading.max_days_to_settle.map(|days| u64::from(days) * 86_400_000),
        edge_max: Rate::of_micros(config.risk.max_edge),
        kelly_ppm: trading.kelly_fraction_ppm,
        before_close_ms: trading.stop_before_close_ms,
        before_game_ms: trading.stop_before_game_ms,
        fitness: Fitness {
            lag_max: config.risk.max_feed_age,
            // One look may fail and be tried again before the book counts as stale.
            quiet_max: Nanos::new(config.feed.quiet_look.raw() * 5 / 2),
        },
    }
}

/// The limits of the risk stage from the configuration.
pub fn limits(config: &Config) -> Limits {
    Limits {
        positions_max: config.risk.max_open_positions as usize,
        orders_per_second: config.risk.max_orders_per_second,
        cooldown: config.trading.cooldown,
        auto_execute: config.trading.auto_execute,
        armed: true,
        ramp: None,
    }
}

/// When what is held is sold before it settles; of this start alone.
pub fn leaving(config: &Config) -> LeaveSetup {
    LeaveSetup {
        gain_min: Rate::of_micros(config.trading.exit_min_gain),
        loss_max: config.risk.max_flatten_loss,
        begun: None,
        open: Vec::new(),
    }
}

/// What closing one leg that stands alone may cost, and how long it may take.
pub fn closing(config: &Config) -> plan::Budget {
    plan::Budget { loss_max: config.risk.max_naked_loss, time_max: config.risk.max_naked }
}

/// What each venue is given of the bankroll.
pub fn allocation(config: &Config) -> [Money; 2] {
    let all = config.capital.initial_bankroll;
    [all.share(config.capital.kalshi_allocation_ppm), all.share(config.capital.polymarket_allocation_ppm)]
}

/// Shares of the bankroll from the configuration.
pub fn shares(config: &Config) -> Shares {
    Shares {
        trade_ppm: config.trading.max_trade_size_ppm,
        event_ppm: config.risk.max_exposure_per_event_ppm,
        reserve_ppm: config.capital.reserve_ppm,
        daily_loss_ppm: config.risk.max_daily_loss_ppm,
        drawdown_ppm: config.risk.max_drawdown_ppm,
    }
}

/// How hot threads idle: as configured, or by what the host can spare.
pub fn idle(config: &Config, hot: usize) -> Idle {
    match config.engine.idle {
        config::Idle::Spin => Idle::Spin,
        config::Idle::Yield => Idle::Yield,
        config::Idle::Park => Idle::Park,
        config::Idle::Auto => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            // One core is left to the cold threads.
            if hot < cores { Idle::Spin } else { Idle::Park }
        }
    }
}
