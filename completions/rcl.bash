# bash completion for rcl. Written by `make gen` from the command tree of rcl; changes belong there.
# Use: source this file, or put it into the folder of bash-completion under the name `rcl`.

# What follows an option of a command: sets takes (none, one, many words), choices, files.
_rcl_option() {
    takes=one choices= files=
    case "$1 $2" in
        *" --project-names" | *" --contains-labels" | *" --datasets" | *" --version-names" | *" --tag-keys") takes=many ;;
        *" --features") takes=many; choices="CONTENT_MODERATION CUSTOM_LABELS" ;;
        *" --no-sign-request" | *" --no-verify-ssl" | *" --no-cli-pager" | *" --debug" | *" --cli-auto-prompt" | *" --no-cli-auto-prompt" | *" --no-paginate" | *" --labeled" | *" --no-labeled" | *" --has-errors" | *" --no-has-errors" | *" --wait" | *" --json" | "logs --host" | *" --browser" | *" --without-tls" | "pull --images" | *" --all" | *" --resume" | *" --once" | *" --quick" | *" --network" | *" --follow" | *" --anyone-local" | *" --access-log" | *" --relax" | *" --reset" | *" --report" | *" --start") takes=none ;;
        *" --ca-bundle" | *" --out" | "dataset import --images" | "dataset export --images" | "dataset show --images" | "dataset check --images" | "train --images" | *" --draw" | *" --labels" | *" --access-key-file") files=1 ;;
        *" --feature") choices="CONTENT_MODERATION CUSTOM_LABELS" ;;
        *" --auto-update") choices="ENABLED DISABLED" ;;
        *" --dataset-type") choices="TRAIN TEST" ;;
        *" --for") choices="accuracy speed" ;;
        *" --cli-binary-format") choices="base64 raw-in-base64-out" ;;
        *" --fail-on") choices="error warning never" ;;
        *" --quality") choices="fast auto best" ;;
        *" --generate-cli-skeleton") choices="input output yaml-input" ;;
        *" --output") choices="json yaml yaml-stream text table off" ;;
        "detect --format") choices="jsonl manifest" ;;
        *" --cli-error-format") choices="legacy json yaml text table enhanced" ;;
        "dataset import --format" | "dataset show --format" | "dataset check --format" | "train --format") choices="manifest cvat voc coco labelstudio csv yolo folders" ;;
        "dataset export --format") choices="manifest voc coco csv yolo folders" ;;
        *" --color") choices="on off auto" ;;
        "export --format") choices="onnx openvino torchscript coreml tensorrt" ;;
        *" --part") choices="train test" ;;
    esac
}

# What a command takes besides options: sets choices, files, asked.
_rcl_words() {
    choices= files= asked=
    case "$1" in
        help) choices="create-project describe-projects delete-project create-dataset describe-dataset delete-dataset list-dataset-entries list-dataset-labels update-dataset-entries distribute-dataset-entries create-project-version describe-project-versions delete-project-version copy-project-version put-project-policy list-project-policies delete-project-policy wait tag-resource untag-resource list-tags-for-resource start-project-version stop-project-version detect-custom-labels compare config console dataset detect doctor draw example export feedback logs pull push report serve status thresholds train versions" ;;
        "wait") choices="project-version-training-completed project-version-running" ;;
        "compare") asked=version ;;
        "config") choices="show explain set unset" ;;
        "config explain") asked=setting ;;
        "config set") asked=setting ;;
        "config unset") asked=setting ;;
        "dataset") choices="import export show check" ;;
        "dataset import") files=1 ;;
        "dataset export") asked=source ;;
        "dataset show") asked=source ;;
        "dataset check") asked=source ;;
        "detect") asked=image ;;
        "draw") files=1 ;;
        "example") choices="rooms flowers logos circuits"; files=1 ;;
        "export") asked=version ;;
        "feedback") choices="add status" ;;
        "feedback add") asked=queue ;;
        "feedback status") asked=project ;;
        "logs") asked=version ;;
        "push") asked=source ;;
        "report") asked=version ;;
        "thresholds") asked=version ;;
        "train") files=1 ;;
        "versions") asked=project ;;
    esac
}

