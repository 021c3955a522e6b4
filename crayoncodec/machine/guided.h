/* Guided details of blocks (docs/format.md, section 11), a strip of a row at a time: what levels.c and refine.c share. */
#ifndef CRAYONCODEC_GUIDED_H
#define CRAYONCODEC_GUIDED_H

#include "versions.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { STRIP = 128, REACH = 2, AROUND = STRIP + 2 * REACH, SHIFTS_LOG = 4, SLOPE_BITS = 12 };


static const int64_t EPSILON = (int64_t)4261478 * 65536;

INLINE ptrdiff_t least(ptrdiff_t one, ptrdiff_t other) {
    return one < other ? one : other;
}

INLINE int32_t within(int32_t value, int32_t most) {
    return value < -most ? -most : value > most ? most : value;
}

INLINE int8_t small(int32_t value) {
    return (int8_t)within(value, 127);
}

/* Exact: quotients that are no whole numbers are further from the next one than doubles round. */
INLINE int32_t floor_division(int32_t value, int32_t by) {
    const int32_t quotient = (int32_t)((double)value / (double)by);
    return quotient - (quotient * by > value);
}

INLINE int64_t floor_division_long(int64_t value, int64_t by) {
    return value / by - (value % by < 0);
}

/* Columns left - REACH to left + count + REACH of row y, which repeat beyond the border. */
#define NEIGHBOURS(NAME, TYPE)                                                                                      \
    INLINE void NAME(const TYPE *plane, ptrdiff_t height, ptrdiff_t width, ptrdiff_t y, ptrdiff_t left,             \
                     ptrdiff_t count, int32_t *restrict to) {                                                       \
        const TYPE *restrict row = plane + (y < 0 ? 0 : least(y, height - 1)) * width;                              \
        const ptrdiff_t first = left < REACH ? REACH - left : 0;                                                    \
        const ptrdiff_t last = least(count + 2 * REACH, width - left + REACH);                                      \
        for (ptrdiff_t x = 0; x < first; x++)                                                                       \
            to[x] = row[0];                                                                                         \
        for (ptrdiff_t x = first; x < last; x++)                                                                    \
            to[x] = row[left - REACH + x];                                                                          \
        for (ptrdiff_t x = last; x < count + 2 * REACH; x++)                                                        \
            to[x] = row[width - 1];                                                                                 \
    }

NEIGHBOURS(neighbours_32, int32_t)
NEIGHBOURS(neighbours_16, int16_t)

/* Weights 1 4 6 4 1 and -9 94 0 -94 9. */
#define BINOMIAL(a, b, c, d, e) ((a) + (e) + 4 * ((b) + (d)) + 6 * (c))
#define BICUBIC(a, b, d, e) (94 * ((b) - (d)) - 9 * ((a) - (e)))

/* Details H, V and D of bicubic interpolation. */
INLINE void bicubic(int32_t (*rows)[AROUND], ptrdiff_t count, int32_t *restrict h, int32_t *restrict v,
                    int32_t *restrict d) {
    int32_t down[AROUND];
    for (ptrdiff_t x = 0; x < count + 2 * REACH; x++)
        down[x] = BICUBIC(rows[0][x], rows[1][x], rows[3][x], rows[4][x]);
    for (ptrdiff_t x = 0; x < count; x++) {
        const int32_t *here = rows[2] + x;
        h[x] = BICUBIC(here[0], here[1], here[3], here[4]) >> 8;
        v[x] = down[x + REACH] >> 8;
    }
    for (ptrdiff_t x = 0; x < count; x++)
        d[x] = (int32_t)((94 * ((int64_t)down[x + 1] - down[x + 3]) - 9 * ((int64_t)down[x] - down[x + 4])) >> 17);
}

/* Every second, or fourth, of a row from `first` on, the last one repeated; divided: rows of spacing n rather than n/2. */
INLINE void column(const int16_t *restrict row, ptrdiff_t length, ptrdiff_t every, ptrdiff_t first, ptrdiff_t count,
                   int16_t *restrict to) {
    const ptrdiff_t inside = first >= length ? 0 : least(count, (length - 1 - first) / every + 1);
    for (ptrdiff_t x = 0; x < inside; x++)
        to[x] = row[first + x * every];
    for (ptrdiff_t x = inside; x < count; x++)
        to[x] = row[length - 1];
}

enum { PLANES_OF_COLOR = 2, LIGHT = PLANES_OF_COLOR };

/* Cells int32[2, height, width], the means of their lightness, and those of their children [rows, columns]. */
typedef struct {
    const int32_t *parents;
    const int16_t *coarse, *fine;
    ptrdiff_t height, width, rows, columns;
} Parents;

