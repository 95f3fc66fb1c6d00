/* The text of the application's functions that a window found hottest, read from the files they
 * were loaded from: sent once an hour, bounded in all. Files that changed since the process began
 * say nothing about it and are left out. The profiler's thread owns it. No Python. */
#ifndef VARAN_AGENT_PROFILER_SOURCE_H
#define VARAN_AGENT_PROFILER_SOURCE_H

#include "profiler_window.h"

#define SOURCE_FUNCTIONS_MAX 200u /* of a process, an hour */
#define SOURCE_BYTES_A_MINUTE (64u << 10)
#define SOURCE_FUNCTION_BYTES_MAX (16u << 10)
#define SOURCE_FUNCTION_LINES_MAX 400

struct profiler_sources;

/* `since_ns`: wall clock, when the process began. */
int sources_new(int64_t since_ns, struct profiler_sources **ret);
void sources_free(struct profiler_sources *s);
/* Gives functions of the window their texts, which hold until the next call. Before
 * window_encode(). */
void sources_choose(struct profiler_sources *s, struct profiler_window *w);
/* The lines of a function in its file: from `first` on, at least to `last` (the last one that was
 * seen at work), and on while it goes on by its indentation. `name` may be qualified; empty when it
 * is not defined there. */
struct slice source_block(struct slice file, struct slice name, int first, int last, int *ret_last);

#endif
