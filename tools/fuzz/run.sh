#!/bin/sh
# Runs every fuzz target for a minute, or for as many seconds as the first argument says; the second names one target.
# Seeds are the hand-written frames in seeds/; what the fuzzer learns stays in the target directory.
set -eu
cd "$(dirname "$0")"
seconds="${1:-60}"
all="kalshi_feed polymarket_feed frames kalshi_reports polymarket_reports kalshi_catalog polymarket_catalog config journal"
targets="${2:-$all}"
command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
# The sanitizer's flags are not stable yet; this lets a stable toolchain use them.
export RUSTC_BOOTSTRAP=1
corpus="${CARGO_TARGET_DIR:-target}/fuzz-corpus"
for target in $targets; do
    mkdir -p "$corpus/$target"
    echo "== $target, $seconds s"
    cargo fuzz run --fuzz-dir . "$target" "$corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
