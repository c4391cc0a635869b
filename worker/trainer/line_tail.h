// The last lines of what a process writes, in bounded memory and safe to print.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace fedmesh::trainer {

// Not thread-safe. Keeps eight lines of at most 512 characters; longer ones are cut, characters
// that are not printable ASCII become '?'.
class LineTail {
 public:
  std::vector<std::string> feed(std::string_view piece);  // the lines completed by it
  std::string last(std::size_t lines) const;  // an unfinished one included, joined by " | "

 private:
  std::deque<std::string> lines_;
  std::string open_;
};

}  // namespace fedmesh::trainer
