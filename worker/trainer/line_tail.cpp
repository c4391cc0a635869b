#include "worker/trainer/line_tail.h"

namespace fedmesh::trainer {
namespace {

constexpr std::size_t kLines = 8;
constexpr std::size_t kLineMax = 512;

}  // namespace

std::vector<std::string> LineTail::feed(std::string_view piece) {
  std::vector<std::string> completed;
  for (const char c : piece) {
    if (c != '\n') {
      if (open_.size() < kLineMax) open_.push_back(c >= ' ' && c <= '~' ? c : '?');
      continue;
    }
    if (!open_.empty()) {
      completed.push_back(open_);
      lines_.push_back(std::move(open_));
      if (lines_.size() > kLines) lines_.pop_front();
    }
    open_.clear();
  }
  return completed;
}

std::string LineTail::last(std::size_t lines) const {
  std::string out;
  const std::size_t skip = lines_.size() > lines ? lines_.size() - lines : 0;
  for (std::size_t i = skip; i < lines_.size(); ++i) out += (out.empty() ? "" : " | ") + lines_[i];
  if (!open_.empty()) out += (out.empty() ? "" : " | ") + open_;
  return out;
}

}  // namespace fedmesh::trainer
