/* Symbols around the range coder (docs/format.md, section 13), of flat arrays of spreads, from first to last. */
#ifndef CRAYONCODEC_SYMBOLS_H
#define CRAYONCODEC_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/* Spreads that count (mask), sorted: how many of each there are is added to counts; then their positions are written from each
   spread's start on, which is moved. Nothing is written beyond `room`. */
void count_spreads(const uint8_t *spreads, const uint8_t *mask, ptrdiff_t first, ptrdiff_t last, int64_t counts[256]);
void sort_spreads(const uint8_t *spreads, const uint8_t *mask, ptrdiff_t first, ptrdiff_t last, uint64_t starts[256],
                  uint32_t *positions, uint64_t room);

/* What an encoder chooses for a detail: the nearest symbol, one nearer to zero, or zero, whichever costs least in squared steps
   and bits at their price; where that is 0 the nearest, or zero within the dead zone. */
typedef struct {
    const double *targets; /* twice the details */
    const int32_t *guided;
    const int16_t *shifts;
    const uint8_t *spreads, *mask;
    int32_t step, largest;
    const float *bits; /* [spreads, 2 reach + 2]: of -reach .. reach, of an escape */
    int32_t reach;
    const float *prices; /* of a bit in squared steps, [blocks]; all else is [3, blocks], bits excepted */
    ptrdiff_t blocks;
    double dead_zone;
} Choice;

void choose_symbols(const Choice *choice, ptrdiff_t first, ptrdiff_t last, int16_t *symbols);

/* symbols at positions, from first to last of these, become those found. */
void place_symbols(const uint32_t *positions, const int16_t *found, ptrdiff_t first, ptrdiff_t last, int16_t *symbols,
                   uint64_t size);

#endif
