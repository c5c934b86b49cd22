#!/usr/bin/env bash
# Runs the venues' published clients against `orion sim`: tools/interop/run.sh [ORION_BINARY]
#
# Without a binary cargo builds one. PYTHON names another interpreter than python3. From the network come only the
# packages in *.requirements.txt, by version and hash, from PyPI; the simulator listens on loopback. The exit status is
# the result.
set -euo pipefail

venues=(kalshi polymarket)
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ $# -gt 0 ]; then
    orion=$(realpath "$1")
else
    cd "$root"
    cargo build --locked
    orion=$(realpath "${CARGO_TARGET_DIR:-target}/debug/orion")
fi

work=$(mktemp -d)
sim=
finish() {
    if [ -n "$sim" ]; then kill "$sim" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap finish EXIT
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# One environment per venue: two clients need not agree about what they stand on.
environment() {
    "${PYTHON:-python3}" -m venv "$work/$1"
    # Kalshi's package says that it needs Python 3.13; nothing in it does, and a stable Debian has an older one.
    "$work/$1/bin/pip" install --quiet --ignore-requires-python --only-binary :all: --require-hashes \
        --requirement "$here/$1.requirements.txt"
}

# A folder and how much faster than the clock its world runs.
start() {
    # A log of its own: the one before has long said that it is ready.
    log=$work/sim-$1.log
    "$orion" sim --dir "$work/sim-$1" --seed 42 --speed "$2" --duration 5m >"$log" 2>&1 &
    sim=$!
    for _ in $(seq 200); do
        if grep -q '^next:' "$log"; then return; fi
        kill -0 "$sim" 2>/dev/null || break
        sleep 0.1
    done
    cat "$log" >&2
    echo "orion sim did not start" >&2
    return 1
}

stop() {
    local code=0
    kill -TERM "$sim"
    wait "$sim" || code=$?
    sim=
    if [ "$code" -ne 0 ]; then
        cat "$log" >&2
        echo "orion sim ended with $code" >&2
    fi
    return "$code"
}

failed=0
for venue in "${venues[@]}"; do
    echo "== $venue, $("${PYTHON:-python3}" --version)"
    environment "$venue"
    # At the clock's own speed prices stand still for long enough to compare two answers.
    start "$venue" 1
    "$work/$venue/bin/python" "$here/$venue.py" "$work/sim-$venue" || failed=1
    stop || failed=1
done

# Orion trades with the demo's key and wallet, and the clients read its orders back.
echo "== orion, read back"
start orion 20
"$orion" demo --sim "$work/sim-orion" --duration 40s --state-dir "$work/state" --json >"$work/demo.log" 2>&1 || {
    tail -n 20 "$work/demo.log" >&2
    failed=1
}
for venue in "${venues[@]}"; do
    "$work/$venue/bin/python" "$here/$venue.py" "$work/sim-orion" orion || failed=1
done
stop || failed=1
exit "$failed"
