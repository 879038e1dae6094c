#!/bin/sh
# setup.sh build | test VENV REQUIREMENTS -- installs what the build or the tests need and the machine lacks: Debian
# packages and a Python environment. Without root or apt it says what to install and stops.
set -eu

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
install_missing
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$requirements"
