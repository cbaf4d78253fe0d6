#!/usr/bin/env bash
# From a fresh clone on Debian 12 to an exported winner: installs packages,
# builds, fetches SmolLM2-135M and texts, searches bitwidths at an average of
# 3 bits per weight, prints the result and where the export lies. Nothing
# stays running. Run again, it does only what is missing; interrupted with
# Ctrl-C, it goes on where it was.
#
#   deploy/quickstart.sh [--races N] [--strategy NAME] [more search flags]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

step() { printf '\n== %s\n' "$*"; }

step "1/4 packages"
deploy/setup.sh
step "2/4 build (about 10 minutes on 2 cores the first time)"
cmake --preset release -DBUILD_TESTING=ON >.cmake-configure.log 2>&1 || {
  cat .cmake-configure.log >&2
  exit 1
}
rm -f .cmake-configure.log
cmake --build --preset release --target \
  evopress evopressd evopress-worker evopress-evaluator-cpu
step "3/4 model and texts"
deploy/fetch.sh
step "4/4 search: SmolLM2-135M to 3 bits per weight on average"
out=$root/.cache/quickstart
# Sized for the strategy that runs by default; another brings its own.
sized=(--races 4 --tokens 512,1024,4096 --decision-tokens 4096)
case " $* " in *" --strategy"*) sized=() ;; esac
exec build/release/client/evopress search \
  .cache/model/SmolLM2-135M-Instruct.Q4_1.gguf \
  --text .cache/text/c4.utf8 \
  --held-out wiki=.cache/text/wiki.utf8 \
  --held-out code=.cache/text/code.utf8 \
  --held-out-tokens 8192 --statistics-tokens 32768 \
  --menu gptq:2-6:g64:actorder:search --target-bits 3 \
  --sequence-length 512 ${sized[@]+"${sized[@]}"} \
  --seed 1 --data .cache/evopress --out "$out" --force "$@"
