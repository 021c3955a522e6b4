#include "ranges.h"
#include "symbols.h"

#include <string.h>

enum { ESCAPE = LETTERS - 1, MIDDLE_OF_ESCAPED = 32768, LETTERS_OF_ESCAPED_LOG = 8 };

void make_alphabets(const uint32_t *frequencies, Alphabets *alphabets) {
    for (int e = 0; e < SPREADS; e++) {
        const uint32_t *own = frequencies + e * (REACH_OF_SYMBOLS + 2);
        uint32_t *left = alphabets->left[e];
        left[0] = 0;
        for (int letter = 0; letter < ESCAPE; letter++) {
            const int symbol = letter - REACH_OF_SYMBOLS;
            left[letter + 1] = left[letter] + own[symbol < 0 ? -symbol : symbol];
        }
        left[LETTERS] = left[ESCAPE] + own[REACH_OF_SYMBOLS + 1];
        for (uint32_t k = 0, letter = 0; k < NEAREST; k++) {
            while (left[letter + 1] <= k << (QUANTILE_BITS - 8))
                letter++;
            alphabets->near[e][k] = (uint8_t)letter;
        }
    }
}

static uint64_t next_word(RangeDecoder *it) {
    uint64_t word = 0;
    for (int k = 0; k < 4; k++)
        word = word << 8 | (it->data < it->end ? *it->data++ : 0);
    return word;
}

void begin_ranges(RangeDecoder *it, const uint8_t *data, size_t size) {
    it->data = data, it->end = data + size;
    it->lower = 0, it->range = ~(uint64_t)0;
    it->point = next_word(it) << 32;
    it->point |= next_word(it);
}

/* 2^24 or more where the data are damaged. */
static uint64_t quantile(const RangeDecoder *it) {
    return (it->point - it->lower) / (it->range >> QUANTILE_BITS);
}

static void take(RangeDecoder *it, uint32_t left, uint32_t frequency) {
    const uint64_t scale = it->range >> QUANTILE_BITS;
    it->lower += scale * left;
    it->range = scale * frequency;
    if (it->range >> 32 == 0) {
        it->lower <<= 32, it->range <<= 32;
        it->point = it->point << 32 | next_word(it);
    }
}

int decode_symbols(RangeDecoder *it, const Alphabets *alphabets, uint8_t *spreads, const uint8_t *mask, ptrdiff_t size,
                   int32_t offset, uint32_t *positions, int16_t *found, int16_t *symbols) {
    int64_t counts[256] = {0};
    uint64_t starts[256], count = 0;
    for (ptrdiff_t k = 0; k < size; k++) {
        const int32_t moved = spreads[k] + offset;
        spreads[k] = (uint8_t)(moved < 0 ? 0 : moved >= SPREADS ? SPREADS - 1 : moved);
    }
    count_spreads(spreads, mask, 0, size, counts);
    for (int e = 0; e < 256; e++) {
        starts[e] = count;
        count += (uint64_t)counts[e];
    }
    sort_spreads(spreads, mask, 0, size, starts, positions, count);
    for (uint64_t k = 0; k < count; k++) {
        const uint8_t e = spreads[positions[k]];
        const uint64_t at = quantile(it);
        if (at >> QUANTILE_BITS)
            return 0;
        const uint32_t *left = alphabets->left[e];
        int letter = alphabets->near[e][at >> (QUANTILE_BITS - 8)];
        while (left[letter + 1] <= at)
            letter++;
        take(it, left[letter], left[letter + 1] - left[letter]);
        found[k] = (int16_t)(letter - REACH_OF_SYMBOLS);
    }
    for (uint64_t k = 0; k < count; k++) {
        if (found[k] != ESCAPE - REACH_OF_SYMBOLS)
            continue;
        const uint64_t at = quantile(it);
        if (at >> QUANTILE_BITS)
            return 0;
        const uint32_t letter = (uint32_t)(at >> LETTERS_OF_ESCAPED_LOG);
        take(it, letter << LETTERS_OF_ESCAPED_LOG, 1 << LETTERS_OF_ESCAPED_LOG);
        found[k] = (int16_t)((int32_t)letter - MIDDLE_OF_ESCAPED);
    }
    memset(symbols, 0, (size_t)size * sizeof *symbols);
    place_symbols(positions, found, 0, (ptrdiff_t)count, symbols, (uint64_t)size);
    return 1;
}
