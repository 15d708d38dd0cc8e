"""The words of `rcl X --help`, of the manual pages and of shell completion, in our own words; data only."""

from __future__ import annotations

_ACCOUNT = "arn:aws:rekognition:us-east-1:123456789012"
_PROJECT = f"{_ACCOUNT}:project/circuits/1690000000000"
_TRAIN = f"{_ACCOUNT}:project/circuits/dataset/train/1690000003000"
_TEST = f"{_ACCOUNT}:project/circuits/dataset/test/1690000004000"
_VERSION = f"{_ACCOUNT}:project/circuits/version/v1/1690000009000"
_OTHER_PROJECT = f"{_ACCOUNT}:project/factory/1690000500000"

# What each command does beyond its summary in `texts`, when it is done, what may go wrong, and what to run next.
DETAILS: dict[str, str] = {
    "create-project": (
        "The project can be used when the call returns; create-dataset comes next. "
        "A name in use gives ResourceInUseException. "
        "Only the feature CUSTOM_LABELS exists here: CONTENT_MODERATION and AutoUpdate give "
        "InvalidParameterException."
    ),
    "describe-projects": (
        "--project-names and --features combine with AND; a name without a project is left out, without an error. "
        "Each project comes with its datasets, oldest first, and their status. "
        "Models are not part of it: describe-project-versions lists them."
    ),
    "delete-project": (
        "Delete its models and datasets first, with delete-project-version and delete-dataset: as long as one is "
        "left, the answer is ResourceInUseException. "
        "Its policies go with it. "
        "A project made later under the same name has another ARN; the old one gives ResourceNotFoundException."
    ),
    "create-dataset": (
        "The dataset is complete when the call returns; s3://BUCKET/KEY is the file KEY in the folder of that bucket. "
        "A project has at most one TRAIN and one TEST dataset: a second one gives ResourceAlreadyExistsException. "
        "A manifest that is not there gives InvalidS3ObjectException; one that can't be used leaves the dataset in "
        "CREATE_FAILED, with the reason in its StatusMessage, until delete-dataset. "
        "Next: list-dataset-entries --has-errors, then create-project-version."
    ),
    "describe-dataset": (
        "The counts are of JSON lines, of lines with a label, of distinct labels and of lines with an error. "
        "Status, StatusMessage and StatusMessageCode tell how the last change ended; after UPDATE_FAILED the counts "
        "are those from before. "
        "To see the lines with errors, run list-dataset-entries --has-errors."
    ),
    "delete-dataset": (
        "The dataset is gone when the call returns, and the project may get a new one of that type. "
        "A dataset that is being changed gives ResourceInUseException, one that is gone ResourceNotFoundException."
    ),
    "list-dataset-entries": (
        "Entries come in the order of the manifest, each a JSON string with cl-metadata and, where something is "
        "wrong, cl-errors. "
        "Filters combine with AND, the names in --contains-labels with OR. "
        "--no-labeled lists only entries without labels, while --no-has-errors filters nothing. "
        "A dataset in CREATE_FAILED gives ResourceNotReadyException, one that is being changed "
        "ResourceInUseException."
    ),
    "list-dataset-labels": (
        "Labels are sorted by name; one that no entry uses any more is not listed. "
        "EntryCount is the number of images with the label, BoundingBoxCount that of images with it on a box. "
        "A dataset in CREATE_FAILED gives ResourceNotReadyException."
    ),
    "update-dataset-entries": (
        "The update is over when the call returns; look at describe-dataset: if the lines can't be used, the status "
        "is UPDATE_FAILED and the dataset is as it was. "
        "A line whose source-ref is there already replaces that line whole; other lines go to the end. "
        "A line without annotations takes the labels off its image, and nothing removes single entries. "
        "A dataset in CREATE_FAILED gives ResourceInUseException."
    ),
    "distribute-dataset-entries": (
        "Needs a TRAIN dataset with entries and an empty TEST dataset of one project, else InvalidParameterException; "
        "one that failed or is being changed gives ResourceNotReadyException. "
        "Each label keeps images on both sides: where one has fewer than two, both datasets become UPDATE_FAILED and "
        "nothing moves. "
        "It is over when the call returns; look at describe-dataset, then run create-project-version."
    ),
    "create-project-version": (
        "Trains on the project's datasets, or on --training-data and --testing-data if it has none; without test "
        "images a fifth of the training images is set aside. "
        "The call returns at once and the training goes on by itself; watch it with wait "
        "project-version-training-completed or rcl logs. "
        "A name in use, or a dataset being changed, gives ResourceInUseException; anything wrong with the data ends "
        "in TRAINING_FAILED, with the reason in StatusMessage. "
        "Result files go to --output-config, and tags such as rcl:epochs=50 set training options."
    ),
    "describe-project-versions": (
        "A version name that does not exist is left out, without an error; an unknown project gives "
        "ResourceNotFoundException. "
        "A trained model comes with its F1 score and the places of its result files; StatusMessage has the reason of "
        "a failure. "
        "Run it to follow create-project-version, start-project-version, stop-project-version and "
        "copy-project-version, which go on after they return."
    ),
    "delete-project-version": (
        "Trained, stopped, copied and failed models can be deleted. "
        "One that is being trained, copied, started or stopped, or that runs, gives ResourceInUseException: run "
        "stop-project-version first, or wait. "
        "Result files in buckets stay."
    ),
    "wait": (
        "The waiters are project-version-training-completed and project-version-running; they look twice a second, or "
        "every --delay seconds; with --endpoint-url as seldom as those of AWS. "
        "They wait for the models in --version-names, or for all of the project; a model that failed, or a service "
        "error, ends it with exit code 255. "
        "A name that does not exist never matches, nor, for the first waiter, a model that runs already: the first "
        "gives up after 12 hours, the second after 20 minutes, or both after --max-attempts looks. "
        "There are no waiters for datasets, stopping, copying and deleting."
    ),
    "start-project-version": (
        "The call returns with STARTING; wait project-version-running tells when detect-custom-labels can be used. "
        "MinInferenceUnits is the number of worker processes, each with the model in memory; to change it, stop and "
        "start again. "
        "A model that runs, or that is being trained, copied, started or stopped, gives ResourceInUseException; one "
        "whose training or copying failed gives InvalidParameterException."
    ),
    "stop-project-version": (
        "The call returns with STOPPING; requests already taken are answered, then the status is STOPPED. "
        "STARTING and STOPPING give ResourceInUseException, any other status but RUNNING InvalidParameterException. "
        "Look with describe-project-versions, as no waiter exists for it."
    ),
    "detect-custom-labels": (
        "Takes a PNG or JPEG of 64 to 4096 pixels a side, of up to 4 MB with --image-bytes, or 15 MB in a bucket with "
        "--image; a model that is not RUNNING gives ResourceNotReadyException. "
        "Each label has its own threshold, which training found; --min-confidence replaces them all, and 0 shows "
        "everything. "
        "Labels are sorted by confidence, highest first; where the model finds objects, Geometry.BoundingBox has "
        "left, top, width and height as fractions of the image's size. "
        "A JPEG is turned upright by its EXIF orientation first, and boxes refer to the upright image."
    ),
    "tag-resource": (
        "Takes the ARN of a project, a dataset or a model. "
        "New keys are added, existing ones get the new value, the others stay; it is done when the call returns. "
        "More than 200 tags on one resource give ServiceQuotaExceededException. "
        "A project's tags such as rcl:epochs=50 set options of its later trainings."
    ),
    "untag-resource": (
        "Takes the ARN of a project, a dataset or a model. "
        "A key that the resource does not have is no error. "
        "An ARN of anything else gives InvalidParameterException, one that does not exist ResourceNotFoundException."
    ),
    "list-tags-for-resource": (
        "Takes the ARN of a project, a dataset or a model. "
        "Tags is always there, and empty where nothing is tagged. "
        "An ARN of anything else gives InvalidParameterException, one that does not exist ResourceNotFoundException."
    ),
    "copy-project-version": (
        "The call returns at once; COPYING_IN_PROGRESS becomes COPYING_COMPLETED or COPYING_FAILED, as "
        "describe-project-versions of the destination shows. "
        "The files that the training wrote are copied to --output-config. "
        "A name that the destination has already, or a model still being trained or copied, gives "
        "ResourceInUseException; a model that is not of the source project or region, or that failed, "
        "InvalidParameterException. "
        "No policy is needed; next comes start-project-version."
    ),
    "put-project-policy": (
        "Policies are stored and listed, but rcl does not evaluate them. "
        "Each write gives a new revision id; to replace a policy, pass its present one: without it the answer is "
        "ResourceAlreadyExistsException, with another one InvalidPolicyRevisionIdException. "
        "The document is JSON with Effect, Principal, Resource and the Action rekognition:CopyProjectVersion, else "
        "MalformedPolicyDocumentException."
    ),
    "list-project-policies": (
        "PolicyDocument is a JSON document in a string. "
        "PolicyRevisionId is what put-project-policy needs to replace the policy. "
        "A page has at most 5 policies; all pages are printed unless an option asks for less."
    ),
    "delete-project-policy": (
        "The policy is gone when the call returns. "
        "A policy that does not exist gives ResourceNotFoundException. "
        "With --policy-revision-id it is deleted only in that revision, else InvalidPolicyRevisionIdException."
    ),
}

