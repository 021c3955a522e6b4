/* What the kernels need of C's library: two functions, which WebAssembly has as instructions. */
#ifndef CRAYONCODEC_FREESTANDING_STRING_H
#define CRAYONCODEC_FREESTANDING_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);

#endif
