#!/bin/sh
# Checks and times the convolutions and matrix products on a machine with a GPU; raw outputs go to $OUT. Run it in the repository's
# root, with tools/check_tensor built in $B (make B=build/gpu build/gpu/tools/check_tensor).
# BAR=1: what cuDNN takes through PyTorch, too.
set -eu
B=${B:-build/gpu}
OUT=${OUT:-$B}
CHECK=${CHECK:-$B/tools/check_tensor}
mkdir -p "$OUT"
if [ -z "${OPGRAFT_NVRTC:-}" ]; then
	found=$(python3 -c 'import glob, sys
print(*sorted(f for p in sys.path for f in glob.glob(p + "/nvidia/*/lib/libnvrtc.so.1[23]"))[-1:])' 2> /dev/null || true)
	if [ -n "$found" ]; then export OPGRAFT_NVRTC="$found"; fi
fi
status=0
timeout 60 "$CHECK" odd "${ODD:-40}" > "$OUT/odd.txt" 2>&1 || status=$?
tail -n 30 "$OUT/odd.txt"
for batch in ${BATCHES:-32 1 128}; do
	timeout 100 "$CHECK" csv "$OUT/layers_$batch.csv" chain "$batch" > "$OUT/layers_$batch.txt" 2>&1 || status=$?
	cat "$OUT/layers_$batch.txt"
done
if [ -n "${BAR:-}" ]; then timeout 150 python3 tools/tensor_bar.py f16 32 1 128 > "$OUT/bar.txt" 2>&1 || status=$?; cat "$OUT/bar.txt"; fi
exit $status
