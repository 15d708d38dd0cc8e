#!/bin/sh
# The main job end to end, as README's tutorial has it: images and labels in, a trained model, detections out.
# Everything goes into demo-output/; nothing is downloaded.
set -eu
cd "$(dirname "$0")/.."
OUT=$PWD/demo-output
rm -rf "$OUT"
mkdir -p "$OUT/buckets"
export RCL_HOME="$OUT/home" RCL_BUCKETS_DIR="$OUT/buckets" RCL_OFFLINE=1

BOLD='' PLAIN=''
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    BOLD=$(printf '\033[1m') PLAIN=$(printf '\033[0m')
fi
step() {
    printf '\n%s$ %s%s\n' "$BOLD" "$*" "$PLAIN" >&2
    "$@"
}

step rcl example circuits "$OUT/buckets/circuits"

PROJECT=$(step rcl create-project --project-name circuits --query ProjectArn --output text)
step rcl create-dataset --project-arn "$PROJECT" --dataset-type TRAIN \
    --dataset-source 'GroundTruthManifest={S3Object={Bucket=circuits,Name=train.manifest}}'
step rcl create-dataset --project-arn "$PROJECT" --dataset-type TEST \
    --dataset-source 'GroundTruthManifest={S3Object={Bucket=circuits,Name=test.manifest}}'

# From the ImageNet weights that `make setup` installs. Without the tags it would train longer, on larger images.
step rcl create-project-version --project-arn "$PROJECT" --version-name v1 \
    --output-config S3Bucket=circuits,S3KeyPrefix=output --tags rcl:image_size=256,rcl:epochs=12 --wait
VERSION=$(rcl describe-project-versions --project-arn "$PROJECT" \
    --query 'ProjectVersionDescriptions[0].ProjectVersionArn' --output text)

step rcl describe-project-versions --project-arn "$PROJECT" \
    --query 'ProjectVersionDescriptions[0].[Status,EvaluationResult.F1Score]' --output text
echo
python - "$OUT/buckets/circuits/output/EvaluationResultSummary-circuits-v1.json" <<'PRINT'
import json, sys
summary = json.load(open(sys.argv[1]))
print(f"{'label':<12}{'F1':>7}{'precision':>11}{'recall':>8}{'threshold':>11}")
for one in summary["LabelEvaluationResults"]:
    m = one["Metrics"]
    print(f"{one['Label']:<12}{m['F1Score']:>7.3f}{m['Precision']:>11.3f}{m['Recall']:>8.3f}{m['Threshold']:>11.3f}")
all_ = summary["AggregatedEvaluationResults"]
print(f"{'all':<12}{all_['F1Score']:>7.3f}{all_['Precision']:>11.3f}{all_['Recall']:>8.3f}   average precision {all_['AveragePrecision']:.3f}")
PRINT

step rcl start-project-version --project-version-arn "$VERSION" --min-inference-units 1
step rcl wait project-version-running --project-arn "$PROJECT" --version-names v1
for n in 001 002 003 004; do
    rcl detect-custom-labels --project-version-arn "$VERSION" \
        --image-bytes "fileb://$OUT/buckets/circuits/new/board-$n.jpg" >"$OUT/board-$n.json"
    rcl draw "$OUT/buckets/circuits/new/board-$n.jpg" --labels "$OUT/board-$n.json" --out "$OUT/board-$n.png"
done
step rcl stop-project-version --project-version-arn "$VERSION"
printf '\nLook at %s/board-001.png\n' "$OUT" >&2
printf 'Or go on in the browser: RCL_HOME=%s RCL_BUCKETS_DIR=%s rcl console\n' "$RCL_HOME" "$RCL_BUCKETS_DIR" >&2
