/* From OTLP messages to ingest. Private to receive/. A decoder belongs to one thread. */
#ifndef VARAN_RECEIVE_OTLP_DECODE_H
#define VARAN_RECEIVE_OTLP_DECODE_H

#include "base/vector.h"
#include "derive/ingest.h"
#include "signal/resource.h"
#include "signal/value.h"

#define OTLP_ATTRIBUTES_MAX 1024u
#define OTLP_EVENTS_MAX 1024u
#define OTLP_LINKS_MAX 1024u
#define OTLP_MESSAGE_BYTES_MAX (64u << 20)
#define OTLP_RECORD_BYTES_MAX (256u << 20)

struct otlp_deltas;
struct otlp_delta_sample;

enum otlp_signal { OTLP_TRACES, OTLP_LOGS, OTLP_METRICS, OTLP_PROFILES };

struct otlp_decoder {
    struct ingest_txn *txn;
    struct arena message; /* resources and scopes */
    struct arena record;  /* the record at work */
    struct buffer build;
    VECTOR(struct attribute) attributes; /* of the record at work */
    VECTOR(struct span_event) events;
    VECTOR(struct span_link) links;
    uint64_t repaired;          /* texts that were not UTF-8 */
    uint64_t rejected;          /* records */
    uint64_t points;            /* of metrics, so far */
    struct otlp_deltas *deltas; /* the sums of delta series; NULL: those are rejected */
    VECTOR(struct otlp_delta_sample) deltas_noted;
    uint64_t last_rejected; /* the delta point that was rejected last */
    struct error first;     /* why the first one was rejected */
    struct error error;     /* why the whole message is malformed */
};

void otlp_decoder_init(struct otlp_decoder *d, struct ingest_txn *txn);
void otlp_decoder_done(struct otlp_decoder *d);

/* Gives all records of the message to ingest. 0; -EBADMSG malformed (`error` says where); -E2BIG
 * needs more memory than one message may; -ENOMEM, -ENOBUFS (the batch is full). After an error the
 * transaction must be aborted. */
int otlp_decode_protobuf(struct otlp_decoder *d, enum otlp_signal signal, struct slice body);
int otlp_decode_json(struct otlp_decoder *d, enum otlp_signal signal, struct slice body);

/* ---- Shared by the two ---- */

/* A text as it is stored; data NULL: no memory. */
struct slice otlp_text(struct otlp_decoder *d, struct arena *a, struct slice s);
/* Notes why a record is rejected, keeps the first reason. Returns 0 for -EINVAL, `r` for others. */
int otlp_rejected(struct otlp_decoder *d, int r, uint64_t records, const struct error *e);
/* Finishes and hands over. 0 or an error that ends the message. */
int otlp_add_span(struct otlp_decoder *d, const struct span *s);
int otlp_add_log(struct otlp_decoder *d, const struct log_record *l);

/* ---- protobuf, shared by its files ---- */
struct pb_reader;
int otlp_pb_malformed(struct otlp_decoder *d, const char *what);
/* A KeyValue. */
int otlp_pb_attribute(struct otlp_decoder *d, struct arena *a, struct slice message,
                      struct attribute *ret);
/* All KeyValues of `number` in `message`, in the arena. */
int otlp_pb_attributes(struct otlp_decoder *d, struct arena *a, struct slice message,
                       uint32_t number, struct attributes *ret);
/* The first field of that number; empty when there is none. */
int otlp_pb_find(struct otlp_decoder *d, struct slice message, uint32_t number, struct slice *ret);
int otlp_pb_resource(struct otlp_decoder *d, struct slice message, const struct resource **ret);
int otlp_pb_scope(struct otlp_decoder *d, struct slice message, const struct scope **ret);
/* The metrics message, otlp_metrics_protobuf.c. */
int otlp_pb_resource_metrics(struct otlp_decoder *d, struct slice message);
/* The profiles message, otlp_profiles.c. */
int otlp_pb_profiles(struct otlp_decoder *d, struct slice body);

/* ---- JSON, shared by its files ---- */
struct json_t;
int otlp_json_malformed(struct otlp_decoder *d, const char *what);
int otlp_json_attributes(struct otlp_decoder *d, struct arena *a, struct json_t *list,
                         struct attributes *ret);
/* A number or a string of one; a missing one is 0. */
int otlp_json_u64(struct otlp_decoder *d, struct json_t *object, const char *key, uint64_t *ret);
int otlp_json_double(struct otlp_decoder *d, struct json_t *v, double *ret);
struct slice otlp_json_text(struct json_t *object, const char *key);
int otlp_json_resource_metrics(struct otlp_decoder *d, struct json_t *v);
/* The list under `key`: 0 with *ret NULL when absent; -EBADMSG when it is something else. */
int otlp_json_list(struct otlp_decoder *d, struct json_t *object, const char *key,
                   struct json_t **ret);
int otlp_json_resource(struct otlp_decoder *d, struct json_t *v, const struct resource **ret);
int otlp_json_scope(struct otlp_decoder *d, struct json_t *v, const struct scope **ret);

#endif
