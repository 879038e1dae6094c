/* triton_abi.h -- what of Triton Inference Server's C interface this backend uses, in our own words.
 *
 * Facts, from the public headers tritonserver.h and tritonbackend.h of triton-inference-server/core: objects are opaque, every
 * call returns NULL or an error that the receiver deletes, and the functions lie in the server's process, where the loader finds
 * them. All but one are of backend API 1.0; within version 1 functions are only added. */
#ifndef SERVE_TRITON_ABI_H
#define SERVE_TRITON_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRITON_API_MAJOR = 1, TRITON_API_MINOR = 0, TRITON_CONFIG_VERSION = 1 };

typedef struct TRITONSERVER_Error TRITONSERVER_Error;
typedef struct TRITONSERVER_Message TRITONSERVER_Message;
typedef struct TRITONBACKEND_Backend TRITONBACKEND_Backend;
typedef struct TRITONBACKEND_Model TRITONBACKEND_Model;
typedef struct TRITONBACKEND_ModelInstance TRITONBACKEND_ModelInstance;
typedef struct TRITONBACKEND_MemoryManager TRITONBACKEND_MemoryManager;
typedef struct TRITONBACKEND_Request TRITONBACKEND_Request;
typedef struct TRITONBACKEND_Response TRITONBACKEND_Response;
typedef struct TRITONBACKEND_Input TRITONBACKEND_Input;
typedef struct TRITONBACKEND_Output TRITONBACKEND_Output;

/* Enumerations, which travel as int. */
typedef enum triton_code {
	TRITON_UNKNOWN, TRITON_INTERNAL, TRITON_NOT_FOUND, TRITON_INVALID_ARGUMENT, TRITON_UNAVAILABLE, TRITON_UNSUPPORTED,
	TRITON_ALREADY_EXISTS, TRITON_CANCELLED
} triton_code;
typedef enum triton_level { TRITON_INFO, TRITON_WARN, TRITON_ERROR, TRITON_VERBOSE } triton_level;
typedef enum triton_memory { TRITON_CPU, TRITON_CPU_PINNED, TRITON_GPU } triton_memory;
typedef enum triton_kind { TRITON_KIND_AUTO, TRITON_KIND_CPU, TRITON_KIND_GPU, TRITON_KIND_MODEL } triton_kind;
typedef enum triton_artifact { TRITON_FILESYSTEM } triton_artifact;
enum { TRITON_RESPONSE_FINAL = 1, TRITON_RELEASE_ALL = 1 };

/* Element types that both sides have: X(number, name in a configuration less TYPE_, ours). */
#define TRITON_TYPE_MAP(X) \
	X(1, BOOL, BOOL) \
	X(2, UINT8, U8) \
	X(3, UINT16, U16) \
	X(4, UINT32, U32) \
	X(5, UINT64, U64) \
	X(6, INT8, I8) \
	X(7, INT16, I16) \
	X(8, INT32, I32) \
	X(9, INT64, I64) \
	X(10, FP16, F16) \
	X(11, FP32, F32) \
	X(12, FP64, F64) \
	X(14, BF16, BF16)

#define TRITON_CALL(name) TRITONSERVER_Error *name

/* ---- the server's side ---------------------------------------------------------------------- */

TRITONSERVER_Error *TRITONSERVER_ErrorNew(triton_code code, const char *sentence);
void TRITONSERVER_ErrorDelete(TRITONSERVER_Error *);
const char *TRITONSERVER_ErrorMessage(TRITONSERVER_Error *);
TRITON_CALL(TRITONSERVER_LogMessage)(triton_level, const char *file, int line, const char *sentence);
TRITON_CALL(TRITONSERVER_MessageNewFromSerializedJson)(TRITONSERVER_Message **, const char *json, size_t bytes);
TRITON_CALL(TRITONSERVER_MessageSerializeToJson)(TRITONSERVER_Message *, const char **json, size_t *bytes);
TRITON_CALL(TRITONSERVER_MessageDelete)(TRITONSERVER_Message *);

TRITON_CALL(TRITONBACKEND_ApiVersion)(uint32_t *major, uint32_t *minor);
TRITON_CALL(TRITONBACKEND_BackendConfig)(TRITONBACKEND_Backend *, TRITONSERVER_Message **);     /* the server's own message */
TRITON_CALL(TRITONBACKEND_BackendMemoryManager)(TRITONBACKEND_Backend *, TRITONBACKEND_MemoryManager **);
TRITON_CALL(TRITONBACKEND_BackendState)(TRITONBACKEND_Backend *, void **);
TRITON_CALL(TRITONBACKEND_BackendSetState)(TRITONBACKEND_Backend *, void *);
TRITON_CALL(TRITONBACKEND_MemoryManagerAllocate)(TRITONBACKEND_MemoryManager *, void **, triton_memory, int64_t id,
                                                 uint64_t bytes);
TRITON_CALL(TRITONBACKEND_MemoryManagerFree)(TRITONBACKEND_MemoryManager *, void *, triton_memory, int64_t id);

