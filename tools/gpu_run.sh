#!/usr/bin/env bash
# What runs on the machine with the GPU: install the wheels of the pack beside its Python, then run bench/gpu.py. Models
# stay in WORK, so that another call on the same machine can repeat parts that need them.
#
#   tools/gpu_run.sh [OPTION…]    options of bench/gpu.py; PACK and PYTHON may name another pack and another Python
set -euo pipefail
cd "$(dirname "$0")/.."
pack=${PACK:-.gpu} python=${PYTHON:-python3}
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
"$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --no-cache-dir \
    --target "$site" "$pack"/wheels/*.whl
export PYTHONPATH="$site" PYTHONUNBUFFERED=1
"$python" bench/gpu.py --work "${WORK:-${TMPDIR:-/tmp}/rcl-gpu}" --pack "$pack" --out "${OUT:-gpu-results}" "$@"
