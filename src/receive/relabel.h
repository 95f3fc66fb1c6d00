/*
 * Relabelling: Prometheus' rules that rewrite or drop label sets. A compiled rule is immutable: any
 * thread may apply it.
 *
 * Source: prometheus.io/docs/prometheus/latest/configuration/configuration, relabel_config.
 */
#ifndef VARAN_RECEIVE_RELABEL_H
#define VARAN_RECEIVE_RELABEL_H

#include "base/error.h"
#include "base/regex.h"
#include "receive/label_set.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEP_EQUAL,
    RELABEL_DROP_EQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
};

struct relabel_rule {
    enum relabel_action action;
    const struct slice *source_labels;
    size_t n_source_labels;
    struct slice separator, target_label, replacement, regex_text;
    bool has_separator, has_replacement, has_regex; /* given, not the default */
    uint64_t modulus;
    struct regex *regex; /* compiled by relabel_compile() */
};

struct relabel_rules {
    struct relabel_rule *items;
    size_t n;
};

/* Any case: 0 or -EINVAL. */
int relabel_action_parse(struct slice name, enum relabel_action *ret);
/* Fills in the defaults, checks the rule as Prometheus does, and compiles its expression. -EINVAL
 * with a sentence, -ENOMEM. `utf8`: any UTF-8 text is a label's name. */
int relabel_compile(struct relabel_rule *rule, bool utf8, struct error *e);
void relabel_rules_done(struct relabel_rules *rules);
/* Applies the rules in order. 1: keep; 0: dropped; negative: out of memory, or an expression ran
 * into its limit (-E2BIG). Texts made on the way live in the set's arena. */
int relabel_apply(const struct relabel_rules *rules, bool utf8, struct label_set *s);

#endif
