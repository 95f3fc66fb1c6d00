/* Which traces are recorded: the OTel samplers, decided at the root of a trace or of a process's
 * part of it. */
#ifndef VARAN_AGENT_SAMPLER_H
#define VARAN_AGENT_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

struct sampler {
    bool parent_based;  /* a parent's decision is kept */
    uint64_t threshold; /* a trace is kept when its id's last 8 bytes are below; UINT64_MAX: all */
};

extern struct sampler sampler;

void sampler_set(bool parent_based, double ratio);

/* `id_low`: the last 8 bytes of the trace id, as a big-endian number, as in OTel's
 * TraceIdRatioBased. */
static inline bool sampler_decide(bool has_parent, bool parent_sampled, uint64_t id_low) {
    if (has_parent && sampler.parent_based)
        return parent_sampled;
    return sampler.threshold == UINT64_MAX || id_low < sampler.threshold;
}

#endif
