#!/usr/bin/env bash
# Builds the fuzzers (tests/fuzz/) and runs each one; prints how often it ran.
# Exit status 1 if one found something: the input is kept in
# .cache/fuzz/found/ and goes, once the fault is mended, to tests/fuzz/corpus/.
#
#   tests/fuzz.sh                    all of them, 10 seconds each
#   tests/fuzz.sh --seconds 600      longer
#   tests/fuzz.sh gguf rpc           these
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

seconds=10
names=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "fuzz.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
    *) names+=("$1"); shift ;;
  esac
done

deploy/setup.sh >&2
deploy/setup.sh tests/fuzz/packages.txt >&2
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzzers >&2

corpus=.cache/fuzz/corpus
found=.cache/fuzz/found
mkdir -p "$found"
build/fuzz/tests/fuzz/fuzz_make_seeds "$corpus"
if [ ${#names[@]} -eq 0 ]; then
  mapfile -t names < <(ls "$corpus")
fi
failed=0
for name in "${names[@]}"; do
  binary=build/fuzz/tests/fuzz/fuzz_$name
  [ -x "$binary" ] || { echo "fuzz.sh: no fuzzer $name" >&2; exit 2; }
  kept=tests/fuzz/corpus/$name
  log=.cache/fuzz/$name.log
  # What was found once is tried first, every time. Leaks are looked for at the
  # end of a run, where that is possible (not under ptrace).
  if "$binary" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2500 \
      -artifact_prefix="$found/$name-" "$corpus/$name" \
      $([ -d "$kept" ] && echo "$kept") >"$log" 2>&1; then
    printf '%-18s ok       %s executions, %s inputs cover what was reached\n' \
      "$name" "$(awk '/^Done/ {print $2}' "$log")" \
      "$(find "$corpus/$name" -type f | wc -l)"
  else
    failed=1
    printf '%-18s FOUND    see %s and %s\n' "$name" "$log" "$found"
    grep -m1 -E 'ERROR:|runtime error|does not start' "$log" || tail -3 "$log"
  fi
done
exit $failed
