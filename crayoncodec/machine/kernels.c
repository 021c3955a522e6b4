#include "kernels.h"

#include <string.h>

#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
#define HAS_AVX2 1
#include <immintrin.h>
#else
#define HAS_AVX2 0
#endif

enum { STRIP = 96, LANES = 8, MOST_OUTPUTS = 64 };

int best_version(void) {
#if HAS_AVX2
    return __builtin_cpu_supports("avx2") ? 1 : 0;
#else
    return 0;
#endif
}

/* Of one row's sums: pixels x outputs, int32. `rows` point to the interleaved int16 inputs of `side` rows, at the
   leftmost neighbour of the first pixel. */
typedef void Row(const Convolution *layer, const int16_t *const rows[], int pixels, int32_t *sums);

static void row_plain(const Convolution *layer, const int16_t *const rows[], int pixels, int32_t *sums) {
    const int pairs = layer->side * layer->inputs / 2, outputs = layer->outputs;
    for (int x = 0; x < pixels; x++) {
        int32_t *restrict sum = sums + (size_t)x * outputs;
        memcpy(sum, layer->bias, (size_t)outputs * sizeof *sum);
        const int16_t *restrict weights = layer->weights;
        for (int y = 0; y < layer->side; y++) {
            const int16_t *restrict given = rows[y] + (size_t)x * layer->inputs;
            for (int k = 0; k < pairs; k++, weights += 2 * outputs) {
                const int32_t first = given[2 * k], second = given[2 * k + 1];
                for (int o = 0; o < outputs; o++)
                    sum[o] += first * weights[2 * o] + second * weights[2 * o + 1];
            }
        }
    }
}

#if HAS_AVX2
/* VECTORS of 8 outputs for PIXELS pixels stay in registers. */
#define TILE(VECTORS, PIXELS)                                                                                       \
    __attribute__((target("avx2"))) static inline void tile_##VECTORS##_##PIXELS(                                   \
        const Convolution *layer, const int16_t *const rows[], int x, int first, int32_t *sums) {                   \
        const int inputs = layer->inputs, outputs = layer->outputs, pairs = layer->side * inputs / 2;               \
        __m256i sum[PIXELS][VECTORS];                                                                               \
        for (int p = 0; p < PIXELS; p++)                                                                            \
            for (int v = 0; v < VECTORS; v++)                                                                       \
                sum[p][v] = _mm256_loadu_si256((const __m256i *)(layer->bias + first + LANES * v));                 \
        const int16_t *weights = layer->weights + 2 * first;                                                        \
        for (int y = 0; y < layer->side; y++) {                                                                     \
            const int16_t *given = rows[y] + (size_t)x * inputs;                                                    \
            for (int k = 0; k < pairs; k++, weights += 2 * outputs) {                                               \
                __m256i weight[VECTORS];                                                                            \
                for (int v = 0; v < VECTORS; v++)                                                                   \
                    weight[v] = _mm256_loadu_si256((const __m256i *)(weights + 2 * LANES * v));                     \
                for (int p = 0; p < PIXELS; p++) {                                                                  \
                    int32_t pair;                                                                                   \
                    memcpy(&pair, given + (size_t)p * inputs + 2 * k, sizeof pair);                                 \
                    const __m256i both = _mm256_set1_epi32(pair);                                                   \
                    for (int v = 0; v < VECTORS; v++)                                                               \
                        sum[p][v] = _mm256_add_epi32(sum[p][v], _mm256_madd_epi16(both, weight[v]));                \
                }                                                                                                   \
            }                                                                                                       \
        }                                                                                                           \
        for (int p = 0; p < PIXELS; p++)                                                                            \
            for (int v = 0; v < VECTORS; v++)                                                                       \
                _mm256_storeu_si256((__m256i *)(sums + (size_t)(x + p) * outputs + first + LANES * v), sum[p][v]);  \
    }

TILE(3, 4)
TILE(3, 1)
TILE(2, 6)
TILE(2, 1)
TILE(1, 8)
TILE(1, 1)

#define ACROSS(VECTORS, PIXELS)                                                                                     \
    {                                                                                                               \
        int x = 0;                                                                                                  \
        for (; x + PIXELS <= pixels; x += PIXELS)                                                                   \
            tile_##VECTORS##_##PIXELS(layer, rows, x, first, sums);                                                 \
        for (; x < pixels; x++)                                                                                     \
            tile_##VECTORS##_1(layer, rows, x, first, sums);                                                        \
        first += LANES * VECTORS;                                                                                   \
    }

__attribute__((target("avx2"))) static void row_avx2(const Convolution *layer, const int16_t *const rows[], int pixels,
                                                     int32_t *sums) {
    int first = 0;
    while (first < layer->outputs) {
        const int left = (layer->outputs - first) / LANES;
        if (left >= 3 && left != 4)
            ACROSS(3, 4)
        else if (left >= 2)
            ACROSS(2, 6)
        else
            ACROSS(1, 8)
    }
}
#endif

