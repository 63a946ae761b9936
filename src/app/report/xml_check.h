// For tests: is a text well-formed XML (elements, attributes, entities)? No namespaces, no DTD.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sentinel::testing {

// Empty, or what is wrong and where.
inline std::string xml_problem(std::string_view text) {
  std::vector<std::string> open;
  size_t i = 0;
  bool seen = false;
  const auto at = [&](const char* what) { return what + (" at byte " + std::to_string(i)); };
  const auto entity_ok = [&](size_t from) {
    for (const char* known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
      if (text.substr(from).starts_with(known)) return true;
    }
    return false;
  };
  for (; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 && c != '\n' && c != '\t' && c != '\r') return at("control character");
    if (c == '&' && !entity_ok(i)) return at("bare &");
    if (c != '<') {
      if (open.empty() && c > ' ') return at("text outside the root");
      continue;
    }
    if (text.substr(i).starts_with("<?")) {
      i = text.find("?>", i);
      if (i == std::string_view::npos) return "open processing instruction";
      ++i;
      continue;
    }
    const bool closing = i + 1 < text.size() && text[i + 1] == '/';
    size_t end = i + 1 + closing;
    while (end < text.size() && (isalnum(static_cast<unsigned char>(text[end])))) ++end;
    const std::string name(text.substr(i + 1 + closing, end - i - 1 - closing));
    if (name.empty()) return at("bare <");
    char quote = 0;
    for (; end < text.size() && (quote || text[end] != '>'); ++end) {
      if (text[end] == '<') return at("< inside a tag");
      if (text[end] == '&' && !entity_ok(end)) return at("bare & in an attribute");
      if (quote ? text[end] == quote : text[end] == '"' || text[end] == '\'') {
        quote = quote ? 0 : text[end];
      }
    }
    if (end >= text.size()) return at("open tag");
    if (closing) {
      if (open.empty() || open.back() != name) return at("wrong end tag");
      open.pop_back();
    } else if (text[end - 1] != '/') {
      if (open.empty() && seen) return at("second root");
      open.push_back(name);
      seen = true;
    }
    i = end;
  }
  if (!open.empty()) return "no end of <" + open.back() + ">";
  return seen ? "" : "no element";
}

}  // namespace sentinel::testing
