/* session.h -- what of a session the backend of a server uses besides opgraft.h. */
#ifndef SESSION_H
#define SESSION_H

#include "opgraft.h"

/* As og_device_ready, of one of several devices, the first of which has ordinal 0. */
og_status session_ready(const char *device, int ordinal);
/* As og_session_create, on one of them. */
og_status session_create_on(og_session **out, const og_plan *, int threads, int ordinal);
/* Of a session whose plan is for a device: memory there, freed before the session is. NULL is fine to release. */
og_status session_alloc(og_session *, void **p, size_t bytes);
void session_release(og_session *, void *p);
/* Puts a copy, in any direction, behind what the session was given to do and before what comes; its memory stays until session_wait. */
og_status session_copy(og_session *, void *to, const void *from, size_t bytes);
og_status session_wait(og_session *);

#endif
