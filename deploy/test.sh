#!/usr/bin/env bash
# All set-up and all tests, from a fresh clone on Debian 12: packages, format
# check, a build with warnings as errors, the real model and texts, ctest.
# Long promises are in tests/show.sh. Safe to run again.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

step() { printf '\n== %s\n' "$*"; }

step "1/6 packages"
deploy/setup.sh
deploy/setup.sh tests/packages.txt
step "2/6 format"
git ls-files '*.cc' '*.h' | xargs clang-format --dry-run --Werror
echo "format: ok"
step "3/6 build"
cmake --preset release -DBUILD_TESTING=ON -DEVOPRESS_WERROR=ON >/dev/null
cmake --build --preset release
step "4/6 model and texts"
deploy/fetch.sh
step "5/6 fuzzers, briefly"
tests/fuzz.sh --seconds 5
step "6/6 tests"
export EVOPRESS_TEST_MODEL=$root/.cache/model/SmolLM2-135M-Instruct.Q4_1.gguf
export EVOPRESS_TEST_TEXT=$root/.cache/text
ctest --preset release --timeout 300
