/* pprof: whatever is read can be walked twice, with the same number of samples. */
#include "wire/pprof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t n[2] = {0, 0};
    struct pprof_sample s;
    struct pprof *p;
    struct error e;

    if (pprof_read(slice_new(data, size), &p, &e) < 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        while (pprof_next(p, &s, &e) > 0) {
            n[i]++;
            for (size_t f = 0; f < s.n_frames; f++)
                if (s.frames[f].function.size + s.frames[f].file.size > 2 * size + 64)
                    abort();
        }
        pprof_rewind(p);
    }
    if (n[0] != n[1])
        abort();
    pprof_free(p);
    return 0;
}
