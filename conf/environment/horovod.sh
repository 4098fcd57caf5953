#!/usr/bin/env bash
# Install Horovod into an environment, built against the TensorFlow that is there.
#
#   horovod.sh VENV              install it: the wheel kept from an earlier build, or a new one
#   horovod.sh --check FILE      only see whether a build would be needed and has its compiler
#
# Wheels are kept by Python, TensorFlow, kind of build and our changes to Horovod's sources
# (patch_horovod.py): pip's own cache knows nothing of these, and hands out the wrong one.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=conf/environment/prerequisites.sh
source "$here/prerequisites.sh"

horovod=0.28.1
# Named only where it has to be changed: on GPU hosts, HOROVOD_GPU_OPERATIONS=NCCL.
kind=${HOROVOD_GPU_OPERATIONS:-cpu}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/wheels
changes=$(sha256sum "$here/patch_horovod.py" | cut -c 1-8)

# Print the folder of the wheel for a TensorFlow version.
wheels_for() { printf '%s/cp311-%s-tf%s-%s-%s\n' "$cache" "$(uname -m)" "$1" "${kind,,}" "$changes"; }

wheel_in() { find "$1" -maxdepth 1 -name "horovod-$horovod-*.whl" 2>/dev/null | head -n 1; }

if [[ ${1:-} == --check ]]; then
    version=$(sed -nE 's/^tensorflow(-cpu)?==//p' "$2" | head -n 1)
    [[ -n $(wheel_in "$(wheels_for "$version")") ]] || need_compiler
    exit
fi

venv=$1
python=$venv/bin/python
tensorflow=$("$python" -c '
from importlib.metadata import packages_distributions, version
print(version(packages_distributions()["tensorflow"][0]))')
wheels=$(wheels_for "$tensorflow")
# cmake and ninja of the environment come before those of the machine.
export PATH=$venv/bin:$PATH

# Succeed if the wheel in the cache installs and its TensorFlow part loads and runs.
install_and_try() {
    local wheel
    wheel=$(wheel_in "$wheels")
    [[ -n $wheel ]] || return 1
    "$python" -m pip install --no-index --no-deps --force-reinstall "$wheel" || return 1
    TF_CPP_MIN_LOG_LEVEL=2 "$python" -c '
import horovod.tensorflow as hvd
assert hvd.gloo_built(), "Horovod was built without Gloo"
hvd.init()
assert hvd.size() == 1'
}

build() {
    need_compiler
    local work source
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # expanded now: `work` is gone when the trap runs
    trap "rm -rf '$work'" EXIT
    "$python" -m pip download --no-binary horovod --no-deps --no-build-isolation \
        --dest "$work" "horovod==$horovod"
    tar -xzf "$work/horovod-$horovod.tar.gz" -C "$work"
    source=$work/horovod-$horovod
    "$python" "$here/patch_horovod.py" "$source"
    HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 \
        HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1 \
        "$python" -m pip wheel --no-cache-dir --no-build-isolation --no-deps \
        --wheel-dir "$work/wheel" "$source"
    # Moved in one go at the end: nobody sees half a wheel.
    local wheel
    wheel=$(wheel_in "$work/wheel")
    mkdir -p "$wheels"
    cp "$wheel" "$wheels/.new-$$"
    mv "$wheels/.new-$$" "$wheels/${wheel##*/}"
}

mkdir -p "$wheels"
# Other clones of the project share the cache: one builds, the others wait and take its wheel.
exec 8<"$wheels"
flock 8
if ! install_and_try; then
    rm -f "$wheels"/*.whl
    build
    install_and_try || die "Horovod was built for TensorFlow $tensorflow, but does not load"
fi
