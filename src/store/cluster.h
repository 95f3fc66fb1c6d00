/*
 * Statements for a ClickHouse cluster: every table becomes a replicated one on each shard
 * (name_local) and a Distributed one over all shards under the usual name, so that readers and the
 * writer need not know. Private to store/. Pure: any thread.
 *
 * Checked by the engine's parser only (tests/unit/store/test_cluster.c): no cluster runs in the
 * tests.
 */
#ifndef VARAN_STORE_CLUSTER_H
#define VARAN_STORE_CLUSTER_H

#include "base/memory.h"

#define CLUSTER_NAME_MAX 64u

/* Letters, digits, _ and -, at most CLUSTER_NAME_MAX. */
bool cluster_name_is_valid(const char *cluster);
/*
 * A migration's statement for `cluster`: *local and *distributed get the two statements,
 * NUL-terminated. Tables are created, dropped and renamed in both forms on all nodes, altered in
 * the local one ("CREATE TABLE IF NOT EXISTS name (…) ENGINE = …MergeTree …", "DROP TABLE name",
 * "RENAME TABLE name TO name", "ALTER TABLE name"), rows are inserted before what comes next; other
 * statements go to *local as they are, and *distributed stays empty. -EINVAL when such a statement
 * has not the usual form.
 */
int cluster_rewrite(const char *statement, const char *cluster, struct buffer *local,
                    struct buffer *distributed);

#endif
