/* Code objects and stacks out of nothing. */
#ifndef VARAN_TESTS_PROFILER_FIXTURE_H
#define VARAN_TESTS_PROFILER_FIXTURE_H

#include "profiler_window.h"

static struct cpython_code code_main = {.address = 1,
                                        .file = "/app/main.py",
                                        .name = "main",
                                        .first_line = 1,
                                        .last_line = 9},
                           code_work = {.address = 2,
                                        .file = "/app/work.py",
                                        .name = "work",
                                        .first_line = 10,
                                        .last_line = 14},
                           code_wait = {.address = 3,
                                        .file = "/usr/lib/python3.11/threading.py",
                                        .name = "wait",
                                        .first_line = 5,
                                        .last_line = 6};
/* Innermost first. */
static const struct cpython_frame at_work[] = {{.code = &code_work, .line = 12},
                                               {.code = &code_main, .line = 3}},
                                  waiting[] = {{.code = &code_wait, .line = 6},
                                               {.code = &code_main, .line = 4}};

static inline struct cpython_thread thread_at(pid_t id, const struct cpython_frame *frames,
                                              size_t n) {
    return (struct cpython_thread){.native_id = id,
                                   .state = CPYTHON_RUNNING,
                                   .name = "worker",
                                   .frames = frames,
                                   .n_frames = n};
}

#endif
