#!/usr/bin/env bash
# Tests the dashboard of BINARY in Chromium: tools/browser/run.sh BINARY
#
# BROWSER_PICTURES=FOLDER keeps pictures of every tab there; DASHBOARD_PICTURE=FILE writes the README's.
# Needs Node (20.19 or newer), npm, and Chromium (Debian's package; or CHROMIUM=PATH). Fonts decide how pictures look,
# not whether tests pass.
set -euo pipefail

binary=$(realpath "${1:?usage: tools/browser/run.sh BINARY}")
cd "$(dirname "$0")"
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$CHROMIUM" ]; then
    echo "no Chromium at $CHROMIUM: apt-get install -y --no-install-recommends chromium" >&2
    exit 1
fi
npm ci --ignore-scripts --no-audit --no-fund --silent
node --test unit/
ORION_BINARY=$binary node --test --test-timeout 900000 dashboard.test.mjs
