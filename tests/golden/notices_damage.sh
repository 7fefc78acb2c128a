#!/bin/sh
# Proves that sdxl-golden can fail: one changed value gives status 1, a file that is not a golden file status 2.
#   notices_damage.sh PROGRAM DATA-FOLDER
set -eu
program=$1
data=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

expect() { # STATUS ARGUMENTS...
    expected=$1
    shift
    status=0
    "$program" "$@" >"$work/out" 2>&1 || status=$?
    [ "$status" -eq "$expected" ] || { echo "sdxl-golden $*: status $status, expected $expected"; exit 1; }
}

sed 's/1\.5409960746765137/1.5410160746765137/' "$data/rng.json" >"$work/rng.json"
expect 1 rng "$work/rng.json"
sed 's/4\.116697788238525/4.1168/' "$data/schedulers.json" >"$work/schedulers.json"
expect 1 schedulers "$work/schedulers.json"
echo '{"cases": []}' >"$work/empty.json"
expect 1 schedulers "$work/empty.json"
echo '{"cases": [{"scheduler": "FancyScheduler", "config": {}, "steps": 4}]}' >"$work/other.json"
expect 1 schedulers "$work/other.json"
echo '{"cases": [{"scheduler": 1}]}' >"$work/malformed.json"
expect 2 schedulers "$work/malformed.json"
echo 'not json' >"$work/text.json"
expect 2 rng "$work/text.json"
expect 2 rng "$work/absent.json"
expect 2 nonsense "$work/absent.json"
