/* The text of the application's functions that a window found hottest. The profiler's thread. No
 * Python. */
#ifndef VARAN_AGENT_PROFILER_SOURCE_H
#define VARAN_AGENT_PROFILER_SOURCE_H

#include "cpython/function_text.h"
#include "profiler_window.h"

/* Gives functions of the window their texts, which hold until the next call. Before
 * window_encode(). */
void sources_choose(struct function_texts *t, struct profiler_window *w);

#endif
