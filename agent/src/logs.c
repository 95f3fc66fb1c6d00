/* Log records: emit_log(record) takes a logging.LogRecord and sends it as an OTLP log record with
 * the ids of the current span. It never logs and never waits. Called from within itself (a value
 * whose
 * __str__ logs, a signal handler, a destructor) it sends that record, too, to a depth. */
#include "logs.h"
#include "args.h"
#include "context.h"
#include "encode.h"
#include "module.h"
#include "resource.h"
#include "ring.h"
#include "terminal.h"

#define NESTED_MAX 3 /* records that are sent while one is: a value whose __str__ logs */
#define LOGGERS_MAX (SCOPES_MAX / 2) /* that have a scope of their own */

enum field {
    NAME,
    MSG,
    ARGS,
    LEVELNAME,
    LEVELNO,
    PATHNAME,
    LINENO,
    FUNCNAME,
    CREATED,
    EXC_INFO,
    EXC_TEXT,
    MESSAGE,
    THREADNAME,
    /* the rest is only known, so as not to be taken for extra fields */
    FILENAME,
    MODULE,
    STACK_INFO,
    MSECS,
    RELATIVE_CREATED,
    THREAD,
    PROCESS_NAME,
    PROCESS,
    TASK_NAME,
    ASCTIME,
    COLOR_MESSAGE,
    FIELD_N
};
static const char *const field_texts[FIELD_N] = {
        "name",       "msg",         "args",    "levelname",  "levelno",  "pathname",
        "lineno",     "funcName",    "created", "exc_info",   "exc_text", "message",
        "threadName", "filename",    "module",  "stack_info", "msecs",    "relativeCreated",
        "thread",     "processName", "process", "taskName",   "asctime",  "color_message"};
/* What a record has that nobody has added to: message and asctime come when it is formatted,
 * taskName with Python 3.12; color_message is uvicorn's: its message once more, with a terminal's
 * colours. */
#define PLAIN_FIELDS (FIELD_N - (PY_VERSION_HEX >= 0x030C0000 ? 3 : 4))
static PyObject *fields[FIELD_N], *known_fields, *str_get_message, *str_dict;
static PyObject *scopes; /* logger name → index of its scope */

uint16_t logs_attributes_max = 128;
uint32_t logs_length_max = VALUE_LENGTH_DEFAULT;
static long level_min;    /* records below it stay at home */
static uint64_t rate_max; /* records a second; 0: no limit */
static struct { uint64_t second, n; } rate;

static bool admit(long level) {
    uint64_t second;

    if (level < level_min)
        return false;
    if (!rate_max)
        return true;
    second = clock_monotonic_ns() / 1000000000u;
    if (rate.second != second) {
        rate.second = second;
        rate.n = 0;
    }
    if (rate.n++ < rate_max)
        return true;
    count_locked(LOGS_RATE_LIMITED);
    return false;
}

int logs_init(void) {
    known_fields = PySet_New(NULL);
    scopes = PyDict_New();
    str_get_message = PyUnicode_InternFromString("getMessage");
    str_dict = PyUnicode_InternFromString("__dict__");
    if (!known_fields || !scopes || !str_get_message || !str_dict)
        return -ENOMEM;
    for (int i = 0; i < FIELD_N; i++) {
        fields[i] = PyUnicode_InternFromString(field_texts[i]);
        if (!fields[i] || PySet_Add(known_fields, fields[i]) < 0)
            return -ENOMEM;
    }
    return 0;
}

static PyObject *field(PyObject *dict, enum field f) {
    PyObject *o = PyDict_GetItemWithError(dict, fields[f]);
    if (!o)
        PyErr_Clear();
    return o;
}

/* Python's level → OTLP's severity number: the whole range of a level maps to the four steps of its
 * severity. */
static unsigned severity(long level) {
    if (level >= 50)
        return 21;
    if (level >= 40)
        return 17;
    if (level >= 30)
        return 13;
    if (level >= 20)
        return 9;
    if (level >= 10)
        return 5;
    return level > 0 ? 1 : 0;
}

static const char *severity_text(unsigned number) {
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    return number ? names[(number - 1) / 4] : "";
}

/* One scope per logger, as long as the table has room. */
static uint16_t scope_of(PyObject *name) {
    PyObject *known, *number, *hold;
    const char *text;
    size_t n;
    char storage[KEY_BYTES_MAX + 8];
    struct buf b;
    uint16_t index;

    if (!name || !PyUnicode_CheckExact(name))
        return 0;
    known = PyDict_GetItemWithError(scopes, name);
    if (known)
        return (uint16_t) PyLong_AsLong(known);
    PyErr_Clear();
    if (PyDict_GET_SIZE(scopes) >= LOGGERS_MAX || text_view(name, &text, &n, &hold) < 0)
        return 0;
    buf_init(&b, storage, sizeof(storage), sizeof(storage));
    pb_put_bytes(&b, SCOPE_NAME, text, text_cut(text, n, KEY_BYTES_MAX));
    index = scope_register(b.data, b.used, NULL, 0);
    Py_XDECREF(hold);
    number = PyLong_FromLong(index);
    if (number)
        PyDict_SetItem(scopes, name, number);
    Py_XDECREF(number);
    PyErr_Clear();
    return index;
}

