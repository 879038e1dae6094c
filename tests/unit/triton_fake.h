/* triton_fake.h -- what a Triton server exports, by one that does nothing but keep what it is given: models, requests with any
 * memory, answers to look at. It counts what is alive, and can let its n-th call fail. */
#ifndef TRITON_FAKE_H
#define TRITON_FAKE_H

#undef NDEBUG                            /* its checks count in every build */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/triton_abi.h"

enum { FAKE_PORTS = 4, FAKE_PIECES = 4, FAKE_RANK = 8 };

struct TRITONSERVER_Error { triton_code code; char sentence[1024]; };
struct TRITONSERVER_Message { char *text; };
struct TRITONBACKEND_Backend { void *state; const char *cmdline; TRITONSERVER_Message config; };
struct TRITONBACKEND_Model {
	TRITONBACKEND_Backend *backend;
	void *state;
	const char *folder, *config;
	uint64_t version;
	bool complete;
	char *completed;                     /* what the backend made of the configuration */
};
struct TRITONBACKEND_ModelInstance { TRITONBACKEND_Model *model; void *state; triton_kind kind; int32_t id; uint64_t samples; };
struct TRITONBACKEND_Input {
	const char *name;
	int type;
	uint32_t rank;
	int64_t dims[FAKE_RANK];
	const void *pieces[FAKE_PIECES]; uint64_t bytes[FAKE_PIECES]; uint32_t n_pieces;
	triton_memory memory; int64_t id;
};
struct TRITONBACKEND_Output {
	const char *name;
	int type;
	uint32_t rank;
	int64_t dims[FAKE_RANK];
	void *data;
	uint64_t bytes;
	triton_memory wished;
	TRITONBACKEND_Request *request;
};
struct TRITONBACKEND_Response { TRITONBACKEND_Request *request; };
struct TRITONBACKEND_Request {
	TRITONBACKEND_Input inputs[FAKE_PORTS]; uint32_t n_inputs;
	const char *wanted[FAKE_PORTS]; uint32_t n_wanted;
	size_t shift;                        /* outputs are so many bytes off alignment */
	triton_memory memory; int64_t id;    /* of outputs */
	bool cancelled;
	/* the answer */
	TRITONBACKEND_Output outputs[FAKE_PORTS]; uint32_t n_outputs;
	int sent, released;
	bool failed, succeeded;              /* with an error; as statistics say */
	char sentence[1024];
	uint64_t came, began, ended, gone;
};

static struct {
	_Atomic long alive; _Atomic long calls; long fail_at;
	/* Memory of a GPU, where a test has one; else it is the host's, which nobody may find out. */
	void *(*gpu_new)(int64_t id, size_t bytes);
	void (*gpu_free)(void *);
} fake;

/* NULL, or the error of a call that has to fail. */
static TRITONSERVER_Error *fake_call(void)
{
	return ++fake.calls == fake.fail_at ? TRITONSERVER_ErrorNew(TRITON_INTERNAL, "the server's call failed") : NULL;
}
#define FAKE_CALL() do { TRITONSERVER_Error *fake_error_ = fake_call(); if (fake_error_) return fake_error_; } while (0)

static void *fake_new(size_t bytes)
{
	void *p = calloc(1, bytes + 1);
	assert(p);
	fake.alive++;
	return p;
}

static void fake_free(void *p)
{
	if (p) fake.alive--;
	free(p);
}

/* ---- errors, messages, log -------------------------------------------------------------------- */

TRITONSERVER_Error *TRITONSERVER_ErrorNew(triton_code code, const char *sentence)
{
	TRITONSERVER_Error *e = fake_new(sizeof *e);
	e->code = code;
	snprintf(e->sentence, sizeof e->sentence, "%s", sentence);
	return e;
}
void TRITONSERVER_ErrorDelete(TRITONSERVER_Error *e) { fake_free(e); }
const char *TRITONSERVER_ErrorMessage(TRITONSERVER_Error *e) { return e->sentence; }
TRITON_CALL(TRITONSERVER_LogMessage)(triton_level level, const char *file, int line, const char *sentence)
{
	(void)level, (void)file, (void)line, (void)sentence;
	return fake_call();
}

static TRITONSERVER_Message *fake_message(const char *content)
{
	TRITONSERVER_Message *m = fake_new(sizeof *m);
	m->text = strdup(content);
	return m;
}
TRITON_CALL(TRITONSERVER_MessageNewFromSerializedJson)(TRITONSERVER_Message **out, const char *content, size_t bytes)
{
	FAKE_CALL();
	assert(strlen(content) == bytes);
	*out = fake_message(content);
	return NULL;
}
TRITON_CALL(TRITONSERVER_MessageSerializeToJson)(TRITONSERVER_Message *m, const char **content, size_t *bytes)
{
	FAKE_CALL();
	*content = m->text;
	*bytes = strlen(m->text);
	return NULL;
}
TRITON_CALL(TRITONSERVER_MessageDelete)(TRITONSERVER_Message *m)
{
	free(m->text);
	fake_free(m);
	return fake_call();
}

