/* Tokens of PromQL, one at a time, over a text that must stay valid. One owner at a time. */
#ifndef VARAN_PROMQL_LEXER_H
#define VARAN_PROMQL_LEXER_H

#include "query/promql/promql.h"

enum token_kind {
    TOKEN_END,
    TOKEN_ERROR, /* lexer.error says why */
    TOKEN_NUMBER,
    TOKEN_DURATION,
    TOKEN_STRING, /* text with its quotes */
    TOKEN_NAME,   /* identifier, with colons where those are allowed */
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_AT,
    TOKEN_ASSIGN, /* = */
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MUL,
    TOKEN_DIV,
    TOKEN_MOD,
    TOKEN_POW,
    TOKEN_EQ, /* == */
    TOKEN_NE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_REGEX,     /* =~ */
    TOKEN_NOT_REGEX, /* !~ */
    TOKEN_TRIM_UPPER,
    TOKEN_TRIM_LOWER
};

struct token {
    enum token_kind kind;
    uint32_t start, end;
    struct slice text;
};

struct lexer {
    struct slice text;
    uint32_t at;
    bool brackets;     /* inside […]: a colon stands alone */
    const char *error; /* of TOKEN_ERROR */
};

void lexer_init(struct lexer *l, struct slice text);
struct token lexer_next(struct lexer *l);
/* "identifier \"x\"", "end of input", … for messages. */
const char *token_describe(const struct token *t, char *scratch, size_t size);
/* The bytes a string token stands for (escapes resolved), in `a`. 0, -EINVAL or -ENOMEM. */
int string_unquote(struct arena *a, struct slice quoted, struct slice *ret);

#endif
