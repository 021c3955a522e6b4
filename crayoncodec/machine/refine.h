/* What is shown behind nested grids (docs/format.md, "Painting in whole numbers"): the integers of crayoncodec/color/refiner.py. */
#ifndef CRAYONCODEC_REFINE_H
#define CRAYONCODEC_REFINE_H

#include "guided.h"

enum { GIVEN = 17, STRIDE = 8 };

/* What the network is given of rows top to bottom of cells of 2 x 2 pixels: int8[GIVEN, rows, across] of which row 0 is row
   `first`; loudness and octave are the same everywhere. */
typedef struct {
    Parents from;
    int8_t loudness, octave, *planes;
    ptrdiff_t first, rows, across;
} Given;

void given_rows(const Given *given, ptrdiff_t top, ptrdiff_t bottom, int version);

/* Children of rows top to bottom of cells by guided details, int32[2, rows, columns], kept within +-most; row 0 is row 2 `first`.
   added: NULL, or what the network gives, int32[8, added_rows, across] of which row 0 is row `added_first`: the two colours of
   four children each, clipped to +-4095, times the gate u16[ceil(height / STRIDE), ceil(width / STRIDE)], >> 5. */
typedef struct {
    Parents from;
    const int32_t *added;
    const uint16_t *gate;
    ptrdiff_t added_first, added_rows, across;
    int32_t most, *cells;
    ptrdiff_t first, rows;
} Continued;

void continued_rows(const Continued *it, ptrdiff_t top, ptrdiff_t bottom, int version);

/* Squares of the texture of lightness, H, V and D each clipped to +-1023, summed: int32[height, width]. */
void texture_rows(const Parents *from, int32_t *sums, ptrdiff_t top, ptrdiff_t bottom, int version);

#endif
