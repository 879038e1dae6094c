/* device.h -- the CUDA side of an op library: its kernels in the current context, launched on a given stream. The
 * driver (libcuda.so.1) comes in by dlopen; nothing is compiled, and nothing is allocated or synchronised in
 * device_launch. */
#ifndef DEVICE_H
#define DEVICE_H

#include "bridge/library.h"

typedef struct device_kernels device_kernels;   /* a library's image for one context, loaded; shared, counted */

/* True when a driver is there (a library without one still loads, builds engines and runs on the CPU). It is not
 * initialised: the host has done so. */
bool device_present(void);
/* Loads the image that fits the current context's device: its cubin, else PTX. OG_MISSING: no driver or no context;
 * OG_UNSUPPORTED: the library holds no code for this device, with what to do. Thread-safe; one module a context. */
og_status device_open_library(device_kernels **out, const og_library *);
static inline og_status device_open(device_kernels **out) { return device_open_library(out, &og_op_library); }
/* NULL is fine. The module is unloaded by the last one to close it if its context is current, else it stays with the
 * context. */
void device_close(device_kernels *);

/* Tensors of these calls are dense, in row-major order; their data is not looked at. To an elementwise kernel a packed
 * format of TensorRT's is a longer vector: give all tensors as such then. */
/* How many ways there are to run this call (1 or more; 0: no device form). Shapes and dtypes decide. */
int device_tactics(const library_op *, const og_call *);
/* Bytes of workspace on the device, for any tactic. */
size_t device_workspace(const library_op *, const og_call *, int tactic);
/* A kernel with its arguments, ready but for the pointers. It stands by itself: copy it as you like. */
typedef struct device_step {
	void *function;
	og_grid grid;                            /* blocks[0] == 0: there is nothing to do */
	int n_in, n_out;
	unsigned n_bytes;
	_Alignas(16) char bytes[2048];           /* og_map_call or og_device_call */
} device_step;
/* Checks shapes, finds and loads the kernel, prepares its arguments: all that is slow. Of a tactic that these shapes
 * do not have, which happens when they change, the first is taken. OG_UNSUPPORTED: no kernel serves this call. */
og_status device_prepare(device_step *out, device_kernels *, const library_op *, const og_call *, int tactic);
/* Puts pointers in and launches in the current context. in[], out[] (as many as the call had; NULL: absent),
 * workspace: device pointers; stream: CUstream. An output may be an input of an elementwise op. Safe under capture
 * and from several threads. */
og_status device_launch(const device_step *, const void *const *in, void *const *out, void *workspace, void *stream);

#endif
