#include <algorithm>
#include <utility>

#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/utf8.h"

namespace sentinel {

std::string Utf8Stream::feed(std::string_view bytes) {
  std::string ready = std::exchange(pending_, {});
  ready += bytes;
  // An unfinished character holds at most three bytes.
  const size_t size = ready.size();
  for (size_t tail = std::min<size_t>(3, size); tail > 0; --tail) {
    if (is_utf8_prefix(ready.data() + size - tail, tail)) {
      pending_ = ready.substr(size - tail);
      ready.resize(size - tail);
      break;
    }
  }
  return ready;
}

std::string Utf8Stream::flush() { return std::exchange(pending_, {}); }

}  // namespace sentinel
