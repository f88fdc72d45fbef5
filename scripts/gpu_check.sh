#!/usr/bin/env bash
# Checks robench on a CUDA device in about five minutes: the tests that need one, then the benchmarks.
#
#   scripts/gpu_check.sh [OUT]
#
# Every part has its own time limit and writes to OUT (default: gpu_check) as it goes: what one part leaves unfinished
# does not cost the others. What the time goes into is kept beside: PyTorch's profile of every corruption, of evaluation
# and of a training step (profile-*.txt). Packages that are lacking: see scripts/gpu_setup.sh.
#
#   PARTS=corruptions,training scripts/gpu_check.sh    runs some of its parts
#   DEVICE=cpu TINY=1 scripts/gpu_check.sh    tries the script where there is no card
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/gpu_setup.sh" || exit 1

out=$(mkdir -p "${1:-gpu_check}" && cd "${1:-gpu_check}" && pwd) || exit 1
cd "$root" || exit 1
export PYTHONUNBUFFERED=1
failed=0

# part NAME SECONDS COMMAND...: run a command within its time, its output in OUT/NAME.txt.
part() {
    local name=$1 limit=$2 begun=$SECONDS code=0
    case ,${PARTS:-$name}, in *,$name,*) ;; *) return ;; esac
    shift 2
    timeout --signal=INT --kill-after=10 "$limit" "$@" >"$out/$name.txt" 2>&1 || code=$?
    [ "$code" = 0 ] || failed=1
    [ "$code" = 124 ] && code="stopped at its limit"
    echo "$name: exit ${code}, $((SECONDS - begun)) s" | tee -a "$out/summary.txt"
}

machine() {
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv 2>/dev/null
    "$PYTHON" -c 'import torch; print("PyTorch", torch.__version__, "CUDA", torch.version.cuda)'
    nproc
}

: >"$out/summary.txt"
machine >"$out/machine.txt" 2>&1

tests=(-m gpu -q -rfE --durations=15 -p no:cacheprovider "--junitxml=$out/tests.xml")
"$PYTHON" -c 'import xdist' 2>/dev/null && tests+=(-n "${JOBS:-8}")
if [ "$TINY" = 1 ]; then
    export ROBENCH_GPU_TESTS=$DEVICE
    part tests 300 "$PYTHON" -m pytest "${tests[@]}" tests/gpu -k "operations or cpus and standard or fp32"
    part corruptions 120 "$PYTHON" benchmarks/corruptions.py --device "$DEVICE" --rounds 1 --sizes 32 --profile "$out"
    part evaluation 120 "$PYTHON" benchmarks/evaluation.py --device "$DEVICE" --parts free --rounds 1 \
        --profile "$out"
    part training 120 "$PYTHON" benchmarks/training.py --device "$DEVICE" --rounds 1 --seconds 0.05 --batch-size 16 \
        --profile "$out"
else
    # What `pytest -m gpu` runs, without collecting all other tests.
    part tests 180 "$PYTHON" -m pytest "${tests[@]}" tests/gpu tests/suites/test_suites_gpu.py \
        tests/corruptions tests/training/test_gpu_augmentation.py
    part corruptions 45 "$PYTHON" benchmarks/corruptions.py --device "$DEVICE" --rounds 3 --sizes 224 32 \
        --profile "$out"
    part evaluation 60 "$PYTHON" benchmarks/evaluation.py --device "$DEVICE" --precision bf16 --threads 8 \
        --parts free,wrn-40-2,resnet-50 --rounds 3 --profile "$out"
    part generated 60 "$PYTHON" benchmarks/evaluation.py --device "$DEVICE" --precision bf16 --threads 8 \
        --parts generated --rounds 1
    part training 60 "$PYTHON" benchmarks/training.py --device "$DEVICE" --arch wrn-40-2 --batch-size 1024 \
        --rounds 3 --seconds 0.5 --profile "$out"
    part small 40 "$PYTHON" benchmarks/training.py --device "$DEVICE" --arch resnet-20 --batch-size 128 --loop-only \
        --rounds 1 --seconds 0.5 --profile "$out/small"
    part sampling 20 "$PYTHON" benchmarks/sampling.py
fi
for name in views-of-augmix-digits training-augmix-digits; do
    if [ -f "$out/profile-$name.txt" ]; then head -n 20 "$out/profile-$name.txt"; fi
done
echo "All in $out: $SECONDS s" | tee -a "$out/summary.txt"
exit "$failed"
