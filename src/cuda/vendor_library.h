/* vendor_library.h -- finding NVIDIA's libraries: by name, in CUDA's folder, where pip puts them. */
#ifndef VENDOR_LIBRARY_H
#define VENDOR_LIBRARY_H

#include "base/base.h"

typedef struct vendor_library {
	const char *told;                        /* variable of the environment with its path */
	const char *names[4];                    /* for the loader; NULL ends */
	const char *pip, *toolkit;               /* patterns of the file, below site-packages and below a toolkit's folder */
	const char *symbol;                      /* that it must have */
} vendor_library;

/* Path or name under which the library loads; NULL when there is none. Belongs to the arena. */
const char *vendor_library_find(const vendor_library *, arena *);

#endif