_NAME = "1 to 255 letters, digits, _ . -"

# One line for each member of an input; `Operation.Member` where an operation needs its own.
OPTIONS: dict[str, str] = {
    "AutoUpdate": "Always refused: it belongs to CONTENT_MODERATION, which rcl does not have",
    "Changes": "JSON lines to add or replace, 1 byte to 5 MiB: GroundTruth@=fileb://FILE",
    "ContainsLabels": "Only entries with at least one of these labels; 1 to 10 names of 1 to 255 characters",
    "DatasetArn": "ARN of the dataset, as describe-projects shows it",
    "DatasetSource": "A manifest in a bucket, or DatasetArn=ARN to copy a dataset (default: an empty dataset)",
    "Datasets": "The two datasets, one TRAIN and one TEST, in any order: Arn=ARN Arn=ARN",
    "DatasetType": "TRAIN for learning, TEST for measuring how good the model is; one of each per project",
    "DestinationProjectArn": "ARN of the project that gets the copy",
    "Feature": "CUSTOM_LABELS (default); CONTENT_MODERATION is refused",
    "FeatureConfig": "Refused if it has ContentModeration, which rcl does not offer",
    "Features": "Kinds of projects to list (default CUSTOM_LABELS, the only kind that rcl makes)",
    "HasErrors": "Only entries with errors; --no-has-errors filters nothing",
    "Image": "Image in a bucket, S3Object={Bucket=NAME,Name=KEY}; for a local file use --image-bytes",
    "KmsKeyId": "Key name of 1 to 2048 characters; stored and shown only, rcl does not encrypt",
    "Labeled": "Only entries with labels; --no-labeled: only those without (default: both)",
    "MaxInferenceUnits": "Most worker processes, not below the least; stored and shown only, rcl does not scale",
    "MaxResults": "Rows per page, 1 to 100 (default 100); turns automatic paging off",
    "DetectCustomLabels.MaxResults": "Most labels to return, highest confidence first; 0 returns none (default: all)",
    "ListProjectPolicies.MaxResults": "Rows per page, 1 to 5 (default 5); turns automatic paging off",
    "MinConfidence": "Lowest confidence shown, 0 to 100 percent (default: each label's own threshold)",
    "MinInferenceUnits": "Number of worker processes, 1 or more, each with the model in memory",
    "NextToken": "NextToken of the page before, up to 1024 characters; turns automatic paging off",
    "OutputConfig": "Where result files go: S3Bucket=BUCKET,S3KeyPrefix=FOLDER; the prefix may be left out",
    "PolicyDocument": "The policy as JSON, 1 to 2000 characters, or file://FILE",
    "PolicyName": "Name of the policy, 1 to 128 letters, digits, _ . -",
    "DeleteProjectPolicy.PolicyRevisionId": "Delete only this revision, up to 64 hexadecimal digits (default: any)",
    "PutProjectPolicy.PolicyRevisionId": "Revision to replace, up to 64 hexadecimal digits; left out for a new policy",
    "ProjectArn": "ARN of the project, as describe-projects shows it",
    "ProjectName": f"Name of the new project, not in use yet; {_NAME}",
    "ProjectNames": "Only projects with these names, 1 to 10 (default: all)",
    "ProjectVersionArn": "ARN of the model, as describe-project-versions shows it",
    "ResourceArn": "ARN of a project, a dataset or a model",
    "SourceProjectArn": "ARN of the project that has the model now",
    "SourceProjectVersionArn": "ARN of the model to copy, of the source project",
    "SourceRefContains": "Only images with this text in source-ref; 1 to 2048 characters, case matters",
    "TagKeys": "Keys to remove, up to 200, separated by spaces; a comma does not separate them",
    "Tags": "Tags as KEY=VALUE,KEY=VALUE: up to 200, keys of 1 to 128 characters, values of up to 256",
    "TagResource.Tags": "Tags to add or change, KEY=VALUE,…: keys of 1 to 128 characters, values of up to 256",
    "TestingData": "Manifest to test with (Assets), or AutoCreate=true to set a fifth aside; with --training-data only",
    "TrainingData": "Manifest to train on (Assets), for projects without datasets; with --testing-data only",
    "VersionDescription": "A note of 1 to 255 characters, shown by describe-project-versions",
    "VersionName": f"Name of the new model, not in use in its project; {_NAME}",
    "VersionNames": "Only models with these names, 1 to 10 (default: all)",
}

