/* What every unit test includes: cmocka with the headers it wants first, and small helpers. */
#ifndef VARAN_TESTS_UNIT_H
#define VARAN_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"

#define assert_slice(s, text)                                                                      \
    do {                                                                                           \
        struct slice _s = (s);                                                                     \
        assert_int_equal(_s.size, strlen(text));                                                   \
        assert_memory_equal(_s.data ? (const void *) _s.data : "", text, _s.size);                 \
    } while (0)

#endif
