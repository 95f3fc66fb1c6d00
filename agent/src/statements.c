/* Database spans: Statements(system, namespace=None, address=None, port=None) knows one database;
 * its start(sql) makes a client span with the sanitised text, command(operation, text, collection)
 * one for a database without SQL. What depends on the text alone is worked out once per text and
 * kept. */
#include "args.h"
#include "caller.h"
#include "context.h"
#include "measure.h"
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
    PyObject *known; /* text → what make_entry() makes */
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

static void put_word(struct buf *b, const char *key, const char *word, size_t size, unsigned *n) {
    if (size && pb_put_string(b, SPAN_ATTRIBUTE, key, strlen(key), word, size) == 0)
        ++*n;
}

/* (name, encoded attributes, their number, operation); takes the name over. */
static PyObject *make_entry(PyObject *name, const struct buf *b, unsigned n, PyObject *operation) {
    return name ? Py_BuildValue("(Ny#IO)", name, b->data, (Py_ssize_t) b->used, n, operation)
                : NULL;
}

static PyObject *work_out(Statements *t, PyObject *text) {
    char storage[4096], sql_storage[2048];
    struct sql_summary summary;
    struct buf b, sql;
    const char *p;
    size_t size;
    PyObject *hold, *name, *entry;
    unsigned n = 0;

    text_of(text, &p, &size, &hold);
    buf_init(&sql, sql_storage, sizeof(sql_storage), SQL_TEXT_MAX);
    buf_init(&b, storage, sizeof(storage), SPAN_BYTES_MAX);
    sql_sanitize(p, size, t->mysql, &sql, &summary);
    put_common(t, &b, &n);
    if (PUT_STRING(&b, SPAN_ATTRIBUTE, "db.query.text", sql.data, sql.used) == 0)
        n++;
    put_word(&b, "db.operation.name", summary.operation, strlen(summary.operation), &n);
    put_word(&b, "db.collection.name", summary.collection, strlen(summary.collection), &n);
    if (!summary.operation[0])
        name = PyUnicode_FromObject(t->system);
    else
        name = PyUnicode_FromFormat("%s%s%s", summary.operation, summary.collection[0] ? " " : "",
                                    summary.collection);
    entry = make_entry(name, &b, n, Py_None);
    buf_done(&b);
    buf_done(&sql);
    Py_XDECREF(hold);
    return entry;
}

static void put_object(struct buf *b, const char *key, PyObject *o, unsigned *n) {
    const char *p;
    size_t size;
    PyObject *hold;

    if (!o || o == Py_None)
        return;
    text_of(o, &p, &size, &hold);
    put_word(b, key, p, text_cut(p, size, SQL_TEXT_MAX), n);
    Py_XDECREF(hold);
}

/* The same for a database without SQL: what is given is what is sent. */
static PyObject *work_out_command(Statements *t, PyObject *operation, PyObject *text,
                                  PyObject *collection) {
    char storage[4096];
    struct buf b;
    PyObject *name, *entry;
    unsigned n = 0;

    buf_init(&b, storage, sizeof(storage), SPAN_BYTES_MAX);
    put_common(t, &b, &n);
    put_object(&b, "db.query.text", text, &n);
    put_object(&b, "db.operation.name", operation, &n);
    put_object(&b, "db.collection.name", collection, &n);
    name = collection == Py_None ? PyUnicode_FromObject(operation)
                                 : PyUnicode_FromFormat("%S %S", operation, collection);
    entry = make_entry(name, &b, n, operation);
    buf_done(&b);
    return entry;
}

/* New reference or NULL without an exception. */
static PyObject *find(Statements *t, PyObject *text) {
    PyObject *entry = PyUnicode_CheckExact(text) ? PyDict_GetItemWithError(t->known, text) : NULL;

    Py_XINCREF(entry);
    return entry;
}

static void keep(Statements *t, PyObject *text, PyObject *entry) {
    if (!PyUnicode_CheckExact(text) || PyUnicode_GET_LENGTH(text) > STATEMENT_KNOWN_BYTES_MAX)
        return;
    if (PyDict_GET_SIZE(t->known) >= STATEMENTS_KNOWN_MAX)
        PyDict_Clear(t->known);
    PyDict_SetItem(t->known, text, entry);
}

/* A started span of the entry, whose reference is taken over; None when there is none. */
static PyObject *start_span(Statements *t, PyObject *entry) {
    PyObject *bytes;
    struct context_parent parent;
    Span *s;

    context_find_parent(NULL, &parent);
    s = entry && !(parent.suppressed & SUPPRESSED_ALL)
                ? span_new(PyTuple_GET_ITEM(entry, 0), t->scope, KIND_CLIENT, 0)
                : NULL;
    if (!s) {
        context_parent_done(&parent);
        Py_XDECREF(entry);
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    span_start_below(s, parent.found ? &parent.context : NULL, parent.trace_state, parent.remote);
    context_parent_done(&parent);
    measure_span(s, MEASURED_DATABASE);
    if (span_keeps(s)) {
        bytes = PyTuple_GET_ITEM(entry, 1);
        if (buf_append(&s->data, PyBytes_AS_STRING(bytes), (size_t) PyBytes_GET_SIZE(bytes)) == 0)
            s->attributes_n = (uint16_t) PyLong_AsLong(PyTuple_GET_ITEM(entry, 2));
        if (span_recording(s))
            caller_put(s);
    }
    Py_DECREF(entry);
    PyErr_Clear();
    return (PyObject *) s;
}

PyObject *statements_start(PyObject *self, PyObject *text) {
    Statements *t = (Statements *) self;
    PyObject *entry;

    if (!span_enabled)
        Py_RETURN_NONE;
    entry = find(t, text);
    if (!entry && (entry = work_out(t, text)) != NULL)
        keep(t, text, entry);
    return start_span(t, entry);
}

PyObject *statements_start_command(PyObject *self, PyObject *operation, PyObject *text,
                                   PyObject *collection) {
    Statements *t = (Statements *) self;
    PyObject *entry;

    if (!span_enabled)
        Py_RETURN_NONE;
    entry = find(t, text);
    /* One command and a pipeline of it alone read the same. */
    if (entry && PyObject_RichCompareBool(PyTuple_GET_ITEM(entry, 3), operation, Py_EQ) != 1)
        Py_CLEAR(entry);
    PyErr_Clear();
    if (!entry && (entry = work_out_command(t, operation, text, collection)) != NULL)
        keep(t, text, entry);
    return start_span(t, entry);
}

static PyObject *statements_command(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    if (n != 3) {
        PyErr_SetString(PyExc_TypeError, "command() takes an operation, a text and a collection");
        return NULL;
    }
    return statements_start_command(self, args[0], args[1], args[2]);
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
        {"command", (PyCFunction) (void (*)(void)) statements_command, METH_FASTCALL,
         "command(operation, text, collection or None): the same, of a database without SQL. The "
         "text decides the rest."},
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
