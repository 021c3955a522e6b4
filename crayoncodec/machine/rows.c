#include "rows.h"

#include "versions.h"

#include <string.h>

static void row_plain(const Convolution *layer, const int16_t *const rows[], int pixels, int next, int32_t *sums) {
    const int pairs = layer->side * layer->inputs / 2, outputs = layer->outputs;
    for (int x = 0; x < pixels; x++) {
        int32_t *restrict sum = sums + (size_t)x * outputs;
        memcpy(sum, layer->bias, (size_t)outputs * sizeof *sum);
        const int16_t *restrict weights = layer->weights;
        for (int y = 0; y < layer->side; y++) {
            const int16_t *restrict given = rows[y] + (size_t)x * next;
            for (int k = 0; k < pairs; k++, weights += 2 * outputs) {
                const int32_t first = given[2 * k], second = given[2 * k + 1];
                for (int o = 0; o < outputs; o++)
                    sum[o] += first * weights[2 * o] + second * weights[2 * o + 1];
            }
        }
    }
}

/* Sums of 8 outputs, the weights of a pair of inputs for them, and a pair of inputs 8 times, as processors have them. Two
   products of 16 bits fit into 32. */
#if HAS_AVX2
#define TARGET AVX2
enum { PIXELS_1 = 8, PIXELS_2 = 6, PIXELS_3 = 4 };
typedef __m256i Sums, Weights, Pair;

AVX2 INLINE Sums load_sums(const int32_t *from) {
    return _mm256_loadu_si256((const __m256i *)from);
}

AVX2 INLINE Weights load_weights(const int16_t *from) {
    return _mm256_loadu_si256((const __m256i *)from);
}

AVX2 INLINE Pair load_pair(const int16_t *from) {
    int32_t pair;
    memcpy(&pair, from, sizeof pair);
    return _mm256_set1_epi32(pair);
}

AVX2 INLINE Sums add_products(Sums sums, Pair pair, Weights weights) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pair, weights));
}

AVX2 INLINE void store_sums(int32_t *to, Sums sums) {
    _mm256_storeu_si256((__m256i *)to, sums);
}
#elif HAS_NEON
#define TARGET
enum { PIXELS_1 = 6, PIXELS_2 = 4, PIXELS_3 = 3 };
typedef struct {
    int32x4_t low, high;
} Sums;
typedef struct {
    int16x8_t first, second;
} Weights;
typedef int16x4_t Pair;

INLINE Sums load_sums(const int32_t *from) {
    return (Sums){vld1q_s32(from), vld1q_s32(from + 4)};
}

INLINE Weights load_weights(const int16_t *from) {
    const int16x8x2_t both = vld2q_s16(from);
    return (Weights){both.val[0], both.val[1]};
}

INLINE Pair load_pair(const int16_t *from) {
    uint32_t pair;
    memcpy(&pair, from, sizeof pair);
    return vcreate_s16(pair);
}

INLINE Sums add_products(Sums sums, Pair pair, Weights weights) {
    sums.low = vmlal_lane_s16(sums.low, vget_low_s16(weights.first), pair, 0);
    sums.high = vmlal_high_lane_s16(sums.high, weights.first, pair, 0);
    sums.low = vmlal_lane_s16(sums.low, vget_low_s16(weights.second), pair, 1);
    sums.high = vmlal_high_lane_s16(sums.high, weights.second, pair, 1);
    return sums;
}

INLINE void store_sums(int32_t *to, Sums sums) {
    vst1q_s32(to, sums.low);
    vst1q_s32(to + 4, sums.high);
}
#elif HAS_WASM
#define TARGET
/* Registers for 16 vectors of 128 bits are what most machines have below. */
enum { PIXELS_1 = 6, PIXELS_2 = 3, PIXELS_3 = 2 };
typedef struct {
    v128_t low, high;
} Sums, Weights;
typedef v128_t Pair;

INLINE Sums load_sums(const int32_t *from) {
    return (Sums){wasm_v128_load(from), wasm_v128_load(from + 4)};
}

INLINE Weights load_weights(const int16_t *from) {
    return (Weights){wasm_v128_load(from), wasm_v128_load(from + 8)};
}

INLINE Pair load_pair(const int16_t *from) {
    return wasm_v128_load32_splat(from);
}