/* ---- the backend ------------------------------------------------------------------------------- */

TRITON_CALL(TRITONBACKEND_ApiVersion)(uint32_t *major, uint32_t *minor)
{
	FAKE_CALL();
	*major = TRITON_API_MAJOR;
	*minor = 19;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_BackendConfig)(TRITONBACKEND_Backend *b, TRITONSERVER_Message **out)
{
	FAKE_CALL();
	b->config.text = (char *)(uintptr_t)b->cmdline;
	*out = &b->config;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_BackendMemoryManager)(TRITONBACKEND_Backend *b, TRITONBACKEND_MemoryManager **out)
{
	FAKE_CALL();
	*out = (TRITONBACKEND_MemoryManager *)b;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_BackendState)(TRITONBACKEND_Backend *b, void **out)
{
	*out = b->state;
	return fake_call();
}
TRITON_CALL(TRITONBACKEND_BackendSetState)(TRITONBACKEND_Backend *b, void *state)
{
	FAKE_CALL();
	b->state = state;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_MemoryManagerAllocate)(TRITONBACKEND_MemoryManager *m, void **out, triton_memory memory, int64_t id, uint64_t bytes)
{
	(void)m, (void)memory, (void)id;
	FAKE_CALL();
	*out = fake_new(bytes);
	return NULL;
}
TRITON_CALL(TRITONBACKEND_MemoryManagerFree)(TRITONBACKEND_MemoryManager *m, void *p, triton_memory memory, int64_t id)
{
	(void)m, (void)memory, (void)id;
	fake_free(p);
	return fake_call();
}

/* ---- models and instances ------------------------------------------------------------------------ */

TRITON_CALL(TRITONBACKEND_ModelName)(TRITONBACKEND_Model *m, const char **out)
{
	(void)m;
	FAKE_CALL();
	*out = "net";
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelVersion)(TRITONBACKEND_Model *m, uint64_t *out)
{
	FAKE_CALL();
	*out = m->version;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelRepository)(TRITONBACKEND_Model *m, triton_artifact *kind, const char **folder)
{
	FAKE_CALL();
	*kind = TRITON_FILESYSTEM;
	*folder = m->folder;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelConfig)(TRITONBACKEND_Model *m, uint32_t version, TRITONSERVER_Message **out)
{
	FAKE_CALL();
	assert(version == TRITON_CONFIG_VERSION);
	*out = fake_message(m->config);
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelAutoCompleteConfig)(TRITONBACKEND_Model *m, bool *out)
{
	FAKE_CALL();
	*out = m->complete;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelSetConfig)(TRITONBACKEND_Model *m, uint32_t version, TRITONSERVER_Message *config)
{
	FAKE_CALL();
	assert(version == TRITON_CONFIG_VERSION);
	free(m->completed);
	m->completed = strdup(config->text);
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelBackend)(TRITONBACKEND_Model *m, TRITONBACKEND_Backend **out)
{
	FAKE_CALL();
	*out = m->backend;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelState)(TRITONBACKEND_Model *m, void **out)
{
	*out = m->state;
	return fake_call();
}
TRITON_CALL(TRITONBACKEND_ModelSetState)(TRITONBACKEND_Model *m, void *state)
{
	FAKE_CALL();
	m->state = state;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelInstanceName)(TRITONBACKEND_ModelInstance *s, const char **out)
{
	(void)s;
	FAKE_CALL();
	*out = "net_0";
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelInstanceKind)(TRITONBACKEND_ModelInstance *s, triton_kind *out)
{
	FAKE_CALL();
	*out = s->kind;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelInstanceDeviceId)(TRITONBACKEND_ModelInstance *s, int32_t *out)
{
	FAKE_CALL();
	*out = s->id;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelInstanceModel)(TRITONBACKEND_ModelInstance *s, TRITONBACKEND_Model **out)
{
	FAKE_CALL();
	*out = s->model;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelInstanceState)(TRITONBACKEND_ModelInstance *s, void **out)
{
	*out = s->state;
	return fake_call();
}
TRITON_CALL(TRITONBACKEND_ModelInstanceSetState)(TRITONBACKEND_ModelInstance *s, void *state)
{
	FAKE_CALL();
	s->state = state;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ModelInstanceReportStatistics)(TRITONBACKEND_ModelInstance *s, TRITONBACKEND_Request *r, bool success, uint64_t came,
                                                         uint64_t began, uint64_t ended, uint64_t sent)
{
	(void)s;
	r->succeeded = success;
	r->came = came;
	r->began = began;
	r->ended = ended;
	r->gone = sent;
	return fake_call();
}
TRITON_CALL(TRITONBACKEND_ModelInstanceReportBatchStatistics)(TRITONBACKEND_ModelInstance *s, uint64_t samples, uint64_t came, uint64_t began,
                                                              uint64_t ended, uint64_t sent)
{
	assert(came <= began && began <= ended && ended <= sent);
	s->samples += samples;
	return fake_call();
}

