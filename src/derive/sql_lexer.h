/* Splits a statement into tokens; every byte belongs to exactly one. Private to derive/. Any
 * thread. */
#ifndef VARAN_DERIVE_SQL_LEXER_H
#define VARAN_DERIVE_SQL_LEXER_H

#include "derive/sql.h"

enum sql_token_kind {
    SQL_END,
    SQL_SPACE,
    SQL_COMMENT,
    SQL_WORD,       /* keyword or plain identifier */
    SQL_IDENTIFIER, /* quoted identifier, quotes included */
    SQL_LITERAL,    /* string or number, or what may be one */
    SQL_PARAMETER,
    SQL_PUNCTUATION, /* one operator or bracket */
};

struct sql_token {
    enum sql_token_kind kind;
    struct slice text;
};

struct sql_lexer {
    const uint8_t *at, *end;
    enum sql_dialect dialect;
    bool operand; /* a comparison stands before: "…" is taken for a string where dialects differ */
};

struct sql_token sql_next(struct sql_lexer *l);

#endif
