#!/bin/sh
# kernels.wasm from the package's C: build.sh [OUT]. Its bytes are those of clang and lld 14.
set -eu
cd "$(dirname "$0")"
machine=../crayoncodec/machine
exec "${CLANG:-clang}" --target=wasm32 -msimd128 -mbulk-memory -nostdlib -std=c11 -O2 -ffp-contract=off \
    -Wall -Wextra -Werror -isystem freestanding -I "$machine" \
    $machine/kernels.c $machine/lab.c $machine/levels.c $machine/refine.c $machine/rows.c $machine/symbols.c \
    flat.c ranges.c -Wl,--no-entry,--strip-all,--stack-first,-z,stack-size=1048576 -o "${1:-kernels.wasm}"
