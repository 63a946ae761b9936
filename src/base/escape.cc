#include "base/escape.h"

#include <fmt/format.h>

#include <cctype>

namespace sentinel {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool is_control(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u < 0x20 || u == 0x7f;
}

// U+FFFE and U+FFFF are valid UTF-8 but no XML characters.
bool is_noncharacter(std::string_view text, size_t i) {
  return text.substr(i, 3) == "\xEF\xBF\xBE" || text.substr(i, 3) == "\xEF\xBF\xBF";
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if (is_noncharacter(text, i)) {
      out += kReplacement;
      i += 2;
    } else if (is_control(c) && c != '\n' && c != '\t') {
      out += kReplacement;
    } else {
      out += c;
    }
  }
  return out;
}

std::string escape_csv(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string escape_markdown(std::string_view text) {
  // An underscore within a word is no mark, and names of files and heads are full of them.
  const auto is_in_word = [&](size_t i) {
    const auto is_word = [](char c) {
      return static_cast<unsigned char>(c) < 0x80 && std::isalnum(static_cast<unsigned char>(c));
    };
    return i > 0 && i + 1 < text.size() && is_word(text[i - 1]) && is_word(text[i + 1]);
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_control(c)) {
      out += ' ';
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      const bool is_mark = std::string_view("|\\`*_[]#~").find(c) != std::string_view::npos;
      if (is_mark && !(c == '_' && is_in_word(i))) out += '\\';
      out += c;
    }
  }
  return out;
}

std::string markdown_code_block(std::string_view command) {
  std::string fence = "```";
  while (command.find(fence) != std::string_view::npos) fence += '`';
  return fmt::format("{0}bash\n{1}\n{0}\n", fence, command);
}

std::string escape_shell(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:=+@";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos) {
    return std::string(text);
  }
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace sentinel
