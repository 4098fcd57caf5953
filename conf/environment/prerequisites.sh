# shellcheck shell=bash
# What has to be on the machine before anything is set up. Sourced by setup.sh and horovod.sh.
# Each function says in one line what is missing, what was found and how to get it, and stops.

die() {
    printf 'tidemill: %s\n' "$*" >&2
    exit 1
}

# Print the path of a Python 3.11 that can make environments. Of an environment's own Python (one may
# be activated, `make` puts ours first on the path) it is the one that this was made from: an
# environment that is made anew is removed first.
find_python() {
    local candidate version found=""
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3; do
        version=$("$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>&1) || continue
        if [[ $version == 3.11.* ]]; then
            "$candidate" -c 'import ensurepip, venv' 2>/dev/null ||
                die "Python $version cannot make environments (no venv). Get it: sudo apt-get install python3.11-venv"
            "$candidate" -c 'import sys; print(sys._base_executable)'
            return
        fi
        found+="${found:+, }$candidate is $version"
    done
    die "Python 3.11 is missing (${found:-no python3 on the path}). Get it: sudo apt-get install python3.11 python3.11-venv, or name one: PYTHON=/path/to/python3.11 make setup"
}

# Spark takes the Java of JAVA_HOME, or else the first on the path.
need_java() {
    local java="${JAVA_HOME:+$JAVA_HOME/bin/}java" line release
    local get="Get it: sudo apt-get install openjdk-17-jdk-headless"
    [[ -z ${JAVA_HOME:-} ]] || get+=", and unset JAVA_HOME ($JAVA_HOME) or let it name that one"
    line=$("$java" -version 2>&1 | grep -m 1 ' version "') ||
        die "Java 17 or 21 is missing ($java does not run). $get"
    release=$(sed -E 's/.* version "([0-9]+).*/\1/' <<<"$line")
    [[ $release == 17 || $release == 21 ]] ||
        die "Java 17 or 21 is missing (found: $line). $get"
}

# Horovod is compiled on this machine.
need_compiler() {
    local tool missing=()
    for tool in g++ make; do
        "$tool" --version >/dev/null 2>&1 || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) ||
        die "${missing[*]} missing (not on the path), needed to build Horovod. Get it: sudo apt-get install ${missing[*]}"
}
