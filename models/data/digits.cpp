#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "models/data/generators.h"

namespace fedmesh::models {
namespace {

constexpr int kSide = 28;

struct Point {
  double x = 0, y = 0;
};
struct Stroke {
  bool smooth = false;  // a Catmull-Rom spline through the points, else straight lines
  std::vector<Point> points;
};
using Glyph = std::vector<Stroke>;

// Every digit in several handwritings, in a unit square with y downwards.
const std::array<std::vector<Glyph>, 10>& glyphs() {
  static const std::array<std::vector<Glyph>, 10> kGlyphs{{
      {{{true, {{.5, .08}, {.77, .28}, {.78, .7}, {.5, .92}, {.22, .7}, {.23, .28}, {.5, .08}}}},
       {{true, {{.55, .1}, {.3, .2}, {.22, .6}, {.45, .92}, {.74, .7}, {.74, .3}, {.45, .12}}}}},
      {{{false, {{.5, .08}, {.5, .92}}}},
       {{false, {{.34, .28}, {.54, .08}, {.54, .92}}}},
       {{false, {{.36, .24}, {.52, .08}, {.52, .92}}}, {false, {{.32, .92}, {.72, .92}}}}},
      {{{true, {{.25, .3}, {.36, .11}, {.63, .1}, {.74, .3}, {.58, .55}, {.24, .9}}},
        {false, {{.24, .9}, {.78, .9}}}},
       {{true,
         {{.26, .26},
          {.5, .08},
          {.73, .28},
          {.55, .6},
          {.3, .86},
          {.32, .74},
          {.52, .84},
          {.8, .88}}}}},
      {{{true, {{.26, .18}, {.5, .08}, {.72, .25}, {.64, .41}, {.44, .48}}},
        {true, {{.44, .48}, {.7, .56}, {.75, .76}, {.52, .92}, {.24, .82}}}},
       {{false, {{.26, .1}, {.73, .1}, {.46, .42}}},
        {true, {{.46, .42}, {.72, .55}, {.72, .8}, {.5, .92}, {.24, .83}}}}},
      {{{false, {{.32, .08}, {.24, .56}, {.8, .56}}}, {false, {{.64, .2}, {.62, .92}}}},
       {{false, {{.62, .92}, {.62, .08}, {.2, .64}, {.82, .64}}}}},
      {{{false, {{.74, .1}, {.34, .1}, {.3, .46}}},
        {true, {{.3, .46}, {.54, .4}, {.75, .58}, {.7, .82}, {.48, .92}, {.24, .82}}}},
       {{true,
         {{.72, .12}, {.36, .12}, {.3, .42}, {.62, .46}, {.74, .68}, {.54, .9}, {.26, .84}}}}},
      {{{true,
         {{.66, .1},
          {.4, .26},
          {.26, .6},
          {.36, .88},
          {.62, .9},
          {.74, .7},
          {.6, .52},
          {.38, .56},
          {.27, .72}}}},
       {{false, {{.56, .08}, {.3, .6}}},
        {true, {{.3, .6}, {.34, .88}, {.6, .9}, {.7, .7}, {.54, .54}, {.3, .66}}}}},
      {{{false, {{.24, .1}, {.76, .1}, {.42, .92}}}},
       {{false, {{.24, .12}, {.76, .1}, {.46, .92}}}, {false, {{.36, .5}, {.7, .5}}}},
       {{false, {{.25, .24}, {.27, .1}, {.75, .1}}}, {true, {{.75, .1}, {.52, .5}, {.44, .92}}}}},
      {{{true,
         {{.5, .08},
          {.7, .2},
          {.66, .38},
          {.48, .49},
          {.3, .64},
          {.3, .84},
          {.5, .92},
          {.7, .84},
          {.7, .64},
          {.5, .49},
          {.34, .38},
          {.3, .2},
          {.5, .08}}}},
       {{true, {{.5, .1}, {.68, .28}, {.5, .46}, {.32, .28}, {.5, .1}}},
        {true, {{.5, .46}, {.73, .69}, {.5, .92}, {.27, .69}, {.5, .46}}}}},
      {{{true,
         {{.72, .3},
          {.6, .11},
          {.36, .12},
          {.27, .32},
          {.42, .48},
          {.64, .44},
          {.72, .28},
          {.7, .62},
          {.58, .92}}}},
       {{true, {{.7, .28}, {.48, .1}, {.28, .28}, {.46, .48}, {.7, .28}}},
        {false, {{.7, .28}, {.66, .92}}}}},
  }};
  return kGlyphs;
}

double between(SeededRandom& random, double low, double high) {
  return low + (high - low) * random.uniform();
}

// Straight pieces of the curve through the points.
std::vector<Point> trace(const Stroke& stroke) {
  static constexpr int kPieces = 6;
  if (!stroke.smooth) return stroke.points;
  const auto& p = stroke.points;
  const bool closed = p.front().x == p.back().x && p.front().y == p.back().y;
  const auto at = [&](std::ptrdiff_t i) {
    const auto last = static_cast<std::ptrdiff_t>(p.size()) - 1;
    if (i < 0) return closed ? p[static_cast<std::size_t>(last - 1)] : p.front();
    if (i > last) return closed ? p[1] : p.back();
    return p[static_cast<std::size_t>(i)];
  };
  std::vector<Point> out;
  for (std::ptrdiff_t i = 0; i + 1 < static_cast<std::ptrdiff_t>(p.size()); ++i) {
    const Point a = at(i - 1), b = at(i), c = at(i + 1), d = at(i + 2);
    const auto curve = [](double t, double pa, double pb, double pc, double pd) {
      return 0.5 * (2 * pb + (pc - pa) * t + (2 * pa - 5 * pb + 4 * pc - pd) * t * t +
                    (3 * pb - pa - 3 * pc + pd) * t * t * t);
    };
    for (int k = 0; k < kPieces; ++k) {
      const double t = static_cast<double>(k) / kPieces;
      out.push_back({curve(t, a.x, b.x, c.x, d.x), curve(t, a.y, b.y, c.y, d.y)});
    }
  }
  out.push_back(p.back());
  return out;
}

// How one writer, with one pen, puts a glyph onto the pixel grid.
class Hand {
 public:
  explicit Hand(SeededRandom& random) {
    const double sine = between(random, -0.27, 0.27);
    const double cosine = std::sqrt(1 - sine * sine);
    const double width = between(random, 14, 21);
    const double height = between(random, 17, 23);
    const double shear = between(random, -0.27, 0.27);
    xx_ = cosine * width;
    xy_ = (cosine * shear - sine) * height;
    yx_ = sine * width;
    yy_ = (sine * shear + cosine) * height;
    dx_ = kSide / 2.0 + between(random, -2.5, 2.5);
    dy_ = kSide / 2.0 + between(random, -2.5, 2.5);
  }

