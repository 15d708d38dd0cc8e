# A day of rcl, for test_privacy.py: both kinds of models from pictures to answers, and everything around them.
set -eux
ask() {
    python - "$1" "$2" "$3" <<'PYTHON'
import sys
import boto3

url, arn, image = sys.argv[1:]
given = {"aws_access_key_id": "any", "aws_secret_access_key": "key", "region_name": "us-east-1"}
client = boto3.client("rekognition", endpoint_url=url, **given)
client.describe_projects()
client.detect_custom_labels(ProjectVersionArn=arn, Image={"Bytes": open(image, "rb").read()})
PYTHON
}

rcl example circuits --train 8 --test 6 buckets/circuits
rcl example flowers --train 12 --test 8 buckets/flowers
rcl serve --port 0 >serve.txt 2>serve.log &
SERVER=$!
for set in circuits flowers; do
    image=$(ls "$PWD"/buckets/$set/new/*-001.jpg)
    P=$(rcl create-project --project-name $set --query ProjectArn --output text)
    for kind in train test; do
        rcl create-dataset --project-arn "$P" --dataset-type "$(echo $kind | tr a-z A-Z)" \
            --dataset-source "GroundTruthManifest={S3Object={Bucket=$set,Name=$kind.manifest}}"
    done
    V=$(rcl create-project-version --project-arn "$P" --version-name v1 --query ProjectVersionArn --output text \
        --output-config S3Bucket=$set,S3KeyPrefix=output --tags rcl:image_size=64,rcl:epochs=1)
    rcl wait project-version-training-completed --project-arn "$P" --version-names v1
    rcl start-project-version --project-version-arn "$V" --min-inference-units 1
    rcl wait project-version-running --project-arn "$P" --version-names v1
    rcl detect-custom-labels --project-version-arn "$V" --image-bytes "fileb://$image"
    rcl detect $set/v1 "$image" --draw drawn-$set
    ask "$(sed -n 's/.* //p' serve.txt)" "$V" "$image"
    rcl report $set/v1 -o $set.html
    rcl thresholds $set/v1
    rcl dataset check $set || test $? = 1
    rcl dataset export $set --format manifest -o whole-$set
    rcl dataset import whole-$set --project again-$set
    rcl dataset show $set -o sheet-$set.html
    for form in $FORMS; do
        case $set-$form in circuits-torchscript | flowers-coreml | flowers-openvino) continue ;; esac
        rcl export $set/v1 --format "$form" -o "$set-$form"
        test "$form" = coreml || python "$set-$form/run.py" "$image"
    done
    rcl stop-project-version --project-version-arn "$V"
    rcl copy-project-version --source-project-arn "$P" --source-project-version-arn "$V" \
        --destination-project-arn "$(rcl create-project --project-name copies-$set --query ProjectArn --output text)" \
        --version-name v2 --output-config S3Bucket=$set,S3KeyPrefix=output
    until rcl versions copies-$set | grep COPYING_COMPLETED; do sleep 0.5; done
    rcl compare $set/v1 copies-$set/v2 -o compare-$set.html
done
rcl console --port 0 --no-browser >console.txt 2>console.log &
CONSOLE=$!
until grep -q http console.txt; do sleep 0.2; done
python - "$(sed -n 's/.* //p' console.txt)" "$(rcl describe-projects --query 'ProjectDescriptions[?contains(ProjectArn, `/circuits/`)].Datasets[0].DatasetArn | [0]' --output text)" "$(rcl describe-projects --query 'ProjectDescriptions[?contains(ProjectArn, `/circuits/`)].ProjectArn | [0]' --output text)" <<'PYTHON'
import sys
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

url, dataset, project = sys.argv[1:]
browser = build_opener(HTTPCookieProcessor())
browser.open(url).read()
place = url.partition("?")[0]
small = browser.open(f"{place}local/thumbnail?dataset={dataset}&position=1&side=160")
assert small.headers["content-type"] == "image/jpeg", small.headers
picture = browser.open(f"{place}local/picture?dataset={dataset}&position=1").read()
where = f"{place}local/picture?{urlencode({'project': project, 'name': 'new.jpg'})}"
sent = browser.open(Request(where, picture, {"sec-fetch-site": "same-origin"}, method="POST"))
assert b"new.jpg" in sent.read()
PYTHON
kill $CONSOLE
wait $CONSOLE
rcl status
rcl doctor
kill $SERVER
wait $SERVER
