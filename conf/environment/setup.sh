#!/usr/bin/env bash
# Set up an environment: setup.sh ml | setup.sh checks | setup.sh airflow | setup.sh servers
#
# `checks` is the ML environment as far as lint, types and unit tests need it: its packages, without
# the jars and without Horovod, which takes minutes to compile.
#
# Each step leaves a stamp in the environment, holding the hash of what the step depends on; a step
# whose stamp still says the same is skipped, so a second call takes no time, and an interrupted one
# goes on where it stopped. Nothing names an index or a mirror: pip and Spark's package resolution
# ask those that this machine is set up for.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=conf/environment/prerequisites.sh
source "$here/prerequisites.sh"

target=${1:-}
case $target in
    ml) venv=$root/.venv steps=(venv packages project spark horovod) ;;
    checks) venv=$root/.venv steps=(venv packages project) ;;
    airflow) venv=$root/.venv-airflow steps=(venv packages project) ;;
    servers) venv=$root/.venv-servers steps=(venv packages) ;;
    *) die "'$target' is no environment. Usage: conf/environment/setup.sh ml|checks|airflow|servers" ;;
esac
requirements=$here/${target/checks/ml}.txt
stamps=$venv/.tidemill

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# Packages of the caller's own environment must not leak in, nor ours depend on them.
unset PYTHONPATH PYTHONHOME SPARK_HOME

pip() { "$venv/bin/python" -m pip "$@"; }

# --- the steps ----------------------------------------------------------------------------------

step_venv() {
    local python
    python=$(find_python)
    # Left by an interrupted set-up, or moved: its scripts hold the old path.
    rm -rf "$venv"
    "$python" -m venv "$venv"
}

step_packages() {
    # First what builds the two packages that come as source, then all without isolation, so that
    # the build tools are pinned as well. (wheel needs packaging.) The list is a closure: nothing has
    # to be resolved.
    grep -E '^(pip|setuptools|wheel|packaging)==' "$requirements" >"$stamps/tools.txt"
    pip install --no-deps -r "$stamps/tools.txt"
    pip install --no-deps --no-build-isolation -r "$requirements"
    pip check
}

step_horovod() { "$here/horovod.sh" "$venv"; }

step_spark() { "$venv/bin/python" "$here/spark_files.py" "$root/conf/spark"; }

step_project() { pip install --no-deps --no-build-isolation --editable "$root"; }

# What a step depends on: the step is done again when this changes. Each depends on those before it.
inputs_of() {
    case $1 in
        venv) printf '%s\n' "$root" ;;
        packages) cat "$requirements" ;;
        horovod) cat "$here"/{horovod.sh,patch_horovod.py} && printf '%s\n' "${HOROVOD_GPU_OPERATIONS:-}" ;;
        spark) cat "$here/spark_files.py" "$root/conf/spark/log4j2.properties" ;;
        project) cat "$root/pyproject.toml" ;;
    esac
}

about() {
    case $1 in
        venv) echo "a new environment in ${venv#"$root"/}" ;;
        packages) echo "packages of conf/environment/${requirements##*/} (a minute or two)" ;;
        horovod) echo "Horovod (some minutes the first time: it is compiled for this TensorFlow)" ;;
        spark) echo "jars (Delta, S3, PostgreSQL) and logging for Spark" ;;
        project) echo "tidemill itself" ;;
    esac
}

# --- doing them ---------------------------------------------------------------------------------

# Set `keys`: step -> hash of its inputs and of those of all steps before it.
declare -A keys
hash_steps() {
    local step key=""
    for step in "${steps[@]}"; do
        key=$({ printf '%s\n' "$key" && inputs_of "$step"; } | sha256sum | cut -d ' ' -f 1)
        keys[$step]=$key
    done
}

is_done() {
    local stamp=""
    [[ -f $stamps/$1 ]] && read -r stamp <"$stamps/$1"
    [[ $stamp == "${keys[$1]}" ]]
}

all_done() {
    local step
    for step in "${steps[@]}"; do is_done "$step" || return 1; done
}

do_step() {
    local step=$1 number=$2 log start=$SECONDS status=0
    log=$(mktemp)
    printf '[%s %d/%d] %s\n' "$target" "$number" "${#steps[@]}" "$(about "$step")"
    # A shell of its own: `set -e` has no effect in what stands left of `||`.
    "$BASH" "${BASH_SOURCE[0]}" "$target" --step "$step" >"$log" 2>&1 </dev/null || status=$?
    if ((status != 0)); then
        tail -n 25 "$log" >&2
        die "step '$step' of the $target environment failed (whole output: $log). When its cause is gone, run the same again: what is done stays done"
    fi
    rm -f "$log"
    mkdir -p "$stamps"
    printf '%s\n' "${keys[$step]}" >"$stamps/$step.new"
    mv "$stamps/$step.new" "$stamps/$step"
    printf '[%s %d/%d] done in %d s\n' "$target" "$number" "${#steps[@]}" $((SECONDS - start))
}

if [[ ${2:-} == --step ]]; then
    "step_$3"
    exit
fi

[[ $target != ml ]] || need_java
hash_steps
if all_done; then exit 0; fi

# Two set-ups at once: the second waits, then finds all done. The lock is on the requirement file,
# which is always there; the operating system lets go of it when this process ends, however it ends.
exec 9<"$requirements"
if ! flock --nonblock 9; then
    echo "Another set-up of the $target environment is at work; waiting for it."
    flock 9
fi
find_python >/dev/null
[[ $target != ml ]] || "$here/horovod.sh" --check "$requirements"
number=0
for step in "${steps[@]}"; do
    number=$((number + 1))
    is_done "$step" || do_step "$step" "$number"
done
