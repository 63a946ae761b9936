#include "app/report/charts_drawing.h"

#include <fmt/format.h>

#include "base/escape.h"

namespace sentinel {
namespace {

constexpr InkColor kInks[] = {{"text", "#1b1f24", "#e8eaed"},    {"muted", "#565d66", "#a8b0ba"},
                              {"grid", "#dfe3e8", "#333a43"},    {"axis", "#7a828c", "#8a939e"},
                              {"paper", "#ffffff", "#14181d"},   {"series1", "#0067a5", "#5ab4f0"},
                              {"series2", "#c44601", "#ff9a5c"}, {"series3", "#00795a", "#3cc99a"},
                              {"series4", "#92478a", "#dc9ad6"}, {"series5", "#8a6200", "#e6bd4a"},
                              {"series6", "#4a5058", "#c0c7cf"}};

constexpr SeriesStyle kStyles[kSeriesStyles] = {
    {Ink::series1, "", Marker::circle},           {Ink::series2, "7 3", Marker::square},
    {Ink::series3, "2 3", Marker::triangle},      {Ink::series4, "9 3 2 3", Marker::diamond},
    {Ink::series5, "4 2 1 2 1 2", Marker::cross}, {Ink::series6, "12 4", Marker::plus}};

// Two decimals at most: a hundredth of a pixel is not seen.
std::string num(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string fill(Ink ink) {
  const InkColor color = ink_color(ink);
  return fmt::format("class=\"f-{}\" fill=\"{}\"", color.name, color.light);
}

std::string stroke_of(const Stroke& stroke) {
  const InkColor color = ink_color(stroke.ink);
  std::string out = fmt::format("class=\"s-{}\" stroke=\"{}\" stroke-width=\"{}\"", color.name,
                                color.light, num(stroke.width));
  if (*stroke.dash) out += fmt::format(" stroke-dasharray=\"{}\"", stroke.dash);
  return out;
}

std::string points(const std::vector<Spot>& spots) {
  std::string out;
  for (const Spot& spot : spots) {
    out += fmt::format("{}{},{}", out.empty() ? "" : " ", num(spot.x), num(spot.y));
  }
  return out;
}

// `element` is open ("<rect ..."): closes it, with a <title> inside when there is one.
std::string closed(const std::string& element, const char* name, const std::string& hover) {
  if (hover.empty()) return element + "/>\n";
  return fmt::format("{}><title>{}</title></{}>\n", element, escape_markup(hover), name);
}

double glyph_width(char32_t c) {
  if (c > 0x2000) return 1.0;  // CJK, symbols
  if (c < 0x80) {
    const char ascii = static_cast<char>(c);
    if (std::string_view("iIjl.,:;'|!() ").find(ascii) != std::string_view::npos) return 0.36;
    if (std::string_view("mwMW%@+=<>~").find(ascii) != std::string_view::npos) return 0.9;
  }
  return 0.64;
}

// The code point that starts at `i`, which moves behind it; valid UTF-8.
char32_t next_point(std::string_view text, size_t& i) {
  const auto lead = static_cast<unsigned char>(text[i]);
  const int length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  char32_t point = length == 1 ? lead : lead & (0x7f >> length);
  for (int k = 1; k < length && i + k < text.size(); ++k) {
    point = (point << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3f);
  }
  i += static_cast<size_t>(length);
  return point;
}

}  // namespace

SeriesStyle series_style(int index) { return kStyles[index % kSeriesStyles]; }

InkColor ink_color(Ink ink) { return kInks[static_cast<int>(ink)]; }

double text_width(std::string_view text, double size) {
  double width = 0;
  for (size_t i = 0; i < text.size();) width += glyph_width(next_point(text, i));
  return width * size;
}

std::string fit_text(std::string_view text, double width, double size) {
  double left = text_width(text, size);
  if (left <= width) return std::string(text);
  const double room = width - size;                // the ellipsis
  if (text.find('/') != std::string_view::npos) {  // paths differ at their end
    size_t from = 0;
    while (from < text.size() && left > room) left -= glyph_width(next_point(text, from)) * size;
    return "\u2026" + std::string(text.substr(from));
  }
  double used = 0;
  size_t end = 0;
  for (size_t i = 0; i < text.size(); end = i) {
    used += glyph_width(next_point(text, i)) * size;
    if (used > room) break;
  }
  return std::string(text.substr(0, end)) + "\u2026";
}

Drawing::Drawing(std::string name, double width, double height)
    : name_(std::move(name)), width_(width), height_(height) {}

void Drawing::set_alternative(std::string title, std::string description) {
  title_ = std::move(title);
  description_ = std::move(description);
}

void Drawing::line(Spot from, Spot to, const Stroke& stroke) {
  body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" {}/>\n", num(from.x),
                       num(from.y), num(to.x), num(to.y), stroke_of(stroke));
}

void Drawing::interval(Spot from, Spot to, bool open, const Stroke& stroke) {
  constexpr double kHalf = 4;
  const double dx = from.x == to.x ? 0 : to.x > from.x ? kHalf : -kHalf;
  const double dy = from.y == to.y ? 0 : to.y > from.y ? kHalf : -kHalf;
  const auto across = [&](Spot at) {  // (dy, dx) is across (dx, dy) where one of them is 0
    line({at.x - dy, at.y - dx}, {at.x + dy, at.y + dx}, stroke);
  };
  line(from, to, stroke);
  across(from);
  if (!open) return across(to);
  for (const double side : {-1.0, 1.0}) {
    line(to, {to.x - dx + side * dy, to.y - dy + side * dx}, stroke);
  }
}

void Drawing::polyline(const std::vector<Spot>& spots, const Stroke& stroke) {
  if (spots.size() < 2) return;
  body_ += fmt::format("<polyline points=\"{}\" fill=\"none\" {} stroke-linejoin=\"round\"/>\n",
                       points(spots), stroke_of(stroke));
}

void Drawing::rect(Spot corner, double width, double height, Ink ink, const std::string& hover) {
  body_ += closed(fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" {}",
                              num(corner.x), num(corner.y), num(width), num(height), fill(ink)),
                  "rect", hover);
}

