#!/bin/sh
# Interrupts `sentinel profile` at 20 (or $1) random moments: every file must be whole each time, and
# --resume must complete the run. From the repository's root, after building e2e_tests.
set -eu
cd "$(dirname "$0")/.."
SENTINEL_INTERRUPTS="${1:-20}" exec "${BUILD:-build/release}/e2e_tests" --gtest_filter='Interrupt.*'
