/* Sums of products of one row of pixels, which the convolutions of kernels.c are made of. */
#ifndef CRAYONCODEC_ROWS_H
#define CRAYONCODEC_ROWS_H

#include "kernels.h"

/* Of one row's sums: pixels x outputs, int32. `rows` point to the interleaved int16 inputs of `side` rows, at the
   leftmost neighbour of the first pixel; the next pixel's are `next` numbers further. */
typedef void Row(const Convolution *layer, const int16_t *const rows[], int pixels, int next, int32_t *sums);

/* That of a version, as best_version counts them. */
Row *row_of(int version);

#endif
