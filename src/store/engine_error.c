/* What the engine's error numbers mean to callers. Pure: any thread. */
#include "store/engine.h"

/* Source: ClickHouse's src/Common/ErrorCodes.cpp. Numbers that are not listed: -EIO. */
static const struct {
    int engine, code;
} codes[] = {
        {159, -ETIMEDOUT}, /* TIMEOUT_EXCEEDED */
        {160, -ETIMEDOUT}, /* TOO_SLOW */
        {209, -ETIMEDOUT}, /* SOCKET_TIMEOUT */
        {158, -ENOBUFS},   /* TOO_MANY_ROWS */
        {307, -ENOBUFS},   /* TOO_MANY_BYTES */
        {396, -ENOBUFS},   /* TOO_MANY_ROWS_OR_BYTES */
        {241, -ENOBUFS},   /* MEMORY_LIMIT_EXCEEDED */
        {191, -ENOBUFS},   /* SET_SIZE_LIMIT_EXCEEDED */
        {167, -ENOBUFS},   /* TOO_DEEP_AST */
        {168, -ENOBUFS},   /* TOO_BIG_AST */
        {306, -ENOBUFS},   /* TOO_DEEP_RECURSION */
        {243, -ENOSPC},    /* NOT_ENOUGH_SPACE */
        {252, -EAGAIN},    /* TOO_MANY_PARTS */
        {202, -EAGAIN},    /* TOO_MANY_SIMULTANEOUS_QUERIES */
        {394, -ECANCELED}, /* QUERY_WAS_CANCELLED */
        {6, -EINVAL},      /* CANNOT_PARSE_TEXT */
        {15, -EINVAL},     /* DUPLICATE_COLUMN */
        {16, -EINVAL},     /* NO_SUCH_COLUMN_IN_TABLE */
        {26, -EINVAL},     /* CANNOT_PARSE_QUOTED_STRING */
        {27, -EINVAL},     /* CANNOT_PARSE_INPUT_ASSERTION_FAILED */
        {32, -EINVAL},     /* ATTEMPT_TO_READ_AFTER_EOF */
        {36, -EINVAL},     /* BAD_ARGUMENTS */
        {41, -EINVAL},     /* CANNOT_PARSE_DATETIME */
        {42, -EINVAL},     /* NUMBER_OF_ARGUMENTS_DOESNT_MATCH */
        {43, -EINVAL},     /* ILLEGAL_TYPE_OF_ARGUMENT */
        {44, -EINVAL},     /* ILLEGAL_COLUMN */
        {46, -EINVAL},     /* UNKNOWN_FUNCTION */
        {47, -EINVAL},     /* UNKNOWN_IDENTIFIER */
        {48, -EINVAL},     /* NOT_IMPLEMENTED */
        {50, -EINVAL},     /* UNKNOWN_TYPE */
        {53, -EINVAL},     /* TYPE_MISMATCH */
        {57, -EINVAL},     /* TABLE_ALREADY_EXISTS */
        {60, -EINVAL},     /* UNKNOWN_TABLE */
        {62, -EINVAL},     /* SYNTAX_ERROR */
        {63, -EINVAL},     /* UNKNOWN_AGGREGATE_FUNCTION */
        {69, -EINVAL},     /* ARGUMENT_OUT_OF_BOUND */
        {70, -EINVAL},     /* CANNOT_CONVERT_TYPE */
        {72, -EINVAL},     /* CANNOT_PARSE_NUMBER */
        {73, -EINVAL},     /* UNKNOWN_FORMAT */
        {81, -EINVAL},     /* UNKNOWN_DATABASE */
        {115, -EINVAL},    /* UNKNOWN_SETTING */
        {130, -EINVAL},    /* CANNOT_READ_ARRAY_FROM_TEXT */
        {164, -EINVAL},    /* READONLY */
        {179, -EINVAL},    /* MULTIPLE_EXPRESSIONS_FOR_ALIAS */
        {184, -EINVAL},    /* ILLEGAL_AGGREGATION */
        {207, -EINVAL},    /* AMBIGUOUS_IDENTIFIER */
        {215, -EINVAL},    /* NOT_AN_AGGREGATE */
        {291, -EINVAL},    /* DATABASE_ACCESS_DENIED */
        {344, -EINVAL},    /* SUPPORT_IS_DISABLED */
        {352, -EINVAL},    /* AMBIGUOUS_COLUMN_NAME */
        {386, -EINVAL},    /* NO_COMMON_TYPE */
        {427, -EINVAL},    /* CANNOT_COMPILE_REGEXP */
        {452, -EINVAL},    /* SETTING_CONSTRAINT_VIOLATION */
        {456, -EINVAL},    /* UNKNOWN_QUERY_PARAMETER */
        {457, -EINVAL},    /* BAD_QUERY_PARAMETER */
        {497, -EINVAL},    /* ACCESS_DENIED */
        {193, -EACCES},    /* WRONG_PASSWORD */
        {516, -EACCES},    /* AUTHENTICATION_FAILED */
};

int engine_error(const char *text, struct error *e) {
    const char *at = strstr(text, "Code: ");
    long number = at ? strtol(at + 6, NULL, 10) : 0;
    int code = -EIO;

    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
        if (codes[i].engine == number)
            code = codes[i].code;
    if (code == -EIO && strstr(text, "No space left on device"))
        code = -ENOSPC;
    /* The sentence without its head; the number stays for those who look it up. */
    const char *sentence = strstr(text, "DB::Exception: ");
    sentence = sentence ? sentence + strlen("DB::Exception: ") : text;
    int size = (int) strnlen(sentence, 900);
    while (size > 0 && (sentence[size - 1] == '\n' || sentence[size - 1] == ' '))
        size--;
    return error_set(e, code, "%.*s", size, sentence);
}

int engine_number(struct engine *g, const char *sql, uint64_t *ret, struct error *e) {
    struct buffer answer;

    buffer_init(&answer, ENGINE_EXECUTE_BYTES_MAX);
    int r = g->ops->execute(g, sql, &answer, e);
    if (r == 0) {
        struct slice rest = buffer_slice(&answer), line = slice_cut(&rest, '\n');
        r = slice_to_u64(slice_cut(&line, '\t'), ret);
        if (r < 0)
            error_set(e, r, "The engine's answer to \"%s\" is not a number.", sql);
    }
    buffer_done(&answer);
    return r;
}
