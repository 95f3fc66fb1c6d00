/* Answers of DNS servers: the first byte chooses the kind of record, the rest is the packet. */
#include "receive/scrape_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct scrape_provider p = {.kind = SCRAPE_SD_DNS, .port = 9100};
    struct scrape_found found = {0};

    if (!size)
        return 0;
    p.dns = (enum scrape_dns)(data[0] % 5);
    arena_init(&found.arena, 16 << 20);
    scrape_dns_read(&p, SLICE("name"), slice_new(data + 1, size - 1), &found);
    vector_each(&found.list, d) if (d->n_labels < 2) abort();
    vector_done(&found.list);
    arena_done(&found.arena);
    return 0;
}
