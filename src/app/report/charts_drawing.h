// The drawing core of all charts: shapes in, SVG text out.
//
// Every shape carries its colour twice, as an attribute for files and as a class for pages: a
// page's style sheet overrides the attributes, so one text serves print, librsvg and a dark web
// page.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sentinel {

// Series colours are told apart by every common kind of colour blindness and have at least 3:1
// contrast to white; a chart never relies on them alone.
enum class Ink {
  text,
  muted,
  grid,
  axis,
  paper,
  series1,
  series2,
  series3,
  series4,
  series5,
  series6
};
inline constexpr int kSeriesStyles = 6;

enum class Marker { circle, square, triangle, diamond, cross, plus };

// How the n-th series looks in every chart: colour, dashes and marker all differ.
struct SeriesStyle {
  Ink ink;
  const char* dash;
  Marker marker;
};
SeriesStyle series_style(int index);  // repeats after kSeriesStyles

enum class Anchor { start, middle, end };
struct TextStyle {
  Anchor anchor = Anchor::start;
  double size = 12;
  Ink ink = Ink::text;
  bool bold = false;
  double rotate = 0;  // degrees
  bool halo = false;  // a rim in the paper's colour, where lines may pass behind
};
struct Stroke {
  Ink ink = Ink::axis;
  double width = 1;
  const char* dash = "";
};
struct Spot {
  double x, y;
};

class Drawing {
 public:
  // Sizes in CSS pixels. Title and description become the text alternative.
  Drawing(std::string name, double width, double height);

  void set_alternative(std::string title, std::string description);
  const std::string& title() const { return title_; }
  const std::string& description() const { return description_; }
  double width() const { return width_; }
  double height() const { return height_; }

  void line(Spot from, Spot to, const Stroke& stroke);
  // With a bar across both ends, or an arrow at `to` if it goes on there. Upright or level.
  void interval(Spot from, Spot to, bool open, const Stroke& stroke);
  void polyline(const std::vector<Spot>& spots, const Stroke& stroke);
  // `hover`: shown by browsers while the pointer rests on the shape.
  void rect(Spot corner, double width, double height, Ink fill, const std::string& hover = "");
  // Any colour, for heat maps; as an attribute only.
  void tile(Spot corner, double width, double height, const std::string& rgb,
            const std::string& hover);
  void text(Spot at, std::string_view text, const TextStyle& style = {});
  void marker(Spot at, Marker shape, Ink ink, const std::string& hover = "");
  // The shapes of another drawing, moved.
  void place(const Drawing& other, Spot at);

  std::string svg() const;

 private:
  std::string name_, title_, description_;
  double width_, height_;
  std::string body_;
};

// Estimated for the widest of the fonts that the charts ask for.
double text_width(std::string_view text, double size);
// The text, shortened with an ellipsis to fit; paths keep their end.
std::string fit_text(std::string_view text, double width, double size);

// The colours for a page's style sheet: (class, light value, dark value).
struct InkColor {
  const char* name;
  const char* light;
  const char* dark;
};
InkColor ink_color(Ink ink);

}  // namespace sentinel