/* Of up to STRIP blocks of a row: neighbours of colours and lightness, their binomial sums, and details. */
typedef struct {
    int32_t near[3][5][AROUND], smooth[3][STRIP], cubic[6][STRIP], guided[6][STRIP];
} Strip;

INLINE void guide(const Parents *from, ptrdiff_t y, ptrdiff_t left, ptrdiff_t count, Strip *strip) {
    enum { P = PLANES_OF_COLOR, M = LIGHT };
    int32_t(*near)[5][AROUND] = strip->near, (*smooth)[STRIP] = strip->smooth, (*cubic)[STRIP] = strip->cubic,
           (*guided)[STRIP] = strip->guided;
    const ptrdiff_t height = from->height, width = from->width, size = height * width;
    int64_t down[3][AROUND];
    int32_t plain_down[3][AROUND];
    int64_t covariance[2][STRIP], variance[STRIP];
    int32_t slope[2][STRIP], texture[3][STRIP];
    int16_t four[4][STRIP];
    for (int k = 0; k < 5; k++) {
        for (int c = 0; c < P; c++)
            neighbours_32(from->parents + c * size, height, width, y + k - REACH, left, count, near[c][k]);
        neighbours_16(from->coarse, height, width, y + k - REACH, left, count, near[M][k]);
    }

    /* The slope of colour by lightness within the binomial window. */
    for (int c = 0; c < 3; c++) {
        int32_t(*own)[AROUND] = near[c], (*means)[AROUND] = near[M];
        for (ptrdiff_t x = 0; x < count + 2 * REACH; x++)
            plain_down[c][x] = BINOMIAL(own[0][x], own[1][x], own[2][x], own[3][x], own[4][x]);
        for (ptrdiff_t x = 0; x < count + 2 * REACH; x++)
            down[c][x] = BINOMIAL((int64_t)own[0][x] * means[0][x], (int64_t)own[1][x] * means[1][x],
                                  (int64_t)own[2][x] * means[2][x], (int64_t)own[3][x] * means[3][x],
                                  (int64_t)own[4][x] * means[4][x]);
        for (ptrdiff_t x = 0; x < count; x++) {
            const int32_t *here = plain_down[c] + x;
            smooth[c][x] = BINOMIAL(here[0], here[1], here[2], here[3], here[4]);
        }
    }
    for (ptrdiff_t x = 0; x < count; x++) {
        const int64_t *here = down[M] + x, mean = smooth[M][x];
        const int64_t found = 256 * BINOMIAL(here[0], here[1], here[2], here[3], here[4]) - mean * mean;
        variance[x] = (found < 0 ? 0 : found) + EPSILON;
    }
    for (int c = 0; c < P; c++) {
        for (ptrdiff_t x = 0; x < count; x++) {
            const int64_t *here = down[c] + x;
            covariance[c][x] = 256 * BINOMIAL(here[0], here[1], here[2], here[3], here[4]) -
                               (int64_t)smooth[c][x] * smooth[M][x];
        }
        for (ptrdiff_t x = 0; x < count; x++)
            slope[c][x] = (int32_t)floor_division_long(covariance[c][x] * (1 << SLOPE_BITS), variance[x]);
    }

    /* What lightness has beyond its own interpolation, times the slope. */
    for (int a = 0; a < 2; a++) {
        const int16_t *row = from->fine + least(2 * y + a, from->rows - 1) * from->columns;
        for (int b = 0; b < 2; b++)
            column(row, from->columns, 2, 2 * left + b, count, four[2 * a + b]);
    }
    bicubic(near[M], count, texture[0], texture[1], texture[2]);
    for (ptrdiff_t x = 0; x < count; x++) {
        const int32_t a = four[0][x], b = four[1][x], c = four[2][x], d = four[3][x];
        texture[0][x] = ((a - b + c - d) >> 1) - texture[0][x];
        texture[1][x] = ((a + b - c - d) >> 1) - texture[1][x];
        texture[2][x] = ((a - b - c + d) >> 1) - texture[2][x];
    }
    for (int c = 0; c < P; c++) {
        bicubic(near[c], count, cubic[c], cubic[P + c], cubic[2 * P + c]);
        for (int d = 0; d < 3; d++)
            for (ptrdiff_t x = 0; x < count; x++)
                guided[P * d + c][x] =
                    cubic[P * d + c][x] + (int32_t)(((int64_t)slope[c][x] * texture[d][x]) >> SLOPE_BITS);
    }
}

#endif
