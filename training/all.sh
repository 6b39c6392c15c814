#!/bin/bash
# All stages of all worlds, on one or more GPUs of a machine: training/all.sh OUT [GPUS]
# How long each may take is set by VAE, DIT and FINISH (seconds) and CLIPS; the logs are in OUT. Each begins with
# the weights that ship; VAE=0 keeps the VAE that ships, DIT=0 goes straight to the finish.
set -eu
out=${1:?say where to: training/all.sh OUT [GPUS]} gpus=${2:-1} modes=${MODES:-universal gta_drive templerun}
mkdir -p "$out"
vae=$out/vae
[ "${VAE:-150}" = 0 ] && vae=worlds/universal
rm -f "$vae/vae.json"  # the sign that encoding may begin

on() {  # on GPU LOG module arguments…
    CUDA_VISIBLE_DEVICES=$(($1 % gpus)) PYTHONUNBUFFERED=1 python3 -m "${@:3}" > "$out/$2.log" 2>&1
}

world() {  # world GPU mode [how many times as long]
    local start=worlds/$2
    [ -e "$start/transformer.safetensors" ] || start=worlds/universal
    if [ "${DIT:-420}" != 0 ]; then
        on "$1" "dit-$2" training.dit --mode "$2" --latents "$out/$2.safetensors" --out "$out/dit-$2" \
            --start "$start" --seconds $((${DIT:-420} * ${3:-1}))
        start=$out/dit-$2
    fi
    on "$1" "finish-$2" training.finish --mode "$2" --latents "$out/$2.safetensors" --start "$start" \
        --out "$out/finish-$2" --seconds $((${FINISH:-180} * ${3:-1}))
    on "$1" "publish-$2" training.publish --mode "$2" --vae "$vae" --dit "$out/finish-$2" --starts 9 \
        --noise-scale 1
}

jobs=()
if [ "$vae" = "$out/vae" ]; then
    on 0 vae training.vae --out "$vae" --start worlds/universal --seconds "${VAE:-150}" & jobs+=($!)
fi
for mode in $modes; do  # drawn while the VAE trains, then encoded by it
    on 1 "latents-$mode" training.latents --mode "$mode" --vae "$vae" --out "$out/$mode.safetensors" \
        --clips "${CLIPS:-3200}" & jobs+=($!)
done
for job in "${jobs[@]}"; do wait "$job"; done

if ((gpus == 1)); then
    for mode in $modes; do world 0 "$mode"; done
else
    first=
    if [[ $modes = *universal* ]]; then world 0 universal 2 & first=$!; fi  # as long as the two others together
    for mode in ${modes/universal/}; do world 1 "$mode"; done
    [ -z "$first" ] || wait "$first"
fi