INLINE Sums add_products(Sums sums, Pair pair, Weights weights) {
    sums.low = wasm_i32x4_add(sums.low, wasm_i32x4_dot_i16x8(pair, weights.low));
    sums.high = wasm_i32x4_add(sums.high, wasm_i32x4_dot_i16x8(pair, weights.high));
    return sums;
}

INLINE void store_sums(int32_t *to, Sums sums) {
    wasm_v128_store(to, sums.low);
    wasm_v128_store(to + 4, sums.high);
}
#endif

#ifdef TARGET
enum { LANES = 8 };

/* VECTORS of 8 outputs for PIXELS pixels stay in registers. */
#define TILE(NAME, VECTORS, PIXELS)                                                                                 \
    TARGET static inline void NAME(const Convolution *layer, const int16_t *const rows[], int x, int next, int first, \
                                   int32_t *sums) {                                                                 \
        const int outputs = layer->outputs, pairs = layer->side * layer->inputs / 2;                                \
        Sums sum[PIXELS][VECTORS];                                                                                  \
        for (int p = 0; p < PIXELS; p++)                                                                            \
            for (int v = 0; v < VECTORS; v++)                                                                       \
                sum[p][v] = load_sums(layer->bias + first + LANES * v);                                             \
        const int16_t *weights = layer->weights + 2 * first;                                                        \
        for (int y = 0; y < layer->side; y++) {                                                                     \
            const int16_t *given = rows[y] + (size_t)x * next;                                                      \
            for (int k = 0; k < pairs; k++, weights += 2 * outputs) {                                               \
                Weights weight[VECTORS];                                                                            \
                for (int v = 0; v < VECTORS; v++)                                                                   \
                    weight[v] = load_weights(weights + 2 * LANES * v);                                              \
                for (int p = 0; p < PIXELS; p++) {                                                                  \
                    const Pair pair = load_pair(given + (size_t)p * next + 2 * k);                                  \
                    for (int v = 0; v < VECTORS; v++)                                                               \
                        sum[p][v] = add_products(sum[p][v], pair, weight[v]);                                       \
                }                                                                                                   \
            }                                                                                                       \
        }                                                                                                           \
        for (int p = 0; p < PIXELS; p++)                                                                            \
            for (int v = 0; v < VECTORS; v++)                                                                       \
                store_sums(sums + (size_t)(x + p) * outputs + first + LANES * v, sum[p][v]);                        \
    }

#define ACROSS(VECTORS)                                                                                             \
    TILE(tile_##VECTORS, VECTORS, PIXELS_##VECTORS)                                                                 \
    TILE(last_##VECTORS, VECTORS, 1)                                                                                \
    TARGET static inline int across_##VECTORS(const Convolution *layer, const int16_t *const rows[], int pixels,    \
                                              int next, int first, int32_t *sums) {                                 \
        int x = 0;                                                                                                  \
        for (; x + PIXELS_##VECTORS <= pixels; x += PIXELS_##VECTORS)                                               \
            tile_##VECTORS(layer, rows, x, next, first, sums);                                                      \
        for (; x < pixels; x++)                                                                                     \
            last_##VECTORS(layer, rows, x, next, first, sums);                                                      \
        return LANES * VECTORS;                                                                                     \
    }

ACROSS(1)
ACROSS(2)
ACROSS(3)

TARGET static void row_vectors(const Convolution *layer, const int16_t *const rows[], int pixels, int next,
                               int32_t *sums) {
    int first = 0;
    while (first < layer->outputs) {
        const int left = (layer->outputs - first) / LANES;
        if (left >= 3 && left != 4)
            first += across_3(layer, rows, pixels, next, first, sums);
        else if (left >= 2)
            first += across_2(layer, rows, pixels, next, first, sums);
        else
            first += across_1(layer, rows, pixels, next, first, sums);
    }
}
#endif

int best_version(void) {
#if HAS_AVX2
    return __builtin_cpu_supports("avx2") ? 1 : 0;
#else
    return HAS_NEON || HAS_WASM;
#endif
}

Row *row_of(int version) {
#ifdef TARGET
    if (version == 1)
        return row_vectors;
#endif
    (void)version;
    return row_plain;
}
