/* Arguments of vectorcall methods. GIL held. */
#ifndef VARAN_AGENT_ARGS_H
#define VARAN_AGENT_ARGS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

/* Raises TypeError and returns false unless min <= n <= max. */
bool args_count(const char *function, Py_ssize_t n, Py_ssize_t min, Py_ssize_t max);

/* Puts positional and keyword arguments into values[], in the order of `keys` (ended by NULL);
 * missing ones are NULL. Unknown keywords are ignored: newer versions of an API may add some.
 * Raises and returns false when one of the first `required` is missing or there are too many. */
bool args_parse(const char *function, const char *const *keys, PyObject *const *args, Py_ssize_t n,
                PyObject *names, unsigned required, PyObject **values);

/* Nanoseconds since 1970 from an int or None; 0 for anything else. */
uint64_t args_time(PyObject *o);

#endif
