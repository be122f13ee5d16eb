#!/usr/bin/env bash
# setup.sh [--tests]: installs what Weir is built with and runs on: Debian packages, and PyPI wheels into .venv.
# Takes seconds when nothing is missing. --tests adds what only tests use: Python packages (3 GB), tools for namespaces.
# Packages are installed as root or through sudo; without either they are named and nothing is changed.
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"
stamp="$venv/weir-wheels"

# The benches compare with Boost's newer maps; releases name the version.
boost=libboost1.81-dev
if grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; then boost=libboost1.83-dev; fi
# Otherwise the same names on Debian 12 and Ubuntu 24.04. docs/dependencies.md says what each is for.
packages="build-essential cmake ninja-build ccache git ca-certificates libopenmpi-dev openmpi-bin libprotobuf-dev
  protobuf-compiler libgflags-dev libgoogle-glog-dev libgtest-dev libgmock-dev libfmt-dev libasio-dev libssl-dev
  libcurl4-openssl-dev libxxhash-dev zlib1g-dev librocksdb-dev libabsl-dev $boost python3-venv python3-dev"
# Hosts of the tests are network namespaces, which lose packets by rules of nftables.
test_packages="iproute2 nftables"
# To link and run, libtorch_cpu needs these two of torch's own requirements and no other.
torch="torch==2.11.0"
torch_minimum=("$torch" "nvidia-cuda-runtime==13.0.*" "nvidia-cuda-cupti==13.0.*")
arrow=("pyarrow==26.*")
tests=("$torch" "numpy>=2" "scikit-learn>=1.5" "tensorboard>=2.17" "xxhash>=3" "moto[s3,server]>=5")

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }

mode=demo
for argument in "$@"; do
  case "$argument" in
    --tests) mode=tests; packages="$packages $test_packages" ;;
    -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) fail "unknown argument '$argument'; usage: bash launch/setup.sh [--tests]" ;;
  esac
done

missing_packages() {
  local package
  for package in $packages; do
    case "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" in
      *" installed") ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

install_packages() {
  local missing as_root=""
  command -v dpkg-query >/dev/null || fail "this is no Debian or Ubuntu: install by hand the like of: $packages"
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
      as_root=sudo
    else
      fail "packages are missing, and this is neither root nor may it use sudo. Run as root: apt-get install $missing"
    fi
  fi
  say "installing Debian packages: $missing"
  local apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q"
  # The second attempt is for lists that are absent or older than the archive.
  # shellcheck disable=SC2086
  if ! $apt install -y --no-install-recommends $missing >&2; then
    $apt update >&2 || fail "apt-get update failed: is there a network?"
    $apt install -y --no-install-recommends $missing >&2 || fail "could not install: $missing"
  fi
}

# Debian's own interpreter where there is one: another may lack venv or the headers.
find_python() {
  local candidate
  for candidate in /usr/bin/python3 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      echo "$candidate"
      return 0
    fi
  done
  fail "no python3 of version 3.10 or later with venv: install python3-venv"
}

# Names what an installation of this mode holds; the stamp has it once all of it is there.
wanted() { printf '%s\n' "$1" "${torch_minimum[@]}" "${arrow[@]}"; [ "$1" = demo ] || printf '%s\n' "${tests[@]}"; }

# Whether the libraries we link are there, whatever the stamp says.
libraries_present() {
  local folder
  for folder in "$venv"/lib/python3.*/site-packages; do
    [ -f "$folder/torch/lib/libtorch_cpu.so" ] && [ -f "$folder/pyarrow/libarrow.so.2600" ] &&
      [ -f "$folder/pyarrow/libparquet.so.2600" ] && return 0
  done
  return 1
}

up_to_date() {
  [ -f "$stamp" ] && libraries_present && "$venv/bin/python" -c '' 2>/dev/null || return 1
  [ "$(cat "$stamp")" = "$(wanted tests)" ] || { [ "$mode" = demo ] && [ "$(cat "$stamp")" = "$(wanted demo)" ]; }
}

pip_install() { "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off -q "$@" >&2; }

install_wheels() {
  up_to_date && return 0
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    say "making $venv"
    rm -rf "$venv"
    "$(find_python)" -m venv "$venv"
  fi
  rm -f "$stamp"
  say "installing wheels ($mode)"
  # Files that an interrupted or meddled-with installation lost do not come back unless asked for.
  local repair=()
  if "$venv/bin/python" -m pip show -q torch pyarrow >/dev/null 2>&1 && ! libraries_present; then
    repair=(--force-reinstall)
  fi
  pip_install --no-deps ${repair[@]+"${repair[@]}"} "${torch_minimum[@]}" "${arrow[@]}" ||
    fail "pip could not install ${torch_minimum[*]} ${arrow[*]}"
  if [ "$mode" = tests ]; then
    pip_install "${tests[@]}" || fail "pip could not install ${tests[*]}"
    "$venv/bin/python" -c 'import torch, pyarrow, numpy, sklearn, tensorboard, xxhash, moto.server' ||
      fail "the wheels in $venv do not work together; remove $venv and try again"
  fi
  libraries_present || fail "the wheels in $venv lack libtorch_cpu.so or libarrow.so.2600; remove $venv and try again"
  wanted "$mode" >"$stamp"
}

install_packages
install_wheels
say "complete ($mode)"
