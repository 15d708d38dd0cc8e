# fish completion for rcl. Written by `make gen` from the command tree of rcl; changes belong there.
# Use: put this file into ~/.config/fish/completions under the name `rcl.fish`.

# The words before the cursor without what stands before the command.
function __rcl_command
    set -l skip 0
    set -l group
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if string match -q -- '--*' $word
            contains -- $word --output --query --region --profile --endpoint-url --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --cli-error-format --cli-input-json --cli-input-yaml --generate-cli-skeleton
            and set skip 1
        else if test -n "$group"
            echo "$group $word"
            return 0
        else if contains -- $word dataset
            set group $word
        else if test $word != rekognition
            echo $word
            return 0
        end
    end
    test -n "$group"
    and echo $group
end

function __rcl_is
    contains -- (__rcl_command) $argv
end

function __rcl_is_operation
    set -l command (__rcl_command)
    and not contains -- $command help "dataset" "dataset import" "dataset export" "dataset check" "detect" "doctor" "draw" "example" "export" "logs" "status" "thresholds" "versions" "train" "report" "serve"
end

function __rcl_needs_command
    not __rcl_command > /dev/null
end

# Whether the last option on the line takes several words, and this may be one of them.
function __rcl_in_list
    set -l last (string match -r -- '^--.*' (commandline -opc))[-1]
    contains -- "$last" $argv
    and not string match -q -- '-*' (commandline -ct)
end

function __rcl_ask
    set -l value (string replace -r -- '^(--[^=]*=)?[\'"]?' '' (commandline -ct))
    set -l words (commandline -opc)
    set -l program (string replace -r -- '^~' $HOME $words[1])
    $program complete (__rcl_command) $argv[1] "$value" $words 2> /dev/null
end

