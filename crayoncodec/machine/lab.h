/* CIELAB in whole numbers to sRGB: docs/format.md, section 7, "To RGB in whole numbers". C11, no library, nothing of Python. */
#ifndef CRAYONCODEC_LAB_H
#define CRAYONCODEC_LAB_H

#include <stddef.h>
#include <stdint.h>

enum { LAB_CURVE = 4096, LAB_MOST = 65535 };

typedef struct {
    const int32_t *matrix;    /* [3, 3] */
    const int32_t *curve;     /* [LAB_CURVE]: channel c is (curve[c >> 12] + c) >> 12 of 8 bits. Every such value is 0 to 255. */
    const int32_t *luminance; /* [256, 2]: the least and the most that clipping may make of a lightness's. */
} LabTables;

/* A row: lightness as stored, a* and b* in 1/256, brought within -LAB_MOST to LAB_MOST -> rgb[count, 3].
   version: 0 plain C, 1 AVX2, as of best_version. */
void lab_to_rgb(const LabTables *tables, const uint8_t *lightness, const int32_t *a, const int32_t *b, ptrdiff_t count,
                uint8_t *rgb, int version);

/* The same of floats in CIELAB units: the nearest 1/256, the even one of two; -LAB_MOST for a NaN. */
void lab_floats_to_rgb(const LabTables *tables, const uint8_t *lightness, const float *a, const float *b, ptrdiff_t count,
                       uint8_t *rgb, int version);

/* rgb[count, 3] -> lightness as stored. luminance[3, 256]: what the channels add to it, in 1/2^28, of no colour more than that
   together. curve: y is (curve[y >> 16] + y) >> 16 of lightness, 0 to 255. */
void rgb_to_lightness(const int32_t *luminance, const int32_t *curve, const uint8_t *rgb, ptrdiff_t count, uint8_t *lightness);

/* rgb[rows, width, 3], rows `stride` bytes apart -> of every cell of `spacing` columns, the last one may be cut, and all rows
   the sums of f(X) - f(Y) and f(Y) - f(Z), in 1/2^23: across[cells], along[cells].
   ratios[3, 256, 4]: what the channels add to X/Xn, Y/Yn, Z/Zn in 1/2^28, of no colour more than that together, and 0;
   roots[LAB_CURVE + 1]: f of every 1/4096, rising by less than 2^15 at once. */
void rgb_to_sums(const int32_t *ratios, const int32_t *roots, const uint8_t *rgb, ptrdiff_t stride, ptrdiff_t rows,
                 ptrdiff_t width, ptrdiff_t spacing, int64_t *across, int64_t *along);

#endif
