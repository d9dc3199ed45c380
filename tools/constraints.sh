#!/bin/sh
# Write constraints.txt: what torch, the library and its dev tools resolve to in a fresh environment;
# and constraints-fingerprints.txt: what scikit-fingerprints wants otherwise.
# torch stays as it is pinned; to move it, edit its line first.
set -eu
cd "$(dirname "$0")/.."
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
"${PYTHON:-python3}" -m venv "$new/venv"
pip="$new/venv/bin/python -m pip --disable-pip-version-check"
$pip install -qq "$(grep '^torch==' constraints.txt)"
$pip install -qq -e ".[dev]"
$pip check
{
  echo "# Every version that this release was tested with; made by: make constraints"
  $pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$//' | LC_ALL=C sort -f
} > "$new/constraints.txt"
tools/fingerprints.sh "$new/venv" "$new/other"
{
  echo "# Where scikit-fingerprints differs from constraints.txt; made by: make constraints"
  "$new/other/bin/python" -m pip freeze --path "$new"/other/lib/python*/site-packages | LC_ALL=C sort -f
} > "$new/constraints-fingerprints.txt"
mv "$new"/constraints*.txt .
