#!/bin/bash
# All stages of all worlds, on one or more GPUs of a machine: training/all.sh OUT [GPUS]
# How long each may take is set by VAE, DIT and FINISH (seconds) and CLIPS; the logs are in OUT.
set -eu
out=${1:?say where to: training/all.sh OUT [GPUS]} gpus=${2:-1}
mkdir -p "$out"
rm -f "$out/vae/vae.json"  # the sign that encoding may begin

on() {  # on GPU LOG module arguments…
    CUDA_VISIBLE_DEVICES=$(($1 % gpus)) PYTHONUNBUFFERED=1 python3 -m "${@:3}" > "$out/$2.log" 2>&1
}

world() {  # world GPU mode [how many times as long]
    on "$1" "dit-$2" training.dit --mode "$2" --latents "$out/$2.safetensors" --out "$out/dit-$2" \
        --start worlds/universal --seconds $((${DIT:-420} * ${3:-1}))
    on "$1" "finish-$2" training.finish --mode "$2" --latents "$out/$2.safetensors" --start "$out/dit-$2" \
        --out "$out/finish-$2" --seconds $((${FINISH:-180} * ${3:-1}))
    on "$1" "publish-$2" training.publish --mode "$2" --vae "$out/vae" --dit "$out/finish-$2" --starts 9 \
        --noise-scale 1
}

jobs=()
on 0 vae training.vae --out "$out/vae" --start worlds/universal --seconds "${VAE:-150}" & jobs+=($!)
for mode in universal gta_drive templerun; do  # drawn while the VAE trains, then encoded by it
    on 1 "latents-$mode" training.latents --mode $mode --vae "$out/vae" --out "$out/$mode.safetensors" \
        --clips "${CLIPS:-3200}" & jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done

if ((gpus == 1)); then
    for mode in universal gta_drive templerun; do world 0 $mode; done
else
    world 0 universal 2 & first=$!  # as long as the two others, one after the other
    world 1 gta_drive
    world 1 templerun
    wait $first
fi
