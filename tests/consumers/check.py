#!/usr/bin/env python3
"""Installs coir from a build directory into a temporary tree, builds one consumer against it and runs it.

check.py KIND --build DIR --source DIR --prefix PREFIX --libdir LIBDIR
KIND: pkg_config | cmake | meson | meson_subproject
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

arguments = argparse.ArgumentParser()
arguments.add_argument("kind", choices=["pkg_config", "cmake", "meson", "meson_subproject"])
arguments.add_argument("--build", required=True, type=pathlib.Path)
arguments.add_argument("--source", required=True, type=pathlib.Path)
arguments.add_argument("--prefix", required=True, type=pathlib.Path)
arguments.add_argument("--libdir", required=True)
options = arguments.parse_args()

consumers = options.source / "tests" / "consumers"
work = pathlib.Path(tempfile.mkdtemp(prefix=f"coir-consumer-{options.kind}-"))
root = work / "root"
installed = root / options.prefix.relative_to("/")
libdir = installed / options.libdir
environment = dict(os.environ)


def run(*command, **more):
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, env=environment, **more)


def install():
    run("meson", "install", "-C", options.build, "--no-rebuild", "--quiet", "--destdir", root)
    # coir.pc names the final prefix: pkg-config puts the temporary root before it.
    environment["PKG_CONFIG_SYSROOT_DIR"] = str(root)
    environment["PKG_CONFIG_PATH"] = str(libdir / "pkgconfig")
    environment["LD_LIBRARY_PATH"] = str(libdir)


def meson_project(*setup_arguments):
    project = work / "project"
    shutil.copytree(consumers / "meson", project)
    shutil.copy(consumers / "main.cpp", project)
    if options.kind == "meson_subproject":
        (project / "subprojects").mkdir()
        (project / "subprojects" / "coir").symlink_to(options.source)
    run("meson", "setup", work / "build", project, *setup_arguments)
    run("ninja", "-C", work / "build")
    return work / "build" / "consumer"


def build_consumer():
    if options.kind == "meson_subproject":
        # Neither optimised nor with debug information: half the time, and nothing else.
        return meson_project("--wrap-mode=forcefallback", "--buildtype=plain")
    install()
    if options.kind == "pkg_config":
        run(consumers / "pkg_config" / "build.sh", work / "consumer")
        return work / "consumer"
    if options.kind == "meson":
        return meson_project("--wrap-mode=nofallback")
    run("cmake", "-G", "Ninja", "-S", consumers / "cmake", "-B", work / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    run("ninja", "-C", work / "build")
    return work / "build" / "consumer"


try:
    run(build_consumer())
except subprocess.CalledProcessError as error:
    sys.exit(f"{options.kind}: {error}")
finally:
    shutil.rmtree(work)
