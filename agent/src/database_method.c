/* Methods of database clients inside a span for what they send, which is not made current.
 *
 * DatabaseMethod(function, start, connection): function(self, statement, …) of a driver.
 * `connection` names the attribute of `self` that is its connection, or is None: itself.
 *
 * CommandMethod(function, start): function(self, name, …) of redis' clients: the command with its
 * values left out is told.
 *
 * What is known of a connection lies in its attributes: `varan_off`, and `_varan_statements` once
 * start(connection, statement), or start(client, arguments), has put it there; these functions of
 * the hook's are asked whenever something is not as simple as it mostly is, and give a started span
 * or None. GIL held. */
#include "module.h"
#include "patches.h"

#define WORDS_MAX 6 /* values of a command that are told one by one */
#define COMMANDS_KNOWN_MAX 1000
#define STATEMENT_LENGTH_MAX (64 << 10) /* longer ones the hook cuts */

static PyObject *str_off, *str_statements;

int database_method_init(void) {
    str_off = PyUnicode_InternFromString("varan_off");
    str_statements = PyUnicode_InternFromString("_varan_statements");
    return str_off && str_statements ? 0 : -ENOMEM;
}

/* What makes the connection's spans, when it is known and they are not switched off. New reference
 * or NULL. */
static PyObject *statements_of(PyObject *connection) {
    PyObject *off = patch_attribute(connection, str_off), *statements = NULL;

    if (!off || off == Py_False)
        statements = patch_attribute(connection, str_statements);
    if (statements && Py_TYPE(statements) != &Statements_Type)
        Py_CLEAR(statements);
    Py_XDECREF(off);
    return statements;
}

/* What start() or the hook's function gave; takes the reference. */
static Span *span_or_null(PyObject *span) {
    if (span && !span_check(span))
        Py_CLEAR(span);
    PyErr_Clear();
    return (Span *) span;
}

/* ---- Drivers ---- */

static Span *start_statement(const Patch *p, PyObject *self, PyObject *text) {
    PyObject *connection = p->attribute ? PyObject_GetAttr(self, p->attribute) : self, *statements,
             *span;

    if (!connection)
        return span_or_null(NULL);
    if (!p->attribute)
        Py_INCREF(connection);
    statements = PyUnicode_CheckExact(text) && PyUnicode_GET_LENGTH(text) <= STATEMENT_LENGTH_MAX
                         ? statements_of(connection)
                         : NULL;
    if (statements)
        span = statements_start(statements, text);
    else
        span = PyObject_CallFunctionObjArgs(p->other, connection, text, NULL);
    Py_XDECREF(statements);
    Py_DECREF(connection);
    return span_or_null(span);
}

static PyObject *statement_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;
    Py_ssize_t n = PyVectorcall_NARGS(nf);
    /* By position, or the first that is given by name. */
    bool given = n > 0 && n + (names ? PyTuple_GET_SIZE(names) : 0) > 1;

    return patch_call_inside(p->function, given ? start_statement(p, args[0], args[1]) : NULL, args,
                             nf, names);
}

/* ---- redis ---- */

/* (name in upper case, the name alone, with one value, …). New reference or NULL. */
static PyObject *forms_new(PyObject *name) {
    PyObject *forms = PyTuple_New(2 + WORDS_MAX), *form;
    char values[2 * WORDS_MAX + 1] = "";

    for (int i = 0; forms && i < 2 + WORDS_MAX; i++) {
        if (i == 0)
            form = PyObject_CallMethod(name, "upper", NULL);
        else
            form = PyUnicode_FromFormat("%U%s", name, values);
        if (i > 0 && i <= WORDS_MAX)
            memcpy(values + 2 * (i - 1), " ?", 3);
        if (form)
            PyTuple_SET_ITEM(forms, i, form);
        else
            Py_CLEAR(forms);
    }
    return forms;
}

/* New reference; NULL, perhaps with an exception. */
static PyObject *forms_of(PyObject *known, PyObject *name) {
    PyObject *forms = PyDict_GetItemWithError(known, name);

    Py_XINCREF(forms);
    if (forms || PyErr_Occurred())
        return forms;
    if (PyDict_GET_SIZE(known) >= COMMANDS_KNOWN_MAX)
        PyDict_Clear(known);
    forms = forms_new(name);
    if (forms && PyDict_SetItem(known, name, forms) < 0)
        Py_CLEAR(forms);
    return forms;
}

static Span *start_command(const Patch *p, PyObject *const *args, Py_ssize_t n) {
    PyObject *name = args[1], *statements = NULL, *forms = NULL, *rest, *span = NULL;

    if (PyUnicode_CheckExact(name) && n - 2 <= WORDS_MAX)
        statements = statements_of(args[0]);
    if (statements && (forms = forms_of(p->known, name)) != NULL) {
        span = statements_start_command(statements, PyTuple_GET_ITEM(forms, 0),
                                        PyTuple_GET_ITEM(forms, n - 1), Py_None);
    } else {
        PyErr_Clear();
        rest = PyTuple_New(n - 1);
        for (Py_ssize_t i = 1; rest && i < n; i++) {
            Py_INCREF(args[i]);
            PyTuple_SET_ITEM(rest, i - 1, args[i]);
        }
        if (rest)
            span = PyObject_CallFunctionObjArgs(p->other, args[0], rest, NULL);
        Py_XDECREF(rest);
    }
    Py_XDECREF(forms);
    Py_XDECREF(statements);
    return span_or_null(span);
}

static PyObject *command_call(PyObject *self, PyObject *const *args, size_t nf, PyObject *names) {
    Patch *p = (Patch *) self;
    Py_ssize_t n = PyVectorcall_NARGS(nf);

    return patch_call_inside(p->function, n > 1 ? start_command(p, args, n) : NULL, args, nf,
                             names);
}

/* ---- the types ---- */

static PyObject *statement_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    struct patch_parts parts = {0};

    if (!PyArg_ParseTuple(args, "OOO", &parts.function, &parts.other, &parts.attribute))
        return NULL;
    if (parts.attribute == Py_None)
        parts.attribute = NULL;
    return (PyObject *) patch_new(type, statement_call, &parts);
}

static PyObject *command_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    struct patch_parts parts = {0};
    Patch *p;

    if (!PyArg_ParseTuple(args, "OO", &parts.function, &parts.other) ||
        !(parts.known = PyDict_New()))
        return NULL;
    p = patch_new(type, command_call, &parts);
    Py_DECREF(parts.known);
    return (PyObject *) p;
}

PyTypeObject DatabaseMethod_Type = PATCH_TYPE(
        "varan._core.DatabaseMethod", "DatabaseMethod(function, start, connection)", statement_new);
PyTypeObject CommandMethod_Type =
        PATCH_TYPE("varan._core.CommandMethod", "CommandMethod(function, start)", command_new);
