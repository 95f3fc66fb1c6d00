/* The interpreters that tests of the walker read: python3 of the PATH always, and those that
 * VARAN_TEST_PYTHONS names (separated by colons). */
#ifndef VARAN_TESTS_PYTHONS_H
#define VARAN_TESTS_PYTHONS_H

#include "../unit.h"

static inline void each_python(void (*check)(const char *python)) {
    struct slice rest = slice_from(getenv("VARAN_TEST_PYTHONS"));

    check("python3");
    while (rest.size) {
        struct slice one = slice_cut(&rest, ':');
        char path[512];
        assert_true(one.size < sizeof(path));
        memcpy(path, one.data, one.size);
        path[one.size] = 0;
        check(path);
    }
}

#endif
