#!/bin/sh
# Checks plans on a machine with a GPU: every model of $MODELS in every precision against the reference, under compute-sanitizer
# (tools/gpu_sanitize.sh), the bits of formulas, and the rate of elementwise and row-wise kernels beside a copy. What is found goes to $OUT.
#
#     python tests/test_cuda.py build/cuda_models         where onnx is installed: writes the models
#     MODELS=build/cuda_models tools/h200_cuda.sh          where the GPU is: needs gcc, make and an NVRTC, not Python
set -eu
B=${B:-build/gpu}
OUT=${OUT:-$B}
MODELS=${MODELS:-build/cuda_models}
mkdir -p "$OUT"
make B="$B" -j"$(nproc)" all "$B/tools/check_device" "$B/tools/check_rows" > "$OUT/make.log" 2>&1 || { tail -n 20 "$OUT/make.log"; exit 1; }
if [ -z "${OPGRAFT_NVRTC:-}" ]; then
	found=$(python3 -c 'import glob, sys
print(*sorted(f for p in sys.path for f in glob.glob(p + "/nvidia/*/lib/libnvrtc.so.1[23]"))[-1:])' 2> /dev/null || true)
	if [ -n "$found" ]; then export OPGRAFT_NVRTC="$found"; fi
fi
export B OUT
"$B/opgraft" doctor | tee "$OUT/doctor.txt"
status=0

# each line: precision, model, options
check() {
	xargs -P 8 -L 1 sh -c '
		model=$1
		shift
		said=$("$B/opgraft" check "$model" --device cuda --precision "$0" "$@" 2>&1) && echo "ok $0 $model $*" || echo "WRONG $0 $model $*: $said"
	'
}
{
	for model in "$MODELS"/*.onnx models/lenet5_*.onnx; do
		for precision in fp32 tf32 fp16 bf16; do echo "$precision $model"; done
		echo "fp32 $model --no-fuse"
	done
	for model in models/lenet5_*.onnx; do
		for batch in 3 64 1024; do echo "fp32 $model --batch $batch"; done
	done
} | check > "$OUT/checks.txt"
grep -c "^ok" "$OUT/checks.txt" || true
grep "^WRONG" "$OUT/checks.txt" && status=1

O="$B/opgraft" tools/gpu_sanitize.sh || status=1

"$B/tools/check_rows" > "$OUT/rows.md" || status=1
cat "$OUT/rows.md"
"$B/tools/check_device" 16 > "$OUT/bits.txt" || status=1          # 2^28 patterns of each formula
tail -n 3 "$OUT/bits.txt"
for model in models/lenet5_relu.onnx models/lenet5_swish2.onnx models/lenet5_swish4.onnx; do
	"$B/opgraft" bench "$model" --device cuda --batch 1,64,1024,8192 --json
done > "$OUT/bench.json" || status=1
cat "$OUT/bench.json"
exit $status
