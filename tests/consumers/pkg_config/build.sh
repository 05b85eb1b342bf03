#!/bin/sh
# A project that knows only pkg-config: build.sh OUTPUT
set -eu
cd "$(dirname "$0")"
exec ${CXX:-c++} -std=c++20 $(pkg-config --cflags coir) -o "$1" ../main.cpp $(pkg-config --libs coir)
