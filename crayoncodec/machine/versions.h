/* One source, several versions of it: what is INLINE is compiled anew, with the same integers, for each function that calls
   it, so that compilers vectorise it for the processor that this function is for. */
#ifndef CRAYONCODEC_VERSIONS_H
#define CRAYONCODEC_VERSIONS_H

#if defined(__GNUC__) || defined(__clang__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

#if (defined(__x86_64__) || defined(_M_X64)) && (defined(__GNUC__) || defined(__clang__))
#define HAS_AVX2 1
#define AVX2 __attribute__((target("avx2")))
#include <immintrin.h>
#else
#define HAS_AVX2 0
#endif

/* Where these are, they always are, and compilers vectorise for them anyway: what is written for them alone is only what
   compilers do not find. */
#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(__ARM_BIG_ENDIAN)
#define HAS_NEON 1
#include <arm_neon.h>
#else
#define HAS_NEON 0
#endif
#if defined(__wasm_simd128__)
#define HAS_WASM 1
#include <wasm_simd128.h>
#else
#define HAS_WASM 0
#endif

/* The function NAME, whose last parameter is the version, of an INLINE one with the same parameters. */
#if HAS_AVX2
#define VERSIONS(NAME, PARAMETERS, ARGUMENTS, BODY)                                                                 \
    AVX2 static void NAME##_avx2 PARAMETERS {                                                                       \
        BODY ARGUMENTS;                                                                                             \
    }                                                                                                               \
    void NAME PARAMETERS {                                                                                          \
        if (version == 1)                                                                                           \
            NAME##_avx2 ARGUMENTS;                                                                                  \
        else                                                                                                        \
            BODY ARGUMENTS;                                                                                         \
    }
#else
#define VERSIONS(NAME, PARAMETERS, ARGUMENTS, BODY)                                                                 \
    void NAME PARAMETERS {                                                                                          \
        BODY ARGUMENTS;                                                                                             \
    }
#endif

/* Shifts of negative numbers round down with every compiler that we know; C leaves it to them. */
_Static_assert(-3 >> 1 == -2, "shifts have to be arithmetic");

#endif
