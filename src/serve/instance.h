/* instance.h -- an instance of a network: its sessions and buffers, and the requests that it is working on. */
#ifndef SERVE_INSTANCE_H
#define SERVE_INSTANCE_H

#include "serve/serve.h"
#include "serve/triton_abi.h"

/* For the samples of a run that are copied; they take the largest run. */
typedef struct serve_buffers { void **in, **out; } serve_buffers;

/* What an instance has for one shape. */
typedef struct serve_slot {
	serve_shape *shape;                      /* NULL: free */
	og_session *sessions[SERVE_MOST_SIZES];  /* one for each size of the shape */
	serve_buffers host;                      /* pinned where the instance is on a GPU */
	serve_buffers device;                    /* NULL until a GPU has to copy */
	void **direct;                           /* inputs and outputs of a run in a request's own memory */
	uint64_t used;                           /* the instance's `turn` when it was used last */
} serve_slot;

/* A request, until it is answered. */
typedef struct serve_request {
	TRITONBACKEND_Request *request;          /* NULL: answered */
	TRITONBACKEND_Response *response;
	int64_t samples, done;
	bool on_device;                          /* some of its memory is a GPU's, which memcpy must not touch */
	const int64_t **dims;                    /* of each input; the server's */
	const uint8_t **in;
	uint8_t **out;                           /* NULL: not asked for */
	void **joined;                           /* inputs that came in pieces, to be freed */
	uint64_t began, ended;                   /* of its runs, nanoseconds */
} serve_request;

typedef struct serve_instance {
	serve_network *net;
	TRITONBACKEND_ModelInstance *self;
	TRITONBACKEND_MemoryManager *pinned;     /* NULL: buffers are plain memory */
	const char *device; int gpu;             /* which one, if it is for GPUs */
	serve_slot *slots; int n_slots;
	uint64_t turn;
	serve_request *requests, **together; size_t capacity;
	void **pointers;                         /* of the requests */
	uint64_t came, began, ended;             /* the requests, their first run and the last; nanoseconds */
	int64_t samples;                         /* done since they came */
} serve_instance;

og_status serve_instance_create(serve_instance **out, serve_network *, TRITONBACKEND_ModelInstance *,
                                TRITONBACKEND_MemoryManager *pinned, const char *device, int gpu);
void serve_instance_free(serve_instance *);          /* NULL is fine */
/* The slot for inputs of these dims; made, in the place of the one that was not used for longest, when there is none. */
og_status serve_slot_get(serve_slot **out, serve_instance *, const int64_t *const *dims);
/* Makes the slot's buffers on the device, if it has none. */
og_status serve_slot_on_device(serve_slot *, const serve_instance *);
bool serve_slot_fits(const serve_slot *, const serve_network *, const int64_t *const *dims);

/* An error of the server as a status, with its sentence; ends it. */
og_status serve_told(TRITONSERVER_Error *);
/* This thread's sentence as an error for the server; NULL for OG_OK. */
TRITONSERVER_Error *serve_error(og_status);
uint64_t serve_now(void);

/* Room for n requests, cleared. */
og_status serve_requests_take(serve_instance *, TRITONBACKEND_Request **requests, size_t n);
/* Checks one and finds its inputs. */
og_status serve_request_read(serve_request *, const serve_instance *);
/* Makes its response and finds where outputs go. */
og_status serve_request_prepare(serve_request *, const serve_instance *, const serve_shape *);
/* Sends what was made, or this thread's sentence, and lets the request go. */
void serve_request_answer(serve_request *, const serve_instance *, og_status);

/* Answers and releases all, each by itself; after a failure all are the server's still. */
og_status serve_execute(serve_instance *, TRITONBACKEND_Request **requests, size_t n);

#endif
