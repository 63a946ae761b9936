// Packed models of one checkpoint, kept while they fit a budget of memory. What they are made from
// instead of it (use_for_closed) is kept beside that budget: making it takes minutes.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"

namespace sentinel {

class ModelPool {
 public:
  // budget_bytes of packed weights; 0: half of the memory that is available now.
  explicit ModelPool(std::shared_ptr<const Checkpoint> checkpoint, int64_t budget_bytes = 0);

  // The model made from these options, packed now unless it is held. Whoever shares `sharing` ("a")
  // shares the model and its head table. Packing drops the longest unused models beyond the budget;
  // a model stays alive as long as somebody holds it.
  // `closed`: the heads it will run without.
  std::shared_ptr<Model> get(const ModelOptions& options, const std::string& sharing = "",
                             const std::vector<HeadId>& closed = {});
  // What models that run without some heads are made from, instead of the checkpoint.
  using Source = std::function<std::shared_ptr<const Checkpoint>(const std::vector<HeadId>&)>;
  void use_for_closed(Source source) { source_ = std::move(source); }
  int64_t held_bytes() const;

 private:
  struct Key {
    ModelOptions options;
    std::string sharing;
    std::vector<HeadId> closed;  // empty where all are made from the checkpoint
    bool operator==(const Key&) const = default;
  };
  struct Entry {
    Key key;
    std::shared_ptr<Model> model;
  };
  std::shared_ptr<const Checkpoint> checkpoint_for(const std::vector<HeadId>& closed);

  std::shared_ptr<const Checkpoint> checkpoint_;
  Source source_;
  std::vector<std::pair<std::vector<HeadId>, std::shared_ptr<const Checkpoint>>> sources_;
  int64_t budget_;
  std::list<Entry> entries_;  // the last used in front
  // By their number: a model with threads of its own would find them asleep, and on other cores,
  // whenever another model ran before.
  std::map<int, std::shared_ptr<ThreadPool>> threads_;
};

// MemAvailable of /proc/meminfo in bytes; 0 if it cannot be read.
int64_t available_memory();

}  // namespace sentinel
