#include "kernels/registry.h"

#include <cstdlib>

#include "base/error.h"
#include "kernels/tables.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

struct Entry {
  const char* name;
  bool (*supported)(const CpuFeatures&);
  KernelTable (*table)(const CpuFeatures&);
};

#if defined(__x86_64__)
constexpr int kBf16 = static_cast<int>(WeightType::bf16);
constexpr int kInt8 = static_cast<int>(WeightType::int8);
constexpr int kInt6 = static_cast<int>(WeightType::int6);
constexpr int kInt4 = static_cast<int>(WeightType::int4);

// AVX-512 with the dot-product extensions this CPU has.
KernelTable avx512_with_extensions(const CpuFeatures& features) {
  KernelTable table = avx512_kernels();
  if (features.avx512_bf16) {
    table.linear[kBf16] = linear_bf16_dot;
    table.window[kBf16] = window_bf16_dot;
    table.prepare[kBf16] = prepare_bf16_pairs;
    table.linear_to_inputs[kBf16] = linear_bf16_to_inputs_dot;
    table.input_bytes[kBf16] = 2;
  }
  if (features.avx512_vnni) {  // integer sums: the same for every number of rows
    table.linear[kInt8] = table.window[kInt8] = linear_int8_vnni;
    table.linear[kInt6] = table.window[kInt6] = linear_int6_vnni;
    table.linear[kInt4] = table.window[kInt4] = linear_int4_vnni;
    table.prepare[kInt8] = prepare_int8_quads;
    table.linear_to_inputs[kInt8] = linear_int8_to_inputs_vnni;
    table.linear_to_inputs[kInt6] = linear_int6_to_inputs_vnni;
    table.input_bytes[kInt8] = 1;
  }
  return table;
}

KernelTable amx_kernels(const CpuFeatures& features) {
  KernelTable table = avx512_with_extensions(features);
  table.isa = "amx";
  table.linear[kBf16] = linear_bf16_amx;  // inputs as for the dot products
  table.linear[kInt8] = linear_int8_amx;
  table.linear[kInt6] = linear_int6_amx;
  table.linear[kInt4] = linear_int4_amx;
  table.linear_to_inputs[kBf16] = linear_bf16_to_inputs_amx;
  table.linear_to_inputs[kInt8] = linear_int8_to_inputs_amx;
  table.linear_to_inputs[kInt6] = nullptr;  // expanded for tiles, products are faster
  return table;
}
#endif

// Priority order, best first.
const Entry kEntries[] = {
#if defined(__x86_64__)
    {"amx", [](const CpuFeatures& f) { return f.amx; }, amx_kernels},
    {"avx512", [](const CpuFeatures& f) { return f.avx512; }, avx512_with_extensions},
    {"avx2", [](const CpuFeatures& f) { return f.avx2; },
     [](const CpuFeatures&) { return avx2_kernels(); }},
#endif
    {"scalar", [](const CpuFeatures&) { return true; },
     [](const CpuFeatures&) { return scalar_kernels(); }},
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

KernelTable select_kernels(const CpuFeatures& features, const std::string& name) {
  std::string wanted = name;
  const char* from = "isa";
  if (wanted.empty()) {
    const char* env = std::getenv("SENTINEL_ISA");
    if (env) wanted = env;
    from = "SENTINEL_ISA (environment)";
  }
  for (const Entry& entry : kEntries) {
    if (!wanted.empty() && wanted != entry.name) continue;
    if (entry.supported(features)) return entry.table(features);
    if (!wanted.empty()) {
      throw usage_error("{}: this CPU cannot run \"{}\"; choose one of {}", from, wanted,
                        joined(available_isas(features)));
    }
  }
  throw usage_error("{}: unknown instruction set \"{}\"; choose one of {}", from, printable(wanted),
                    joined(available_isas(features)));
}

}  // namespace sentinel