  Point place(Point p) const {
    const double x = p.x - 0.5, y = p.y - 0.5;
    return {xx_ * x + xy_ * y + dx_, yx_ * x + yy_ * y + dy_};
  }

 private:
  double xx_, xy_, yx_, yy_, dx_, dy_;
};

class Canvas {
 public:
  void line(Point a, Point b, double radius, double ink) {
    const double reach = radius + 1;
    const auto low = [&](double u, double v) {
      return std::max(0, static_cast<int>(std::floor(std::min(u, v) - reach)));
    };
    const auto high = [&](double u, double v) {
      return std::min(kSide - 1, static_cast<int>(std::floor(std::max(u, v) + reach)));
    };
    const double ux = b.x - a.x, uy = b.y - a.y;
    const double length2 = ux * ux + uy * uy;
    for (int y = low(a.y, b.y); y <= high(a.y, b.y); ++y) {
      for (int x = low(a.x, b.x); x <= high(a.x, b.x); ++x) {
        const double px = x + 0.5 - a.x, py = y + 0.5 - a.y;
        const double t = length2 > 0 ? std::clamp((px * ux + py * uy) / length2, 0.0, 1.0) : 0.0;
        const double ex = px - t * ux, ey = py - t * uy;
        const double distance = std::sqrt(ex * ex + ey * ey);
        double& pixel = pixels_[static_cast<std::size_t>(y * kSide + x)];
        pixel = std::max(pixel, ink * std::clamp(radius + 0.5 - distance, 0.0, 1.0));
      }
    }
  }

  // Noise is added and the result rounded to 1/255, as if it had been stored as bytes.
  void develop(SeededRandom& random, double noise, std::vector<float>& out) const {
    for (const double pixel : pixels_) {
      const double value = std::clamp(pixel + between(random, -noise, noise), 0.0, 1.0);
      out.push_back(static_cast<float>(std::floor(value * 255 + 0.5)) / 255.0f);
    }
  }

 private:
  std::array<double, kSide * kSide> pixels_{};
};

void draw(Canvas& canvas, const Glyph& glyph, SeededRandom& random) {
  const Hand hand(random);
  const double radius = between(random, 0.6, 1.7);
  const double ink = between(random, 0.65, 1.0);
  for (Stroke stroke : glyph) {
    for (Point& p : stroke.points) {
      p.x += between(random, -0.04, 0.04);
      p.y += between(random, -0.04, 0.04);
      p = hand.place(p);
    }
    const std::vector<Point> path = trace(stroke);
    for (std::size_t i = 0; i + 1 < path.size(); ++i)
      canvas.line(path[i], path[i + 1], radius, ink);
  }
}

// A short stray stroke near the edge in half of the images.
void distract(Canvas& canvas, SeededRandom& random) {
  if (random.uniform() < 0.5) return;
  const double along = between(random, 2, kSide - 2);
  const double depth = between(random, 0, 5);
  const bool vertical = random.uniform() < 0.5;
  const bool far = random.uniform() < 0.5;
  const double across = far ? kSide - depth : depth;
  const Point a = vertical ? Point{across, along} : Point{along, across};
  const Point b{a.x + between(random, -5, 5), a.y + between(random, -5, 5)};
  canvas.line(a, b, between(random, 0.5, 1.1), between(random, 0.4, 0.9));
}

}  // namespace

Schema digits_schema() {
  Schema schema;
  schema.format = DataFormat::images;
  schema.classes = 10;
  schema.height = kSide;
  schema.width = kSide;
  return schema;
}

Dataset digits(std::uint64_t seed, std::uint64_t rows, std::uint64_t first) {
  FM_CHECK(rows <= kGeneratedRowsMax && first <= kGeneratedRowsMax - rows,
           "at most 1,000,000 digits are drawn per seed");
  Dataset out;
  out.features = kSide * kSide;
  out.shape = {1, kSide, kSide};
  out.classes = 10;
  out.inputs.reserve(rows * out.features);
  out.labels.reserve(rows);
  const SeededRandom sequence = SeededRandom(seed).fork(10);
  for (std::uint64_t row = first; row < first + rows; ++row) {
    SeededRandom random = sequence.fork(row);
    const auto digit = static_cast<std::size_t>(random.below(10));
    const auto& styles = glyphs()[digit];
    Canvas canvas;
    draw(canvas, styles[random.below(styles.size())], random);
    distract(canvas, random);
    canvas.develop(random, 0.12, out.inputs);
    out.labels.push_back(static_cast<std::int32_t>(digit));
  }
  return out;
}

}  // namespace fedmesh::models