static int32_t shifted(int32_t sum, int shift) {
    /* An arithmetic shift, which C leaves to compilers for negative numbers. */
    return sum < 0 ? ~(~sum >> shift) : sum >> shift;
}

/* Row y of all planes, columns left - border to right + border, pixel by pixel; zeros beyond the picture. */
static void interleave(const Convolution *layer, const Planes *planes, int count, int height, int width, int y, int left,
                       int right, int16_t *row) {
    const int border = layer->side / 2, inputs = layer->inputs;
    const int first = left - border < 0 ? 0 : left - border, last = right + border > width ? width : right + border;
    int channel = 0;
    if (y < 0 || y >= height || first > left - border || last < right + border)
        memset(row, 0, (size_t)(right - left + 2 * border) * inputs * sizeof *row);
    if (y < 0 || y >= height)
        return;
    int16_t *start = row + (size_t)(first - left + border) * inputs;
    for (int k = 0; k < count; k++)
        for (int c = 0; c < planes[k].channels; c++, channel++) {
            const uint8_t *given = planes[k].data + ((size_t)c * height + y) * width + first;
            int16_t *to = start + channel;
            if (planes[k].is_signed)
                for (int x = 0; x < last - first; x++, to += inputs)
                    *to = (int8_t)given[x];
            else
                for (int x = 0; x < last - first; x++, to += inputs)
                    *to = given[x];
        }
    for (; channel < inputs; channel++)
        for (int x = 0; x < last - first; x++)
            start[(size_t)x * inputs + channel] = 0;
}

size_t convolve_scratch(const Convolution *layer) {
    return (size_t)layer->side * (STRIP + 2) * layer->inputs * sizeof(int16_t) +
           (size_t)STRIP * layer->outputs * sizeof(int32_t);
}

void convolve_rows(const Convolution *layer, const Planes *planes, int count, int height, int width, int top, int bottom,
                   void *out, int bytes, int shown, int rows_out, int out_top, void *scratch, int version) {
    const int side = layer->side, border = side / 2, outputs = layer->outputs;
    const size_t row_size = (size_t)(STRIP + 2) * layer->inputs;
    int32_t *sums = scratch;
    int16_t *ring = (int16_t *)(sums + (size_t)STRIP * outputs);
    Row *row = row_plain;
#if HAS_AVX2
    if (version == 1)
        row = row_avx2;
#else
    (void)version;
#endif
    for (int left = 0; left < width; left += STRIP) {
        const int right = left + STRIP < width ? left + STRIP : width, pixels = right - left;
        for (int y = top - border; y < top + border; y++)
            interleave(layer, planes, count, height, width, y, left, right, ring + (size_t)((y + side) % side) * row_size);
        for (int y = top; y < bottom; y++) {
            const int16_t *rows[3];
            interleave(layer, planes, count, height, width, y + border, left, right,
                       ring + (size_t)((y + border + side) % side) * row_size);
            for (int k = 0; k < side; k++)
                rows[k] = ring + (size_t)((y - border + k + side) % side) * row_size;
            row(layer, rows, pixels, sums);
            for (int o = 0; o < shown; o++) {
                const int shift = layer->shift[o];
                const size_t at = ((size_t)o * rows_out + (y - out_top)) * width + left;
                if (bytes) {
                    uint8_t *to = (uint8_t *)out + at;
                    for (int x = 0; x < pixels; x++) {
                        const int32_t value = shifted(sums[(size_t)x * outputs + o], shift);
                        to[x] = value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
                    }
                } else {
                    int32_t *to = (int32_t *)out + at;
                    for (int x = 0; x < pixels; x++)
                        to[x] = shifted(sums[(size_t)x * outputs + o], shift);
                }
            }
        }
    }
}

static int32_t median_edge(int32_t left, int32_t above, int32_t corner) {
    const int32_t low = left < above ? left : above, high = left < above ? above : left;
    const int32_t plane = left + above - corner;
    return plane < low ? low : plane > high ? high : plane;
}

#define RESTORE(NAME, TYPE, UNSIGNED)                                                                               \
    void NAME(const int32_t *residual, TYPE *plane, ptrdiff_t height, ptrdiff_t width) {                            \
        for (ptrdiff_t y = 0; y < height; y++) {                                                                    \
            const int32_t *given = residual + y * width;                                                            \
            TYPE *row = plane + y * width;                                                                          \
            const TYPE *above = row - width;                                                                        \
            int32_t left = 0, corner = 0;                                                                           \
            for (ptrdiff_t x = 0; x < width; x++) {                                                                 \
                const int32_t up = y ? above[x] : 0;                                                                \
                left = (TYPE)(UNSIGNED)((uint32_t)given[x] + (uint32_t)median_edge(left, up, corner));              \
                corner = up;                                                                                        \
                row[x] = (TYPE)left;                                                                                \
            }                                                                                                       \
        }                                                                                                           \
    }

RESTORE(restore_u8, uint8_t, uint8_t)
RESTORE(restore_i16, int16_t, uint16_t)
