#!/bin/bash
# All stages of all worlds, on the GPUs of one machine: training/all.sh OUT [GPU:MODE:DIT:FINISH ...]
# For instance on two: training/all.sh outputs 0:universal:600:200 1:templerun:350:90 1:gta_drive:250:110
# DIT and FINISH are seconds, 0 for none; worlds of one GPU follow one another, and each stage compiles while the
# one before it runs. From the environment: VAE (seconds; 0 keeps the one that ships), DECODER (seconds that each
# world's decoder of a new one is finished, twice: 170; 0 for none), CLIPS (of each mode; 0 keeps those in OUT),
# STARTS (images to draw), DIT_ARGS and FINISH_ARGS (more options). The logs are in OUT. All begins with the
# weights that ship. A stage that fails is passed over: the next goes on from what it had kept, or else
# from what ships. A world is published as soon as its last stage ends.
set -u
out=${1:?say where to: training/all.sh OUT [GPU:MODE:DIT:FINISH ...]}
shift
(($#)) || set -- 0:universal:420:180 0:gta_drive:420:180 0:templerun:420:180
mkdir -p "$out"
rm -f "$out"/*.go
[ "${CLIPS:-}" = 0 ] || rm -f "$out"/*.safetensors
vae=$out/vae
[ "${VAE:-150}" = 0 ] && vae=worlds/universal
rm -f "$out/vae/vae.json"  # the sign that encoding may begin
rm -rf "$out"/decoder-*

on() {  # on GPU LOG module arguments…
    CUDA_VISIBLE_DEVICES=$1 PYTHONUNBUFFERED=1 ${PYTHON:-python3} -m "${@:3}" > "$out/$2.log" 2>&1 && return
    echo "$2 failed: $out/$2.log"
    return 1
}

stage() {  # stage GPU dit|finish MODE SECONDS
    local start=worlds/$3 more=${2^^}_ARGS
    [ "$2" = finish ] && start=$out/dit-$3
    on "$1" "$2-$3" "training.$2" --mode "$3" --latents "$out/$3.safetensors" --start "$start" \
        --out "$out/$2-$3" --seconds "$4" --wait "$out/$2-$3.go" ${!more:-}
}

decoder() {  # decoder GPU MODE SHARE
    on "$1" "decoder-$2-$3" training.decoder --mode "$2" --start "$vae" --out "$out/decoder-$2-$3" \
        --seconds "${DECODER:-170}" --share "$3"
}

publish() {  # publish GPU MODE: what was finished, or else what was trained
    local made=$out/finish-$2 scale=1
    [ -e "$made/transformer.safetensors" ] || { made=$out/dit-$2 scale=1.15; }
    local shown=worlds/$2
    if [ "$vae" = "$out/vae" ]; then
        shown=$vae
        if [ "${DECODER:-170}" != 0 ] && decoder "$1" "$2" 1.3 && decoder "$1" "$2" 2; then
            shown="$out/decoder-$2-1.3 $out/decoder-$2-2"
        fi
    fi
    on "$1" "publish-$2" training.publish --mode "$2" --vae $shown --dit "$made" --noise-scale $scale \
        --starts "${STARTS:-9}"
}

lane() {  # lane GPU "dit|finish MODE SECONDS"…: one stage after another
    local gpu=$1 running next
    shift
    while (($#)); do
        read -r kind mode _ <<< "$1"
        [ -n "${running:-}" ] || { stage "$gpu" $1 & running=$!; }
        while [ ! -e "$out/$mode.safetensors" ] && kill -0 "$(cat "$out/latents-$mode.pid")" 2> /dev/null; do
            sleep 0.5
        done
        touch "$out/$kind-$mode.go"
        next=
        (($# > 1)) && { stage "$gpu" $2 & next=$!; }
        wait "$running"
        [[ ${2:-} = *" $mode "* ]] || publish "$gpu" "$mode"  # its last stage: it can be judged
        running=$next
        shift
    done
    wait
}

if [ "$vae" = "$out/vae" ]; then
    on 0 vae training.vae --out "$vae" --start worlds/universal --seconds "${VAE:-150}" &
fi
lanes=()
for world in "$@"; do
    IFS=: read -r gpu mode dit finish <<< "$world"
    [[ " ${lanes[*]} " = *" $gpu "* ]] || lanes+=("$gpu")
    rm -rf "$out/dit-$mode" "$out/finish-$mode"
    mkdir -p "$out/dit-$mode"
    cp worlds/"$mode"/*.safetensors "$out/dit-$mode/"
    [ "${CLIPS:-}" = 0 ] && continue
    on "$gpu" "latents-$mode" training.latents --mode "$mode" --vae "$vae" --out "$out/$mode.safetensors" \
        --clips "${CLIPS:-3200}" &
    echo $! > "$out/latents-$mode.pid"
done
for lane in "${lanes[@]}"; do
    stages=()
    for world in "$@"; do
        IFS=: read -r gpu mode dit finish <<< "$world"
        [ "$gpu" = "$lane" ] || continue
        [ "$dit" = 0 ] || stages+=("dit $mode $dit")
        [ "$finish" = 0 ] || stages+=("finish $mode $finish")
    done
    lane "$lane" "${stages[@]}" &
done
wait
