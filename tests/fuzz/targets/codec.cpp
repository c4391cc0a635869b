// The codec itself: a structure with every kind of member, under small and under default limits.
#include "base/codec/codec.h"

#include "tests/fuzz/codec_sample.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fedmesh;
  const ByteView bytes(data, size);
  const codec::Limits tight{.bytes = 256, .elements = 4, .blob = 16, .depth = 3};
  const bool fits_tight =
      fuzz::check_canonical(codec::decode<fuzz::Everything>(bytes, tight), bytes);
  const bool fits = fuzz::check_canonical(codec::decode<fuzz::Everything>(bytes), bytes);
  FM_CHECK(fits || !fits_tight, "tighter limits accept more");
  if (fits) fuzz::accepted();
  return 0;
}
