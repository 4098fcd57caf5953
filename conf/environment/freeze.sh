#!/usr/bin/env bash
# Write the frozen closure of a requirement list anew: freeze.sh ml | freeze.sh airflow | freeze.sh servers
#
# To change a pin: edit ml.in (or airflow.in), run this, run `make test`, commit both files.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=conf/environment/prerequisites.sh
source "$here/prerequisites.sh"

target=${1:-}
[[ -f $here/$target.in ]] || die "'$target' is no environment. Usage: conf/environment/freeze.sh ml|airflow|servers"
python=$(find_python)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --upgrade pip
"$work/venv/bin/python" -m pip install -r "$here/$target.in"
{
    echo "# Frozen closure of $target.in: what pip installed for it, as conf/environment/freeze.sh $target wrote it."
    echo "# Change $target.in, not this file. It names no index: pip asks the one your machine is set up for."
    "$work/venv/bin/python" -m pip freeze --all
} >"$work/frozen.txt"
cp "$work/frozen.txt" "$here/$target.txt"
