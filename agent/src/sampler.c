/* See sampler.h. */
#include "sampler.h"

struct sampler sampler = {.parent_based = true, .threshold = UINT64_MAX};

void sampler_set(bool parent_based, double ratio) {
    sampler.parent_based = parent_based;
    if (!(ratio < 1.0))
        sampler.threshold = UINT64_MAX;
    else
        sampler.threshold = ratio > 0 ? (uint64_t) (ratio * 18446744073709551616.0) : 0;
}
