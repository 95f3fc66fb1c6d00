/* The functions of libmicrohttpd that are used, from the library that is opened with the first of
 * them: base/late.h. */
#include "base/late.h"

#include <microhttpd.h>
#include <stdarg.h>

static struct late_library microhttpd = {.file = LATE_MICROHTTPD, .package = "libmicrohttpd12"};

struct MHD_Daemon *MHD_start_daemon(unsigned flags, uint16_t port, MHD_AcceptPolicyCallback accept,
                                    void *accept_ctx, MHD_AccessHandlerCallback handle,
                                    void *handle_ctx, ...) {
    va_list options;

    va_start(options, handle_ctx);
    struct MHD_Daemon *daemon = LATE_FUNCTION(&microhttpd, MHD_start_daemon_va)(
            flags, port, accept, accept_ctx, handle, handle_ctx, options);
    va_end(options);
    return daemon;
}

LATE(&microhttpd, MHD_socket, MHD_quiesce_daemon, (struct MHD_Daemon * daemon), daemon)
LATE(&microhttpd, enum MHD_Result, MHD_run, (struct MHD_Daemon * daemon), daemon)
LATE(&microhttpd, enum MHD_Result, MHD_get_timeout,
     (struct MHD_Daemon * daemon, MHD_UNSIGNED_LONG_LONG *ms), daemon, ms)
/* None of the kinds of information that are asked for has a further argument. */
LATE(&microhttpd, const union MHD_DaemonInfo *, MHD_get_daemon_info,
     (struct MHD_Daemon * daemon, enum MHD_DaemonInfoType type, ...), daemon, type)
LATE(&microhttpd, void, MHD_stop_daemon, (struct MHD_Daemon * daemon), daemon)
LATE(&microhttpd, void, MHD_suspend_connection, (struct MHD_Connection * connection), connection)
LATE(&microhttpd, void, MHD_resume_connection, (struct MHD_Connection * connection), connection)
LATE(&microhttpd, const union MHD_ConnectionInfo *, MHD_get_connection_info,
     (struct MHD_Connection * connection, enum MHD_ConnectionInfoType type, ...), connection, type)
LATE(&microhttpd, int, MHD_get_connection_values_n,
     (struct MHD_Connection * connection, enum MHD_ValueKind kind, MHD_KeyValueIteratorN each,
      void *ctx),
     connection, kind, each, ctx)
LATE(&microhttpd, enum MHD_Result, MHD_queue_response,
     (struct MHD_Connection * connection, unsigned status, struct MHD_Response *response),
     connection, status, response)
LATE(&microhttpd, struct MHD_Response *, MHD_create_response_from_buffer,
     (size_t size, void *data, enum MHD_ResponseMemoryMode mode), size, data, mode)
LATE(&microhttpd, struct MHD_Response *, MHD_create_response_from_callback,
     (uint64_t size, size_t block_size, MHD_ContentReaderCallback read, void *ctx,
      MHD_ContentReaderFreeCallback done),
     size, block_size, read, ctx, done)
LATE(&microhttpd, void, MHD_destroy_response, (struct MHD_Response * response), response)
LATE(&microhttpd, enum MHD_Result, MHD_add_response_header,
     (struct MHD_Response * response, const char *name, const char *value), response, name, value)
