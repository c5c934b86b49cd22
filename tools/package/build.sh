#!/usr/bin/env bash
# The Debian package, from a clone: tools/package/build.sh
#
# Needs what a build needs, and cargo-deb (`cargo install cargo-deb --locked`). The package lies in target/debian/.
set -euo pipefail

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked
# What the package holds beside the binary. cargo-deb looks for assets in `target`, wherever that really is.
mkdir -p target/package
orion=$target/release/orion
"$orion" man >target/package/orion.1
"$orion" completions bash >target/package/orion.bash
"$orion" completions zsh >target/package/_orion
"$orion" completions fish >target/package/orion.fish
# As a service it finds the pair book beside its settings.
sed 's|^file = "config/pairs.toml"$|file = "/etc/orion/pairs.toml"|' config/orion.toml >target/package/orion.toml
grep -q '^file = "/etc/orion/pairs.toml"$' target/package/orion.toml
"$orion" --config target/package/orion.toml --state-dir target/package/state config check >/dev/null
cargo deb --no-build --locked
