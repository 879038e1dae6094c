#!/bin/sh
# Makes a model repository with the grafted LeNet-5 and serves it: sh examples/serving/start.sh
#
#   BUILD=DIR     where Opgraft was built (default build)
#   TRITON=DIR    a folder made by `tools/setup.sh triton` (default build/venv/triton); what is missing is put there.
#                 TRITON=none: the tritonserver of this machine, as in Triton's container
#   SERVING=DIR   where the repository is made (default $BUILD/serving)
#   HTTP, GRPC, METRICS   ports (default 8000, 8001, 8002), ADDRESS to listen on (default 127.0.0.1)
#
# More arguments go to the server. With the only argument `repository` it makes the repository and ends.
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build} TRITON=${TRITON:-build/venv/triton} SERVING=${SERVING:-$BUILD/serving}
PYTHON=${PYTHON:-python3} ADDRESS=${ADDRESS:-127.0.0.1}

[ -x "$BUILD/opgraft" ] && [ -f "$BUILD/libtriton_opgraft.so" ] || {
	echo "start.sh: $BUILD has no Opgraft; run make first" >&2
	exit 1
}
mkdir -p "$SERVING/models/lenet5/1" "$SERVING/backends/opgraft"
cp examples/serving/models/lenet5/config.pbtxt "$SERVING/models/lenet5/"
"$BUILD/opgraft" graft models/lenet5_swish4.onnx --op Swish -o "$SERVING/models/lenet5/1/model.onnx" -q
cp "$BUILD/libtriton_opgraft.so" "$SERVING/backends/opgraft/"
[ "$*" != repository ] || exit 0

if [ "$TRITON" = none ]; then
	server=tritonserver
else
	sh tools/setup.sh triton "$TRITON" tests/requirements-triton.txt "$PYTHON"
	server=$TRITON/server/pytriton/tritonserver/bin/tritonserver
	for folder in "$TRITON"/server/*.libs; do
		export LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	done
fi
exec "$server" --model-repository="$SERVING/models" --backend-directory="$SERVING/backends" \
	--http-address="$ADDRESS" --http-port="${HTTP:-8000}" --grpc-address="$ADDRESS" --grpc-port="${GRPC:-8001}" \
	--metrics-address="$ADDRESS" --metrics-port="${METRICS:-8002}" "$@"
