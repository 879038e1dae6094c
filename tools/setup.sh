#!/bin/sh
# setup.sh build | test VENV REQUIREMENTS | tensorrt FOLDER REQUIREMENTS PYTHON | triton FOLDER REQUIREMENTS PYTHON --
# installs what the build or the tests need and the machine lacks: Debian packages, a Python environment, the real TensorRT-RTX
# with its Python API, the real Triton Inference Server with its Python client (in FOLDER, for that PYTHON). Without root or apt
# it says what to install and stops. A second run does nothing.
set -eu

# FOLDER/python holds the bindings or the client, FOLDER/lib the library, FOLDER/server the server. FOLDER appears whole or not at
# all, so that a broken download or two runs at a time do no harm.
if [ "$1" = tensorrt ] || [ "$1" = triton ]; then
	folder=$2 requirements=$3 python=$4
	[ -f "$folder/requirements.txt" ] && cmp -s "$requirements" "$folder/requirements.txt" && exit
	mkdir -p "$(dirname "$folder")"
	new=$(mktemp -d "$folder.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	"$python" -m pip download -q --disable-pip-version-check --no-deps --ignore-requires-python -d "$new/wheels" -r "$requirements"
	"$python" - "$new" <<'END'
import pathlib, re, sys, zipfile
new = pathlib.Path(sys.argv[1])
lib = new / "lib"
lib.mkdir()
for wheel in new.glob("wheels/*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        if "pytriton" in wheel.name:
            archive.extractall(new / "server", [name for name in archive.namelist() if re.match("pytriton/tritonserver/|[^/]*libs/", name)])
            for name in ("bin/tritonserver", *(f"python_backend_stubs/3.{n}/triton_python_backend_stub" for n in range(30))):
                path = new / "server" / "pytriton" / "tritonserver" / name
                if path.exists():
                    path.chmod(0o755)
            continue
        if wheel.name.startswith(("kubernetes_validate-", "kserve-")):       # descriptions of manifests: of one version, and no programs
            archive.extractall(new / "python", [name for name in archive.namelist() if re.search(r"v1\.37\.0-local-strict/_definitions|^kserve/models/", name)])
            continue
        if "ep_nv_tensorrt" not in wheel.name:
            archive.extractall(new / "python")
            continue
        for member in archive.infolist():
            name = pathlib.PurePath(member.filename).name
            if not re.fullmatch(r"libtensorrt_(onnxparser_)?rtx\.so\.[0-9.]+", name):
                continue
            member.filename = name
            archive.extract(member, lib)
            # its soname, and the name without a number: the parser opens that one at the first plugin node
            stem = name[:name.index(".so") + 3]
            (lib / stem).symlink_to(name)
            (lib / f"{stem}.{name[len(stem) + 1:].split('.')[0]}").symlink_to(name)
END
	rm -r "$new/wheels"
	cp "$requirements" "$new/requirements.txt"
	chmod 755 "$new"
	rm -rf "$folder"
	mv -T "$new" "$folder" 2>/dev/null || cmp -s "$requirements" "$folder/requirements.txt"
	exit
fi

missing=
have() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
install_missing() {
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
	else
		echo "setup: these packages are needed; as root: apt-get install$missing" >&2
		exit 1
	fi
}

have cc "gcc libc6-dev"
if [ "$1" = build ]; then
	install_missing
	exit
fi
venv=$2 requirements=$3
have python3 python3
have g++ g++
have clang clang
python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo 'int main(void) { return 0; }' >"$probe/t.c"
printf '#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <setjmp.h>\n#include <cmocka.h>\nint main(void) { return 0; }\n' >"$probe/c.c"
cc "$probe/c.c" -lcmocka -o "$probe/c" >/dev/null 2>&1 || missing="$missing libcmocka-dev"
cc -fsanitize=address,undefined "$probe/t.c" -o "$probe/a" >/dev/null 2>&1 || missing="$missing libasan8 libubsan1"
if command -v clang >/dev/null 2>&1; then
	clang -fsanitize=address "$probe/t.c" -o "$probe/f" >/dev/null 2>&1 ||
		missing="$missing libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
fi
# networks to find operators in are exported by Debian's PyTorch
[ ! -x /usr/bin/python3 ] || /usr/bin/python3 -c 'import torchvision' 2>/dev/null || missing="$missing python3-torch python3-torchvision"
install_missing
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$requirements"
