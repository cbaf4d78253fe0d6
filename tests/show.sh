#!/usr/bin/env bash
# Runs every promise of an area and prints a line each: "ok" or "FALLS SHORT",
# the measured figure beside the asked one, and the promise. Exit status 1 if
# one falls short; none is skipped in silence.
#
#   tests/show.sh main                       all promises of the main job
#   tests/show.sh main --only 6              just the sixth
#   tests/show.sh service                    a service that never loses anything;
#                                            needs root (network namespaces, tmpfs, Slurm)
#   tests/show.sh main --model M --text T --seed S
#                                            the same promises on other data
# M: a GGUF file or Hugging Face folder. T: a folder of *.utf8 or *.txt files
# (c4, wiki and code are used by name where there are such files), or one file.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
venv=$root/.cache/venv

deploy/setup.sh >&2
deploy/setup.sh tests/show/packages.txt >&2
deploy/fetch.sh >&2
cmake --preset release -DBUILD_TESTING=ON >/dev/null
cmake --build --preset release >&2
# The peers that reference values come from.
if ! "$venv/bin/python" -c 'import torch, transformers, gguf, matplotlib, kubernetes_validate' 2>/dev/null; then
  echo "peers: installing torch, transformers and others from PyPI into .cache/venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check \
    -r tests/show/requirements.txt >&2
fi
exec "$venv/bin/python" -m tests.show "$@"