/* New reference: the formatted message. Takes what a handler has already formatted. */
static PyObject *message_of(PyObject *record, PyObject *dict) {
    PyObject *text = field(dict, MESSAGE), *msg = field(dict, MSG), *args = field(dict, ARGS);

    if (text && PyUnicode_Check(text)) {
        Py_INCREF(text);
        return text;
    }
    if (msg && PyUnicode_CheckExact(msg) &&
        (!args || args == Py_None || (PyTuple_Check(args) && !PyTuple_GET_SIZE(args)))) {
        Py_INCREF(msg);
        return msg;
    }
    text = PyObject_CallMethodObjArgs(record, str_get_message, NULL);
    if (!text) { /* the format does not fit its arguments: the handlers have told so */
        PyErr_Clear();
        text = msg;
        Py_XINCREF(text);
    }
    return text;
}

static void put_named(struct buf *b, const char *key, PyObject *value, unsigned *n) {
    if (value && value != Py_None &&
        value_put_named(b, LOG_ATTRIBUTE, key, strlen(key), value) == 0)
        ++*n;
}

static void put_exception(struct buf *b, PyObject *dict, unsigned *n) {
    PyObject *info = field(dict, EXC_INFO), *e = NULL;

    if (info && PyTuple_Check(info) && PyTuple_GET_SIZE(info) == 3)
        e = PyTuple_GET_ITEM(info, 1);
    else if (info && PyExceptionInstance_Check(info))
        e = info;
    if (e && PyExceptionInstance_Check(e))
        exception_put(b, LOG_ATTRIBUTE, e, field(dict, EXC_TEXT), n);
}

/* What was given by extra={…}, and what filters have added. */
static unsigned put_extra(struct buf *b, PyObject *dict, unsigned *n) {
    PyObject *items;
    unsigned dropped = 0;

    if (PyDict_GET_SIZE(dict) <= PLAIN_FIELDS)
        return 0;
    items = PyDict_Items(dict);
    for (Py_ssize_t i = 0; items && i < PyList_GET_SIZE(items); i++) {
        PyObject *key = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 0);
        PyObject *value = PyTuple_GET_ITEM(PyList_GET_ITEM(items, i), 1);

        if (!PyUnicode_CheckExact(key) || value == Py_None ||
            PySet_Contains(known_fields, key) != 0)
            continue;
        if (*n < logs_attributes_max && value_put(b, LOG_ATTRIBUTE, key, value) == 0)
            ++*n;
        else
            dropped++;
    }
    Py_XDECREF(items);
    PyErr_Clear();
    return dropped;
}

void logs_put_ids(struct buf *b, PyObject *context) {
    struct context_parent at;

    context_find_parent(context, &at);
    if (at.found) {
        uint32_t flags = at.context.flags;
        char *p;
        pb_put_bytes(b, LOG_TRACE_ID, at.context.trace_id, 16);
        pb_put_bytes(b, LOG_SPAN_ID, at.context.span_id, 8);
        p = buf_reserve(b, 5);
        if (p) {
            *p = LOG_FLAGS;
            memcpy(p + 1, &flags, 4);
            b->used += 5;
        }
    }
    context_parent_done(&at);
}

/* The body of text: at most VALUE_LENGTH_DEFAULT bytes, without what was meant for a terminal
 * (Werkzeug's and click's colours). */
static int put_body(struct buf *b, PyObject *text) {
    const char *p = "";
    char *plain = NULL;
    size_t n = 0;
    PyObject *hold = NULL;
    uint32_t mark;

    if (text)
        text_of(text, &p, &n, &hold);
    n = text_cut(p, n, VALUE_LENGTH_DEFAULT);
    if (terminal_talks(p, n) && (plain = PyMem_Malloc(n))) {
        n = terminal_strip(p, n, plain);
        p = plain;
    }
    mark = pb_open(b, LOG_BODY);
    if (mark != UINT32_MAX) {
        if (pb_put_bytes(b, ANY_STRING, p, n) < 0)
            mark = UINT32_MAX;
        else
            pb_close(b, mark);
    }
    PyMem_Free(plain);
    Py_XDECREF(hold);
    return mark == UINT32_MAX ? -ENOSPC : 0;
}

