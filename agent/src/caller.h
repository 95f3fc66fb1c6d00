/* Which line of the application does this? Finds the innermost frame that is neither in the
 * standard library, nor in an installed package, nor ours. GIL held. */
#ifndef VARAN_AGENT_CALLER_H
#define VARAN_AGENT_CALLER_H

#include "span.h"

#define CALLER_FRAMES_MAX 80

/* Sets code.file.path, code.line.number and code.function.name. */
void caller_put(Span *s);
/* Whether code of that file is the application's own. */
bool caller_is_application(PyObject *file);
/* Folders whose files are not the application's. */
int caller_set_library_folders(PyObject *folders);

#endif
