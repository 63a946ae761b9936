// For unit tests: a model whose logits are any function of the tokens so far, and a tokenizer made
// of a list of strings.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/model.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel::testing {

// Fills logits [vocab_size] from all tokens of the sequence, the last one included.
using LogitsFunction = std::function<void(const std::vector<int32_t>& tokens, float* logits)>;

class FakeCheckpoint : public Checkpoint {
 public:
  FakeCheckpoint(int vocab_size, int context_length, int eos_token) {
    config_.family = "fake";
    config_.n_layers = 2;
    config_.n_heads = 2;
    config_.vocab_size = vocab_size;
    config_.context_length = context_length;
    config_.eos_token = eos_token;
    config_.layers.assign(2, LayerConfig{2, 4, {0, 1}});
  }
  const std::filesystem::path& folder() const override { return folder_; }
  const ModelConfig& config() const override { return config_; }
  const nlohmann::json& raw_config() const override { return raw_; }
  const ModelView& view() const override { return view_; }
  const std::vector<CheckpointTensor>& tensors() const override { return tensors_; }
  int64_t parameter_count() const override { return 0; }
  const std::string& origin() const override { return origin_; }
  void release_pages() const override {}

 private:
  std::filesystem::path folder_;
  ModelConfig config_;
  nlohmann::json raw_;
  ModelView view_;
  std::vector<CheckpointTensor> tensors_;
  std::string origin_ = "fake";
};

class FakeSession : public Session {
 public:
  FakeSession(const LogitsFunction& logits, int vocab, int max_sequences, int max_length)
      : logits_(logits), vocab_(vocab), max_length_(max_length), tokens_(max_sequences) {}
  int max_sequences() const override { return static_cast<int>(tokens_.size()); }
  int max_length() const override { return max_length_; }
  int length(int sequence) const override { return static_cast<int>(tokens_[sequence].size()); }
  void prefill(int sequence, std::span<const int32_t> tokens, float* logits) override {
    for (const int32_t token : tokens) tokens_[sequence].push_back(token);
    check_length(sequence);
    if (logits) logits_(tokens_[sequence], logits);
  }
  // Blocks of 3 rows, so that callers meet more than one block.
  void prefill(int sequence, std::span<const int32_t> tokens, const LogitsSink& sink) override {
    std::vector<float> block;
    const size_t first = tokens_[sequence].size();
    size_t sent = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      tokens_[sequence].push_back(tokens[i]);
      check_length(sequence);
      block.resize(block.size() + vocab_);
      logits_(tokens_[sequence], block.data() + block.size() - vocab_);
      const size_t rows = i + 1 - sent;
      if (rows < 3 && i + 1 < tokens.size()) continue;
      sink(static_cast<int>(first + sent), static_cast<int>(rows), block.data());
      sent = i + 1;
      block.clear();
    }
  }
  void window(int sequence, std::span<const int32_t> tokens, float* logits) override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      prefill(sequence, tokens.subspan(i, 1), logits + i * vocab_);
    }
  }
  void step(std::span<const int32_t> tokens, float* logits) override {
    for (size_t s = 0; s < tokens.size(); ++s) {
      prefill(static_cast<int>(s), tokens.subspan(s, 1), logits + s * vocab_);
    }
  }
  void truncate(int sequence, int length) override { tokens_[sequence].resize(length); }
  void set_observer(Observer*) override {}

 private:
  void check_length(int sequence) const {
    if (length(sequence) > max_length_) throw Error(ErrorKind::usage, "fake session is full");
  }

  const LogitsFunction& logits_;
  size_t vocab_;
  int max_length_;
  std::vector<std::vector<int32_t>> tokens_;
};

class FakeModel : public Model {
 public:
  FakeModel(int vocab_size, int context_length, LogitsFunction logits, int eos_token = -1)
      : checkpoint_(vocab_size, context_length, eos_token),
        heads_(checkpoint_.config()),
        logits_(std::move(logits)) {}
  const Checkpoint& checkpoint() const override { return checkpoint_; }
  const ModelInfo& info() const override { return info_; }
  HeadTable& heads() override { return heads_; }
  const HeadTable& heads() const override { return heads_; }
  std::unique_ptr<Session> new_session(int max_sequences, int max_length) override {
    return std::make_unique<FakeSession>(logits_, checkpoint_.config().vocab_size, max_sequences,
                                         max_length);
  }
  int64_t bytes_per_token(int) const override { return 1; }
  double flops_per_token(int) const override { return 1; }

 private:
  FakeCheckpoint checkpoint_;
  ModelInfo info_;
  HeadTable heads_;
  LogitsFunction logits_;
};

// Token i stands for pieces[i]; encode() takes the longest piece at each position.
class FakeTokenizer : public Tokenizer {
 public:
  explicit FakeTokenizer(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  int vocab_size() const override { return static_cast<int>(pieces_.size()); }
  std::vector<int32_t> encode(std::string_view text, bool) const override {
    std::vector<int32_t> ids;
    while (!text.empty()) {
      int best = -1;
      for (int i = 0; i < vocab_size(); ++i) {
        const bool fits = !pieces_[i].empty() && text.starts_with(pieces_[i]);
        if (fits && (best < 0 || pieces_[i].size() > pieces_[best].size())) best = i;
      }
      if (best < 0) throw Error(ErrorKind::usage, "fake tokenizer: no piece fits");
      ids.push_back(best);
      text.remove_prefix(pieces_[best].size());
    }
    return ids;
  }
  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) text += pieces_.at(id);
    return text;
  }
  std::string_view token_bytes(int32_t id) const override { return pieces_.at(id); }
  bool is_special(int32_t) const override { return false; }

 private:
  std::vector<std::string> pieces_;
};

}  // namespace sentinel::testing
