/* Database spans: Statements(system, namespace=None, address=None, port=None) knows one database;
 * its start(sql) makes a client span with the sanitised text. What depends on the text alone is
 * worked out once per text and kept. */
#include "args.h"
#include "caller.h"
#include "context.h"
#include "module.h"
#include "sql.h"

#if PY_VERSION_HEX < 0x030a0000
static inline PyObject *Py_NewRef(PyObject *o) {
    Py_INCREF(o);
    return o;
}
#endif

#define STATEMENTS_KNOWN_MAX 1000
#define STATEMENT_KNOWN_BYTES_MAX (16u << 10) /* longer texts are not kept */

typedef struct {
    PyObject_HEAD PyObject *system, *namespace, *address, *port;
    PyObject *known; /* text → (name, encoded attributes, their number) */
    uint16_t scope;
    bool mysql;
} Statements;

static void put_common(Statements *t, struct buf *b, unsigned *n) {
    static const char *const keys[] = {"db.system.name", "db.namespace", "server.address",
                                       "server.port"};
    PyObject *values[] = {t->system, t->namespace, t->address, t->port};

    for (int i = 0; i < 4; i++)
        if (values[i] && values[i] != Py_None &&
            value_put_named(b, SPAN_ATTRIBUTE, keys[i], strlen(keys[i]), values[i]) == 0)
            ++*n;
}

static PyObject *work_out(Statements *t, PyObject *text) {
    char storage[4096], sql_storage[2048];
    struct sql_summary summary;
    struct buf b, sql;
    const char *p;
    size_t size;
    PyObject *hold, *name, *entry = NULL;
    unsigned n = 0;

    text_of(text, &p, &size, &hold);
    buf_init(&sql, sql_storage, sizeof(sql_storage), SQL_TEXT_MAX);
    buf_init(&b, storage, sizeof(storage), SPAN_BYTES_MAX);
    sql_sanitize(p, size, t->mysql, &sql, &summary);
    put_common(t, &b, &n);
    if (PUT_STRING(&b, SPAN_ATTRIBUTE, "db.query.text", sql.data, sql.used) == 0)
        n++;
    if (summary.operation[0] && PUT_STRING(&b, SPAN_ATTRIBUTE, "db.operation.name",
                                           summary.operation, strlen(summary.operation)) == 0)
        n++;
    if (summary.collection[0] && PUT_STRING(&b, SPAN_ATTRIBUTE, "db.collection.name",
                                            summary.collection, strlen(summary.collection)) == 0)
        n++;
    if (!summary.operation[0])
        name = PyUnicode_FromObject(t->system);
    else
        name = PyUnicode_FromFormat("%s%s%s", summary.operation, summary.collection[0] ? " " : "",
                                    summary.collection);
    if (name)
        entry = Py_BuildValue("(Ny#I)", name, b.data, (Py_ssize_t) b.used, n);
    buf_done(&b);
    buf_done(&sql);
    Py_XDECREF(hold);
    return entry;
}

/* New reference or NULL without an exception. */
static PyObject *look_up(Statements *t, PyObject *text) {
    PyObject *entry = NULL;
    bool keep = PyUnicode_CheckExact(text);

    if (keep) {
        entry = PyDict_GetItemWithError(t->known, text);
        if (entry) {
            Py_INCREF(entry);
            return entry;
        }
    }
    entry = work_out(t, text);
    if (entry && keep && PyUnicode_GET_LENGTH(text) <= STATEMENT_KNOWN_BYTES_MAX) {
        if (PyDict_GET_SIZE(t->known) >= STATEMENTS_KNOWN_MAX)
            PyDict_Clear(t->known);
        PyDict_SetItem(t->known, text, entry);
    }
    PyErr_Clear();
    return entry;
}

static PyObject *statements_start(PyObject *self, PyObject *text) {
    Statements *t = (Statements *) self;
    PyObject *entry, *bytes;
    struct context_parent parent;
    Span *s;

    if (!span_enabled)
        Py_RETURN_NONE;
    context_find_parent(NULL, &parent);
    entry = look_up(t, text);
    s = entry ? span_new(PyTuple_GET_ITEM(entry, 0), t->scope, KIND_CLIENT, 0) : NULL;
    if (!s) {
        context_parent_done(&parent);
        Py_XDECREF(entry);
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    span_start_below(s, parent.found ? &parent.context : NULL, parent.trace_state, parent.remote);
    context_parent_done(&parent);
    if (span_recording(s)) {
        bytes = PyTuple_GET_ITEM(entry, 1);
        if (buf_append(&s->data, PyBytes_AS_STRING(bytes), (size_t) PyBytes_GET_SIZE(bytes)) == 0)
            s->attributes_n = (uint16_t) PyLong_AsLong(PyTuple_GET_ITEM(entry, 2));
        caller_put(s);
    }
    Py_DECREF(entry);
    PyErr_Clear();
    return (PyObject *) s;
}

static PyObject *statements_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keys[] = {"tracer", "system", "namespace", "address", "port", NULL};
    PyObject *tracer, *system, *namespace = Py_None, *address = Py_None, *port = Py_None;
    Statements *t;

    if (!PyArg_ParseTupleAndKeywords(args, names, "O!U|OOO", keys, &Tracer_Type, &tracer, &system,
                                     &namespace, &address, &port))
        return NULL;
    t = (Statements *) type->tp_alloc(type, 0);
    if (!t)
        return NULL;
    t->system = Py_NewRef(system);
    t->namespace = Py_NewRef(namespace);
    t->address = Py_NewRef(address);
    t->port = Py_NewRef(port);
    t->known = PyDict_New();
    t->scope = tracer_scope(tracer);
    t->mysql = PyUnicode_CompareWithASCIIString(system, "mysql") == 0 ||
               PyUnicode_CompareWithASCIIString(system, "mariadb") == 0;
    if (!t->known)
        Py_CLEAR(t);
    return (PyObject *) t;
}

static void statements_dealloc(PyObject *self) {
    Statements *t = (Statements *) self;

    Py_XDECREF(t->system);
    Py_XDECREF(t->namespace);
    Py_XDECREF(t->address);
    Py_XDECREF(t->port);
    Py_XDECREF(t->known);
    Py_TYPE(self)->tp_free(self);
}

PyObject *statements_sanitize(PyObject *module, PyObject *args) {
    const char *text, *system = "";
    Py_ssize_t n;
    char storage[2048];
    struct sql_summary summary;
    struct buf b;
    PyObject *result;

    if (!PyArg_ParseTuple(args, "s#|s", &text, &n, &system))
        return NULL;
    buf_init(&b, storage, sizeof(storage), SQL_TEXT_MAX);
    sql_sanitize(text, (size_t) n, strcmp(system, "mysql") == 0, &b, &summary);
    result = PyUnicode_DecodeUTF8(b.data, (Py_ssize_t) b.used, "replace");
    buf_done(&b);
    return result;
}

static PyMethodDef statements_methods[] = {
        {"start", statements_start, METH_O,
         "start(sql): a started client span, or None. It is not made current."},
        {NULL},
};

PyTypeObject Statements_Type = {
        PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core.Statements",
        .tp_doc = "Makes spans for the statements of one database.",
        .tp_basicsize = sizeof(Statements),
        .tp_flags = Py_TPFLAGS_DEFAULT,
        .tp_new = statements_new,
        .tp_dealloc = statements_dealloc,
        .tp_methods = statements_methods,
};
