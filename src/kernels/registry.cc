#include "kernels/registry.h"

#include <cstdlib>

#include "base/error.h"
#include "kernels/tables.h"

namespace sentinel {
namespace {

struct Entry {
  const char* name;
  bool (*supported)(const CpuFeatures&);
  const KernelTable& (*table)();
};

// Priority order, best first.
const Entry kEntries[] = {
#if defined(__x86_64__)
    {"avx512", [](const CpuFeatures& f) { return f.avx512; }, avx512_kernels},
    {"avx2", [](const CpuFeatures& f) { return f.avx2; }, avx2_kernels},
#endif
    {"scalar", [](const CpuFeatures&) { return true; }, scalar_kernels},
};

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

std::vector<std::string> available_isas(const CpuFeatures& features) {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) {
    if (entry.supported(features)) names.emplace_back(entry.name);
  }
  return names;
}

const KernelTable& select_kernels(const CpuFeatures& features, const std::string& name) {
  std::string wanted = name;
  if (wanted.empty()) {
    const char* env = std::getenv("SENTINEL_ISA");
    if (env) wanted = env;
  }
  for (const Entry& entry : kEntries) {
    if (!wanted.empty() && wanted != entry.name) continue;
    if (entry.supported(features)) return entry.table();
    if (!wanted.empty()) {
      throw usage_error("isa: this CPU cannot run \"{}\"; choose one of {}", wanted,
                        joined(available_isas(features)));
    }
  }
  throw usage_error("isa: unknown instruction set \"{}\"; choose one of {}", printable(wanted),
                    joined(available_isas(features)));
}

}  // namespace sentinel
