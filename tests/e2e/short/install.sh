# The installed library can be used through pkg-config and through CMake, and the program runs.
set -euo pipefail
prefix=$PWD/prefix
cmake --install "$ADZE_BUILD" --prefix "$prefix" >install.log || { cat install.log; exit 1; }

sanitize=$(sed -n 's/^ADZE_SANITIZE:STRING=\(..*\)/-fsanitize=\1/p' "$ADZE_BUILD/CMakeCache.txt")
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$ADZE_BUILD/CMakeCache.txt")
pc=$(find "$prefix" -name adze.pc -printf '%h')
export PKG_CONFIG_PATH=$pc

# The file names where the library lies now, not where it was configured to lie.
flags=$(pkg-config --define-prefix --static --cflags --libs adze)
# shellcheck disable=SC2086
"$compiler" $sanitize "$ADZE_SOURCE/tests/install/consumer.c" $flags -o by-pkg-config
./by-pkg-config

cmake -S "$ADZE_SOURCE/tests/install" -B by-cmake -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS="$sanitize" >cmake.log 2>&1 &&
    cmake --build by-cmake >>cmake.log 2>&1 || { cat cmake.log; exit 1; }
by-cmake/consumer

if [ -e "$ADZE" ]; then
    "$prefix/bin/adze" --version
fi