void Drawing::tile(Spot corner, double width, double height, const std::string& rgb,
                   const std::string& hover) {
  body_ +=
      closed(fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"",
                         num(corner.x), num(corner.y), num(width), num(height), escape_markup(rgb)),
             "rect", hover);
}

void Drawing::text(Spot at, std::string_view text, const TextStyle& style) {
  constexpr const char* kAnchors[] = {"start", "middle", "end"};
  std::string attributes =
      fmt::format("x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{}\" {}", num(at.x), num(at.y),
                  num(style.size), kAnchors[static_cast<int>(style.anchor)], fill(style.ink));
  if (style.halo) {
    attributes += " paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"3\"";
  }
  if (style.bold) attributes += " font-weight=\"bold\"";
  if (style.rotate != 0) {
    attributes +=
        fmt::format(" transform=\"rotate({} {} {})\"", num(style.rotate), num(at.x), num(at.y));
  }
  body_ += fmt::format("<text {}>{}</text>\n", attributes, escape_markup(text));
}

void Drawing::marker(Spot at, Marker shape, Ink ink, const std::string& hover) {
  constexpr double r = 4.2;
  const auto [x, y] = at;
  const auto polygon = [&](const std::vector<Spot>& spots) {
    body_ += closed(fmt::format("<polygon points=\"{}\" {}", points(spots), fill(ink)), "polygon",
                    hover);
  };
  const auto strokes = [&](const std::string& path) {
    body_ += closed(fmt::format("<path d=\"{}\" fill=\"none\" {}", path, stroke_of({ink, 2.4, ""})),
                    "path", hover);
  };
  switch (shape) {
    case Marker::circle:
      body_ += closed(
          fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {}", num(x), num(y), num(r), fill(ink)),
          "circle", hover);
      break;
    case Marker::square:
      polygon({{x - r, y - r}, {x + r, y - r}, {x + r, y + r}, {x - r, y + r}});
      break;
    case Marker::triangle:
      polygon({{x, y - 1.3 * r}, {x + 1.2 * r, y + r}, {x - 1.2 * r, y + r}});
      break;
    case Marker::diamond:
      polygon({{x, y - 1.4 * r}, {x + 1.4 * r, y}, {x, y + 1.4 * r}, {x - 1.4 * r, y}});
      break;
    case Marker::cross:
      strokes(fmt::format("M{} {}L{} {}M{} {}L{} {}", num(x - r), num(y - r), num(x + r),
                          num(y + r), num(x - r), num(y + r), num(x + r), num(y - r)));
      break;
    case Marker::plus:
      strokes(fmt::format("M{} {}L{} {}M{} {}L{} {}", num(x - 1.2 * r), num(y), num(x + 1.2 * r),
                          num(y), num(x), num(y - 1.2 * r), num(x), num(y + 1.2 * r)));
      break;
  }
}

void Drawing::place(const Drawing& other, Spot at) {
  body_ += fmt::format("<g transform=\"translate({} {})\">\n{}</g>\n", num(at.x), num(at.y),
                       other.body_);
}

std::string Drawing::svg() const {
  const std::string id = escape_markup(name_);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" aria-label=\"{3}\" "
      "aria-describedby=\"{0}-desc\" width=\"{1}\" height=\"{2}\" viewBox=\"0 0 {1} {2}\">\n"
      "<title>{3}</title>\n<desc id=\"{0}-desc\">{4}</desc>\n"
      "<rect class=\"paper\" width=\"{1}\" height=\"{2}\" fill=\"#ffffff\"/>\n"
      "<g class=\"shapes\" font-family=\"DejaVu Sans, Verdana, sans-serif\">\n{5}</g>\n</svg>\n",
      id, num(width_), num(height_), escape_markup(title_), escape_markup(description_), body_);
}

}  // namespace sentinel