_rcl_flags() {
    case "$1" in
        "create-project") flags="--project-name --feature --auto-update --tags --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "describe-projects") flags="--next-token --max-results --project-names --features --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --max-items --page-size --starting-token --help" ;;
        "delete-project") flags="--project-arn --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "create-dataset") flags="--dataset-source --dataset-type --project-arn --tags --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "describe-dataset") flags="--dataset-arn --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "delete-dataset") flags="--dataset-arn --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "list-dataset-entries") flags="--dataset-arn --contains-labels --labeled --no-labeled --source-ref-contains --has-errors --no-has-errors --next-token --max-results --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --max-items --page-size --starting-token --help" ;;
        "list-dataset-labels") flags="--dataset-arn --next-token --max-results --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --max-items --page-size --starting-token --help" ;;
        "update-dataset-entries") flags="--dataset-arn --changes --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "distribute-dataset-entries") flags="--datasets --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "create-project-version") flags="--project-arn --version-name --output-config --training-data --testing-data --tags --kms-key-id --version-description --feature-config --wait --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "describe-project-versions") flags="--project-arn --version-names --next-token --max-results --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --max-items --page-size --starting-token --help" ;;
        "delete-project-version") flags="--project-version-arn --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "copy-project-version") flags="--source-project-arn --source-project-version-arn --destination-project-arn --version-name --output-config --tags --kms-key-id --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "put-project-policy") flags="--project-arn --policy-name --policy-revision-id --policy-document --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "list-project-policies") flags="--project-arn --next-token --max-results --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --max-items --page-size --starting-token --help" ;;
        "delete-project-policy") flags="--project-arn --policy-name --policy-revision-id --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "wait") flags="--project-arn --version-names --next-token --max-results --delay --max-attempts --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --max-items --page-size --starting-token --help" ;;
        "tag-resource") flags="--resource-arn --tags --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "untag-resource") flags="--resource-arn --tag-keys --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "list-tags-for-resource") flags="--resource-arn --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "start-project-version") flags="--project-version-arn --min-inference-units --max-inference-units --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "stop-project-version") flags="--project-version-arn --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "detect-custom-labels") flags="--project-version-arn --image --max-results --min-confidence --image-bytes --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate --cli-input-json --cli-input-yaml --generate-cli-skeleton --help" ;;
        "compare") flags="--out --json --help" ;;
        "config") flags="--help" ;;
        "config show") flags="--json --help" ;;
        "config explain") flags="--help" ;;
        "config set") flags="--help" ;;
        "config unset") flags="--help" ;;
        "console") flags="--host --port --browser --without-tls --help" ;;
        "dataset") flags="--help" ;;
        "dataset import") flags="--format --images --project --out --part --copy-to --help" ;;
        "dataset export") flags="--format --out --images --help" ;;
        "dataset show") flags="--out --count --label --part --seed --columns --format --images --help" ;;
        "dataset check") flags="--format --images --json --all --fail-on --help" ;;
        "detect") flags="--out --format --min-confidence --max-results --attribute --resume --draw --once --threads --help" ;;
        "doctor") flags="--quick --network --json --help" ;;
        "draw") flags="--labels --out --help" ;;
        "example") flags="--seed --train --test --help" ;;
        "export") flags="--format --out --help" ;;
        "feedback") flags="--help" ;;
        "feedback add") flags="--version --json --help" ;;
        "feedback status") flags="--json --help" ;;
        "logs") flags="--follow --host --help" ;;
        "pull") flags="--to --images --profile --region --endpoint-url --s3-endpoint-url --no-sign-request --help" ;;
        "push") flags="--bucket --prefix --to --profile --region --endpoint-url --s3-endpoint-url --no-sign-request --help" ;;
        "report") flags="--out --help" ;;
        "serve") flags="--host --port --access-key-file --allow-origin --anyone-local --access-log --debug --help" ;;
        "status") flags="--json --help" ;;
        "thresholds") flags="--set --precision --recall --label --relax --reset --json --help" ;;
        "train") flags="--name --format --images --set --quality --for --report --start --help" ;;
        "versions") flags="--json --help" ;;
        *) flags="--help --version --output --query --region --profile --endpoint-url --no-sign-request --no-verify-ssl --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --color --no-cli-pager --cli-error-format --debug --cli-auto-prompt --no-cli-auto-prompt --no-paginate" ;;
    esac
}

