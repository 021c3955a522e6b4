/* The integer kernels of crayoncodec: C11, no library, nothing of Python. What callers have to check is said here. */
#ifndef CRAYONCODEC_KERNELS_H
#define CRAYONCODEC_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Planes [channels, height, width] of bytes, one after the other; is_signed: int8, else uint8. */
typedef struct {
    const uint8_t *data;
    int channels;
    int is_signed;
} Planes;

/* A convolution, side 1 or 3, zeros beyond the border: out = floor((sum of products + bias) / 2^shift).
   weights: [side, side * inputs / 2, outputs, 2], inputs even and outputs a multiple of 8 (zeros fill up); bias and
   shift [outputs]. No absolute sum may reach 2^31. */
typedef struct {
    const int16_t *weights;
    const int32_t *bias;
    const uint8_t *shift;
    int side, inputs, outputs;
} Convolution;

/* Which of the versions: 0 plain C, 1 AVX2. */
int best_version(void);

/* Rows top to bottom of the picture's. out: [shown, rows_out, width] whose row 0 is the picture's row out_top; uint8 clamped
   to 0..255 if bytes, else int32. scratch: scratch_size bytes, aligned to 32. */
size_t convolve_scratch(const Convolution *layer);
void convolve_rows(const Convolution *layer, const Planes *planes, int count, int height, int width, int top, int bottom,
                   void *out, int bytes, int shown, int rows_out, int out_top, void *scratch, int version);

/* Median-edge prediction undone (ITU-T T.87, A.4.2): residual int32[height, width] -> plane, modulo its range. */
void restore_u8(const int32_t *residual, uint8_t *plane, ptrdiff_t height, ptrdiff_t width);
void restore_i16(const int32_t *residual, int16_t *plane, ptrdiff_t height, ptrdiff_t width);

#endif