void logs_send(const struct buf *b, uint16_t scope) {
    char *p = ring_reserve(SIGNAL_LOG, scope, pb_bytes_size(b->used));

    count_locked(LOGS_FINISHED);
    if (!p)
        return;
    pb_bytes(p, 0x12, b->data, b->used); /* ScopeLogs.log_records */
    ring_commit();
}

static void put_head(struct buf *b, double created, long level) {
    uint64_t now = clock_wall_ns();
    unsigned number = severity(level);
    const char *name = severity_text(number);

    pb_put_fixed64(b, LOG_TIME, created > 0 ? (uint64_t) (created * 1e9) : now);
    pb_put_fixed64(b, LOG_OBSERVED, now);
    pb_put_varint(b, LOG_SEVERITY, number);
    pb_put_bytes(b, LOG_SEVERITY_TEXT, name, strlen(name));
}

static void emit(PyObject *record, PyObject *dict) {
    char storage[4096];
    struct buf b;
    PyObject *created = field(dict, CREATED), *level = field(dict, LEVELNO), *text;
    unsigned n = 0, dropped;
    long number = level && PyLong_Check(level) ? PyLong_AsLong(level) : 0;

    if (!admit(number))
        return;
    buf_init(&b, storage, sizeof(storage), LOG_BYTES_MAX);
    put_head(&b, created && PyFloat_Check(created) ? PyFloat_AS_DOUBLE(created) : 0, number);
    logs_put_ids(&b, NULL);
    text = message_of(record, dict);
    if (put_body(&b, text) == 0) {
        put_named(&b, "code.file.path", field(dict, PATHNAME), &n);
        put_named(&b, "code.line.number", field(dict, LINENO), &n);
        put_named(&b, "code.function.name", field(dict, FUNCNAME), &n);
        put_named(&b, "thread.name", field(dict, THREADNAME), &n);
        put_named(&b, "code.stacktrace", field(dict, STACK_INFO), &n);
        put_exception(&b, dict, &n);
        dropped = put_extra(&b, dict, &n);
        if (dropped)
            pb_put_varint(&b, LOG_DROPPED_ATTRIBUTES, dropped);
        logs_send(&b, scope_of(field(dict, NAME)));
    }
    Py_XDECREF(text);
    buf_done(&b);
}

bool logs_enter(struct thread_state *t) {
    if (t->in_log >= NESTED_MAX) {
        count_locked(LOGS_RATE_LIMITED);
        return false;
    }
    t->in_log++;
    return true;
}

static PyObject *emit_log(PyObject *module, PyObject *record) {
    struct thread_state *t = thread_state();
    uint32_t length_max = t->length_max;
    PyObject *dict;

    if (!span_enabled || !logs_enter(t))
        Py_RETURN_NONE;
    t->length_max = logs_length_max + 1;
    dict = PyObject_GetAttr(record, str_dict);
    if (dict && PyDict_Check(dict))
        emit(record, dict);
    Py_XDECREF(dict);
    PyErr_Clear();
    thread_state_self.in_log--;
    thread_state_self.length_max = length_max;
    Py_RETURN_NONE;
}

static PyObject *set_logs(PyObject *module, PyObject *args) {
    unsigned long long n;
    long level;

    if (!PyArg_ParseTuple(args, "lK", &level, &n))
        return NULL;
    level_min = level;
    rate_max = n;
    Py_RETURN_NONE;
}

/* emit_exception(text, exception): a record of level FATAL for what nobody has caught. */
static PyObject *emit_exception(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    struct thread_state *t = thread_state();
    char storage[4096];
    struct buf b;
    unsigned attributes = 0;

    if (!args_count("emit_exception", n, 2, 2))
        return NULL;
    if (!span_enabled || !PyExceptionInstance_Check(args[1]) || !logs_enter(t))
        Py_RETURN_NONE;
    buf_init(&b, storage, sizeof(storage), LOG_BYTES_MAX);
    put_head(&b, 0, 50);
    logs_put_ids(&b, NULL);
    if (put_body(&b, args[0]) == 0) {
        exception_put(&b, LOG_ATTRIBUTE, args[1], NULL, &attributes);
        logs_send(&b, 0);
    }
    buf_done(&b);
    PyErr_Clear();
    thread_state_self.in_log--;
    Py_RETURN_NONE;
}

PyMethodDef logs_functions[] = {
        {"set_logs", set_logs, METH_VARARGS,
         "set_logs(level, rate): the lowest level sent, and how many a second (0: all)."},
        {"emit_log", emit_log, METH_O, "emit_log(record): sends a logging.LogRecord."},
        {"emit_exception", (PyCFunction) (void (*)(void)) emit_exception, METH_FASTCALL,
         "emit_exception(text, exception): sends a log record of level FATAL."},
        {NULL},
};
