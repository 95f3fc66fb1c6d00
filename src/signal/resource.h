/* Resources: what an application says about itself. Any thread; memory is the caller's. */
#ifndef VARAN_SIGNAL_RESOURCE_H
#define VARAN_SIGNAL_RESOURCE_H

#include "base/memory.h"
#include "signal/signal.h"

/*
 * Fills everything but `attributes` of `r`: its id, a hash over the attributes that does not depend
 * on their order, and the well-known names. `scratch` is used for a while. 0, -EINVAL (an attribute
 * is nested too deeply), -ENOMEM or -ENOBUFS.
 */
int resource_finish(struct resource *r, struct buffer *scratch);

#endif
