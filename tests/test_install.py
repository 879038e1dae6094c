"""`make install` and what a user does next: pkg-config, a C and a C++ program, both libraries. And both compilers build
the library without a warning."""
import os
import re
import shutil
import subprocess
import time

import pytest

from conftest import BUILD, LENET5, ROOT

PREFIX = "/opt/opgraft"

pytestmark = pytest.mark.skipif(BUILD != ROOT / "build", reason="another build is being tested")

USER = """#include <opgraft.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	og_model *model = NULL;
	og_status status = argc > 1 ? og_model_load(&model, argv[1]) : OG_USAGE;
	printf("%s %s %d\\n", og_version(), og_status_name(status), model ? og_model_inputs(model) : -1);
	og_model_free(model);
	return status;
}
"""


def sh(*args, **options):
    done = subprocess.run(list(map(str, args)), stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, args))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that stands for / on the user's machine."""
    root = tmp_path_factory.mktemp("root")
    sh("make", "-s", "-j2", "install", f"DESTDIR={root}", f"PREFIX={PREFIX}", cwd=ROOT)
    return root


def pkg_config(root, *options):
    if not shutil.which("pkg-config"):
        pytest.skip("there is no pkg-config here")
    folder = f"{root}{PREFIX}/lib/pkgconfig"
    return sh("pkg-config", *options, "opgraft", env={**os.environ, "PKG_CONFIG_LIBDIR": folder,
                                                      "PKG_CONFIG_SYSROOT_DIR": str(root)}).split()


def test_what_is_installed(installed):
    there = {str(path.relative_to(f"{installed}{PREFIX}")) for path in installed.rglob("*") if not path.is_dir()}
    need = {"bin/opgraft", "lib/libopgraft.a", "lib/libopgraft.so", "lib/libopgraft_kit.a", "lib/pkgconfig/opgraft.pc", "include/opgraft.h",
            "include/opgraft/types.h", "include/opgraft/op.h"}
    assert need - there == set()
    assert {name.split("/")[0] for name in there} == {"bin", "lib", "include", "share"}
    header = {f"include/opgraft/{path.name}" for path in (ROOT / "include" / "opgraft").glob("*.h")}
    assert header - there == set()


def test_the_pkg_config_file_names_the_prefix(installed):
    text = (installed / PREFIX[1:] / "lib" / "pkgconfig" / "opgraft.pc").read_text()
    assert f"prefix={PREFIX}\n" in text and str(installed) not in text
    assert pkg_config(installed, "--modversion") == [sh(f"{installed}{PREFIX}/bin/opgraft", "--version").split()[-1]]


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
@pytest.mark.parametrize("compiler, name", [(["cc", "-std=c11"], "user.c"), (["c++", "-std=c++17"], "user.cc")],
                         ids=["c", "c++"])
def test_a_program_is_built_with_it(installed, tmp_path, compiler, name, static):
    (tmp_path / name).write_text(USER)
    lib = f"{installed}{PREFIX}/lib"
    flags = pkg_config(installed, "--cflags", "--libs", *["--static"] * static)
    if static:
        flags = [f"{lib}/libopgraft.a" if flag == "-lopgraft" else flag for flag in flags]
    sh(*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", tmp_path / name, "-o", tmp_path / "user", *flags)
    needed = sh("readelf", "-d", tmp_path / "user")
    assert ("libopgraft.so.0" in needed) != static
    out = sh(tmp_path / "user", LENET5[0], env={**os.environ, "LD_LIBRARY_PATH": lib})
    assert re.fullmatch(r"\d+\.\d+\.\d+ OK 1\n", out)


def test_the_installed_command_runs_anywhere(installed, tmp_path):
    assert "logits" in sh(f"{installed}{PREFIX}/bin/opgraft", "info", LENET5[0], cwd=tmp_path, env={})


@pytest.mark.parametrize("kind", [[], ["--rowwise"], ["--general"]], ids=["elementwise", "rowwise", "general"])
def test_the_operator_kit_works_anywhere(installed, tmp_path, kind):
    """With nothing of the source tree: the headers and archives are found beside the program."""
    command = f"{installed}{PREFIX}/bin/opgraft"
    env = {"PATH": os.environ["PATH"]}
    sh(command, "op", "new", "Mine", *kind, cwd=tmp_path, env=env)
    sh(command, "op", "build", "mine.c", "-o", "libmine.so", "--no-cuda", cwd=tmp_path, env=env)
    assert "checks passed" in sh(command, "op", "test", "libmine.so", cwd=tmp_path, env=env)
    link = tmp_path / "opgraft"
    link.symlink_to(command)
    sh(link, "op", "build", "mine.c", "-o", "again.so", "--no-cuda", cwd=tmp_path, env=env)
    assert (tmp_path / "again.so").read_bytes() == (tmp_path / "libmine.so").read_bytes()
    moved = tmp_path / "moved"
    shutil.copy2(command, moved)
    lost = subprocess.run([moved, "op", "build", "mine.c", "-o", "lost.so"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert lost.returncode == 5 and "OPGRAFT_HOME" in lost.stderr
    sh(moved, "op", "build", "mine.c", "-o", "again.so", "--no-cuda", cwd=tmp_path, env={**env, "OPGRAFT_HOME": f"{installed}{PREFIX}"})


def test_uninstall_leaves_nothing(installed, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(installed, root, symlinks=True)
    sh("make", "-s", "uninstall", f"DESTDIR={root}", f"PREFIX={PREFIX}", cwd=ROOT)
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_library_compiles_without_a_warning(compiler):
    """Objects stay, so that a second run is quick; the time is printed, not judged."""
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler} here")
    start = time.monotonic()
    build = f"build/{compiler}"
    sh("make", "-s", "-j2", f"B={build}", f"CC={compiler}", "CFLAGS=-Werror", "lib", f"{build}/opgraft", cwd=ROOT)
    print(f"{compiler}: {time.monotonic() - start:.0f} s")
