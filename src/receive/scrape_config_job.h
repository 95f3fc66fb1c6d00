/* The parts of a scrape configuration's YAML, shared by the files that read it. */
#ifndef VARAN_RECEIVE_SCRAPE_CONFIG_JOB_H
#define VARAN_RECEIVE_SCRAPE_CONFIG_JOB_H

#include "receive/scrape_config.h"
#include "receive/scrape_yaml.h"

/* ---- scrape_config_job.c ---- */
/* An item of scrape_configs; ctx and r->owner: the struct scrape_config. */
int scrape_job_read(struct yaml_reader *r, yaml_node_t *node, void *ctx);
void scrape_job_done(struct scrape_job *job);
/* The keys of `global` that are a job's, too. */
extern const struct yaml_fields scrape_global_fields;
/* Notes "line N: …". */
int scrape_note(struct yaml_reader *r, const yaml_node_t *node, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* ---- scrape_config_print.c ---- */
/* The document without its secrets, in the reader's arena. Empties the document. */
int scrape_config_print_to(struct yaml_reader *r, struct slice *ret);

/* ---- scrape_config_http.c ---- */
/* Keys of HTTP clients; their target is a struct scrape_http. */
extern const struct yaml_fields scrape_http_fields;
int scrape_http_check(struct yaml_reader *r, const yaml_node_t *node, const struct scrape_http *h);

/* ---- scrape_config_sd.c ---- */
/* Functions of rows whose target is the job's `providers`. */
int scrape_read_static(struct yaml_reader *r, yaml_node_t *node, void *target);
int scrape_read_file_sd(struct yaml_reader *r, yaml_node_t *node, void *target);
int scrape_read_http_sd(struct yaml_reader *r, yaml_node_t *node, void *target);
int scrape_read_dns_sd(struct yaml_reader *r, yaml_node_t *node, void *target);

#endif