TRITON_CALL(TRITONBACKEND_ModelName)(TRITONBACKEND_Model *, const char **);
TRITON_CALL(TRITONBACKEND_ModelVersion)(TRITONBACKEND_Model *, uint64_t *);
TRITON_CALL(TRITONBACKEND_ModelRepository)(TRITONBACKEND_Model *, triton_artifact *, const char **folder);
TRITON_CALL(TRITONBACKEND_ModelConfig)(TRITONBACKEND_Model *, uint32_t version, TRITONSERVER_Message **);    /* to be deleted */
TRITON_CALL(TRITONBACKEND_ModelAutoCompleteConfig)(TRITONBACKEND_Model *, bool *);
TRITON_CALL(TRITONBACKEND_ModelSetConfig)(TRITONBACKEND_Model *, uint32_t version, TRITONSERVER_Message *);
TRITON_CALL(TRITONBACKEND_ModelBackend)(TRITONBACKEND_Model *, TRITONBACKEND_Backend **);
TRITON_CALL(TRITONBACKEND_ModelState)(TRITONBACKEND_Model *, void **);
TRITON_CALL(TRITONBACKEND_ModelSetState)(TRITONBACKEND_Model *, void *);

TRITON_CALL(TRITONBACKEND_ModelInstanceName)(TRITONBACKEND_ModelInstance *, const char **);
TRITON_CALL(TRITONBACKEND_ModelInstanceKind)(TRITONBACKEND_ModelInstance *, triton_kind *);
TRITON_CALL(TRITONBACKEND_ModelInstanceDeviceId)(TRITONBACKEND_ModelInstance *, int32_t *);
TRITON_CALL(TRITONBACKEND_ModelInstanceModel)(TRITONBACKEND_ModelInstance *, TRITONBACKEND_Model **);
TRITON_CALL(TRITONBACKEND_ModelInstanceState)(TRITONBACKEND_ModelInstance *, void **);
TRITON_CALL(TRITONBACKEND_ModelInstanceSetState)(TRITONBACKEND_ModelInstance *, void *);
/* Nanoseconds of CLOCK_MONOTONIC: the call came, the first run began, the last run ended, the answer was sent. */
TRITON_CALL(TRITONBACKEND_ModelInstanceReportStatistics)(TRITONBACKEND_ModelInstance *, TRITONBACKEND_Request *, bool success,
                                                         uint64_t came, uint64_t began, uint64_t ended, uint64_t sent);
TRITON_CALL(TRITONBACKEND_ModelInstanceReportBatchStatistics)(TRITONBACKEND_ModelInstance *, uint64_t samples, uint64_t came,
                                                              uint64_t began, uint64_t ended, uint64_t sent);

TRITON_CALL(TRITONBACKEND_RequestInputCount)(TRITONBACKEND_Request *, uint32_t *);
TRITON_CALL(TRITONBACKEND_RequestInput)(TRITONBACKEND_Request *, const char *name, TRITONBACKEND_Input **);
TRITON_CALL(TRITONBACKEND_RequestOutputCount)(TRITONBACKEND_Request *, uint32_t *);
TRITON_CALL(TRITONBACKEND_RequestOutputName)(TRITONBACKEND_Request *, uint32_t k, const char **);
TRITON_CALL(TRITONBACKEND_RequestRelease)(TRITONBACKEND_Request *, uint32_t flags);
/* Of a later minor version, so that it may be absent: NULL then. */
TRITON_CALL(TRITONBACKEND_RequestIsCancelled)(TRITONBACKEND_Request *, bool *) __attribute__((weak));
/* Name, type, shape and size are the input's own; data lies in one buffer or more. */
TRITON_CALL(TRITONBACKEND_InputProperties)(TRITONBACKEND_Input *, const char **name, int *type, const int64_t **shape,
                                           uint32_t *rank, uint64_t *bytes, uint32_t *buffers);
TRITON_CALL(TRITONBACKEND_InputBuffer)(TRITONBACKEND_Input *, uint32_t k, const void **, uint64_t *bytes, triton_memory *,
                                       int64_t *id);
TRITON_CALL(TRITONBACKEND_ResponseNew)(TRITONBACKEND_Response **, TRITONBACKEND_Request *);
TRITON_CALL(TRITONBACKEND_ResponseOutput)(TRITONBACKEND_Response *, TRITONBACKEND_Output **, const char *name, int type,
                                          const int64_t *shape, uint32_t rank);
/* The memory and its id that are wished go in, those that are given come out. */
TRITON_CALL(TRITONBACKEND_OutputBuffer)(TRITONBACKEND_Output *, void **, uint64_t bytes, triton_memory *, int64_t *id);
/* Ends the response; the error stays the caller's. */
TRITON_CALL(TRITONBACKEND_ResponseSend)(TRITONBACKEND_Response *, uint32_t flags, TRITONSERVER_Error *);

/* ---- the backend's side --------------------------------------------------------------------- */

#define TRITON_ENTRY(name) __attribute__((visibility("default"))) TRITONSERVER_Error *name
TRITON_ENTRY(TRITONBACKEND_Initialize)(TRITONBACKEND_Backend *);
TRITON_ENTRY(TRITONBACKEND_Finalize)(TRITONBACKEND_Backend *);
TRITON_ENTRY(TRITONBACKEND_ModelInitialize)(TRITONBACKEND_Model *);
TRITON_ENTRY(TRITONBACKEND_ModelFinalize)(TRITONBACKEND_Model *);
TRITON_ENTRY(TRITONBACKEND_ModelInstanceInitialize)(TRITONBACKEND_ModelInstance *);
TRITON_ENTRY(TRITONBACKEND_ModelInstanceFinalize)(TRITONBACKEND_ModelInstance *);
/* When it returns an error the requests stay the server's, else they were answered and released here. */
TRITON_ENTRY(TRITONBACKEND_ModelInstanceExecute)(TRITONBACKEND_ModelInstance *, TRITONBACKEND_Request **, uint32_t n);

#endif
