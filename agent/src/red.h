/* Rate, errors and durations of all spans, counted before sampling: when only a part of them is
 * sent, the server's figures stay true. Spans are counted with the GIL held; the export thread
 * takes the rows away. */
#ifndef VARAN_AGENT_RED_H
#define VARAN_AGENT_RED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RED_ROWS_MAX 2000 /* of one period; then operations are counted as "(other)" */
#define RED_WINDOW_NS (10 * 1000000000ull) /* as the server's */
#define RED_PERIOD_NS (5 * 1000000000ull)  /* how often rows are sent */

extern bool red_enabled;

/* `start_ns`: wall clock. */
void red_count(const char *operation, size_t n, unsigned kind, unsigned status, bool entry,
               uint64_t start_ns, uint64_t duration_ns);
/* When rows are to be sent, monotonic; UINT64_MAX: there are none. */
uint64_t red_due_ns(void);
/* Export thread: encodes all rows and forgets them. */
void red_collect(void (*take)(void *userdata, uint16_t scope, uint32_t points, const char *bytes,
                              size_t n),
                 void *userdata);
void red_fork_prepare(void);
void red_fork_parent(void);
void red_fork_child(void);

#endif
