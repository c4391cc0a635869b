#include "base/codec/codec.h"

#include <msgpack.hpp>

#include "base/check.h"
#include "base/crypto/keys.h"

namespace fedmesh::codec {

struct Encoder::Impl {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer{buffer};
};

Encoder::Encoder() : impl_(std::make_unique<Impl>()) {}
// What was encoded may have been a secret; only its owner knows, and wipes the copy that it took.
Encoder::~Encoder() {
  crypto::wipe({reinterpret_cast<std::uint8_t*>(impl_->buffer.data()), impl_->buffer.size()});
}

void Encoder::array(std::size_t count) {
  FM_CHECK(count <= UINT32_MAX, "an array of ours is too long");
  impl_->packer.pack_array(static_cast<std::uint32_t>(count));
}
void Encoder::u64(std::uint64_t value) { impl_->packer.pack_uint64(value); }
void Encoder::i64(std::int64_t value) { impl_->packer.pack_int64(value); }
void Encoder::boolean(bool value) {
  if (value) {
    impl_->packer.pack_true();
  } else {
    impl_->packer.pack_false();
  }
}
void Encoder::bin(ByteView value) {
  FM_CHECK(value.size() <= UINT32_MAX, "a byte string of ours is too long");
  impl_->packer.pack_bin(static_cast<std::uint32_t>(value.size()));
  if (!value.empty())
    impl_->packer.pack_bin_body(reinterpret_cast<const char*>(value.data()),
                                static_cast<std::uint32_t>(value.size()));
}
void Encoder::str(std::string_view value) {
  FM_CHECK(value.size() <= UINT32_MAX, "a text of ours is too long");
  impl_->packer.pack_str(static_cast<std::uint32_t>(value.size()));
  if (!value.empty())
    impl_->packer.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
}
Bytes Encoder::take() {
  const auto* data = reinterpret_cast<const std::uint8_t*>(impl_->buffer.data());
  return {data, data + impl_->buffer.size()};
}

// The parsed tree is walked depth first; `cursor` holds what is left of every open array. While
// walking, what was read is encoded again, and finish() compares.
struct Decoder::Impl {
  struct Frame {
    const msgpack::object* next;
    const msgpack::object* end;
  };

  ByteView bytes;
  msgpack::object_handle handle;
  std::vector<Frame> cursor;
  Encoder again;
  std::optional<Error> error;

  void fail(Error first) {
    if (!error) error = std::move(first);
  }

  void parse(const Limits& limits) {
    if (bytes.size() > limits.bytes) return fail(corruption("a message is too long"));
    // An element takes at least one byte: an array header never asks for more than the message has.
    const std::size_t elements = std::min(limits.elements, bytes.size());
    const msgpack::unpack_limit limit(elements, 0, limits.blob, limits.blob, 0, limits.depth);
    const auto by_reference = [](msgpack::type::object_type, std::size_t, void*) { return true; };
    try {
      std::size_t offset = 0;
      msgpack::unpack(handle, reinterpret_cast<const char*>(bytes.data()), bytes.size(), offset,
                      by_reference, nullptr, limit);
      if (offset != bytes.size()) return fail(corruption("a message has trailing bytes"));
    } catch (const std::exception&) {
      return fail(corruption("a message is malformed or exceeds its limits"));
    }
    const msgpack::object* root = &handle.get();
    cursor.push_back({root, root + 1});
  }

  // The next value if it has the wanted type.
  const msgpack::object* next(msgpack::type::object_type wanted, const char* what) {
    if (error) return nullptr;
    while (!cursor.empty() && cursor.back().next == cursor.back().end) cursor.pop_back();
    if (cursor.empty()) {
      fail(corruption("a message ends before its last field"));
      return nullptr;
    }
    const msgpack::object* value = cursor.back().next++;
    if (value->type != wanted) {
      fail(corruption(std::string("a field is not ") + what));
      return nullptr;
    }
    return value;
  }
};

Decoder::Decoder(ByteView bytes, const Limits& limits) : impl_(std::make_unique<Impl>()) {
  impl_->bytes = bytes;
  impl_->parse(limits);
}

Decoder::~Decoder() = default;

std::size_t Decoder::array() {
  const auto* value = impl_->next(msgpack::type::ARRAY, "an array");
  if (value == nullptr) return 0;
  impl_->again.array(value->via.array.size);
  impl_->cursor.push_back({value->via.array.ptr, value->via.array.ptr + value->via.array.size});
  return value->via.array.size;
}

std::uint64_t Decoder::u64() {
  const auto* value = impl_->next(msgpack::type::POSITIVE_INTEGER, "an unsigned integer");
  if (value == nullptr) return 0;
  impl_->again.u64(value->via.u64);
  return value->via.u64;
}

std::int64_t Decoder::i64() {
  if (impl_->error) return 0;
  const auto& cursor = impl_->cursor;
  const bool negative = !cursor.empty() && cursor.back().next != cursor.back().end &&
                        cursor.back().next->type == msgpack::type::NEGATIVE_INTEGER;
  const auto* value = impl_->next(
      negative ? msgpack::type::NEGATIVE_INTEGER : msgpack::type::POSITIVE_INTEGER, "an integer");
  if (value == nullptr) return 0;
  if (!negative && value->via.u64 > static_cast<std::uint64_t>(INT64_MAX)) {
    impl_->fail(corruption("an integer is out of range"));
    return 0;
  }
  const std::int64_t number = negative ? value->via.i64 : static_cast<std::int64_t>(value->via.u64);
  impl_->again.i64(number);
  return number;
}

bool Decoder::boolean() {
  const auto* value = impl_->next(msgpack::type::BOOLEAN, "a boolean");
  if (value == nullptr) return false;
  impl_->again.boolean(value->via.boolean);
  return value->via.boolean;
}

ByteView Decoder::bin() {
  const auto* value = impl_->next(msgpack::type::BIN, "a byte string");
  if (value == nullptr) return {};
  const ByteView view(reinterpret_cast<const std::uint8_t*>(value->via.bin.ptr),
                      value->via.bin.size);
  impl_->again.bin(view);
  return view;
}

std::string_view Decoder::str() {
  const auto* value = impl_->next(msgpack::type::STR, "a text");
  if (value == nullptr) return {};
  const std::string_view view(value->via.str.ptr, value->via.str.size);
  impl_->again.str(view);
  return view;
}

void Decoder::fail(Error error) { impl_->fail(std::move(error)); }
bool Decoder::ok() const { return !impl_->error.has_value(); }

Result<void> Decoder::finish() {
  if (impl_->error) return *impl_->error;
  for (const auto& frame : impl_->cursor)
    if (frame.next != frame.end) return corruption("a message has more fields than are known");
  const Bytes canonical = impl_->again.take();
  if (!std::equal(canonical.begin(), canonical.end(), impl_->bytes.begin(), impl_->bytes.end()))
    return corruption("a message is not in canonical form");
  return {};
}

}  // namespace fedmesh::codec
