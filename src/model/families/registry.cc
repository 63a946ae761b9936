#include "model/families/gpt2.h"

namespace sentinel {

std::span<const Family> all_families() {
  static constexpr Family kFamilies[] = {kGpt2};
  return kFamilies;
}

}  // namespace sentinel
