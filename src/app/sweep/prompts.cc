#include "app/sweep/prompts.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"

namespace sentinel {

std::vector<std::string> builtin_prompts() {
  return {"The old lighthouse keeper climbed the stairs one last time and",
          "When the rain finally stopped, the two brothers looked at each other and",
          "Nobody in the village could remember a winter as long as this one, but",
          "She put the key on the table, closed her eyes, and said that",
          "Far beyond the last houses of the town, where the road ends,"};
}

std::vector<std::string> read_prompts(const std::string& path) {
  const std::string bytes = read_file(path, size_t{64} << 20);
  std::vector<std::string> prompts;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    std::string line = bytes.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) prompts.push_back(std::move(line));
    begin = end + 1;
  }
  if (prompts.empty()) throw bad_input("{}: no prompt in it; write one per line", path);
  return prompts;
}

std::vector<Prompt> make_prompts(const Tokenizer& tokenizer, const std::vector<std::string>& texts,
                                 int count, int sequence_length, std::span<const int32_t> filler) {
  std::vector<Prompt> prompts;
  for (int i = 0; i < count; ++i) {
    Prompt prompt;
    prompt.text = texts[static_cast<size_t>(i) % texts.size()];
    prompt.tokens = tokenizer.encode(prompt.text);
    prompt.own_tokens = static_cast<int>(prompt.tokens.size());
    if (prompt.tokens.empty()) throw usage_error("prompt {}: it has no tokens", i + 1);
    if (sequence_length > 0) {
      const auto length = static_cast<size_t>(sequence_length);
      if (prompt.tokens.size() < length && filler.empty()) {
        throw usage_error(
            "--sequence_length {}: the text has no tokens to continue the prompt "
            "with; give another --text",
            sequence_length);
      }
      for (size_t next = 0; prompt.tokens.size() < length; ++next) {
        prompt.tokens.push_back(filler[next % filler.size()]);
      }
      prompt.tokens.resize(length);
      prompt.own_tokens = std::min(prompt.own_tokens, sequence_length);
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

nlohmann::json to_json(const std::vector<Prompt>& prompts) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& prompt : prompts) {
    out.push_back({{"text", prompt.text},
                   {"own_tokens", prompt.own_tokens},
                   {"tokens", prompt.tokens.size()}});
  }
  return out;
}

}  // namespace sentinel
