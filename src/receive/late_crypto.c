/* MD5, which Prometheus' hashmod wants, from libcrypto when it is wanted: base/late.h. */
#include "base/late.h"

#include <openssl/evp.h>

static struct late_library crypto = {.file = LATE_CRYPTO, .package = "libssl3"};

LATE(&crypto, const EVP_MD *, EVP_md5, (void) )
LATE(&crypto, int, EVP_Digest,
     (const void *data, size_t size, unsigned char *ret, unsigned *ret_size, const EVP_MD *type,
      ENGINE *engine),
     data, size, ret, ret_size, type, engine)
