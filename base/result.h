// Result<T>: a value or an Error a person can act on. Expected failures (a peer, a disk, a
// straggler, a bad flag) travel this way; exceptions do not leave the file that wraps a throwing
// library.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace fedmesh {

enum class ErrorCode {
  invalid_argument,  // the caller's input is wrong; the detail says what is allowed
  not_found,         // the named thing is not here
  corruption,        // bytes that were written or sent correctly have changed
  unauthenticated,   // a signature, key or permission does not hold
  stale,             // right once, too late or too early now
  exhausted,         // a bound (budget, queue, size) is reached
  unavailable,       // try again later; the detail says what is being waited for
};

const char* to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::invalid_argument;
  std::string detail;

  std::string to_string() const;  // "stale: update for round 7, current round 9"
  // The same error with "context: " before its detail.
  Error with_context(const std::string& context) const { return {code, context + ": " + detail}; }
  friend bool operator==(const Error&, const Error&) = default;
};

inline Error invalid_argument(std::string detail) {
  return {ErrorCode::invalid_argument, std::move(detail)};
}
inline Error not_found(std::string detail) { return {ErrorCode::not_found, std::move(detail)}; }
inline Error corruption(std::string detail) { return {ErrorCode::corruption, std::move(detail)}; }
inline Error unauthenticated(std::string detail) {
  return {ErrorCode::unauthenticated, std::move(detail)};
}
inline Error stale(std::string detail) { return {ErrorCode::stale, std::move(detail)}; }
inline Error exhausted(std::string detail) { return {ErrorCode::exhausted, std::move(detail)}; }
inline Error unavailable(std::string detail) { return {ErrorCode::unavailable, std::move(detail)}; }

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  const T& value() const& {
    FM_CHECK(ok(), "value() of a failed Result");
    return std::get<0>(state_);
  }
  T& value() & {
    FM_CHECK(ok(), "value() of a failed Result");
    return std::get<0>(state_);
  }
  T&& value() && {
    FM_CHECK(ok(), "value() of a failed Result");
    return std::get<0>(std::move(state_));
  }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }

  const Error& error() const {
    FM_CHECK(!ok(), "error() of a successful Result");
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const {
    FM_CHECK(!ok_, "error() of a successful Result");
    return error_;
  }

 private:
  Error error_;
  bool ok_ = true;
};

#define FM_CONCAT_INNER(a, b) a##b
#define FM_CONCAT(a, b) FM_CONCAT_INNER(a, b)

// FM_TRY(auto header, decode_header(bytes)): assigns the value or returns the error to the caller.
#define FM_TRY(declaration, expression) \
  FM_TRY_INNER(FM_CONCAT(fm_result_, __LINE__), declaration, expression)
#define FM_TRY_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                         \
  if (!temporary.ok()) return temporary.error();         \
  declaration = std::move(temporary).value()

// For Result<void>, or where the value does not matter.
#define FM_TRY_VOID(expression)                                                   \
  do {                                                                            \
    if (auto fm_status = (expression); !fm_status.ok()) return fm_status.error(); \
  } while (false)

}  // namespace fedmesh
