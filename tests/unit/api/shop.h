/* A small shop's telemetry for the API's tests: a gateway that calls an order service, which asks
 * its database twelve times per checkout. Goes through ingest, so all derived tables are right. */
#ifndef VARAN_TESTS_API_SHOP_H
#define VARAN_TESTS_API_SHOP_H

#include "derive/ingest.h"

#define SHOP_CHECKOUTS 20u
#define SHOP_QUERIES 12u
#define SHOP_SPANS_PER_CHECKOUT (4 + SHOP_QUERIES)
#define SHOP_TRACE_FIRST "000102030405060708090a0b0c0d0e00" /* of the first checkout */

/* Checkouts one second apart, the last one ending before `end_ns`; every fifth fails with a
 * ValueError and an error log line; each has an info line. Waits until all of it is durable. */
void shop_fill(struct ingest *g, int64_t end_ns);
/* One more log line. */
void shop_log(struct ingest *g, int64_t time_ns, const char *body);

#endif
