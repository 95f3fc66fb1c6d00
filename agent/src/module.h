/* What C parts need from Python: a few callables that the package hands in, and objects made of
 * them. */
#ifndef VARAN_AGENT_MODULE_H
#define VARAN_AGENT_MODULE_H

#include "span.h"

/* An OpenTelemetry SpanContext, or a tuple of the same fields without its API. New reference or
 * NULL with exception. */
PyObject *module_span_context(Span *s);
/* A SpanKind or a number. */
PyObject *module_kind_object(unsigned kind);
unsigned module_kind_number(PyObject *kind);
/* A function that runs in a copy of the span. */
PyObject *module_decorate(PyObject *span, PyObject *function);

/* span_ids.c: set_id_source(function or None) */
PyObject *span_set_id_source(PyObject *module, PyObject *function);

/* tracer.c */
uint16_t tracer_scope(PyObject *tracer);

/* wsgi.c: application(environ, start_response), or function(self, environ, start_response), inside
 * a server span, unless it is inside one. `receiver` may be NULL. New reference or NULL. */
PyObject *wsgi_run(uint16_t scope, PyObject *application, PyObject *receiver, PyObject *request,
                   PyObject *start);

/* statements.c: a Statements object's start(sql): a started span, or None. */
PyObject *statements_start(PyObject *statements, PyObject *text);
/* Its command(operation, text, collection or None). */
PyObject *statements_start_command(PyObject *statements, PyObject *operation, PyObject *text,
                                   PyObject *collection);
/* sanitize_sql(text, system='') */
PyObject *statements_sanitize(PyObject *module, PyObject *args);

/* metrics_observe.c: set_observer(function) */
PyObject *observe_set(PyObject *module, PyObject *callable);
/* metrics_gc.c: a step of a request kept its event loop for so long. */
void metrics_loop_blocked(uint64_t ns);

/* The functions of each part, added to the module. */
extern PyMethodDef tracer_functions[], server_functions[], wsgi_functions[], logs_functions[],
        config_functions[], metrics_functions[], metrics_gc_functions[], logs_otel_functions[],
        asgi_functions[], carry_functions[], headers_functions[], inject_functions[],
        next_frame_functions[];
extern PyTypeObject Tracer_Type, Statements_Type, Response_Type, Body_Type, Steps_Type,
        AsgiSend_Type, Quiet_Type, WsgiMethod_Type, StatementMethod_Type, CursorMethod_Type,
        ClientMethod_Type, DatabaseMethod_Type, CommandMethod_Type, FlaskDispatch_Type,
        DjangoResolve_Type, RouteHandle_Type, Counter_Type, UpDownCounter_Type, Histogram_Type,
        Gauge_Type, Observable_Type;

/* logs.c, server.c, …: interned names and the like. Return 0 or a negative error with an exception
 * set. */
int logs_init(void);
int server_init(void);
int caller_init(void);
int wsgi_init(void);
int statement_method_init(void);
int cursor_method_init(void);
int client_method_init(void);
int route_method_init(void);
int steps_init(void);
int asgi_init(void);
int inject_init(void);
int database_method_init(void);
int span_with_init(void); /* after the types are ready */

#endif
