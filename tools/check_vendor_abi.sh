#!/bin/sh
# check_vendor_abi.sh [INCLUDE...] -- compares src/cuda/vendor_abi.h with the headers of cuDNN and cuBLASLt in those folders, or in CUDA's: numbers,
# sizes and arguments. pip install nvidia-cudnn-cu13 nvidia-cublas nvidia-cuda-runtime brings them. Exit status 1: each difference was named.
# Without headers it says so and does nothing: they are no part of Opgraft.
set -eu
root=$(dirname "$0")/..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=c++17 -w -I$root/src"
for folder in "$@" "${CUDA_HOME:-/usr/local/cuda}/include" /usr/local/cuda-*/include; do
	[ -d "$folder" ] && flags="$flags -isystem $folder"
done
printf '#include <cublasLt.h>\n#include <cudnn.h>\n' > "$work/both.cpp"
# shellcheck disable=SC2086 -- flags are words
if ! c++ $flags -fsyntax-only "$work/both.cpp" 2> /dev/null; then
	echo "check_vendor_abi: skipped: give the include folders of cuDNN, cuBLASLt and the CUDA runtime"
	exit 0
fi
# what they declare is looked at, nothing of theirs is called
# shellcheck disable=SC2086
c++ $flags -O1 -Wl,--unresolved-symbols=ignore-all -o "$work/check" "$root/tools/check_vendor_abi.cpp"
"$work/check"
