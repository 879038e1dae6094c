#!/bin/sh
# Builds Opgraft and op libraries on a machine with a GPU, checks their kernels and times them; the table goes to $OUT/kernels.md.
# Needs gcc, make, and an NVRTC that the loader, CUDA's folder or Python's packages have. Run it in the repository's root.
set -eu
B=${B:-build/gpu}
OUT=${OUT:-$B}
mkdir -p "$OUT" "$B/ops"
make B="$B" -j"$(nproc)" all "$B/tools/check_kernels" > "$OUT/make.log" 2>&1 || { tail -n 20 "$OUT/make.log"; exit 1; }
if [ -z "${OPGRAFT_NVRTC:-}" ]; then
	found=$(python3 -c 'import glob, sys
print(*sorted(f for p in sys.path for f in glob.glob(p + "/nvidia/*/lib/libnvrtc.so.1[23]"))[-1:])' 2> /dev/null || true)
	if [ -n "$found" ]; then export OPGRAFT_NVRTC="$found"; fi
fi
ls examples/ops/*.c tests/ops/*.c | B="$B" xargs -P "$(nproc)" -I FILE sh -c '
	name=$(echo FILE | sed "s/\.c\$//; s/\//_/g")
	"$B/opgraft" op build FILE -o "$B/ops/$name.so" > "$B/ops/$name.log" 2>&1 || { echo "$name:"; cat "$B/ops/$name.log"; }
'
status=0
"$B/tools/check_kernels" "$B"/ops/*.so > "$OUT/kernels.md" || status=$?
cat "$OUT/kernels.md"
exit $status
