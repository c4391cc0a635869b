#include "net/cookie.h"

#include <algorithm>

#include "base/crypto/digest.h"

namespace fedmesh::net {
namespace {

Cookie cookie_under(const crypto::Secret<32>& secret, std::string_view address,
                    const crypto::X25519Public& ephemeral) {
  static constexpr std::string_view kLabel = "fedmesh-cookie-v1";
  Bytes input = to_bytes(as_bytes(kLabel));
  append(input, ephemeral.view());   // of fixed length,
  append(input, as_bytes(address));  // so the one variable part may stand last without a length
  const crypto::Hash512 mac = crypto::hmac_blake2b_512(secret.view(), input);
  Cookie cookie;
  std::copy_n(mac.begin(), cookie.size(), cookie.begin());
  return cookie;
}

}  // namespace

CookieGate::CookieGate(SecureRandom& random, Instant now)
    : current_(crypto::Secret<32>::random(random)),
      previous_(crypto::Secret<32>::random(random)),
      since_(now) {}

void CookieGate::rotate(SecureRandom& random, Instant now) {
  if (now - since_ < kLifetime) return;
  // After a long pause even the current secret is older than a cookie may be.
  previous_ =
      now - since_ < 2 * kLifetime ? std::move(current_) : crypto::Secret<32>::random(random);
  current_ = crypto::Secret<32>::random(random);
  since_ = now;
}

Cookie CookieGate::mint(std::string_view address, const crypto::X25519Public& ephemeral) const {
  return cookie_under(current_, address, ephemeral);
}

bool CookieGate::accepts(std::string_view address, const crypto::X25519Public& ephemeral,
                         ByteView cookie) const {
  const Cookie now = cookie_under(current_, address, ephemeral);
  const Cookie before = cookie_under(previous_, address, ephemeral);
  return crypto::equal_constant_time(now, cookie) || crypto::equal_constant_time(before, cookie);
}

}  // namespace fedmesh::net
