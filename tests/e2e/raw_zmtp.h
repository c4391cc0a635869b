// What a hostile program writes to a socket: noise, and the beginnings of ZeroMQ's protocol.
#pragma once

#include <cstdint>
#include <string>

#include "base/random.h"

namespace fedmesh::e2e {

inline std::string noise(std::uint64_t seed, std::size_t bytes) {
  SeededRandom random(seed);
  std::string out;
  while (out.size() < bytes) out += static_cast<char>(random.below(256));
  return out;
}

// What a ZeroMQ peer says first: ZMTP 3.1, mechanism NULL.
inline std::string zmtp_greeting() {
  std::string out = "\xff" + std::string(8, '\0') + "\x7f" + std::string("\x03\x01", 2) + "NULL";
  out.resize(64, '\0');
  return out;
}

inline std::string zmtp_ready() {
  const std::string body =
      std::string("\x05READY\x0bSocket-Type", 18) + std::string("\x00\x00\x00\x06", 4) + "DEALER";
  return std::string("\x04", 1) + static_cast<char>(body.size()) + body;
}

// One message of up to 255 bytes; with `more`, a part of one that goes on.
inline std::string zmtp_short(const std::string& body, bool more = false) {
  return std::string(1, more ? '\x01' : '\x00') + static_cast<char>(body.size()) + body;
}

// The head of a message of that many bytes, of which none need follow.
inline std::string zmtp_long_head(std::uint64_t bytes) {
  std::string out(1, '\x02');
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(bytes >> shift);
  return out;
}

// An FM1 hello as net/PROTOCOL.md has it, of a network without a name; whoever sends no more than
// this leaves a handshake half open.
inline std::string fm1_hello(std::uint64_t seed) {
  std::string out("FM1\x01\x01", 5);
  out.append(32, '\0').append(noise(seed, 32)).append("\x01\x00", 2);
  return out;
}

}  // namespace fedmesh::e2e