# What the example does, and its command line; a backslash ends a line that goes on.
EXAMPLES: dict[str, tuple[str, str]] = {
    "create-project": (
        "Make a project and print its ARN",
        "rcl create-project --project-name circuits --query ProjectArn --output text",
    ),
    "describe-projects": (
        "Show one project with its datasets",
        "rcl describe-projects --project-names circuits",
    ),
    "delete-project": (
        "Delete a project that is empty",
        f"rcl delete-project \\\n    --project-arn {_PROJECT}",
    ),
    "create-dataset": (
        "Make the training dataset from the manifest train.manifest in the bucket circuits",
        f"rcl create-dataset --dataset-type TRAIN \\\n    --project-arn {_PROJECT} \\\n"
        "    --dataset-source 'GroundTruthManifest={S3Object={Bucket=circuits,Name=train.manifest}}'",
    ),
    "describe-dataset": (
        "Print the counts of a dataset",
        f"rcl describe-dataset --query DatasetDescription.DatasetStats \\\n    --dataset-arn {_TRAIN}",
    ),
    "delete-dataset": (
        "Delete a training dataset",
        f"rcl delete-dataset \\\n    --dataset-arn {_TRAIN}",
    ),
    "list-dataset-entries": (
        "List the lines with errors of images in the folder board-7",
        f"rcl list-dataset-entries --has-errors --source-ref-contains board-7/ \\\n    --dataset-arn {_TRAIN}",
    ),
    "list-dataset-labels": (
        "List the labels of a dataset, a line each",
        f"rcl list-dataset-labels --output text \\\n    --dataset-arn {_TRAIN}",
    ),
    "update-dataset-entries": (
        "Add or replace the lines in changes.jsonl",
        f"rcl update-dataset-entries --changes GroundTruth@=fileb://changes.jsonl \\\n    --dataset-arn {_TRAIN}",
    ),
    "distribute-dataset-entries": (
        "Move a fifth of the training dataset into the empty test dataset",
        f"rcl distribute-dataset-entries --datasets \\\n    Arn={_TRAIN} \\\n    Arn={_TEST}",
    ),
    "create-project-version": (
        "Train version v1; result files go to the folder output of the bucket circuits",
        "rcl create-project-version --version-name v1 \\\n"
        "    --output-config S3Bucket=circuits,S3KeyPrefix=output --tags rcl:epochs=50 \\\n"
        f"    --project-arn {_PROJECT}",
    ),
    "describe-project-versions": (
        "Print status and F1 score of version v1",
        "rcl describe-project-versions --version-names v1 \\\n"
        "    --query 'ProjectVersionDescriptions[].[Status, EvaluationResult.F1Score]' \\\n"
        f"    --project-arn {_PROJECT}",
    ),
    "delete-project-version": (
        "Delete a stopped model",
        f"rcl delete-project-version \\\n    --project-version-arn {_VERSION}",
    ),
    "wait": (
        "Return when version v1 takes requests",
        f"rcl wait project-version-running --version-names v1 \\\n    --project-arn {_PROJECT}",
    ),
    "start-project-version": (
        "Start a model with two worker processes",
        f"rcl start-project-version --min-inference-units 2 \\\n    --project-version-arn {_VERSION}",
    ),
    "stop-project-version": (
        "Stop a running model",
        f"rcl stop-project-version \\\n    --project-version-arn {_VERSION}",
    ),
    "detect-custom-labels": (
        "Find at most five labels, each with a confidence of 60 or more, in photo.jpg",
        "rcl detect-custom-labels --image-bytes fileb://photo.jpg --min-confidence 60 --max-results 5 \\\n"
        f"    --project-version-arn {_VERSION}",
    ),
    "tag-resource": (
        "Let later trainings of a project run for 50 epochs, and note who looks after it",
        f"rcl tag-resource --tags rcl:epochs=50,owner=line-3 \\\n    --resource-arn {_PROJECT}",
    ),
    "untag-resource": (
        "Remove two tags from a project",
        f"rcl untag-resource --tag-keys rcl:epochs owner \\\n    --resource-arn {_PROJECT}",
    ),
    "list-tags-for-resource": (
        "Show the tags of a model",
        f"rcl list-tags-for-resource \\\n    --resource-arn {_VERSION}",
    ),
    "copy-project-version": (
        "Copy version v1 of the project circuits to the project factory",
        "rcl copy-project-version --version-name v1 \\\n"
        "    --output-config S3Bucket=factory,S3KeyPrefix=output \\\n"
        f"    --source-project-arn {_PROJECT} \\\n"
        f"    --source-project-version-arn {_VERSION} \\\n"
        f"    --destination-project-arn {_OTHER_PROJECT}",
    ),
    "put-project-policy": (
        "Store the policy in policy.json under a new name",
        "rcl put-project-policy --policy-name copy-to-factory --policy-document file://policy.json \\\n"
        f"    --project-arn {_PROJECT}",
    ),
    "list-project-policies": (
        "Print the names of a project's policies and their revisions",
        "rcl list-project-policies --query 'ProjectPolicies[].[PolicyName, PolicyRevisionId]' \\\n"
        f"    --output text --project-arn {_PROJECT}",
    ),
    "delete-project-policy": (
        "Delete a policy, whatever its revision",
        f"rcl delete-project-policy --policy-name copy-to-factory \\\n    --project-arn {_PROJECT}",
    ),
}