/* ---- requests and answers ------------------------------------------------------------------------- */

TRITON_CALL(TRITONBACKEND_RequestInputCount)(TRITONBACKEND_Request *r, uint32_t *out)
{
	FAKE_CALL();
	*out = r->n_inputs;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_RequestInput)(TRITONBACKEND_Request *r, const char *name, TRITONBACKEND_Input **out)
{
	FAKE_CALL();
	for (uint32_t k = 0; k < r->n_inputs; k++)
		if (!strcmp(r->inputs[k].name, name)) {
			*out = &r->inputs[k];
			return NULL;
		}
	return TRITONSERVER_ErrorNew(TRITON_INVALID_ARGUMENT, "no such input");
}
TRITON_CALL(TRITONBACKEND_RequestOutputCount)(TRITONBACKEND_Request *r, uint32_t *out)
{
	FAKE_CALL();
	*out = r->n_wanted;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_RequestOutputName)(TRITONBACKEND_Request *r, uint32_t k, const char **out)
{
	FAKE_CALL();
	*out = r->wanted[k];
	return NULL;
}
TRITON_CALL(TRITONBACKEND_RequestRelease)(TRITONBACKEND_Request *r, uint32_t flags)
{
	assert(flags == TRITON_RELEASE_ALL);
	r->released++;
	return fake_call();
}
TRITON_CALL(TRITONBACKEND_RequestIsCancelled)(TRITONBACKEND_Request *r, bool *out)
{
	FAKE_CALL();
	*out = r->cancelled;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_InputProperties)(TRITONBACKEND_Input *in, const char **name, int *type, const int64_t **shape, uint32_t *rank,
                                           uint64_t *bytes, uint32_t *pieces)
{
	FAKE_CALL();
	if (name) *name = in->name;
	*type = in->type;
	*shape = in->dims;
	*rank = in->rank;
	*pieces = in->n_pieces;
	*bytes = 0;
	for (uint32_t k = 0; k < in->n_pieces; k++) *bytes += in->bytes[k];
	return NULL;
}
TRITON_CALL(TRITONBACKEND_InputBuffer)(TRITONBACKEND_Input *in, uint32_t k, const void **out, uint64_t *bytes, triton_memory *memory, int64_t *id)
{
	FAKE_CALL();
	assert(k < in->n_pieces);
	*out = in->pieces[k];
	*bytes = in->bytes[k];
	*memory = in->memory;
	*id = in->id;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ResponseNew)(TRITONBACKEND_Response **out, TRITONBACKEND_Request *r)
{
	FAKE_CALL();
	*out = fake_new(sizeof **out);
	(*out)->request = r;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ResponseOutput)(TRITONBACKEND_Response *a, TRITONBACKEND_Output **out, const char *name, int type,
                                          const int64_t *shape, uint32_t rank)
{
	FAKE_CALL();
	TRITONBACKEND_Output *o = &a->request->outputs[a->request->n_outputs++];
	*o = (TRITONBACKEND_Output){ .name = name, .type = type, .rank = rank, .request = a->request };
	memcpy(o->dims, shape, rank * sizeof *shape);
	*out = o;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_OutputBuffer)(TRITONBACKEND_Output *o, void **out, uint64_t bytes, triton_memory *memory, int64_t *id)
{
	FAKE_CALL();
	bool gpu = o->request->memory == TRITON_GPU && fake.gpu_new;
	o->data = gpu ? fake.gpu_new(o->request->id, bytes + o->request->shift) : fake_new(bytes + o->request->shift);
	o->bytes = bytes;
	o->wished = *memory;
	*out = (char *)o->data + o->request->shift;
	*memory = o->request->memory;
	*id = o->request->id;
	return NULL;
}
TRITON_CALL(TRITONBACKEND_ResponseSend)(TRITONBACKEND_Response *a, uint32_t flags, TRITONSERVER_Error *error)
{
	assert(flags == TRITON_RESPONSE_FINAL);
	a->request->sent++;
	a->request->failed = error != NULL;
	if (error) memcpy(a->request->sentence, error->sentence, sizeof error->sentence);
	fake_free(a);
	return fake_call();
}

/* Frees what the answer holds. */
static void fake_forget(TRITONBACKEND_Request *r)
{
	for (uint32_t k = 0; k < r->n_outputs; k++)
		if (r->memory == TRITON_GPU && fake.gpu_free) fake.gpu_free(r->outputs[k].data);
		else fake_free(r->outputs[k].data);
	r->n_outputs = 0;
}

#endif
