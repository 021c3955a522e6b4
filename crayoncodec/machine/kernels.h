/* The integer kernels of crayoncodec: C11, no library, nothing of Python. What callers have to check is said here. */
#ifndef CRAYONCODEC_KERNELS_H
#define CRAYONCODEC_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes [channels, height, width], or [height, width, channels] if interleaved; is_signed: int8, else uint8. folded: of
   uint8 [2 height, 2 width, channels / 4] each 2 x 2 pixels are one. */
typedef struct {
    const uint8_t *data;
    int channels;
    int is_signed, interleaved, folded;
} Planes;

/* A convolution, side 1 or 3, zeros beyond the border: out = floor((sum of products + bias) / 2^shift).
   weights: [side, side * inputs / 2, outputs, 2], inputs even and outputs a multiple of 8 (zeros fill up); bias and
   shift [outputs]. No absolute sum may reach 2^29. tiled, of side 3: [4, 4, inputs / 2, outputs, 2], what G w G' is with G 2 0 0,
   1 1 1, 1 -1 1, 0 0 2. */
typedef struct {
    const int16_t *weights, *tiled;
    const int32_t *bias;
    const uint8_t *shift;
    int side, inputs, outputs;
} Convolution;

/* Which of the versions is the fastest: 0 plain C, 1 what is written for AVX2, NEON or SIMD of WebAssembly. */
int best_version(void);

/* Rows top to bottom of planes that follow each other, through layers. half: -1, or 0 or 1 for those pixels only whose row
   and column have an even, or an odd, sum. */
typedef struct {
    const Convolution *layers;
    int depth;
    const Planes *planes;
    int count, height, width, top, bottom, half;
} Work;

/* Whole numbers int32 [channels, rows, width]; or, clamped to 0..255, bytes of that shape, [rows, width, channels], or
   [2 rows, 2 width, channels / 4]. */
enum { WHOLE, BYTES, INTERLEAVED, UNFOLDED };

/* Where they go; row 0 is the picture's row top. added: NULL, or bytes as the last two kinds, added before clamping. */
typedef struct {
    void *data;
    const uint8_t *added;
    int kind, channels, rows, top;
} Output;

/* One layer. scratch: convolve_scratch bytes, aligned to 32. */
size_t convolve_scratch(const Convolution *layer);
void convolve_rows(const Work *work, const Output *out, void *scratch, int version);

/* What one or two layers of side 1 say of three details, the first of the two clamped to 0..255: [3, height, width],
   shifts within -largest_shift..largest_shift, spreads within 0..largest_spread. Of one half. */
typedef struct {
    int16_t *shifts;
    uint8_t *spreads;
    int largest_shift, largest_spread;
} Head;

size_t head_scratch(const Convolution *layers, int depth);
void head_rows(const Work *work, const Head *out, void *scratch, int version);

/* Median-edge prediction undone (ITU-T T.87, A.4.2): residual int32[height, width] -> plane, modulo its range. */
void restore_u8(const int32_t *residual, uint8_t *plane, ptrdiff_t height, ptrdiff_t width);
void restore_i16(const int32_t *residual, int16_t *plane, ptrdiff_t height, ptrdiff_t width);

#endif
