/* slice_hash() for the parts that the agent shares with the server (core/): maps in memory only, so
 * any good hash will do. Multiply and fold, eight bytes a step. */
#include "base/slice.h"

static uint64_t fold(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t) a * b;

    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

uint64_t slice_hash(struct slice s) {
    uint64_t hash = fold(s.size ^ 0x9e3779b97f4a7c15u, 0xd1342543de82ef95u), word;
    size_t at = 0;

    for (; at + 8 <= s.size; at += 8) {
        memcpy(&word, s.data + at, 8);
        hash = fold(hash ^ word, 0x9e3779b97f4a7c15u);
    }
    word = 0;
    if (s.size > at)
        memcpy(&word, s.data + at, s.size - at);
    return fold(hash ^ word, 0xd1342543de82ef95u ^ s.size);
}
