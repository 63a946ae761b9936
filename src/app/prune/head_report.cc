#include "app/prune/head_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "app/prune/calibration.h"
#include "base/error.h"
#include "base/escape.h"

namespace sentinel {
namespace {

constexpr int kCell = 26, kGap = 46, kMargin = 40, kTop = 64, kPanelsPerRow = 4;

// Dark blue over teal to yellow: grows in lightness, so it also reads in grey and for colour-blind
// eyes.
std::string colour(double share) {
  constexpr std::array<std::array<double, 3>, 4> kStops = {
      {{46, 33, 92}, {38, 104, 128}, {92, 177, 112}, {246, 225, 92}}};
  const double at = std::clamp(share, 0.0, 1.0) * (kStops.size() - 1);
  const auto low = std::min<size_t>(static_cast<size_t>(at), kStops.size() - 2);
  const double part = at - static_cast<double>(low);
  std::array<int, 3> c{};
  for (size_t i = 0; i < 3; ++i) {
    c[i] = static_cast<int>(std::lround(kStops[low][i] * (1 - part) + kStops[low + 1][i] * part));
  }
  return fmt::format("#{:02x}{:02x}{:02x}", c[0], c[1], c[2]);
}

// Ranks in [0, 1]: scores of different strategies have different scales and long tails.
HeadScores ranks(const HeadScores& scores) {
  std::vector<double> all;
  for (const auto& layer : scores) all.insert(all.end(), layer.begin(), layer.end());
  std::sort(all.begin(), all.end());
  HeadScores out = scores;
  for (auto& layer : out) {
    for (double& value : layer) {
      const auto at = std::lower_bound(all.begin(), all.end(), value) - all.begin();
      value = all.size() > 1 ? static_cast<double>(at) / static_cast<double>(all.size() - 1) : 0;
    }
  }
  return out;
}

void draw_panel(const std::string& name, const HeadScores& scores, int x, int y, std::string& svg) {
  svg += fmt::format("<text x=\"{}\" y=\"{}\" class=\"name\">{}</text>\n", x, y - 22, name);
  const HeadScores shares = ranks(scores);
  size_t widest = 0;
  for (size_t l = 0; l < scores.size(); ++l) {
    const int row = y + static_cast<int>(l) * kCell;
    svg += fmt::format("<text x=\"{}\" y=\"{}\" class=\"axis\" text-anchor=\"end\">{}</text>\n",
                       x - 5, row + 17, l);
    widest = std::max(widest, scores[l].size());
    for (size_t h = 0; h < scores[l].size(); ++h) {
      svg += fmt::format(
          "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"><title>{}: layer {}, "
          "head {}: {:.6g}</title></rect>\n",
          x + static_cast<int>(h) * kCell, row, kCell - 1, kCell - 1, colour(shares[l][h]), name, l,
          h, scores[l][h]);
    }
  }
  for (size_t h = 0; h < widest; ++h) {
    svg += fmt::format("<text x=\"{}\" y=\"{}\" class=\"axis\" text-anchor=\"middle\">{}</text>\n",
                       x + static_cast<int>(h) * kCell + kCell / 2, y - 6, h);
  }
}

// What the colours say, below the panels.
std::string draw_legend(int x, int y) {
  constexpr int kSteps = 40, kStep = 3;
  constexpr const char* kText =
      "rank within a panel, lowest to highest; by a score the lowest goes first";
  std::string svg;
  for (int i = 0; i < kSteps; ++i) {
    svg += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"10\" fill=\"{}\"/>\n",
                       x + i * kStep, y, kStep, colour(static_cast<double>(i) / (kSteps - 1)));
  }
  return svg + fmt::format("<text x=\"{}\" y=\"{}\" class=\"axis\">{}</text>\n",
                           x + kSteps * kStep + 8, y + 9, kText);
}

}  // namespace

HeadReport report_heads(const RankingInput& input,
                        const std::function<void(const std::string&)>& progress) {
  HeadReport report;
  if (progress) progress("entropy and utilisation");
  const CalibrationStats stats = collect_head_stats(input, true);
  RankingInput shared = input;
  shared.stats = &stats;
  report.tokens = stats.tokens;
  for (const LayerStats& layer : stats.layers) {
    report.entropy.push_back(layer.entropy);
    report.utilization.push_back(layer.utilization);
  }
  try {
    for (const RankingStrategy& strategy : ranking_strategies()) {
      if (progress) progress(strategy.name);
      HeadRanking ranking = rank_heads(strategy, shared);
      report.scores.push_back({ranking.strategy, ranking.definition, std::move(ranking.scores)});
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::interrupted) throw;
    report.interrupted = true;
  }
  return report;
}

nlohmann::json to_json(const HeadReport& report) {
  nlohmann::json scores = nlohmann::json::object(), definitions = nlohmann::json::object();
  for (const auto& score : report.scores) {
    scores[score.strategy] = score.scores;
    definitions[score.strategy] = score.definition;
  }
  return {{"scores", std::move(scores)}, {"definitions", std::move(definitions)},
          {"entropy", report.entropy},   {"utilization", report.utilization},
          {"tokens", report.tokens},     {"interrupted", report.interrupted}};
}

std::string heatmap_svg(const HeadReport& report, const std::string& title) {
  std::vector<std::pair<std::string, const HeadScores*>> panels;
  for (const auto& score : report.scores) {
    // The score of `entropy` is the entropy with its sign changed.
    if (score.strategy != "entropy") panels.emplace_back(score.strategy, &score.scores);
  }
  panels.emplace_back("attention entropy (nats)", &report.entropy);
  panels.emplace_back("utilisation 1 - H / ln n", &report.utilization);
  size_t heads = 1;
  for (const auto& layer : report.entropy) heads = std::max(heads, layer.size());
  const int panel_width = std::max(static_cast<int>(heads) * kCell, 190) + kGap;
  const int panel_height = static_cast<int>(report.entropy.size()) * kCell + 2 * kGap;
  const int rows = (static_cast<int>(panels.size()) + kPanelsPerRow - 1) / kPanelsPerRow;
  const int width = kMargin + kPanelsPerRow * panel_width, height = kTop + rows * panel_height + 36;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\">\n<title>{2}</title>\n<desc>One cell per head, layers from top to "
      "bottom; colour is the head's rank within its panel, from dark (lowest; by a score: removed "
      "first) to light. Hover a cell for its "
      "value.</desc>\n<style>text{{font-family:sans-serif;fill:#222}}"
      ".title{{font-size:16px}}.name{{font-size:13px}}.axis{{font-size:10px;fill:#555}}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"{3}\" y=\"24\" class=\"title\">{2}</text>\n",
      width, height, escape_markup(printable(title)), kMargin);
  for (size_t i = 0; i < panels.size(); ++i) {
    const int x = kMargin + static_cast<int>(i % kPanelsPerRow) * panel_width;
    const int y = kTop + kGap / 2 + static_cast<int>(i / kPanelsPerRow) * panel_height;
    draw_panel(panels[i].first, *panels[i].second, x, y, svg);
  }
  return svg + draw_legend(kMargin, height - 30) + "</svg>\n";
}

}  // namespace sentinel
