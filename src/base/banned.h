/* Functions that must not be called: a call of one does not compile. Force-included everywhere. */
#ifndef VARAN_BASE_BANNED_H
#define VARAN_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define strcpy(...) strcpy_is_banned_use_memcpy_or_snprintf
#define strcat(...) strcat_is_banned_use_snprintf
#define strncpy(...) strncpy_is_banned_use_memcpy_or_snprintf
#define strncat(...) strncat_is_banned_use_snprintf
#define sprintf(...) sprintf_is_banned_use_snprintf
#define vsprintf(...) vsprintf_is_banned_use_vsnprintf
#define strtok(...) strtok_is_banned_use_slice_cut
#define rand(...) rand_is_banned_use_getrandom
#define atoi(...) atoi_is_banned_use_slice_to_i64
#define atol(...) atol_is_banned_use_slice_to_i64
#define atof(...) atof_is_banned_use_slice_to_double

#endif
