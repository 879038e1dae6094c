#!/bin/sh
# compute-sanitizer over plans on a machine with a GPU: memcheck, racecheck, initcheck and synccheck of every model of $MODELS, fused and
# not, in fp32 and fp16. Exit status 1 when one of them finds something; the reports are in $OUT/sanitizer.
#
#     python tests/test_cuda.py build/cuda_models          where onnx is installed: writes the models
#     MODELS=build/cuda_models tools/gpu_sanitize.sh        where the GPU is
#
# TOOLS="racecheck" takes one tool, PATTERN="small_*" some models, LIMIT=40 ends a run after so many seconds, JOBS=4 runs at once.
set -eu
O=${O:-build/gpu/opgraft}
OUT=${OUT:-build/gpu}
MODELS=${MODELS:-build/cuda_models}
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null || true)
[ -n "$sanitizer" ] || { echo "compute-sanitizer is not installed" >&2; exit 2; }
mkdir -p "$OUT/sanitizer/plans"
export O OUT sanitizer LIMIT="${LIMIT:-40}"

# plans are built before: the compiler is not what is looked at
for model in models/lenet5_swish4.onnx "$MODELS"/${PATTERN:-small_*}.onnx; do
	for precision in fp32 fp16; do
		echo "$precision fused $model"
		echo "$precision plain $model --no-fuse"
	done
done | xargs -P "$(nproc)" -L 1 sh -c '
	plan=$OUT/sanitizer/plans/$(basename "$2" .onnx).$0.$1.plan
	model=$2
	shift 2
	"$O" build "$model" -o "$plan" --device cuda --precision "$0" --no-timing -q "$@" || echo "not built: $model $0" >&2
'
for tool in ${TOOLS:-memcheck racecheck initcheck synccheck}; do
	for plan in "$OUT"/sanitizer/plans/*.plan; do echo "$tool $plan"; done
done | xargs -P "${JOBS:-4}" -L 1 sh -c '
	log=$OUT/sanitizer/$0.$(basename "$1" .plan).log
	status=0
	timeout "$LIMIT" "$sanitizer" --tool "$0" --error-exitcode 9 "$O" run -q "$1" > "$log" 2>&1 || status=$?
	case $status in
	0) echo "$0 clean"; rm "$log" ;;
	9) echo "$0 FOUND $log" ;;
	124) echo "$0 slow" ;;
	*) echo "$0 FAILED $log" ;;
	esac
' > "$OUT/sanitizer/summary.txt"
for tool in ${TOOLS:-memcheck racecheck initcheck synccheck}; do
	echo "$tool: $(grep -c "^$tool clean" "$OUT/sanitizer/summary.txt") clean, $(grep -c "^$tool slow" "$OUT/sanitizer/summary.txt") over $LIMIT s," \
		"$(grep -c "^$tool F" "$OUT/sanitizer/summary.txt") wrong"
done
for log in $(sed -n 's/.* F[A-Z]* //p' "$OUT/sanitizer/summary.txt" | head -n "${SHOW:-6}"); do
	echo "-- $log"
	grep -v "^========= *$" "$log" | head -n 12
done
! grep -q " F" "$OUT/sanitizer/summary.txt"