complete -c rcl -f
complete -c rcl -n __rcl_needs_command -l version -d 'Show the version.'
complete -c rcl -l help -d 'Show what the command does.'
complete -c rcl -n __rcl_needs_command -a help -d 'Show the help of a command.'
complete -c rcl -n '__rcl_is help' -a 'create-project describe-projects delete-project create-dataset describe-dataset delete-dataset list-dataset-entries list-dataset-labels update-dataset-entries distribute-dataset-entries create-project-version describe-project-versions delete-project-version copy-project-version put-project-policy list-project-policies delete-project-policy wait tag-resource untag-resource list-tags-for-resource start-project-version stop-project-version detect-custom-labels dataset detect doctor draw example export logs status thresholds versions train report serve'
complete -c rcl -n __rcl_is_operation -l output -x -a 'json yaml yaml-stream text table off' -d 'Format of the result (default json); off prints nothing'
complete -c rcl -n __rcl_is_operation -l query -x -a '(__rcl_ask --query)' -d 'Print a part of the whole result, also as text, where aws does each page; in yaml-stream, of each page'
complete -c rcl -n __rcl_is_operation -l region -x -a '(__rcl_ask --region)' -d 'Region in the ARNs of new resources; local resources are the same in every region'
complete -c rcl -n __rcl_is_operation -l profile -x -a '(__rcl_ask --profile)' -d 'Profile whose credentials sign the requests to --endpoint-url; no effect without it'
complete -c rcl -n __rcl_is_operation -l endpoint-url -x -a '(__rcl_ask --endpoint-url)' -d 'Send requests to another rcl serve or to AWS, signed with your AWS credentials'
complete -c rcl -n __rcl_is_operation -l no-sign-request -d 'Do not sign the requests to --endpoint-url; no credentials are needed then'
complete -c rcl -n __rcl_is_operation -l no-verify-ssl -d 'Do not check the certificate of --endpoint-url'
complete -c rcl -n __rcl_is_operation -l ca-bundle -r -F -d 'Certificates to check that of --endpoint-url against'
complete -c rcl -n __rcl_is_operation -l cli-read-timeout -x -a '(__rcl_ask --cli-read-timeout)' -d 'Longest wait for data from --endpoint-url'
complete -c rcl -n __rcl_is_operation -l cli-connect-timeout -x -a '(__rcl_ask --cli-connect-timeout)' -d 'Longest wait for a connection to --endpoint-url'
complete -c rcl -n __rcl_is_operation -l cli-binary-format -x -a 'base64 raw-in-base64-out' -d 'How binary values are written on the command line (default base64); fileb:// is always raw'
complete -c rcl -n __rcl_is_operation -l color -x -a 'on off auto' -d 'Highlighting in the output: always, never, or on a terminal only'
complete -c rcl -n __rcl_is_operation -l no-cli-pager -d 'Write straight to the terminal; elsewhere no pager is started anyway (see AWS_PAGER)'
complete -c rcl -n __rcl_is_operation -l cli-error-format -x -a 'legacy json yaml text table enhanced' -d 'Form of service errors on stderr'
complete -c rcl -n __rcl_is_operation -l debug -d 'Print debug messages to stderr'
complete -c rcl -n __rcl_is_operation -l cli-auto-prompt -d 'Accepted, no effect: rcl does not ask for missing options'
complete -c rcl -n __rcl_is_operation -l no-cli-auto-prompt -d 'Accepted, no effect: rcl does not ask for missing options'
complete -c rcl -n __rcl_is_operation -l no-paginate -d 'Make one request and print that page; the other paging options can\'t be used with it'
complete -c rcl -n __rcl_is_operation -l cli-input-json -x -a '(__rcl_ask --cli-input-json)' -d 'The whole request as JSON; options beside it win over what it says'
complete -c rcl -n __rcl_is_operation -l cli-input-yaml -x -a '(__rcl_ask --cli-input-yaml)' -d 'The whole request as YAML; options beside it win over what it says'
complete -c rcl -n __rcl_is_operation -l generate-cli-skeleton -x -a 'input output yaml-input' -d 'Print an empty request (default input), or a response with output; nothing is sent'
complete -c rcl -n __rcl_needs_command -a create-project -d 'Make a project: the place for datasets and models that belong together.'
complete -c rcl -n '__rcl_is create-project' -l project-name -x -a '(__rcl_ask --project-name)' -d 'Name of the new project, not in use yet; 1 to 255 letters, digits, _ . - (required)'
complete -c rcl -n '__rcl_is create-project' -l feature -x -a 'CONTENT_MODERATION CUSTOM_LABELS' -d 'CUSTOM_LABELS (default); CONTENT_MODERATION is refused'
complete -c rcl -n '__rcl_is create-project' -l auto-update -x -a 'ENABLED DISABLED' -d 'Always refused: it belongs to CONTENT_MODERATION, which rcl does not have'
complete -c rcl -n '__rcl_is create-project' -l tags -x -a '(__rcl_ask --tags)' -d 'Tags as KEY=VALUE,KEY=VALUE: up to 200, keys of 1 to 128 characters, values of up to 256'
complete -c rcl -n __rcl_needs_command -a describe-projects -d 'List projects, newest first, with their datasets.'
complete -c rcl -n '__rcl_is describe-projects' -l next-token -x -a '(__rcl_ask --next-token)' -d 'NextToken of the page before, up to 1024 characters; turns automatic paging off'
complete -c rcl -n '__rcl_is describe-projects' -l max-results -x -a '(__rcl_ask --max-results)' -d 'Rows per page, 1 to 100 (default 100); turns automatic paging off'
complete -c rcl -n '__rcl_is describe-projects' -l project-names -x -a '(__rcl_ask --project-names)' -d 'Only projects with these names, 1 to 10 (default: all)'
complete -c rcl -n '__rcl_in_list --project-names' -a '(__rcl_ask --project-names)'
complete -c rcl -n '__rcl_is describe-projects' -l features -x -a 'CONTENT_MODERATION CUSTOM_LABELS' -d 'Kinds of projects to list (default CUSTOM_LABELS, the only kind that rcl makes)'
complete -c rcl -n '__rcl_in_list --features' -a 'CONTENT_MODERATION CUSTOM_LABELS'
complete -c rcl -n '__rcl_is describe-projects' -l max-items -x -a '(__rcl_ask --max-items)' -d 'Print at most N rows; NextToken in the output then says where to go on'
complete -c rcl -n '__rcl_is describe-projects' -l page-size -x -a '(__rcl_ask --page-size)' -d 'Rows per request, sent as MaxResults; all pages are still printed'
complete -c rcl -n '__rcl_is describe-projects' -l starting-token -x -a '(__rcl_ask --starting-token)' -d 'Go on from the NextToken that --max-items left in an earlier output'
complete -c rcl -n __rcl_needs_command -a delete-project -d 'Delete a project that has no datasets and no models left.'
complete -c rcl -n '__rcl_is delete-project' -l project-arn -x -a '(__rcl_ask --project-arn)' -d 'ARN of the project, as describe-projects shows it (required)'
complete -c rcl -n __rcl_needs_command -a create-dataset -d 'Make a training or test dataset: from a manifest, from a dataset, or empty.'
complete -c rcl -n '__rcl_is create-dataset' -l dataset-source -x -a '(__rcl_ask --dataset-source)' -d 'A manifest in a bucket, or DatasetArn=ARN to copy a dataset (default: an empty dataset)'
complete -c rcl -n '__rcl_is create-dataset' -l dataset-type -x -a 'TRAIN TEST' -d 'TRAIN for learning, TEST for measuring how good the model is; one of each per project (required)'
complete -c rcl -n '__rcl_is create-dataset' -l project-arn -x -a '(__rcl_ask --project-arn)' -d 'ARN of the project, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is create-dataset' -l tags -x -a '(__rcl_ask --tags)' -d 'Tags as KEY=VALUE,KEY=VALUE: up to 200, keys of 1 to 128 characters, values of up to 256'
complete -c rcl -n __rcl_needs_command -a describe-dataset -d 'Show a dataset\'s status and counts.'
complete -c rcl -n '__rcl_is describe-dataset' -l dataset-arn -x -a '(__rcl_ask --dataset-arn)' -d 'ARN of the dataset, as describe-projects shows it (required)'
complete -c rcl -n __rcl_needs_command -a delete-dataset -d 'Delete a dataset; the images stay where they are.'
complete -c rcl -n '__rcl_is delete-dataset' -l dataset-arn -x -a '(__rcl_ask --dataset-arn)' -d 'ARN of the dataset, as describe-projects shows it (required)'
complete -c rcl -n __rcl_needs_command -a list-dataset-entries -d 'List a dataset\'s JSON lines, with errors marked.'
complete -c rcl -n '__rcl_is list-dataset-entries' -l dataset-arn -x -a '(__rcl_ask --dataset-arn)' -d 'ARN of the dataset, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is list-dataset-entries' -l contains-labels -x -a '(__rcl_ask --contains-labels)' -d 'Only entries with at least one of these labels; 1 to 10 names of 1 to 255 characters'
complete -c rcl -n '__rcl_in_list --contains-labels' -a '(__rcl_ask --contains-labels)'
complete -c rcl -n '__rcl_is list-dataset-entries' -l labeled -d 'Only entries with labels; --no-labeled: only those without (default: both)'
complete -c rcl -n '__rcl_is list-dataset-entries' -l no-labeled -d 'Only entries with labels; --no-labeled: only those without (default: both)'
complete -c rcl -n '__rcl_is list-dataset-entries' -l source-ref-contains -x -a '(__rcl_ask --source-ref-contains)' -d 'Only images with this text in source-ref; 1 to 2048 characters, case matters'
complete -c rcl -n '__rcl_is list-dataset-entries' -l has-errors -d 'Only entries with errors; --no-has-errors filters nothing'
complete -c rcl -n '__rcl_is list-dataset-entries' -l no-has-errors -d 'Only entries with errors; --no-has-errors filters nothing'
complete -c rcl -n '__rcl_is list-dataset-entries' -l next-token -x -a '(__rcl_ask --next-token)' -d 'NextToken of the page before, up to 1024 characters; turns automatic paging off'
complete -c rcl -n '__rcl_is list-dataset-entries' -l max-results -x -a '(__rcl_ask --max-results)' -d 'Rows per page, 1 to 100 (default 100); turns automatic paging off'
complete -c rcl -n '__rcl_is list-dataset-entries' -l max-items -x -a '(__rcl_ask --max-items)' -d 'Print at most N rows; NextToken in the output then says where to go on'
complete -c rcl -n '__rcl_is list-dataset-entries' -l page-size -x -a '(__rcl_ask --page-size)' -d 'Rows per request, sent as MaxResults; all pages are still printed'
complete -c rcl -n '__rcl_is list-dataset-entries' -l starting-token -x -a '(__rcl_ask --starting-token)' -d 'Go on from the NextToken that --max-items left in an earlier output'
complete -c rcl -n __rcl_needs_command -a list-dataset-labels -d 'List a dataset\'s labels and how many images use them.'
complete -c rcl -n '__rcl_is list-dataset-labels' -l dataset-arn -x -a '(__rcl_ask --dataset-arn)' -d 'ARN of the dataset, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is list-dataset-labels' -l next-token -x -a '(__rcl_ask --next-token)' -d 'NextToken of the page before, up to 1024 characters; turns automatic paging off'
complete -c rcl -n '__rcl_is list-dataset-labels' -l max-results -x -a '(__rcl_ask --max-results)' -d 'Rows per page, 1 to 100 (default 100); turns automatic paging off'
complete -c rcl -n '__rcl_is list-dataset-labels' -l max-items -x -a '(__rcl_ask --max-items)' -d 'Print at most N rows; NextToken in the output then says where to go on'
complete -c rcl -n '__rcl_is list-dataset-labels' -l page-size -x -a '(__rcl_ask --page-size)' -d 'Rows per request, sent as MaxResults; all pages are still printed'
complete -c rcl -n '__rcl_is list-dataset-labels' -l starting-token -x -a '(__rcl_ask --starting-token)' -d 'Go on from the NextToken that --max-items left in an earlier output'
complete -c rcl -n __rcl_needs_command -a update-dataset-entries -d 'Add JSON lines to a dataset, or replace those of the same images.'
complete -c rcl -n '__rcl_is update-dataset-entries' -l dataset-arn -x -a '(__rcl_ask --dataset-arn)' -d 'ARN of the dataset, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is update-dataset-entries' -l changes -x -a '(__rcl_ask --changes)' -d 'JSON lines to add or replace, 1 byte to 5 MiB: GroundTruth@=fileb://FILE (required)'
complete -c rcl -n __rcl_needs_command -a distribute-dataset-entries -d 'Move a fifth of the training dataset into an empty test dataset.'
complete -c rcl -n '__rcl_is distribute-dataset-entries' -l datasets -x -a '(__rcl_ask --datasets)' -d 'The two datasets, one TRAIN and one TEST, in any order: Arn=ARN Arn=ARN (required)'
complete -c rcl -n '__rcl_in_list --datasets' -a '(__rcl_ask --datasets)'
complete -c rcl -n __rcl_needs_command -a create-project-version -d 'Train a model in the background.'
complete -c rcl -n '__rcl_is create-project-version' -l project-arn -x -a '(__rcl_ask --project-arn)' -d 'ARN of the project, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is create-project-version' -l version-name -x -a '(__rcl_ask --version-name)' -d 'Name of the new model, not in use in its project; 1 to 255 letters, digits, _ . - (required)'
complete -c rcl -n '__rcl_is create-project-version' -l output-config -x -a '(__rcl_ask --output-config)' -d 'Where result files go: S3Bucket=BUCKET,S3KeyPrefix=FOLDER; the prefix may be left out (required)'
complete -c rcl -n '__rcl_is create-project-version' -l training-data -x -a '(__rcl_ask --training-data)' -d 'Manifest to train on (Assets), for projects without datasets; with --testing-data only'
complete -c rcl -n '__rcl_is create-project-version' -l testing-data -x -a '(__rcl_ask --testing-data)' -d 'Manifest to test with (Assets), or AutoCreate=true to set a fifth aside; with --training-data only'
complete -c rcl -n '__rcl_is create-project-version' -l tags -x -a '(__rcl_ask --tags)' -d 'Tags as KEY=VALUE,KEY=VALUE: up to 200, keys of 1 to 128 characters, values of up to 256'
complete -c rcl -n '__rcl_is create-project-version' -l kms-key-id -x -a '(__rcl_ask --kms-key-id)' -d 'Key name of 1 to 2048 characters; stored and shown only, rcl does not encrypt'
complete -c rcl -n '__rcl_is create-project-version' -l version-description -x -a '(__rcl_ask --version-description)' -d 'A note of 1 to 255 characters, shown by describe-project-versions'
complete -c rcl -n '__rcl_is create-project-version' -l feature-config -x -a '(__rcl_ask --feature-config)' -d 'Refused if it has ContentModeration, which rcl does not offer'
complete -c rcl -n '__rcl_is create-project-version' -l wait -d 'Watch until the training ends; Ctrl-C leaves it running'
complete -c rcl -n __rcl_needs_command -a describe-project-versions -d 'List a project\'s models, newest first, with status and results.'
complete -c rcl -n '__rcl_is describe-project-versions' -l project-arn -x -a '(__rcl_ask --project-arn)' -d 'ARN of the project, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is describe-project-versions' -l version-names -x -a '(__rcl_ask --version-names)' -d 'Only models with these names, 1 to 10 (default: all)'
complete -c rcl -n '__rcl_in_list --version-names' -a '(__rcl_ask --version-names)'
complete -c rcl -n '__rcl_is describe-project-versions' -l next-token -x -a '(__rcl_ask --next-token)' -d 'NextToken of the page before, up to 1024 characters; turns automatic paging off'
complete -c rcl -n '__rcl_is describe-project-versions' -l max-results -x -a '(__rcl_ask --max-results)' -d 'Rows per page, 1 to 100 (default 100); turns automatic paging off'
complete -c rcl -n '__rcl_is describe-project-versions' -l max-items -x -a '(__rcl_ask --max-items)' -d 'Print at most N rows; NextToken in the output then says where to go on'
complete -c rcl -n '__rcl_is describe-project-versions' -l page-size -x -a '(__rcl_ask --page-size)' -d 'Rows per request, sent as MaxResults; all pages are still printed'
complete -c rcl -n '__rcl_is describe-project-versions' -l starting-token -x -a '(__rcl_ask --starting-token)' -d 'Go on from the NextToken that --max-items left in an earlier output'
complete -c rcl -n __rcl_needs_command -a delete-project-version -d 'Delete a model that is not running.'
complete -c rcl -n '__rcl_is delete-project-version' -l project-version-arn -x -a '(__rcl_ask --project-version-arn)' -d 'ARN of the model, as describe-project-versions shows it (required)'
complete -c rcl -n __rcl_needs_command -a copy-project-version -d 'Copy a model into another project.'
complete -c rcl -n '__rcl_is copy-project-version' -l source-project-arn -x -a '(__rcl_ask --source-project-arn)' -d 'ARN of the project that has the model now (required)'
complete -c rcl -n '__rcl_is copy-project-version' -l source-project-version-arn -x -a '(__rcl_ask --source-project-version-arn)' -d 'ARN of the model to copy, of the source project (required)'
complete -c rcl -n '__rcl_is copy-project-version' -l destination-project-arn -x -a '(__rcl_ask --destination-project-arn)' -d 'ARN of the project that gets the copy (required)'
complete -c rcl -n '__rcl_is copy-project-version' -l version-name -x -a '(__rcl_ask --version-name)' -d 'Name of the new model, not in use in its project; 1 to 255 letters, digits, _ . - (required)'
complete -c rcl -n '__rcl_is copy-project-version' -l output-config -x -a '(__rcl_ask --output-config)' -d 'Where result files go: S3Bucket=BUCKET,S3KeyPrefix=FOLDER; the prefix may be left out (required)'
complete -c rcl -n '__rcl_is copy-project-version' -l tags -x -a '(__rcl_ask --tags)' -d 'Tags as KEY=VALUE,KEY=VALUE: up to 200, keys of 1 to 128 characters, values of up to 256'
complete -c rcl -n '__rcl_is copy-project-version' -l kms-key-id -x -a '(__rcl_ask --kms-key-id)' -d 'Key name of 1 to 2048 characters; stored and shown only, rcl does not encrypt'
complete -c rcl -n __rcl_needs_command -a put-project-policy -d 'Attach a policy to a project that says who may copy its models.'
complete -c rcl -n '__rcl_is put-project-policy' -l project-arn -x -a '(__rcl_ask --project-arn)' -d 'ARN of the project, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is put-project-policy' -l policy-name -x -a '(__rcl_ask --policy-name)' -d 'Name of the policy, 1 to 128 letters, digits, _ . - (required)'
complete -c rcl -n '__rcl_is put-project-policy' -l policy-revision-id -x -a '(__rcl_ask --policy-revision-id)' -d 'Revision to replace, up to 64 hexadecimal digits; left out for a new policy'
complete -c rcl -n '__rcl_is put-project-policy' -l policy-document -x -a '(__rcl_ask --policy-document)' -d 'The policy as JSON, 1 to 2000 characters, or file://FILE (required)'
complete -c rcl -n __rcl_needs_command -a list-project-policies -d 'List a project\'s policies.'
complete -c rcl -n '__rcl_is list-project-policies' -l project-arn -x -a '(__rcl_ask --project-arn)' -d 'ARN of the project, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is list-project-policies' -l next-token -x -a '(__rcl_ask --next-token)' -d 'NextToken of the page before, up to 1024 characters; turns automatic paging off'
complete -c rcl -n '__rcl_is list-project-policies' -l max-results -x -a '(__rcl_ask --max-results)' -d 'Rows per page, 1 to 5 (default 5); turns automatic paging off'
complete -c rcl -n '__rcl_is list-project-policies' -l max-items -x -a '(__rcl_ask --max-items)' -d 'Print at most N rows; NextToken in the output then says where to go on'
complete -c rcl -n '__rcl_is list-project-policies' -l page-size -x -a '(__rcl_ask --page-size)' -d 'Rows per request, sent as MaxResults; all pages are still printed'
complete -c rcl -n '__rcl_is list-project-policies' -l starting-token -x -a '(__rcl_ask --starting-token)' -d 'Go on from the NextToken that --max-items left in an earlier output'
complete -c rcl -n __rcl_needs_command -a delete-project-policy -d 'Delete a project\'s policy.'
complete -c rcl -n '__rcl_is delete-project-policy' -l project-arn -x -a '(__rcl_ask --project-arn)' -d 'ARN of the project, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is delete-project-policy' -l policy-name -x -a '(__rcl_ask --policy-name)' -d 'Name of the policy, 1 to 128 letters, digits, _ . - (required)'
complete -c rcl -n '__rcl_is delete-project-policy' -l policy-revision-id -x -a '(__rcl_ask --policy-revision-id)' -d 'Delete only this revision, up to 64 hexadecimal digits (default: any)'
complete -c rcl -n __rcl_needs_command -a wait -d 'Wait until a model is trained or running.'
complete -c rcl -n '__rcl_is wait' -a 'project-version-training-completed project-version-running'
complete -c rcl -n '__rcl_is wait' -l project-arn -x -a '(__rcl_ask --project-arn)' -d 'ARN of the project, as describe-projects shows it (required)'
complete -c rcl -n '__rcl_is wait' -l version-names -x -a '(__rcl_ask --version-names)' -d 'Only models with these names, 1 to 10 (default: all)'
complete -c rcl -n '__rcl_is wait' -l next-token -x -a '(__rcl_ask --next-token)' -d 'NextToken of the page before, up to 1024 characters; turns automatic paging off'
complete -c rcl -n '__rcl_is wait' -l max-results -x -a '(__rcl_ask --max-results)' -d 'Rows per page, 1 to 100 (default 100); turns automatic paging off'
complete -c rcl -n '__rcl_is wait' -l delay -x -a '(__rcl_ask --delay)' -d 'Time between two looks'
complete -c rcl -n '__rcl_is wait' -l max-attempts -x -a '(__rcl_ask --max-attempts)' -d 'Looks before giving up'
complete -c rcl -n '__rcl_is wait' -l max-items -x -a '(__rcl_ask --max-items)' -d 'Print at most N rows; NextToken in the output then says where to go on'
complete -c rcl -n '__rcl_is wait' -l page-size -x -a '(__rcl_ask --page-size)' -d 'Rows per request, sent as MaxResults; all pages are still printed'
complete -c rcl -n '__rcl_is wait' -l starting-token -x -a '(__rcl_ask --starting-token)' -d 'Go on from the NextToken that --max-items left in an earlier output'
complete -c rcl -n __rcl_needs_command -a tag-resource -d 'Add tags to a project, a dataset or a model.'
complete -c rcl -n '__rcl_is tag-resource' -l resource-arn -x -a '(__rcl_ask --resource-arn)' -d 'ARN of a project, a dataset or a model (required)'
complete -c rcl -n '__rcl_is tag-resource' -l tags -x -a '(__rcl_ask --tags)' -d 'Tags to add or change, KEY=VALUE,…: keys of 1 to 128 characters, values of up to 256 (required)'
complete -c rcl -n __rcl_needs_command -a untag-resource -d 'Remove tags.'
complete -c rcl -n '__rcl_is untag-resource' -l resource-arn -x -a '(__rcl_ask --resource-arn)' -d 'ARN of a project, a dataset or a model (required)'
complete -c rcl -n '__rcl_is untag-resource' -l tag-keys -x -a '(__rcl_ask --tag-keys)' -d 'Keys to remove, up to 200, separated by spaces; a comma does not separate them (required)'
complete -c rcl -n '__rcl_in_list --tag-keys' -a '(__rcl_ask --tag-keys)'
complete -c rcl -n __rcl_needs_command -a list-tags-for-resource -d 'List tags.'
complete -c rcl -n '__rcl_is list-tags-for-resource' -l resource-arn -x -a '(__rcl_ask --resource-arn)' -d 'ARN of a project, a dataset or a model (required)'
complete -c rcl -n __rcl_needs_command -a start-project-version -d 'Load a model and keep it ready for requests.'
complete -c rcl -n '__rcl_is start-project-version' -l project-version-arn -x -a '(__rcl_ask --project-version-arn)' -d 'ARN of the model, as describe-project-versions shows it (required)'
complete -c rcl -n '__rcl_is start-project-version' -l min-inference-units -x -a '(__rcl_ask --min-inference-units)' -d 'Number of worker processes, 1 or more, each with the model in memory (required)'
complete -c rcl -n '__rcl_is start-project-version' -l max-inference-units -x -a '(__rcl_ask --max-inference-units)' -d 'Most worker processes, not below the least; stored and shown only, rcl does not scale'
complete -c rcl -n __rcl_needs_command -a stop-project-version -d 'Unload a running model.'
complete -c rcl -n '__rcl_is stop-project-version' -l project-version-arn -x -a '(__rcl_ask --project-version-arn)' -d 'ARN of the model, as describe-project-versions shows it (required)'
complete -c rcl -n __rcl_needs_command -a detect-custom-labels -d 'Find labels in an image with a running model.'
complete -c rcl -n '__rcl_is detect-custom-labels' -l project-version-arn -x -a '(__rcl_ask --project-version-arn)' -d 'ARN of the model, as describe-project-versions shows it (required)'
complete -c rcl -n '__rcl_is detect-custom-labels' -l image -x -a '(__rcl_ask --image)' -d 'Image in a bucket, S3Object={Bucket=NAME,Name=KEY}; for a local file use --image-bytes'
complete -c rcl -n '__rcl_is detect-custom-labels' -l max-results -x -a '(__rcl_ask --max-results)' -d 'Most labels to return, highest confidence first; 0 returns none (default: all)'
complete -c rcl -n '__rcl_is detect-custom-labels' -l min-confidence -x -a '(__rcl_ask --min-confidence)' -d 'Lowest confidence shown, 0 to 100 percent (default: each label\'s own threshold)'
complete -c rcl -n '__rcl_is detect-custom-labels' -l image-bytes -x -a '(__rcl_ask --image-bytes)' -d 'The image itself, PNG or JPEG of up to 4 MB'
complete -c rcl -n __rcl_needs_command -a dataset -d 'Bring labelled images in and out of other tools\' formats, and check them.'
complete -c rcl -n '__rcl_is dataset' -a import -d 'Make datasets, or manifests, from labelled images of other tools.'
complete -c rcl -n '__rcl_is "dataset import"' -F
complete -c rcl -n '__rcl_is "dataset import"' -l format -x -a 'manifest cvat voc coco labelstudio csv yolo folders' -d 'Found out if it is not given.'
complete -c rcl -n '__rcl_is "dataset import"' -l images -r -F -d 'Folder to look for images in, if they lie elsewhere than the files say.'
complete -c rcl -n '__rcl_is "dataset import"' -l project -x -a '(__rcl_ask --project)' -d 'Make the datasets of this project; the project is made if need be.'
complete -c rcl -n '__rcl_is "dataset import"' -l out -r -F -d 'Write manifests into this folder.'
complete -c rcl -n '__rcl_is "dataset import"' -l part -x -a 'train test' -d 'Take all of it for training, or for testing.'
complete -c rcl -n '__rcl_is dataset' -a export -d 'Write datasets, with their images, in the format of another tool.'
complete -c rcl -n '__rcl_is "dataset export"' -a '(__rcl_ask source)'
complete -c rcl -n '__rcl_is "dataset export"' -l format -x -a 'coco yolo voc folders csv manifest' -d 'What to write.'
complete -c rcl -n '__rcl_is "dataset export"' -l out -r -F -d 'An empty folder, or a new one.'
complete -c rcl -n '__rcl_is "dataset export"' -l images -r -F -d 'Folder to look for images in, if they lie elsewhere than the files say.'
complete -c rcl -n '__rcl_is dataset' -a check -d 'Look for what spoils a model: broken images, copies, odd boxes, slips in labels, leaks into the test set.'
complete -c rcl -n '__rcl_is "dataset check"' -a '(__rcl_ask source)'
complete -c rcl -n '__rcl_is "dataset check"' -l format -x -a 'manifest cvat voc coco labelstudio csv yolo folders' -d 'Found out if it is not given.'
complete -c rcl -n '__rcl_is "dataset check"' -l images -r -F -d 'Folder to look for images in, if they lie elsewhere than the files say.'
complete -c rcl -n '__rcl_is "dataset check"' -l json -d 'A JSON object a finding.'
complete -c rcl -n '__rcl_is "dataset check"' -l all -d 'Every finding, however many there are of a kind.'
complete -c rcl -n '__rcl_is "dataset check"' -l fail-on -x -a 'error warning never' -d 'From what on the exit code is 1.'
complete -c rcl -n __rcl_needs_command -a detect -d 'Find labels in many images with one model.'
complete -c rcl -n '__rcl_is detect' -a '(__rcl_ask image)'
complete -c rcl -n '__rcl_is detect' -l out -r -F -d 'File to write; without it, stdout.'
complete -c rcl -n '__rcl_is detect' -l format -x -a 'jsonl manifest' -d 'CustomLabels a line, or Ground Truth lines for update-dataset-entries.'
complete -c rcl -n '__rcl_is detect' -l min-confidence -x -a '(__rcl_ask --min-confidence)' -d 'For all labels, instead of their thresholds.'
complete -c rcl -n '__rcl_is detect' -l max-results -x -a '(__rcl_ask --max-results)' -d 'Labels an image at most.'
complete -c rcl -n '__rcl_is detect' -l attribute -x -a '(__rcl_ask --attribute)' -d 'Name of the label attribute in a manifest.'
complete -c rcl -n '__rcl_is detect' -l resume -d 'Go on with --out after a kill; images that failed are tried again.'
complete -c rcl -n '__rcl_is detect' -l draw -r -F -d 'Draw what is found: into a PNG or JPEG, or, of several images, into a folder.'
complete -c rcl -n '__rcl_is detect' -l once -d 'Load the model here; it need not be running.'
complete -c rcl -n '__rcl_is detect' -l threads -x -a '(__rcl_ask --threads)' -d 'Images asked about at once.'
complete -c rcl -n __rcl_needs_command -a doctor -d 'Look for what keeps rcl from working on this machine.'
complete -c rcl -n '__rcl_is doctor' -l quick -d 'Do not load the libraries that train; that takes some seconds.'
complete -c rcl -n '__rcl_is doctor' -l network -d 'Also try the network: the host of the weights, and S3 where it is used.'
complete -c rcl -n '__rcl_is doctor' -l json -d 'A JSON object a check.'
complete -c rcl -n __rcl_needs_command -a draw -d 'Draw detected boxes and labels into an image.'
complete -c rcl -n '__rcl_is draw' -F
complete -c rcl -n '__rcl_is draw' -l labels -r -F -d 'Output of detect-custom-labels; - reads it from stdin.'
complete -c rcl -n '__rcl_is draw' -l out -r -F -d 'PNG or JPEG to write.'
complete -c rcl -n __rcl_needs_command -a example -d 'Make an example project: images and manifests.'
complete -c rcl -n '__rcl_is example' -a 'circuits logos'
complete -c rcl -n '__rcl_is example' -F
complete -c rcl -n '__rcl_is example' -l seed -x -a '(__rcl_ask --seed)' -d 'Other seeds give other images.'
complete -c rcl -n '__rcl_is example' -l train -x -a '(__rcl_ask --train)' -d 'Training images of circuits.'
complete -c rcl -n '__rcl_is example' -l test -x -a '(__rcl_ask --test)' -d 'Test images.'
complete -c rcl -n __rcl_needs_command -a export -d 'Take a trained model away, to run it without rcl.'
complete -c rcl -n '__rcl_is export' -a '(__rcl_ask version)'
complete -c rcl -n '__rcl_is export' -l format -x -a 'onnx openvino torchscript' -d 'What to write.'
complete -c rcl -n '__rcl_is export' -l out -r -F -d 'An empty folder, or a new one.'
complete -c rcl -n __rcl_needs_command -a logs -d 'Show the log of a model\'s training or host.'
complete -c rcl -n '__rcl_is logs' -a '(__rcl_ask version)'
complete -c rcl -n '__rcl_is logs' -l follow -d 'Keep printing until the training ends.'
complete -c rcl -n '__rcl_is logs' -l host -d 'The model host\'s log instead of the training\'s.'
complete -c rcl -n __rcl_needs_command -a status -d 'Show projects, their newest versions, and what is running.'
complete -c rcl -n '__rcl_is status' -l json -d 'A JSON object a project.'
complete -c rcl -n __rcl_needs_command -a thresholds -d 'Show, set or reset from what score on labels count.'
complete -c rcl -n '__rcl_is thresholds' -a '(__rcl_ask version)'
complete -c rcl -n '__rcl_is thresholds' -l set -x -a '(__rcl_ask --set)' -d 'A label\'s threshold, 0 to 1.'
complete -c rcl -n '__rcl_is thresholds' -l precision -x -a '(__rcl_ask --precision)' -d 'Aim at this precision on the test set.'
complete -c rcl -n '__rcl_is thresholds' -l recall -x -a '(__rcl_ask --recall)' -d 'Aim at this recall on the test set.'
complete -c rcl -n '__rcl_is thresholds' -l label -x -a '(__rcl_ask --label)' -d 'For this label only; may be given again.'
complete -c rcl -n '__rcl_is thresholds' -l relax -d 'Lower them as far as leaves the figures on the test set as they are.'
complete -c rcl -n '__rcl_is thresholds' -l reset -d 'Go back to the assumed thresholds.'
complete -c rcl -n '__rcl_is thresholds' -l json -d 'A JSON object a label.'
complete -c rcl -n __rcl_needs_command -a versions -d 'Show the versions of a project, and how good they are.'
complete -c rcl -n '__rcl_is versions' -a '(__rcl_ask project)'
complete -c rcl -n '__rcl_is versions' -l json -d 'A JSON object a version.'
complete -c rcl -n __rcl_needs_command -a train -d 'Train a model from a folder of pictures, and start it.'
complete -c rcl -n '__rcl_is train' -F
complete -c rcl -n '__rcl_is train' -l name -x -a '(__rcl_ask --name)' -d 'The project\'s name; without it, that of the folder or file.'
complete -c rcl -n '__rcl_is train' -l format -x -a 'manifest cvat voc coco labelstudio csv yolo folders' -d 'Found out if it is not given.'
complete -c rcl -n '__rcl_is train' -l images -r -F -d 'Folder to look for images in, if they lie elsewhere than the files say.'
complete -c rcl -n '__rcl_is train' -l set -x -a '(__rcl_ask --set)' -d 'A training option: epochs=50.'
complete -c rcl -n '__rcl_is train' -l report -d 'Whether a page about it is written.  [default: report]'
complete -c rcl -n '__rcl_is train' -l start -d 'Whether the model is started.  [default: start]'
complete -c rcl -n __rcl_needs_command -a report -d 'Write a page about how good a trained version is.'
complete -c rcl -n '__rcl_is report' -a '(__rcl_ask version)'
complete -c rcl -n '__rcl_is report' -l out -r -F -d 'HTML file to write.  [default: PROJECT-VERSION-report.html]'
complete -c rcl -n __rcl_needs_command -a serve -d 'Answer AWS SDKs and the aws CLI over HTTP.'
complete -c rcl -n '__rcl_is serve' -l host -x -a '(__rcl_ask --host)' -d 'Address to listen on.'
complete -c rcl -n '__rcl_is serve' -l port -x -a '(__rcl_ask --port)' -d '0 picks a free one.'
complete -c rcl -n '__rcl_is serve' -l access-key-file -r -F -d 'Answer only requests signed with a key of this file, which is in the format of ~/.aws/credentials.'
complete -c rcl -n '__rcl_is serve' -l access-log -d 'Write a line a request to stderr.'
complete -c rcl -n '__rcl_is serve' -l debug -d 'Write what the HTTP server does to stderr.'
