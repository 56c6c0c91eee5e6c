#!/bin/sh
# Exit with 3 if the kernel has no GPU of the vendor, and print which service of dev/compose.yaml
# fits the machine.
#
#   require-gpu nvidia|amd|intel
set -eu
sys=${SYS:-/sys}

found=
[ ! -d "$sys/module/nvidia" ] || found=nvidia
for file in "$sys"/class/drm/renderD*/device/vendor; do
    case $(cat "$file" 2>/dev/null) in
    0x1002) [ ! -d "$sys/class/kfd" ] || found="${found:+$found }amd" ;;
    0x8086) found="${found:+$found }intel" ;;
    esac
done
case " $found " in
*" $1 "*) ;;
*)
    echo "require-gpu: no $1 GPU with its driver on this machine; use the service ${found:-dev}" >&2
    exit 3
    ;;
esac
