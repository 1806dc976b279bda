#!/usr/bin/env bash
# The steps of action.yml: `run.sh version`, `run.sh install`, `run.sh check`.
#
# Everything that a workflow can set arrives in MESH_LINT_* variables and is only ever used quoted.
set -euo pipefail

# Says why on a line of its own that GitHub shows; %q keeps hostile values on that line.
fail() {
    printf '::error title=mesh-lint::%s\n' "$1"
    exit 2
}

own_version() {
    sed -n 's/^version = "\(.*\)"$/\1/p; /^version = /q' "$GITHUB_ACTION_PATH/Cargo.toml"
}

wanted_version() {
    local version=${MESH_LINT_VERSION:-$(own_version)}
    if [[ ! $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
        fail "$(printf 'version %q is not of the form 1.2.3' "$version")"
    fi
    printf '%s\n' "$version"
}

# Of our own version there are as many builds as commits, so their key has the sources in it.
cache_key() {
    local version=$1
    if [[ $version == "$(own_version)" ]]; then
        local sources
        sources=$(cd "$GITHUB_ACTION_PATH" && find Cargo.toml Cargo.lock src rules -type f -print0 |
            LC_ALL=C sort -z | xargs -0 shasum -a 256 | shasum -a 256)
        version+=-${sources:0:16}
    fi
    printf '%s\n' "$version"
}

version() {
    local wanted key
    wanted=$(wanted_version) || { printf '%s\n' "$wanted"; exit 2; }
    key=$(cache_key "$wanted")
    printf 'key=%s\nroot=%s/mesh-lint-%s\n' "$key" "$RUNNER_TEMP" "$key" >>"$GITHUB_OUTPUT"
}

install() {
    local wanted
    wanted=$(wanted_version) || { printf '%s\n' "$wanted"; exit 2; }
    PATH="$MESH_LINT_ROOT/bin:$PATH"
    if [[ $(mesh-lint --version 2>/dev/null || true) != "mesh-lint $wanted" ]]; then
        local from=(--path "$GITHUB_ACTION_PATH")
        if [[ $wanted != "$(own_version)" ]]; then
            from=(--version "=$wanted" mesh-lint)
        fi
        cargo install --locked --force --root "$MESH_LINT_ROOT" "${from[@]}"
    fi
    if [[ -x $MESH_LINT_ROOT/bin/mesh-lint ]]; then
        printf '%s/bin\n' "$MESH_LINT_ROOT" >>"$GITHUB_PATH"
    fi
}

# Adds each line of $1 that is not empty to the arguments.
add_lines() {
    local line
    while IFS= read -r line; do
        if [[ -n $line ]]; then
            arguments+=("$line")
        fi
    done <<<"$1"
}

check() {
    local summary="$RUNNER_TEMP/mesh-lint-summary.md" code=0
    arguments=(check --format github)
    if [[ -n $MESH_LINT_CONFIG ]]; then
        arguments+=(--config "$MESH_LINT_CONFIG")
    fi
    if [[ -n $MESH_LINT_FAIL_ON ]]; then
        arguments+=(--fail-on "$MESH_LINT_FAIL_ON")
    fi
    if [[ -n $MESH_LINT_SARIF ]]; then
        arguments+=(--output "sarif=$MESH_LINT_SARIF")
    fi
    if [[ $MESH_LINT_SUMMARY == true ]]; then
        arguments+=(--output "markdown=$summary")
    fi
    add_lines "$MESH_LINT_ARGS"
    arguments+=(--)
    add_lines "$MESH_LINT_PATH"

    cd -- "$MESH_LINT_DIRECTORY" || fail "the working directory is not there"
    mesh-lint "${arguments[@]}" || code=$?
    printf 'exit-code=%s\n' "$code" >>"$GITHUB_OUTPUT"
    if [[ -f $summary ]]; then
        # GitHub takes 1 MiB and refuses more.
        head -c 1000000 "$summary" >>"$GITHUB_STEP_SUMMARY"
        rm "$summary"
    fi
    exit "$code"
}

case ${1:-} in
version | install | check) "$1" ;;
*) fail "run.sh wants one of: version, install, check" ;;
esac
