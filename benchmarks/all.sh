#!/usr/bin/env bash
# Prints every table of benchmarks/README.md on this machine: idle, beside two busy processes, with a quota of one core.
#
#   PHOTOS=ImageNet/val ROBUSTNESS=CHECKOUT FROST=FOLDER ROBUSTBENCH=CHECKOUT AUGMIX=CHECKOUT CIFAR10=FOLDER \
#   CHECKPOINT=resnet20.th benchmarks/all.sh [idle,busy,quota] >tables.md
#
# Each of them may be left out: the script then measures without what it would be compared with, as its docstring says.
# Takes about half an hour for each condition; QUICK=1 makes fewer rounds on fewer images, in some minutes.
set -uo pipefail
cd "$(dirname "$0")/.."
conditions=${1:-idle,busy,quota}
failed=()

# run NAME ARGUMENT...: the script under each condition; what fails is said at the end, and the others still run.
run() {
    printf '\n## %s\n' "$1"
    python benchmarks/conditions.py --conditions "$conditions" -- "benchmarks/$1.py" "${@:2}" || failed+=("$1")
}

# with OPTION VALUE: the option where the value is set.
with() { [ -z "${2:-}" ] || printf '%s\n%s\n' "$1" "$2"; }

mapfile -t original < <(with --original "${ROBUSTNESS:-}"; with --frost "${FROST:-}"; with --photos "${PHOTOS:-}")
mapfile -t loops < <(with --robustbench "${ROBUSTBENCH:-}"; with --photos "${PHOTOS:-}")
mapfile -t photos < <(with --photos "${PHOTOS:-}")
mapfile -t network < <(with --checkpoint "${CHECKPOINT:-}"; with --data "${CIFAR10:-}")
mapfile -t augmix < <(with --original "${AUGMIX:-}")
if [ -n "${QUICK:-}" ]; then
    few=(--rounds 1) cells=(--cells 5 --resamples 200) images=(--images 250 --frequencies 1)
else
    few=() cells=() images=()
fi

printf '# %s\n' "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores, matrix units: $(
    grep -qm1 amx_bf16 /proc/cpuinfo && echo yes || echo no), $(python -c 'import torch, platform; print(f"PyTorch {torch.__version__}, Python {platform.python_version()}")')"
run corruptions "${original[@]}" "${few[@]}"
run metrics "${cells[@]}" "${few[@]}"
run fourier "${network[@]}" "${images[@]}" "${few[@]}"
run evaluation "${loops[@]}" "${few[@]}"
run reading "${photos[@]}"
run training "${augmix[@]}" "${few[@]}"
conditions=idle
run predictions "${few[@]}"
run regions --markdown
if ((${#failed[@]})); then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
