#include "app/sweep/model_pool.h"

#include <algorithm>
#include <fstream>

namespace sentinel {

int64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string name, unit; file >> name;) {
    int64_t kib = 0;
    if (!(file >> kib)) return 0;
    std::getline(file, unit);
    if (name == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

ModelPool::ModelPool(std::shared_ptr<const Checkpoint> checkpoint, int64_t budget_bytes)
    : checkpoint_(std::move(checkpoint)),
      budget_(budget_bytes > 0 ? budget_bytes : available_memory() / 2) {}

int64_t ModelPool::held_bytes() const {
  int64_t bytes = 0;
  for (const auto& entry : entries_) bytes += entry.model->info().weight_bytes;
  return bytes;
}

std::shared_ptr<const Checkpoint> ModelPool::checkpoint_for(const std::vector<HeadId>& closed) {
  if (!source_ || closed.empty()) return checkpoint_;
  for (const auto& [heads, checkpoint] : sources_) {
    if (heads == closed) return checkpoint;
  }
  return sources_.emplace_back(closed, source_(closed)).second;
}

std::shared_ptr<Model> ModelPool::get(const ModelOptions& options, const std::string& sharing,
                                      const std::vector<HeadId>& closed) {
  const Key key{options, sharing, source_ ? closed : std::vector<HeadId>()};
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  if (found != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front().model;
  }
  // Room for one more of the size of the last one is made before packing, so that the peak stays
  // within the budget too.
  const int64_t expected = entries_.empty() ? 0 : entries_.front().model->info().weight_bytes;
  while (!entries_.empty() && held_bytes() + expected > budget_) entries_.pop_back();
  ModelOptions own = options;
  if (!own.pool && own.level > 0) {
    const int count = ThreadPool::count_for(own.threads);
    auto& threads = threads_[count];
    if (!threads) threads = std::make_shared<ThreadPool>(count);
    own.pool = threads;
  }
  entries_.push_front({key, Model::create(checkpoint_for(closed), own)});
  return entries_.front().model;
}

}  // namespace sentinel