# Options that every operation takes, or every listing: (metavar, help), the metavar empty where there is no value.
GLOBAL_OPTIONS: dict[str, tuple[str, str]] = {
    "--output": ("json|yaml|yaml-stream|text|table|off", "Format of the result (default json); off prints nothing"),
    "--query": (
        "JMESPATH",
        "Print a part of the whole result, also as text, where aws does each page; in yaml-stream, of each page",
    ),
    "--region": ("NAME", "Region in the ARNs of new resources; local resources are the same in every region"),
    "--profile": (
        "NAME",
        "Profile of the AWS config: its output, region, endpoint, and whose credentials sign requests to one",
    ),
    "--endpoint-url": (
        "URL",
        "Send requests to another rcl serve or to AWS, signed with your AWS credentials",
    ),
    "--no-sign-request": ("", "Do not sign the requests to --endpoint-url; no credentials are needed then"),
    "--no-verify-ssl": ("", "Do not check the certificate of --endpoint-url"),
    "--ca-bundle": ("FILE", "Certificates to check that of --endpoint-url against"),
    "--cli-read-timeout": ("SECONDS", "Longest wait for data from --endpoint-url"),
    "--cli-connect-timeout": ("SECONDS", "Longest wait for a connection to --endpoint-url"),
    "--cli-binary-format": (
        "base64|raw-in-base64-out",
        "How binary values are written on the command line (default base64); fileb:// is always raw",
    ),
    "--color": ("on|off|auto", "Highlighting in the output: always, never, or on a terminal only"),
    "--no-cli-pager": ("", "Write straight to the terminal; elsewhere no pager is started anyway (see AWS_PAGER)"),
    "--cli-error-format": ("legacy|json|yaml|text|table|enhanced", "Form of service errors on stderr"),
    "--debug": ("", "Print debug messages to stderr"),
    "--cli-auto-prompt": ("", "Accepted, no effect: rcl does not ask for missing options"),
    "--no-cli-auto-prompt": ("", "Accepted, no effect: rcl does not ask for missing options"),
    "--no-paginate": ("", "Make one request and print that page; the other paging options can't be used with it"),
    "--cli-input-json": ("JSON|file://FILE", "The whole request as JSON; options beside it win over what it says"),
    "--cli-input-yaml": ("YAML|file://FILE", "The whole request as YAML; options beside it win over what it says"),
    "--generate-cli-skeleton": (
        "input|output|yaml-input",
        "Print an empty request (default input), or a response with output; nothing is sent",
    ),
    "--max-items": ("N", "Print at most N rows; NextToken in the output then says where to go on"),
    "--page-size": ("N", "Rows per request, sent as MaxResults; all pages are still printed"),
    "--starting-token": ("TOKEN", "Go on from the NextToken that --max-items left in an earlier output"),
}


def option_text(operation_name: str, member: str) -> str:
    """The help of an option.

    Args:
        operation_name: CamelCase.
        member: of the operation's input, CamelCase.

    Raises:
        KeyError: there is none.
    """
    own = OPTIONS.get(f"{operation_name}.{member}")
    return OPTIONS[member] if own is None else own
