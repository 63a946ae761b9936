// Tokens that are found in the text before it is cut into pieces: special tokens and the like.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sentinel {

struct AddedToken {
  std::string content;  // as it stands in the text; not empty
  int32_t id = -1;
  bool special = false;     // looked for only when special tokens are parsed
  bool normalized = false;  // looked for after the others, in what they left
};

class AddedTokenMatcher {
 public:
  struct Match {
    size_t begin;  // text.size() if there is none
    size_t length;
    int32_t id;
  };

  // Contents differ from each other.
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  // The leftmost match at or after `begin`; of several there, the longest.
  Match find(std::string_view text, size_t begin) const;
  bool empty() const { return tokens_.empty(); }

 private:
  std::vector<AddedToken> tokens_;     // by first byte, then longest first
  std::array<uint32_t, 257> first_{};  // [byte] where its tokens start in tokens_
};

}  // namespace sentinel
