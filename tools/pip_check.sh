#!/usr/bin/env bash
# Shows that pip is enough: source distribution -> wheel (built alone, with pip's own build tools)
# -> a fresh environment without this source tree, where the reference logits must hold.
#   tools/pip_check.sh [PYTHON]      needs a package index, and the -dev packages of the build
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
python=$(command -v "${1:-python3}") || { echo "error: no ${1:-python3}" >&2 && exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset SENTINEL_DATA OPTIMIZATION_LEVEL PYTHONPATH

git -C "$root" archive --prefix=source/ HEAD | tar -x -C "$folder"
"$python" -m venv "$folder/build_env"
"$folder/build_env/bin/pip" install -q build
"$folder/build_env/bin/python" -m build --sdist --outdir "$folder/dist" "$folder/source"
"$folder/build_env/bin/pip" wheel -q --no-deps -w "$folder/dist" "$folder"/dist/*.tar.gz
ls -l "$folder/dist"

"$python" -m venv "$folder/env"
"$folder/env/bin/pip" install -q "$folder"/dist/*.whl
rm -rf "$folder/source"
cd "$folder"
"$folder/env/bin/python" - "$root/models/sentinel-mini/reference.json" <<'CHECK'
import json
import sys

import numpy as np
import sentinel

prompts = json.load(open(sys.argv[1], encoding="utf-8"))["prompts"]
model = sentinel.load_adaptive_model(sentinel.bundled_model(), optimization_level=0)
worst = max(
    np.abs(model.forward(p["ids"])[-1][p["top5_ids"]] - p["top5_logits"]).max() for p in prompts
)
print("sentinel from", sentinel.__file__)
print(f"{len(prompts)} reference prompts, largest logits difference {worst:.2e}")
sys.exit(not worst < 1e-4)
CHECK
echo "pip: OK"
