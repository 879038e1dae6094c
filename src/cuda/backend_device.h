/* backend_device.h -- memory, streams and graphs of a CUDA device for the plan's sessions. */
#ifndef CUDA_BACKEND_DEVICE_H
#define CUDA_BACKEND_DEVICE_H

#include "backend/backend.h"

extern const backend_device cuda_backend_device;

#endif
