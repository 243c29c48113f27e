#!/usr/bin/env bash
# Format, lint and types; CI runs exactly this. BIN names another virtual environment's bin folder.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=${BIN:-.venv/bin}
"$BIN"/ruff format --check .
"$BIN"/ruff check .
"$BIN"/mypy
find edgeseg -name '*.py' -print0 | xargs -0 cat | wc -l | xargs echo "lines in the package:"
