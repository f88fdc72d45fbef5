#!/usr/bin/env bash
# Trains the CIFAR-10 set with WRN-40-2 on a CUDA device and measures it, for eight minutes; given again, it resumes.
#
#   scripts/gpu_train.sh DATA [OUT]
#
# DATA is a folder with the CIFAR-10 images (any layout that robench reads). All models have one budget: the same
# network, schedule, batch size and number of epochs, in bfloat16 and channels_last. Standard, AugMix and AugMax-DuBIN
# come first. Each is evaluated on clean images and the 75 cells of cifar10-c, generated on the device.
#
# Work (checkpoints, predictions) stays in $WORK (default: runs/gpu). What is finished is copied to OUT (default:
# gpu_train) as it is finished: float16 weights, cards, logs and results, about 5 MB per model. On a fresh machine,
# bring OUT back and give the same command: what is finished in it is neither trained nor measured again. With
# CHECKPOINTS=1 OUT also gets the checkpoints of what was stopped (some 18 MB each), from which the next call goes on.
#
#   MINUTES=8 EPOCHS=10 BATCH=1024 JOBS=3 ONLY=standard,augmix SUITE=clean,cifar10-c    are settings
# On an H100 with these, three jobs at a time, Standard trains in 39 s, AugMix in 95 s, and a model is measured in 40 s.
# AugMax did not end within 4 minutes beside two others: give it a call of its own (ONLY=augmax-dubin JOBS=1).
#   DATASET=cifar10-jpeg    names images that are not the original ones
#   ARCH=resnet-20 EPOCHS=12 BATCH=128 LR=0.1    is the budget of the set itself
#   DEVICE=cpu TINY=1 scripts/gpu_train.sh DATA    tries the script where there is no card
# Packages that are lacking: see scripts/gpu_setup.sh.
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2,21s/^# \{0,1\}//p' "$0"; exit 2; }
source "$(dirname "${BASH_SOURCE[0]}")/gpu_setup.sh" || exit 1

data=$(cd "$1" && pwd) || exit 1
out=$(mkdir -p "${2:-gpu_train}" && cd "${2:-gpu_train}" && pwd) || exit 1
work=${WORK:-runs/gpu}
mkdir -p "$work" || exit 1
work=$(cd "$work" && pwd)
seconds=$((${MINUTES:-8} * 60))
options=(--set "architecture=${ARCH:-wrn-40-2}" --set "epochs=${EPOCHS:-10}" --set "batch_size=${BATCH:-1024}")
options+=(--set "optimiser.lr=${LR:-0.2}" --set "data.dataset=${DATASET:-cifar10}")
jobs=${JOBS:-3}
if [ "$TINY" = 1 ]; then
    options=(--set architecture=wrn-10-1 --set epochs=1 --set data.limit=60 --set batch_size=20 --limit 4)
    options+=(--set "data.dataset=${DATASET:-cifar10}")
    jobs=${JOBS:-1}
fi
options+=(--suite "${SUITE:-clean,cifar10-c}")
options+=(${ONLY:+--only "$ONLY"} --precision bf16 --device "$DEVICE" --jobs "$jobs")

# Copy what is finished; a file appears in OUT whole or not at all.
collect() {
    local path target
    (
        cd "$work" || exit 1
        find . -name set.json -o -path './models/*' -name '*.*' ! -path '*/tensorboard/*' ! -name 'checkpoint.pt' \
            ! -name '*.part' -o -name result.json -o -path './logs/*.log'
    ) | while read -r path; do
        case $path in
        ./models/*) [ -f "$work/${path%/*}/card.yaml" ] && [ ! -f "$work/${path%/*}/checkpoint.pt" ] || continue ;;
        esac
        target=$out/$path
        if [ -f "$work/$path" ] && ! cmp -s "$work/$path" "$target"; then
            mkdir -p "${target%/*}" && cp "$work/$path" "$target.part" && mv "$target.part" "$target"
        fi
    done
}

# Take back what an earlier call finished.
(cd "$out" && find . -type f ! -name '*.part' -print) | while read -r path; do
    [ -f "$work/$path" ] || { mkdir -p "$work/${path%/*}" && cp "$out/$path" "$work/$path"; }
done

cd "$root" || exit 1
timeout --kill-after=20 "$seconds" \
    "$PYTHON" -m robench train --all cifar10 --data "$data" --out "$work" "${options[@]}" &
training=$!
while kill -0 "$training" 2>/dev/null; do
    collect
    sleep 5
done
wait "$training"
code=$?
collect
if [ -n "${CHECKPOINTS:-}" ]; then
    (cd "$work" && find models -name checkpoint.pt) | while read -r path; do
        mkdir -p "$out/${path%/*}" && cp "$work/${path%/*}"/{checkpoint.pt,log.csv,log.jsonl} "$out/${path%/*}/"
    done
fi
[ "$code" = 124 ] && echo "Out of time; give the same command to resume."
echo "$(find "$out/models" -name card.yaml 2>/dev/null | wc -l) models and" \
    "$(find "$out/results" -name result.json 2>/dev/null | wc -l) results in $out, $SECONDS s"
[ "$code" = 0 ] || [ "$code" = 124 ]
