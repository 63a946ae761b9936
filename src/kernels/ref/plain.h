// The truth: textbook loops with sums in double, one thread, no packing. Level 0 runs on these and
// kernel tests compare with them.
#pragma once

#include <cstdint>

#include "kernels/types.h"

namespace sentinel::plain {

// y[o] = b[o] + sum_i w[o, i] x[i]; w [n_out, n_in] row-major, b may be null.
void linear(const float* w, const float* b, const float* x, int64_t n_out, int64_t n_in, float* y);

// (x - mean) / sqrt(variance + eps) * weight + bias over n values; out may be x.
void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n,
                float* out);

// In place: scores[i] -> probability. Returns the entropy -sum p ln p in nats, summed directly.
double softmax(float* scores, int64_t n);

double activate(Activation activation, double x);

}  // namespace sentinel::plain
