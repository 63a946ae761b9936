// Argument checks that every session makes.
#pragma once

#include <cstdint>
#include <span>

#include "base/error.h"
#include "model/config.h"

namespace sentinel {

inline void check_sequence(int sequence, int max_sequences) {
  if (sequence < 0 || sequence >= max_sequences) {
    throw usage_error("sequence {} does not exist: the session has {}", sequence, max_sequences);
  }
}

// Of a sequence that is cut: one that is longer than the sequence leaves it as it is.
inline void check_length(int length) {
  if (length < 0) throw usage_error("length {} is negative; give 0 to forget all", length);
}

inline void check_tokens(std::span<const int32_t> tokens, int vocab_size) {
  if (tokens.empty()) throw usage_error("no tokens given: at least one is needed");
  for (const int32_t token : tokens) {
    if (token < 0 || token >= vocab_size) {
      throw usage_error(
          "token {} is outside the vocabulary of {}; the tokenizer and the model do "
          "not belong together",
          token, vocab_size);
    }
  }
}

inline void check_room(int length, size_t n_new, int max_length) {
  if (n_new > static_cast<size_t>(max_length - length)) {
    throw usage_error("{} tokens do not fit: {} of {} positions are in use; shorten the prompt",
                      n_new, length, max_length);
  }
}

inline void check_session_shape(int max_sequences, int max_length, int context_length) {
  if (max_sequences < 1 || max_sequences > 4096) {
    throw usage_error("{} sequences: give a number from 1 to 4096", max_sequences);
  }
  if (max_length < 1 || max_length > context_length) {
    throw usage_error("length {} is outside the model's context of 1..{} tokens", max_length,
                      context_length);
  }
}

}  // namespace sentinel
