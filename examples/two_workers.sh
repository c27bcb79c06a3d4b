#!/usr/bin/env bash
# Two processes on this machine train one run together, as two machines would.
#
#   bash examples/two_workers.sh --flagfile=quickstart.cfg
#
# TensorFlow listens at these ports on all interfaces, whatever the addresses say; see SECURITY.md.
#
# The workers' output is in runs/two_workers-<number>.log; worker 0, the chief, is shown.
set -euo pipefail

mkdir -p runs
workers='"127.0.0.1:23451", "127.0.0.1:23452"'
command=(python -m keras_aae.launch --strategy=multiworker --run_dir=runs/two_workers "$@")

start() {
  TF_CONFIG="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $1}}" exec "${command[@]}"
}

start 1 >runs/two_workers-1.log 2>&1 &
other=$!
# In the background it doesn't hear Ctrl-C, and while it waits for the chief no SIGTERM; it has nothing to lose.
trap 'kill -KILL $other 2>/dev/null || true' EXIT
start 0 2>&1 | tee runs/two_workers-0.log
wait $other
