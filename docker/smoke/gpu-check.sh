#!/bin/sh
# Compare libvmaf and FFmpeg on an NVIDIA GPU with the CPU.
#
#   gpu-check [--frames N] [--libvmaf NAME=DIRECTORY]...
#
# It prints one JSON object on stdout, and its progress on stderr. --frames is the number of frames
# of each clip, 48 by default; clips of 2160p have half as many. --libvmaf compares a second
# libvmaf.so, in DIRECTORY, with the CPU. The clips need about 2 GB in TMPDIR (/tmp).
#
# Exit status: 0 if the GPU's results match the CPU's, 1 if one differs or fails, 2 for a wrong
# option, 3 if there is no GPU, or the GPU or its driver is too old for the image.
set -eu

frames=48
variants=image=
while [ $# -gt 0 ]; do
    case $1 in
    --frames=*) frames=${1#*=} ;;
    --frames) frames=${2-} && shift $(($# > 1)) ;;
    --libvmaf=*) variants="$variants ${1#*=}" ;;
    --libvmaf) variants="$variants ${2-}" && shift $(($# > 1)) ;;
    *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done
case $frames in
'' | *[!0-9]* | [0-7])
    echo "gpu-check: --frames is '$frames'; it must be a number from 8 on" >&2
    exit 2
    ;;
esac

# CPU and GPU use the same integer arithmetic, except for the last sums of a frame, which are in
# floating point.
tolerance=0.01
versions=${VMAF_VERSIONS:-/usr/local/share/vmaf/versions.json}

dir=$(mktemp -d "${TMPDIR:-/tmp}/gpu-check.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
cd "$dir"
: >failures

say() { echo "gpu-check: $*" >&2; }
fail() { say "FAILED: $*" && echo "$*" >>failures; }
now() { date +%s.%N; }
# quote STRING: print it as a JSON string
quote() { printf '"%s"' "$(printf '%s' "$1" | tr -s '[:cntrl:]' ' ' | sed 's/[\\"]/\\&/g')"; }
# reason FILE: print the first line, which explains an error; the lines below follow from it
reason() { grep . "$1" | head -n 1; }
ffmpeg_quiet() { ffmpeg -hide_banner -nostdin -v error -y "$@"; }
# seconds COMMAND...: run it and print how long it took
seconds() {
    began=$(now)
    "$@" || return
    echo "$began $(now)" | awk '{ printf "%.3f", $2 - $1 }'
}

# --- the machine -------------------------------------------------------------------

gpu=null
fields=name,driver_version,compute_cap,memory.total
if query=$(nvidia-smi --query-gpu=$fields --format=csv,noheader,nounits 2>nvidia-smi.log); then
    gpu=$(echo "$query" | head -n 1 | awk -F', ' '
        {
            printf "{\"name\": \"%s\", \"driver\": \"%s\", ", $1, $2
            printf "\"compute_capability\": \"%s\", \"memory_mib\": %d}", $3, $4
        }')
fi
# libvmaf has code for the architectures in versions.json. For newer ones the driver compiles PTX.
oldest=$(grep -oE '"(sm|compute)_[0-9]+"' "$versions" | tr -dc '0-9\n' | sort -n | head -n 1 |
    awk '{ printf "%.1f", $1 / 10 }')
capability=$(echo "$query" | awk -F', ' 'NR == 1 { print $3 }')
if echo "${capability:-$oldest} $oldest" | awk '{ exit !($1 < $2) }'; then
    printf '{"gpu": %s, "error": "this GPU is older than the code of libvmaf"}\n' "$gpu"
    say "this GPU has compute capability $capability, and libvmaf has code from $oldest on"
    say "vmaf:cuda12 has code for older GPUs than vmaf:cuda13"
    exit 3
fi
# By NVIDIA's tables, machine code of CUDA 12 needs driver 525, and of CUDA 13 driver 580.
needed=525
! grep -q '"nvidia-cuda-nvcc"' "$versions" || needed=580
driver=$(echo "$query" | awk -F', ' 'NR == 1 && NF { print int($2) }')
if [ "${driver:-$needed}" -lt $needed ]; then
    printf '{"gpu": %s, "error": "the driver is older than %d"}\n' "$gpu" $needed
    say "the driver is $driver, and this image needs $needed or newer"
    exit 3
fi
frame='-f lavfi -i nullsrc=s=64x64 -frames:v 1'
# shellcheck disable=SC2086 # options
if ! ffmpeg_quiet -init_hw_device cuda $frame -f null - 2>device.log; then
    printf '{"gpu": %s, "error": %s}\n' "$gpu" "$(quote "$(reason device.log)")"
    say "no NVIDIA GPU with its driver: $(reason device.log)"
    say "run the image with: docker run --gpus all"
    exit 3
fi

# --- scores of the vmaf program ------------------------------------------------------

# make_clips NAME WIDTH HEIGHT FORMAT FRAMES: write NAME-{ref,dist}.{mp4,y4m}. The reference has
# texture, motion and noise; the distorted clip is a low-quality encoding of it.
make_clips() {
    source="testsrc2=s=$2x$3:r=25,noise=alls=12:allf=t:all_seed=1,gblur=sigma=0.8,format=$4"
    ffmpeg_quiet -f lavfi -i "$source" -frames:v "$5" \
        -c:v libx264 -preset ultrafast -crf 8 "$1-ref.mp4"
    ffmpeg_quiet -i "$1-ref.mp4" -c:v libx264 -preset veryfast -crf 38 "$1-dist.mp4"
    for clip in ref dist; do
        ffmpeg_quiet -i "$1-$clip.mp4" -strict -1 -pix_fmt "$4" "$1-$clip.y4m"
    done
}

# score NAME OUTPUT OPTION...: run vmaf
score() {
    name=$1 output=$2
    shift 2
    vmaf --quiet --reference "$name-ref.y4m" --distorted "$name-dist.y4m" --csv --output "$output" \
        "$@" >"$output.log" 2>&1
}

# compare CPU GPU: print each feature's mean scores and the largest difference of a frame, as JSON
compare() {
    awk -F, -v tolerance="$tolerance" '
        FNR == 1 {
            for (i = 1; i <= NF; i++) { if (FNR == NR) at[$i] = i; else name[i] = $i }
            next
        }
        FNR == NR { for (i = 1; i <= NF; i++) { cpu[FNR, i] = $i }; next }
        {
            for (i = 2; i <= NF; i++) if (name[i] != "" && name[i] in at) {
                d = $i - cpu[FNR, at[name[i]]]; if (d < 0) d = -d
                if (d > worst[i]) worst[i] = d
                a[i] += cpu[FNR, at[name[i]]]; b[i] += $i; n[i]++; last = NF
            }
        }
        END {
            for (i = 2; i <= last; i++) if (n[i]) {
                printf "%s{\"name\": \"%s\", ", (some++ ? ", " : ""), name[i]
                printf "\"cpu\": %.6f, \"gpu\": %.6f, ", a[i] / n[i], b[i] / n[i]
                printf "\"largest_difference\": %.6f}", worst[i]
                if (worst[i] > tolerance) bad = 1
            }
            exit bad || !some
        }' "$1" "$2"
}

# with DIRECTORY COMMAND...: run a command with the libraries in a directory, or the image's
with() (
    [ ! "$1" ] || export LD_LIBRARY_PATH="$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    shift
    "$@"
)

# scores NAME: print how long the CPU and each libvmaf take for a clip, and the scores. The start
# of a GPU, which may compile PTX, is measured with a run of two frames. A mask of 0 permits the
# GPU, and -1 nothing but the CPU.
scores() {
    time=$(seconds score "$1" "$1-cpu.csv" --gpumask -1 --threads "$(nproc)")
    printf '"cpu_seconds": %s, "gpu": [' "$time"
    first=1
    for variant in $variants; do
        label=${variant%%=*} library=${variant#*=}
        comma
        printf '{"libvmaf": "%s", ' "$label"
        result=$1-$label-start.csv
        if start=$(with "$library" seconds score "$1" "$result" --gpumask 0 --frame_cnt 2) &&
            time=$(with "$library" seconds score "$1" "$1-$label.csv" --gpumask 0 --threads 2) &&
            ! grep -q 'using CPU' "$1-$label.csv.log"; then
            printf '"start_seconds": %s, "seconds": %s, "features": [' "$start" "$time"
            compare "$1-cpu.csv" "$1-$label.csv" || fail "scores of $1 with libvmaf $label"
            printf ']}'
        else
            fail "vmaf on $1 with libvmaf $label"
            printf '"error": %s}' "$(quote "$(cat "$1-$label"*.log | grep . | tail -n 1)")"
        fi
    done
    printf ']'
}

# model NAME CLIP: compare the scores of another model. The CPU computes features without CUDA code.
model() {
    printf '{"name": "%s", ' "$1"
    score "$2" model-cpu.csv --gpumask -1 --threads "$(nproc)" --model "version=$1"
    if score "$2" model-gpu.csv --gpumask 0 --model "version=$1"; then
        printf '"features_on_cpu": %d, "features": [' "$(grep -c 'no CUDA code' model-gpu.csv.log)"
        compare model-cpu.csv model-gpu.csv || fail "scores of model $1"
        printf ']}'
    else
        fail "model $1"
        printf '"error": %s}' "$(quote "$(reason model-gpu.csv.log)")"
    fi
}

# --- FFmpeg ---------------------------------------------------------------------------

# mean LOG: print the mean vmaf of a CSV log of libvmaf
mean() {
    awk -F, '
        FNR == 1 { for (i = 1; i <= NF; i++) if ($i == "vmaf") v = i; next }
        { sum += $v; n++ }
        END { if (!n) exit 1; printf "%.6f", sum / n }' "$1"
}

# pipeline CODEC NAME FORMAT TOLERANCE OPTION...: encode both clips with the options, and decode and
# score them in one command, on the GPU and on the CPU
pipeline() {
    codec=$1 clip=$2 format=$3 limit=$4
    shift 4
    for which in ref dist; do
        ffmpeg_quiet -i "$clip-$which.mp4" "$@" "$codec-$which.mkv"
    done
    on_gpu='-hwaccel cuda -hwaccel_output_format cuda'
    printf '{"codec": "%s", "pixel_format": "%s", ' "$codec" "$format"
    ffmpeg_quiet -i "$codec-dist.mkv" -i "$codec-ref.mkv" -lavfi \
        "libvmaf=n_threads=$(nproc):log_fmt=csv:log_path=cpu.csv" -f null -
    graph="[0:v]scale_cuda=format=${format}[d];[1:v]scale_cuda=format=${format}[r]"
    graph="$graph;[d][r]libvmaf_cuda=log_fmt=csv:log_path=gpu.csv"
    # shellcheck disable=SC2086 # two options
    if time=$(seconds ffmpeg_quiet $on_gpu -i "$codec-dist.mkv" $on_gpu -i "$codec-ref.mkv" \
        -lavfi "$graph" -f null - 2>"$codec.log"); then
        printf '"seconds": %s, "cpu": %s, "gpu": %s}' "$time" "$(mean cpu.csv)" "$(mean gpu.csv)"
        echo "$(mean cpu.csv) $(mean gpu.csv) $limit" |
            awk '{ d = $1 - $2; exit (d < 0 ? -d : d) > $3 }' || fail "scores of decoded $codec"
    else
        fail "decoding $codec and scoring in one command"
        printf '"error": %s}' "$(quote "$(reason "$codec.log")")"
    fi
}

# loop NAME FORMAT COUNT: score eight frames COUNT times, without decoding
loop() {
    chain="trim=end_frame=8,format=$2,hwupload_cuda,loop=loop=$(($3 - 1)):size=8"
    ffmpeg_quiet -init_hw_device cuda -i "$1-dist.mp4" -i "$1-ref.mp4" -lavfi \
        "[0:v]${chain}[d];[1:v]${chain}[r];[d][r]libvmaf_cuda" -f null -
}

# rate NAME FORMAT: print how many frames a second each libvmaf scores, from a short and a long run
rate() {
    printf '{"clip": "%s", "pixel_format": "%s", "frames_per_second": {' "$1" "$2"
    separator=
    for variant in $variants; do
        label=${variant%%=*} library=${variant#*=}
        printf '%s"%s": ' "$separator" "$label"
        separator=', '
        if short=$(with "$library" seconds loop "$1" "$2" 10 2>loop.log) &&
            long=$(with "$library" seconds loop "$1" "$2" $((10 + 5 * frames)) 2>loop.log); then
            echo "$((40 * frames)) $long $short" |
                awk '{ d = $2 - $3; if (d > 0) printf "%.0f", $1 / d; else printf "null" }'
        else
            fail "rate of $1 with libvmaf $label: $(reason loop.log)"
            printf null
        fi
    done
    printf '}}'
}

# encode ENCODER NAME: encode a clip, and score the result on the CPU
encode() {
    printf '{"name": "%s", ' "$1"
    if ffmpeg_quiet -i "$2-ref.mp4" -c:v "$1" -b:v 20M "$1.mkv" 2>"$1.log"; then
        ffmpeg_quiet -i "$1.mkv" -i "$2-ref.mp4" -lavfi \
            "libvmaf=n_threads=$(nproc):log_fmt=csv:log_path=$1.csv" -f null -
        printf '"vmaf": %s}' "$(mean "$1.csv")"
    else # some GPUs have no encoder, such as the H100
        printf '"error": %s}' "$(quote "$(reason "$1.log")")"
    fi
}

# filter NAME QUALITY SIZE FORMAT ON_GPU ON_CPU: compare a filter with the CPU's by PSNR, which must
# be QUALITY dB at least. Both write files without metadata, so that FFmpeg converts neither.
# FFmpeg's CUDA code of bwdif and chromakey differs from its CPU code, and its thumbnail_cuda
# crashes at the end of a video; that does not depend on the compiler.
filter() {
    source="testsrc2=s=640x360:r=25,noise=alls=12:allf=t:all_seed=1,gblur=sigma=0.8,format=yuv420p"
    raw="-f rawvideo -pix_fmt $4 -s $3"
    printf '{"name": "%s", ' "$1"
    ffmpeg_quiet -f lavfi -i "$source" -frames:v 16 -vf "$6,format=$4" -f rawvideo cpu.yuv
    # shellcheck disable=SC2086 # options
    if ffmpeg_quiet -init_hw_device cuda=gpu -filter_hw_device gpu \
        -f lavfi -i "$source" -frames:v 16 -vf "hwupload_cuda,$5,hwdownload,format=$4" \
        -f rawvideo gpu.yuv 2>"$1.log" &&
        ffmpeg -hide_banner -nostdin $raw -i gpu.yuv $raw -i cpu.yuv -lavfi psnr -f null - \
            >psnr.log 2>&1; then
        psnr=$(sed -n 's/.* average:\([^ ]*\) .*/\1/p' psnr.log)
        printf '"psnr_db": "%s"}' "$psnr"
        [ "$psnr" = inf ] || echo "$psnr $2" | awk '{ exit !($1 >= $2) }' ||
            fail "filter $1: $psnr dB"
    else
        fail "filter $1"
        printf '"error": %s}' "$(quote "$(reason "$1.log")")"
    fi
}

# Print a comma before each element of a list but the first.
comma() { [ "${first-}" ] && first='' || printf ', '; }

{
    printf '{"date": "%s", "gpu": %s, "cpus": %d, ' "$(date -u +%Y-%m-%d)" "$gpu" "$(nproc)"
    printf '"libvmaf": %s, "ffmpeg": %s, ' "$(quote "$(vmaf --version 2>&1 | head -n 1)")" \
        "$(quote "$(ffmpeg -version | head -n 1)")"

    printf '"scores": ['
    separator=
    for clip in 1080p-8bit:1920:1080:yuv420p:1 1080p-10bit:1920:1080:yuv420p10le:1 \
        2160p-8bit:3840:2160:yuv420p:2 2160p-10bit:3840:2160:yuv420p10le:2; do
        # shellcheck disable=SC2086 # five fields
        IFS=: && set -- $clip && unset IFS
        say "scores of $1"
        make_clips "$1" "$2" "$3" "$4" $((frames / $5))
        printf '%s{"clip": "%s", "frames": %d, ' "$separator" "$1" $((frames / $5))
        separator=', '
        scores "$1"
        printf '}'
        [ "$1" = 1080p-8bit ] || rm -f "$1"-*.y4m
    done

    printf '], "models": ['
    first=1
    for model in vmaf_v0.6.1neg vmaf_float_v0.6.1 vmaf_v1.0.16_3d0h; do
        say "model $model"
        comma
        model "$model" 1080p-8bit
    done
    rm -f ./*.y4m

    printf '], "rates": ['
    first=1
    for clip in 1080p-8bit 2160p-8bit; do
        say "rate of $clip"
        comma
        rate "$clip" yuv420p
    done

    printf '], "pipelines": ['
    first=1
    vpx='-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 20M'
    x265='-c:v libx265 -preset ultrafast -x265-params log-level=none'
    for codec in h264 hevc vp9 hevc-10bit; do
        say "decoding $codec and scoring"
        comma
        # shellcheck disable=SC2086 # options
        case $codec in
        h264) pipeline $codec 1080p-8bit yuv420p $tolerance -c copy ;;
        hevc) pipeline $codec 1080p-8bit yuv420p $tolerance $x265 ;;
        vp9) pipeline $codec 1080p-8bit yuv420p $tolerance $vpx ;;
        # FFmpeg 7.1 has no 4:2:0 with 10 bits on the GPU; with 16 bits, features round differently
        hevc-10bit) pipeline $codec 1080p-10bit yuv444p16le 0.05 $x265 ;;
        esac
    done

    printf '], "encoders": ['
    first=1
    for encoder in h264_nvenc hevc_nvenc av1_nvenc; do
        say "$encoder"
        comma
        encode "$encoder" 1080p-8bit
    done

    printf '], "filters": ['
    first=1
    while read -r name quality size format && read -r on_gpu && read -r on_cpu; do
        say "$name"
        comma
        filter "$name" "$quality" "$size" "$format" "$on_gpu" "$on_cpu"
    done <<'EOT'
hwupload_cuda 99 640x360 yuv420p
    null
    null
scale_cuda 40 320x180 yuv420p
    scale_cuda=320:180:interp_algo=bicubic
    scale=320:180:flags=bicubic
yadif_cuda 40 640x360 yuv420p
    yadif_cuda
    yadif
bwdif_cuda 20 640x360 yuv420p
    bwdif_cuda
    bwdif
overlay_cuda 40 640x360 yuv420p
    split[a][b];[b]scale_cuda=160:90:interp_algo=nearest[c];[a][c]overlay_cuda=16:16
    split[a][b];[b]scale=160:90:flags=neighbor[c];[a][c]overlay=16:16
bilateral_cuda 30 640x360 yuv420p
    bilateral_cuda=sigmaS=2:sigmaR=25:window_size=9
    bilateral=sigmaS=2:sigmaR=0.1
chromakey_cuda 25 640x360 yuva420p
    chromakey_cuda=green:0.1:0.1
    format=yuva420p,chromakey=green:0.1:0.1
colorspace_cuda 40 640x360 yuv420p
    colorspace_cuda=range=pc
    scale=out_range=pc
EOT
    printf '], "failures": ['
    first=1
    while read -r line; do comma && quote "$line"; done <failures
    printf ']}\n'
} >report.json
cat report.json
[ ! -s failures ]
