/* device.h -- the CUDA side of an op library: its kernels in the current context, launched on a given stream. The driver
 * (libcuda.so.1) comes in by dlopen; nothing is compiled, and nothing is allocated or synchronised in device_launch. */
#ifndef DEVICE_H
#define DEVICE_H

#include "bridge/library.h"

typedef struct device_kernels device_kernels;   /* the library's image for one context, loaded; shared, counted */

/* How the elements of a tensor lie: dense in row-major order, or one of TensorRT's packed formats, which to an elementwise kernel
 * is a longer dense tensor. */
typedef struct device_tensor { og_tensor t; size_t elements; } device_tensor;

/* True when a driver is there (a library without one still loads, builds engines and runs on the CPU). */
bool device_present(void);
/* Loads the image that fits the current context's device: its cubin, else PTX. OG_MISSING: no driver or no context; OG_UNSUPPORTED: the
 * library holds no code for this device, with what to do. Thread-safe; one module a context. */
og_status device_open(device_kernels **out);
void device_close(device_kernels *);
/* How many ways there are to run this call (1 or more; 0: no device form). Shapes and dtypes decide, data is not looked at. */
int device_tactics(const library_op *, const og_call *);
/* Bytes of workspace on the device. */
size_t device_workspace(const library_op *, const og_call *, int tactic);
/* Checks shapes, finds the kernel, prepares its arguments: all that is slow. The result is used by device_launch; storage is the caller's. */
typedef struct device_step { void *function; og_grid grid; unsigned n_bytes; char bytes[2048]; } device_step;
og_status device_prepare(device_step *out, device_kernels *, const library_op *, const og_call *, int tactic);
/* Puts pointers in and launches. in[], out[], workspace: device pointers; stream: CUstream. Safe under capture. */
og_status device_launch(device_step *, const void *const *in, void *const *out, void *workspace, void *stream);

#endif
