// Marks what the shared library shows; all else in it is hidden.
#pragma once

#if defined(__GNUC__)
#define SENTINEL_API __attribute__((visibility("default")))
#else
#define SENTINEL_API
#endif
