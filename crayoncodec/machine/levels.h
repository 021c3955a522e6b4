/* Levels of nested grids (docs/format.md, section 11): the integers of crayoncodec/color/features.py and blocks.py. All arrays
   are rows of what is named; "blocks" are height x width. Nothing overflows while cells are within +-65535, lightness means
   within 0..16320, steps 1..65535, shifts within +-4095 and symbols within +-32768. */
#ifndef CRAYONCODEC_LEVELS_H
#define CRAYONCODEC_LEVELS_H

#include <stddef.h>
#include <stdint.h>

enum { FEATURES = 51, KNOWN = 13, OWN = 6 };

/* One of the levels of lightness from the next finer one: sums, least and largest values of 2 x 2, the last row and column
   repeated where there is none. Sums have the bytes of `from`, `to`: 1 2, 2 2, 2 8 or 8 8. Means are sums << -shift, or
   sums >> shift, rounded. Rows top to bottom of the new level. */
typedef struct {
    const void *sums;
    const uint8_t *low, *high;
    ptrdiff_t height, width;
    int from, to, shift;
    void *new_sums;
    uint8_t *new_low, *new_high;
    int16_t *means, *ranges;
} Halving;

int can_halve(int from, int to);
void halve_rows(const Halving *it, ptrdiff_t top, ptrdiff_t bottom, int version);

/* What a level's blocks are predicted from. */
typedef struct {
    const int32_t *parents;        /* [2] */
    const int16_t *symbols;        /* [6], of blocks twice as large, half as many each way, rounded up; or NULL for 0 */
    const int16_t *coarse;         /* means of the blocks */
    const int16_t *fine, *ranges;  /* [rows, columns], 2 height or 2 height - 1, and so on */
    const int16_t *finer;          /* [finer_rows, finer_columns], which are twice rows and columns or one less; or `fine` */
    ptrdiff_t height, width, rows, columns, finer_rows, finer_columns;
    int32_t step;
    int8_t loudness, octave;
    int32_t *guided;               /* [6] */
    int8_t *features;              /* [height, width, FEATURES] */
} Level;

void prepare_rows(const Level *level, ptrdiff_t top, ptrdiff_t bottom, int version);

/* Details, in part decoded. */
typedef struct {
    ptrdiff_t height, width, rows, columns;
    int32_t step;
    const int32_t *parents, *guided; /* [2], [6] */
    int16_t *symbols, *shifts;       /* [6], 0 where nothing is decoded */
} Details;

/* Take in the symbols and shifts [3] of a half (0: row and column have an even sum) and of a plane. known and own: what the
   network is told, [height, width, KNOWN or OWN]; the first only of the first half, the second only of the first plane. */
void settle_rows(const Details *details, int half, int plane, const int16_t *symbols, const int16_t *shifts, int8_t *known,
                 int8_t *own, ptrdiff_t top, ptrdiff_t bottom);

/* Children of rows top to bottom of the blocks, int32[2, rows, columns], within +-most. */
void children_rows(const Details *details, int32_t most, int32_t *cells, ptrdiff_t top, ptrdiff_t bottom, int version);

/* Cells [2] in axes turned by an angle, whose cosine and sine are in 1/16384 -> samples. */
void turn_cells(const int32_t *cells, int32_t cosine, int32_t sine, int16_t *samples, ptrdiff_t size, ptrdiff_t first,
                ptrdiff_t last, int version);

#endif
