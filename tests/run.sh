#!/usr/bin/env bash
# run.sh [CTEST ARGUMENT ...]: sets up, builds everything and runs the tests; "bash tests/run.sh -R loader" runs some.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash launch/setup.sh --tests
bash launch/build.sh
exec ctest --test-dir build --output-on-failure --no-tests=error --parallel 2 "$@"
