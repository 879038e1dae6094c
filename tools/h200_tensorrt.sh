#!/bin/sh
# Builds Opgraft and op libraries on a machine with a GPU and drives their TensorRT plugins with our own host (docs/tensorrt-host.md):
# every type, format and tactic, with no TensorRT. The report goes to $OUT/tensorrt-host.md.
# Needs gcc, make, and an NVRTC that the loader, CUDA's folder or Python's packages have. Run it in the repository's root; LARGE= leaves
# out tensors of more than 2^31 elements.
set -eu
B=${B:-build/gpu}
OUT=${OUT:-$B}
LARGE=${LARGE-"--large"}
mkdir -p "$OUT" "$B/plugins"
make B="$B" -j"$(nproc)" all > "$OUT/make.log" 2>&1 || { tail -n 20 "$OUT/make.log"; exit 1; }
if [ -z "${OPGRAFT_NVRTC:-}" ]; then
	found=$(python3 -c 'import glob, sys
print(*sorted(f for p in sys.path for f in glob.glob(p + "/nvidia/*/lib/libnvrtc.so.1[23]"))[-1:])' 2> /dev/null || true)
	if [ -n "$found" ]; then export OPGRAFT_NVRTC="$found"; fi
fi
ls examples/ops/*.c tests/ops/*.c | B="$B" xargs -P "$(nproc)" -I FILE sh -c '
	name=$(basename FILE .c)
	"$B/opgraft" op build FILE -o "$B/plugins/$name.so" -q > "$B/plugins/$name.log" 2>&1 || { echo "$name:"; cat "$B/plugins/$name.log"; }
'
# every plugin by itself, a few at a time
for library in "$B"/plugins/*.so; do
	"$B/opgraft" op list "$library" --json | python3 -c 'import json, sys
for op in json.load(sys.stdin)["ops"]: print(sys.argv[1], op["name"])' "$library"
done | B="$B" LARGE="$LARGE" xargs -P 6 -L 1 sh -c '
	"$B/opgraft" op test --tensorrt "$0" --op "$1" $LARGE --json > "$B/plugins/$1.json" 2> "$B/plugins/$1.log" || true
'
python3 - "$B/plugins" > "$OUT/tensorrt-host.md" <<'PY' || status=$?
import glob, json, subprocess, sys

def device():
    try:
        words = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        name, driver = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0].split(", ")
        return f"{name}, driver {driver}"
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        return "a machine without a GPU"

print(f"# TensorRT plugins under our own host\n\nOn {device()}, by `tools/h200_tensorrt.sh`.\n")
wrong = total = 0
rows, details = [], []
for path in sorted(glob.glob(sys.argv[1] + "/*.json")):
    try:
        answer = json.load(open(path))
    except ValueError:
        details.append(f"- {path}: {open(path[:-4] + 'log').read().strip()}")
        wrong += 1
        continue
    for plugin in answer["plugins"]:
        checks = {check["check"]: check for check in plugin["checks"]}
        names = list(checks)
        marks = [{"ok": "ok", "FAILED": "**FAILED**", "skipped": "-"}[checks[name]["result"]] for name in names]
        rows.append((plugin["name"], marks))
        details.append(f"- {plugin['name']}: " + "; ".join(
            f"{check['check']}{' FAILED' if check['result'] == 'FAILED' else ''}: {check['words']}" for check in plugin["checks"]
            if check["result"] == "FAILED" or check["check"] in ("formats", "configure", "run", "large")))
        wrong += sum(check["result"] == "FAILED" for check in plugin["checks"])
        total += sum(check["result"] != "skipped" for check in plugin["checks"])
if rows:
    print("| plugin | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for name, marks in rows:
        print(f"| {name} | " + " | ".join(marks) + " |")
print(f"\n{len(rows)} plugins, {total} checks, {wrong} failed.\n\n" + "\n".join(details))
sys.exit(1 if wrong or not rows else 0)
PY
cat "$OUT/tensorrt-host.md"
exit "${status:-0}"
