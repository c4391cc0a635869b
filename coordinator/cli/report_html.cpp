#include <algorithm>
#include <cmath>
#include <cstdio>

#include "coordinator/cli/report.h"
#include "coordinator/cli/report_text.h"
#include "coordinator/protocol/decimal.h"

namespace fedmesh::cli {
namespace {

using protocol::decimal_text;

// Colours follow the system; the curves are distinguished by their titles, not by colour alone.
constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1a1d21;--soft:#5a6270;--line:#d5d9e0;--paper:#fff;--curve:#1f5fbf}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#a3abb8;--line:#3a404a;--paper:#15181c;--curve:#7fb0ff}}
body{margin:2rem auto;max-width:62rem;padding:0 1rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{margin-bottom:0}h2{margin-top:2rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.charts{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0;flex:1 1 18rem}figcaption{font-weight:600}
svg{width:100%;height:auto}
svg text{fill:var(--soft);font-size:11px}svg .axis{stroke:var(--line);stroke-width:1}
svg .curve{fill:none;stroke:var(--curve);stroke-width:2}svg .point{fill:var(--curve)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:last-child,td:last-child{text-align:left;white-space:normal}
.protection{border-left:4px solid var(--curve);padding-left:1rem}
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : repaired_utf8(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string element(const char* name, std::string_view text) {
  return std::string("<") + name + ">" + escaped(text) + "</" + name + ">";
}

std::string fixed(double value, int decimals) {
  char out[64];
  std::snprintf(out, sizeof(out), "%.*f", decimals, value);
  return out;
}

struct Point {
  double x = 0;
  double y = 0;
};

// Round numbers that cover [low, high]: a step of 1, 2 or 5 times a power of ten, about four steps.
struct Ticks {
  double first = 0;
  double step = 1;
  int count = 1;
  int decimals = 0;

  Ticks(double low, double high, bool whole_numbers) {
    const double largest = std::max(std::fabs(low), std::fabs(high));
    // Not so narrow that rounding would swallow a step.
    const double span = high > low ? std::max(high - low, largest * 1e-6) : std::max(largest, 1.0);
    const double raw = span / 4;
    const double power = std::pow(10, std::floor(std::log10(raw)));
    step = power * (raw / power <= 1 ? 1 : raw / power <= 2 ? 2 : raw / power <= 5 ? 5 : 10);
    if (whole_numbers) step = std::max(step, 1.0);
    first = std::floor(low / step) * step;
    count = static_cast<int>(std::ceil((high - first) / step - 1e-9)) + 1;
    count = std::max(count, 2);
    decimals = step >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(step) - 1e-9));
  }
  double at(int i) const { return first + step * i; }
  double last() const { return at(count - 1); }
};

class Chart {
 public:
  Chart(std::string title, std::string unit, std::vector<Point> points)
      : title_(std::move(title)),
        unit_(std::move(unit)),
        points_(std::move(points)),
        x_(extent(&Point::x, true)),
        y_(extent(&Point::y, false)) {}

  std::string figure() const {
    std::string out = "<figure><figcaption>" + escaped(title_) + "</figcaption>\n";
    if (points_.empty()) return out + "<p>Nothing was measured.</p></figure>\n";
    out +=
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 360 220\" role=\"img\" "
        "aria-label=\"" +
        escaped(summary()) + "\">\n" + axes() + curve() + "</svg></figure>\n";
    return out;
  }

 private:
  static constexpr double kLeft = 58, kRight = 348, kTop = 12, kBottom = 178;

  Ticks extent(double Point::*axis, bool whole_numbers) const {
    if (points_.empty()) return Ticks(0, 1, whole_numbers);
    const auto [low, high] =
        std::minmax_element(points_.begin(), points_.end(),
                            [axis](const Point& a, const Point& b) { return a.*axis < b.*axis; });
    return Ticks((*low).*axis, (*high).*axis, whole_numbers);
  }
  double place_x(double x) const {
    return kLeft + (x - x_.first) / (x_.last() - x_.first) * (kRight - kLeft);
  }
  double place_y(double y) const {
    return kBottom - (y - y_.first) / (y_.last() - y_.first) * (kBottom - kTop);
  }
  std::string summary() const {
    return title_ + ": " + fixed(points_.front().y, 4) + " in round " +
           fixed(points_.front().x, 0) + ", " + fixed(points_.back().y, 4) + " in round " +
           fixed(points_.back().x, 0);
  }

  static std::string line(double x1, double y1, double x2, double y2) {
    return "<line class=\"axis\" x1=\"" + fixed(x1, 1) + "\" y1=\"" + fixed(y1, 1) + "\" x2=\"" +
           fixed(x2, 1) + "\" y2=\"" + fixed(y2, 1) + "\"/>\n";
  }
  static std::string label(double x, double y, const char* anchor, const std::string& text) {
    return "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) + "\" text-anchor=\"" + anchor +
           "\">" + escaped(text) + "</text>\n";
  }

  std::string axes() const {
    std::string out;
    for (int i = 0; i < y_.count; ++i) {
      const double y = place_y(y_.at(i));
      out +=
          line(kLeft, y, kRight, y) + label(kLeft - 6, y + 4, "end", fixed(y_.at(i), y_.decimals));
    }
    for (int i = 0; i < x_.count; ++i) {
      const double x = place_x(x_.at(i));
      out += line(x, kBottom, x, kBottom + 4) +
             label(x, kBottom + 17, "middle", fixed(x_.at(i), x_.decimals));
    }
    out += label((kLeft + kRight) / 2, 214, "middle", "round");
    out += "<text x=\"12\" y=\"95\" text-anchor=\"middle\" transform=\"rotate(-90 12 95)\">" +
           escaped(unit_) + "</text>\n";
    return out;
  }

  std::string curve() const {
    std::string path;
    std::string dots;
    for (const Point& point : points_) {
      const std::string x = fixed(place_x(point.x), 1);
      const std::string y = fixed(place_y(point.y), 1);
      path += (path.empty() ? "" : " ") + x + "," + y;
      if (points_.size() <= 60)
        dots += "<circle class=\"point\" cx=\"" + x + "\" cy=\"" + y + "\" r=\"3\"><title>round " +
                fixed(point.x, 0) + ": " + fixed(point.y, 4) + "</title></circle>\n";
    }
    return "<polyline class=\"curve\" points=\"" + path + "\"/>\n" + dots;
  }

  std::string title_;
  std::string unit_;
  std::vector<Point> points_;
  Ticks x_;
  Ticks y_;
};

std::vector<Point> measured(const JobReport& report, std::optional<std::int64_t> RoundRow::*value,
                            double unit) {
  std::vector<Point> out;
  for (const RoundRow& row : report.rounds)
    if (const auto& micro = row.*value)
      out.push_back({static_cast<double>(row.round), static_cast<double>(*micro) / unit});
  return out;
}

std::string charts(const JobReport& report) {
  std::vector<Point> epsilon;
  for (const RoundRow& row : report.rounds)
    epsilon.push_back(
        {static_cast<double>(row.round), static_cast<double>(row.epsilon_spent_nano) / 1e9});
  std::string out = "<div class=\"charts\">\n";
  out += Chart("Validation loss", "mean log loss", measured(report, &RoundRow::loss_micro, 1e6))
             .figure();
  out += Chart("Accuracy", "percent", measured(report, &RoundRow::accuracy_micro, 1e4)).figure();
  if (report.epsilon_total_nano > 0)
    out += Chart("Privacy spent", "ε of " + decimal_text(report.epsilon_total_nano, 9),
                 std::move(epsilon))
               .figure();
  return out + "</div>\n";
}

std::string facts(const JobReport& report) {
  const auto fact = [](const char* name, const std::string& value) {
    return value.empty() ? "" : element("dt", name) + element("dd", value) + "\n";
  };
  std::string out = "<dl>\n";
  out += fact("Outcome", report.outcome + (report.reason.empty() ? "" : ": " + report.reason));
  out += fact("Job", report.job_id) + fact("Chain", report.chain_id);
  out += fact("Model", report.model_path) + fact("SHA-256", report.model_sha256);
  if (report.epsilon_total_nano > 0)
    out += fact("ε spent", decimal_text(report.epsilon_spent_nano, 9) + " of " +
                               decimal_text(report.epsilon_total_nano, 9)) +
           fact("δ", decimal_text(report.delta_pico, 12));
  return out + "</dl>\n";
}

std::string rounds_table(const JobReport& report) {
  std::string out =
      "<div class=\"scroll\"><table>\n<thead><tr><th>round</th><th>workers</th>"
      "<th>validation loss</th><th>accuracy</th><th>ε spent</th><th>bytes up/down</th>"
      "<th>seconds</th><th>aggregator</th><th>ledger "
      "height</th><th>note</th></tr></thead>\n<tbody>\n";
  for (const RoundRow& row : report.rounds) {
    std::string name = std::to_string(row.round);
    if (row.attempt != 0) name += "." + std::to_string(row.attempt);
    if (row.kind != "training") name += " (" + row.kind + ")";
    out += "<tr>" + element("td", name) +
           element("td", std::to_string(row.workers) + " of " + std::to_string(row.cohort)) +
           element("td", row.loss_micro ? micro_text(*row.loss_micro) : "–") +
           element("td", row.accuracy_micro ? percent_text(*row.accuracy_micro) : "–") +
           element("td",
                   report.epsilon_total_nano > 0 ? decimal_text(row.epsilon_spent_nano, 9) : "–") +
           element("td", traffic_text(row, "–")) + element("td", seconds_text(row.duration_ms)) +
           element("td", row.aggregator) + element("td", std::to_string(row.ledger_height)) +
           element("td", row.note) + "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string audit(const JobReport& report) {
  if (report.audit.empty()) return "<p>No audit was made.</p>\n";
  std::string out = "<ul>\n";
  for (const AuditStatement& statement : report.audit)
    out +=
        "<li>" + element("strong", statement.label()) + " " + escaped(statement.text) + "</li>\n";
  return out + "</ul>\n";
}

}  // namespace

std::string to_html(const JobReport& report) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
      "<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n";
  out +=
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'\"/>\n";
  out += element("title", report.name + ": fedmesh job report") + "\n<style>" + kStyle +
         "</style>\n</head>\n<body>\n";
  out += element("h1", report.name) + "\n" + facts(report);
  if (!report.protection.empty())
    out += "<p class=\"protection\">" + escaped(report.protection) + "</p>\n";
  out += "<h2>Progress</h2>\n" + charts(report);
  out += "<h2>Rounds</h2>\n" + rounds_table(report);
  out += "<h2>Audit</h2>\n" + audit(report);
  return out + "</body>\n</html>\n";
}

}  // namespace fedmesh::cli
