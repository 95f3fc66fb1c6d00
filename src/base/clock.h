/* Time: clocks, durations and their text. Any thread. */
#ifndef VARAN_BASE_CLOCK_H
#define VARAN_BASE_CLOCK_H

#include "base/slice.h"

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Nanoseconds since 1970 (wall clock; may jump). */
int64_t clock_now_ns(void);
/* Nanoseconds of a clock that never goes back (for time-outs and durations). */
int64_t clock_monotonic_ns(void);
/* CPU time of this process, in nanoseconds. */
int64_t clock_cpu_ns(void);
/* "1.5h", "200ms", "90s", "2d", "1h30m", units ns us µs ms s m h d w: 0, -EINVAL or -ERANGE. */
int duration_parse(struct slice text, int64_t *ret_ns);
/* RFC 3339 in UTC with nanoseconds ("2026-01-02T03:04:05.000000006Z"): always 30 bytes and a NUL.
 */
void time_format_rfc3339(int64_t ns, char ret[31]);
/* RFC 3339 (any offset, any fraction up to 9 digits): 0 or -EINVAL. */
int time_parse_rfc3339(struct slice text, int64_t *ret_ns);

#endif
