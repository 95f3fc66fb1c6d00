/* Names of attributes that the agent sends and the server reads. */
#ifndef VARAN_SIGNAL_PROFILE_ATTRIBUTES_H
#define VARAN_SIGNAL_PROFILE_ATTRIBUTES_H

/* Of a location: its function's text, from start_line on. */
#define PROFILE_SOURCE_ATTRIBUTE "varan.source"

#endif
