// Text that anybody may have chosen made safe for the format it is written into.
#pragma once

#include <string>
#include <string_view>

namespace sentinel {

// For XML and HTML, as content or between quotes. Characters that XML does not allow are replaced
// by U+FFFD. `text` is valid UTF-8 (parse_json saw to that).
std::string escape_markup(std::string_view text);

// One field of RFC 4180: quoted when it holds a comma, a quote or a line end.
std::string escape_csv(std::string_view text);

// One cell of a pipe table, or a run of text: everything that Markdown or HTML would read is
// escaped, line ends become blanks.
std::string escape_markdown(std::string_view text);

// A shell command as a code block, whose fence is longer than any run of backticks in it.
std::string markdown_code_block(std::string_view command);

// One word of a POSIX shell command, quoted when it must be.
std::string escape_shell(std::string_view text);

}  // namespace sentinel
