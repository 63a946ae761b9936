#include "app/report/html_export.h"

#include <fmt/format.h>

#include "app/report/charts.h"
#include "app/report/export_findings.h"
#include "app/report/export_tables.h"
#include "app/report/html_style.h"
#include "base/escape.h"

namespace sentinel {
namespace {

std::string cell_html(const ReportCell& cell, int decimals) {
  const std::string text = escape_markup(cell_text(cell, decimals));
  if (const auto* number = std::get_if<double>(&cell)) {
    return fmt::format("<td class=\"n\" data-v=\"{}\">{}</td>", *number, text);
  }
  return fmt::format("<td>{}</td>", text);
}

// The scroll container takes the keyboard, so that wide tables can be read without a mouse.
std::string table_html(const ReportTable& table, const std::string& label) {
  std::string out = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">\n"
      "<table class=\"data\">\n<thead><tr>",
      escape_markup(label));
  for (size_t c = 0; c < table.columns.size(); ++c) {
    out += fmt::format("<th scope=\"col\"{}>{}</th>", is_numeric(table, c) ? " class=\"n\"" : "",
                       escape_markup(table.columns[c].shown()));
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (size_t c = 0; c < row.size(); ++c) out += cell_html(row[c], table.columns[c].decimals);
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n</div>\n";
}

// Columns without any value say nothing.
ReportTable without_empty_columns(const ReportTable& table) {
  ReportTable out{table.name, table.title, {}, {}};
  out.rows.resize(table.rows.size());
  for (size_t c = 0; c < table.columns.size(); ++c) {
    bool any = false;
    for (const auto& row : table.rows) {
      const auto* text = std::get_if<std::string>(&row[c]);
      any |= std::holds_alternative<double>(row[c]) || (text && !text->empty());
    }
    if (!any) continue;
    out.columns.push_back(table.columns[c]);
    for (size_t r = 0; r < table.rows.size(); ++r) out.rows[r].push_back(table.rows[r][c]);
  }
  return out;
}

std::string head_html(const std::string& base) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"generator\" content=\"sentinel export\">\n"
      "<title>Profiling Report: {}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
      escape_markup(base), html_style());
}

std::string section_start(const std::string& id, const std::string& title) {
  return fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-h\">\n<h2 id=\"{0}-h\">{1}</h2>\n",
                     escape_markup(id), escape_markup(title));
}

std::string recommendation_html(const std::vector<Finding>& found) {
  if (found.empty()) return "";
  std::string out =
      section_start("recommendation", "Optimization Recommendations") + "<ul class=\"cards\">\n";
  for (const Finding& finding : found) {
    out += fmt::format(
        "<li><p class=\"title\">{}</p><p class=\"choice\">{}</p><p>{}</p>"
        "<p class=\"reason\">Chosen by: {}.</p></li>\n",
        escape_markup(finding.title), escape_markup(finding.choice), escape_markup(finding.figures),
        escape_markup(finding.reason));
  }
  return out + "</ul>\n</section>\n";
}

std::string charts_html(const std::vector<Chart>& charts) {
  if (charts.empty()) return "";
  std::string out = section_start("charts", "Charts") + "<div class=\"charts\">\n";
  for (const Chart& chart : charts) {
    out += fmt::format(
        "<figure id=\"chart-{}\">\n{}<details><summary>Data of this chart</summary>"
        "\n{}</details>\n</figure>\n",
        escape_markup(chart.name), chart.drawing.svg(),
        table_html(without_empty_columns(chart.data), chart.drawing.title()));
  }
  return out + "</div>\n</section>\n";
}

std::string environment_html(const ResultFile& file) {
  const auto rows = environment_rows(file);
  if (rows.empty()) return "";
  std::string out = section_start("environment", "Environment") +
                    "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                    "aria-label=\"Environment\">\n<table class=\"facts\">\n<tbody>\n";
  for (const auto& [name, value] : rows) {
    out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_markup(name),
                       escape_markup(value));
  }
  return out + "</tbody>\n</table>\n</div>\n</section>\n";
}

std::string reproduce_html(const ResultFile& file) {
  std::string out = section_start("reproduce", "Reproduce");
  const auto command = [&](const char* what, const std::string& text) {
    out += fmt::format("<p>{}</p>\n<pre class=\"command\"><code>{}</code></pre>\n", what,
                       escape_markup(text));
  };
  if (file.document.contains("args")) {
    const std::string profile = profile_command(file.document["args"]);
    if (!profile.empty()) command("The measurement:", profile);
  }
  command("This report:", export_command(file));
  return out + "</section>\n";
}

std::string raw_html(const ResultFile& file) {
  const std::string text =
      file.document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
  return section_start("raw", "Raw result") +
         "<details class=\"raw\"><summary>The whole result file (JSON)</summary>\n"
         "<pre id=\"raw-json\" tabindex=\"0\">" +
         escape_markup(text) + "</pre></details>\n</section>\n";
}

}  // namespace

std::string export_html(const ResultFile& file, const std::string& base,
                        const std::string& generated_on) {
  const auto tables = export_tables(file);
  const auto found = findings(file);
  const auto charts = export_charts(file);
  std::string out = head_html(base);
  out += fmt::format(
      "<header>\n<h1>Profiling Report: {}</h1>\n"
      "<p class=\"meta\">Generated on: {}</p>\n<nav aria-label=\"Sections\">",
      escape_markup(base), escape_markup(generated_on));
  const auto link = [&](const std::string& id, const std::string& title) {
    out += fmt::format("<a href=\"#{}\">{}</a>\n", escape_markup(id), escape_markup(title));
  };
  if (!found.empty()) link("recommendation", "Recommendations");
  if (!charts.empty()) link("charts", "Charts");
  for (const ReportTable& table : tables) link(table.name, table.title);
  if (!environment_rows(file).empty()) link("environment", "Environment");
  link("reproduce", "Reproduce");
  link("raw", "Raw result");
  out += "</nav>\n";
  for (const auto& note : notes(file)) {
    out += fmt::format("<p class=\"note\">{}</p>\n", escape_markup(note));
  }
  out += "</header>\n<main>\n" + recommendation_html(found) + charts_html(charts);
  for (const ReportTable& table : tables) {
    out += section_start(table.name, table.title) + table_html(table, table.title) + "</section>\n";
  }
  out += environment_html(file) + reproduce_html(file) + raw_html(file);
  out +=
      "</main>\n<footer>Measured and written by Sentinel. Original: the plain transformer with "
      "heads removed. Optimized: the adaptive model with the same heads closed.</footer>\n";
  return out + "<script>" + html_script() + "</script>\n</body>\n</html>\n";
}

}  // namespace sentinel
