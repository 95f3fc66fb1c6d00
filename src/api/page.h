/*
 * The page: the built files of ui/, out of the binary. Paths without a file behind them get
 * index.html, as the page does its own routing. Any thread.
 */
#ifndef VARAN_API_PAGE_H
#define VARAN_API_PAGE_H

#include "net/http.h"

/* GET of everything no other table has; put it last. */
struct http_routes page_routes(void);

#endif
