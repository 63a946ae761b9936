// Drives a controller while a model writes: measures, decides every few tokens, keeps the journal.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "model/agency/controller.h"
#include "model/model.h"

namespace sentinel {

struct TextScore {
  double perplexity = 0;
  int64_t tokens = 0;
};

class Steering {
 public:
  // Scores the controller's text with the heads as they are. Its argument (may be null), once set,
  // ends that: Error (interrupted).
  using Measure = std::function<TextScore(const std::atomic<bool>* cancel)>;

  // `measure` null: there is no text. The model outlives this object.
  // Error (usage): options as Controller; a model whose heads cannot be steered.
  Steering(Model& model, const ControllerOptions& options, Measure measure);
  // Opens what the controller has closed and others have left alone.
  void release();

  // To be called by the generation (GenerateOptions): the place where heads change, and the model's
  // time for one step.
  void before_token(int index, const std::atomic<bool>* cancel = nullptr);
  void after_step(int64_t ns);

  ControllerReport report() const;

 private:
  void measure_text();
  void search();
  void decide();
  TextScore score(const std::vector<HeadId>& closed);
  HeadImportance importance() const;
  double head_share() const;
  void make(ControllerMoves moves);

  Model& model_;
  Controller controller_;
  Measure measure_;
  ControllerReport report_;
  const std::atomic<bool>* cancel_ = nullptr;  // of the generation that runs
  HeadImportance from_text_;                   // empty: what is tracked decides
  std::vector<int64_t> step_ns_;
  uint64_t version_ = 0;  // of the heads as the search left them; 0: not searched yet
  int64_t token_ = 0, first_token_ = 0;
};

}  // namespace sentinel
