/* The range decoder of docs/format.md, section 13. */
#ifndef CRAYONCODEC_RANGES_H
#define CRAYONCODEC_RANGES_H

#include <stddef.h>
#include <stdint.h>

enum { SPREADS = 64, REACH_OF_SYMBOLS = 127, LETTERS = 2 * REACH_OF_SYMBOLS + 2, QUANTILE_BITS = 24, NEAREST = 256 };

/* Of each spread: where letters begin among 2^24, and where to begin to look for one: the letter of every 2^16th quantile. */
typedef struct {
    uint32_t left[SPREADS][LETTERS + 1];
    uint8_t near[SPREADS][NEAREST];
} Alphabets;

/* frequencies: [SPREADS, REACH_OF_SYMBOLS + 2], of 0, of k and -k each, of the escape. */
void make_alphabets(const uint32_t *frequencies, Alphabets *alphabets);

typedef struct {
    const uint8_t *data, *end;
    uint64_t lower, range, point;
} RangeDecoder;

void begin_ranges(RangeDecoder *decoder, const uint8_t *data, size_t size);

/* Symbols of one step of section 11, into symbols[size], 0 where the mask is: spreads[size] are moved by the offset. positions
   and found: [size], for what is between. Whether the data are whole. */
int decode_symbols(RangeDecoder *decoder, const Alphabets *alphabets, uint8_t *spreads, const uint8_t *mask, ptrdiff_t size,
                   int32_t offset, uint32_t *positions, int16_t *found, int16_t *symbols);

#endif