_rcl() {
    local line=${COMP_LINE:0:COMP_POINT} cur= command= option= given=0 position=0 word
    local groups takes choices files asked flags value quote= cut=0 candidate special IFS=$' \t\n'
    local -a typed
    COMPREPLY=()
    read -ra typed <<< "$line"
    if [[ $line == *[![:space:]] ]]; then
        cur=${typed[${#typed[@]}-1]}
        typed=("${typed[@]:0:${#typed[@]}-1}")
    fi
    groups="config dataset feedback"
    for word in "${typed[@]:1}"; do
        if [[ $word == --*=* ]]; then
            option=
        elif [[ $word == --* ]]; then
            option=$word given=0
            _rcl_option "$command" "$option"
            [[ $takes == none ]] && option=
        elif [[ -n $option ]] && { [[ $takes == many ]] || (( ! given )); }; then
            given=1
            [[ $takes == one ]] && option=
        elif [[ -z $command ]]; then
            [[ $word == rekognition ]] || command=$word
        elif [[ " $groups " == *" $command "* ]]; then
            command="$command $word"
        else
            position=$((position + 1))
        fi
    done

    value=$cur
    if [[ $cur == --*=* ]]; then
        option=${cur%%=*} value=${cur#*=}
        _rcl_option "$command" "$option"
    elif [[ $cur == -* ]]; then
        _rcl_flags "$command"
        COMPREPLY=($(compgen -W "$flags" -- "$cur"))
        return
    elif [[ -n $option ]]; then
        _rcl_option "$command" "$option"
    elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "create-project describe-projects delete-project create-dataset describe-dataset delete-dataset list-dataset-entries list-dataset-labels update-dataset-entries distribute-dataset-entries create-project-version describe-project-versions delete-project-version copy-project-version put-project-policy list-project-policies delete-project-policy wait tag-resource untag-resource list-tags-for-resource start-project-version stop-project-version detect-custom-labels compare config console dataset detect doctor draw example export feedback logs pull push report serve status thresholds train versions help" -- "$cur"))
        return
    else
        _rcl_words "$command"
        (( position )) && [[ -n $files ]] && choices=
        option=$asked
        if [[ -z $choices$files$option ]]; then
            _rcl_flags "$command"
            COMPREPLY=($(compgen -W "$flags" -- "$cur"))
            return
        fi
    fi
    # Bash replaces only what stands behind the last `=` or `:`, unless there are quotes around.
    case "$value" in \'* | \"*) value=${value:1} quote=1 ;; esac
    word=${COMP_WORDS[COMP_CWORD]}
    [[ $word == [=:] ]] && word=
    [[ -z $quote ]] && cut=$(( ${#value} > ${#word} ? ${#value} - ${#word} : 0 ))
    IFS=$'\n'
    if [[ -n $choices ]]; then
        IFS=$' \t\n'
        COMPREPLY=($(compgen -W "$choices" -- "$value"))
        IFS=$'\n'
    elif [[ -n $files ]]; then
        type compopt &> /dev/null && compopt -o filenames
        COMPREPLY=($(compgen -f -- "$value"))
    else
        word=${typed[0]/#\~/$HOME}
        # Labels and keys are other people's words: nothing in them may mean something to the shell.
        case "$cur" in
            *\'*) special="/'/d" ;;
            *\"*) special='s/[\\$`"]/\\&/g' ;;
            *) special='s/[^[:alnum:]_.,:=+@%/{}~-]/\\&/g' ;;
        esac
        while IFS= read -r candidate; do
            COMPREPLY+=("$candidate")
        done < <("$word" complete "$command" "$option" "$value" "${typed[@]}" 2> /dev/null |
            cut -f1 | sed -e "s/^.\{$cut\}//" -e "$special")
        cut=0
    fi
    for candidate in "${!COMPREPLY[@]}"; do
        COMPREPLY[candidate]=${COMPREPLY[candidate]:cut}
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/={,] ]]; then
        type compopt &> /dev/null && compopt -o nospace
    fi
}

complete -F _rcl rcl
