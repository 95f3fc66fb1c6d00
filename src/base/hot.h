/*
 * Marks the functions that a look into a process passes, from the timer to the counted stack. A
 * look comes after ten milliseconds of rest, when the processor's caches hold nothing of it: then
 * what it costs is above all the number of lines and pages, of code and of data, that it touches.
 * Functions with this mark lie side by side in the binary, not each among its file's others.
 */
#ifndef VARAN_BASE_HOT_H
#define VARAN_BASE_HOT_H

#define HOT __attribute__((hot))

#endif
