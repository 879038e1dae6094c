#!/bin/sh
# check_tensorrt_abi.sh INCLUDE [PARSER] -- compares src/bridge/tensorrt_abi.h with the headers of a TensorRT SDK in the folder
# INCLUDE: numbers, sizes, offsets, and the place of every virtual function; with NvOnnxParser.h, there or in the folder PARSER,
# src/kit/runtime_tensorrt.h too. Exit status 1: each difference was named.
# Without INCLUDE it says so and does nothing: NVIDIA's headers are no part of Opgraft.
set -eu
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	echo "check_tensorrt_abi: skipped: give the include folder of a TensorRT SDK, or of https://github.com/NVIDIA/TensorRT"
	exit 0
fi
if [ ! -f "$1/NvInferRuntime.h" ]; then
	echo "check_tensorrt_abi: $1: there is no NvInferRuntime.h; give the include folder of a TensorRT SDK" >&2
	exit 2
fi
root=$(dirname "$0")/..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# the headers want these two names of CUDA and nothing else of it
printf 'typedef struct CUstream_st *cudaStream_t;\ntypedef struct CUevent_st *cudaEvent_t;\n' \
	>"$work/cuda_runtime_api.h"
parser=
if [ -f "$1/NvOnnxParser.h" ] || { [ $# -eq 2 ] && [ -f "$2/NvOnnxParser.h" ]; }; then
	parser="-DWITH_PARSER -isystem ${2:-$1}"
fi
# shellcheck disable=SC2086 # two words or none
c++ -std=c++17 -w -I"$root/src" -isystem "$1" $parser -isystem "$work" -o "$work/check" \
	"$root/tools/check_tensorrt_abi.cpp"
"$work/check"
