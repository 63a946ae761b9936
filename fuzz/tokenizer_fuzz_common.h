// What must hold for every tokenizer that loads, whatever the file.
#pragma once

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>

#include "model/tokenizer/bpe_spec.h"
#include "sentinel/error.h"

namespace sentinel {

inline void check_tokenizer(const BpeSpec& spec, std::initializer_list<std::string_view> texts) {
  const auto tokenizer = make_bpe_tokenizer(spec);
  for (const std::string_view text : texts) {
    for (const bool parse_special : {false, true}) {
      const auto ids = tokenizer->encode(text, parse_special);
      for (const int32_t id : ids) {
        if (id < 0 || id >= tokenizer->vocab_size()) std::abort();
      }
      // A prefix space is put before each stretch between added tokens, so only without one is the
      // text given back.
      if (!spec.add_prefix_space && tokenizer->decode(ids) != text) std::abort();
    }
  }
}

// Calls `action`; an Error must be of kind bad_input and one line.
template <typename Action>
void expect_success_or_bad_input(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string_view message = error.what();
    if (error.kind() != ErrorKind::bad_input) std::abort();
    if (message.empty() || message.find('\n') != std::string_view::npos) std::abort();
  }
}

}  // namespace sentinel
