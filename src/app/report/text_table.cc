#include "app/report/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/escape.h"

namespace sentinel {
namespace {

// Columns whose every cell starts like a number are right-aligned.
bool is_numeric(const std::string& cell) {
  return cell.empty() || cell == "-" || (cell[0] >= '0' && cell[0] <= '9') ||
         (cell.size() > 1 && (cell[0] == '+' || cell[0] == '-'));
}

bool right_aligned(const TextTable& table, size_t column) {
  return std::all_of(table.rows.begin(), table.rows.end(),
                     [&](const auto& row) { return is_numeric(row[column]); });
}

// Characters, not bytes, so that a non-ASCII name does not shift the columns.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string TextTable::plain() const {
  std::vector<size_t> widths;
  std::vector<bool> right;
  for (size_t c = 0; c < header.size(); ++c) {
    right.push_back(right_aligned(*this, c));
    size_t width = width_of(header[c]);
    for (const auto& row : rows) width = std::max(width, width_of(row[c]));
    widths.push_back(width);
  }
  std::string out;
  const auto add = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string pad(widths[c] - width_of(cells[c]), ' ');
      line += (c ? "  " : "") + (right[c] ? pad + cells[c] : cells[c] + pad);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add(header);
  std::vector<std::string> rule;
  for (const size_t width : widths) rule.emplace_back(width, '-');
  add(rule);
  for (const auto& row : rows) add(row);
  return out;
}

std::string TextTable::markdown() const {
  std::string out;
  const auto add = [&](const std::vector<std::string>& cells) {
    out += "|";
    for (const auto& cell : cells) out += fmt::format(" {} |", escape_markdown(cell));
    out += "\n";
  };
  add(header);
  out += "|";
  for (size_t c = 0; c < header.size(); ++c) out += right_aligned(*this, c) ? " ---: |" : " --- |";
  out += "\n";
  for (const auto& row : rows) add(row);
  return out;
}

std::string format_number(double value, int decimals) {
  if (!std::isfinite(value)) return "-";
  std::string text = fmt::format("{:.{}f}", value, decimals);
  size_t end = std::min(text.find('.'), text.size());
  const size_t begin = text[0] == '-' ? 1 : 0;
  for (; end > begin + 3; end -= 3) text.insert(end - 3, 1, ',');
  return text;
}

std::string format_change(double percent) {
  return std::isfinite(percent) ? fmt::format("{:+.2f} %", percent) : "-";
}

std::string format_bytes(double bytes) {
  if (!std::isfinite(bytes)) return "-";
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; bytes >= 1000 && unit + 1 < kUnits.size(); ++unit) bytes /= 1000;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits[unit]);
}

}  // namespace sentinel
