/* vendor.h -- cuDNN and cuBLASLt, where they are: convolutions and products as tactics that compete with our own kernels when a plan is built.
 *
 * A tactic is named by the library and the place of its way in the library's own ranking, "cudnn.0". It runs bias, residual and Relu
 * in the library; any other tail is a kernel of ours behind it. What a way needs is made when a session is first bound, kept until the
 * device is closed, and shared by its sessions. */
#ifndef VENDOR_H
#define VENDOR_H

#include "cuda/igemm.h"
#include "cuda/vendor_library.h"

enum { VENDOR_WORKSPACE = 32 << 20 };        /* bytes that every way may use; those that want more are passed over */

typedef struct vendor_product {
	const igemm_problem *problem;
	int row;                                 /* elements of a filter as packed: taps, channels innermost */
	bool relu, adds;                         /* adds: a tensor like the output, behind the bias */
} vendor_product;

typedef struct vendor_places { const void *in, *weights, *bias, *residual; void *out, *workspace; } vendor_places;

/* One library. Calls are made one at a time, with the device's context current. */
typedef struct vendor {
	const char *name, *title;
	vendor_library library;
	/* Both 0 for success. The functions of what `library` found; a handle for the current context, which stays. */
	int (*open)(void *library);
	int (*begin)(void **handle);
	bool (*takes)(const vendor_product *);
	/* Way number `choice` of those that the library offers for the product; *out is given to run and free. OG_UNSUPPORTED: it
	 * has no such. */
	og_status (*make)(void **out, void *handle, const vendor_product *, int choice, const vendor_places *);
	int (*run)(void *made, void *handle, const vendor_places *, void *stream);
	void (*free)(void *made);
} vendor;

extern const vendor vendor_cudnn, vendor_cublas;

/* Tactics for the problem that the libraries found here can run. */
int vendor_variants(const char **names, int most, const backend_node *, arena *);
/* Frees what was made for the device. */
void vendor_close(const void *device);
/* Path or name of the library; NULL: not found. */
const char *vendor_find_cudnn(arena *), *vendor_find_cublas(arena *);

#endif
