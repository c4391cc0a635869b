// Seeds of messages, payloads and state values: all of tests/coordinator/protocol/samples.h.
#include "tests/coordinator/protocol/samples.h"
#include "tests/fuzz/codec_sample.h"
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/protocol_forms.h"
#include "tests/fuzz/target.h"

namespace fedmesh::fuzz {
namespace {

using protocol::Sample;

// Several kinds may share an encoding; the sample is then a seed of each.
void add_payload(Corpus& corpus, const std::string& name, const Bytes& bytes) {
  bool known = false;
  for (int kind = 0; kind < 256; ++kind) {
    with_payload(static_cast<ledger::RecordKind>(kind), bytes, [&](const auto& payload) {
      if (!payload.ok()) return;
      known = true;
      corpus.add("payload",
                 std::string(to_string(static_cast<ledger::RecordKind>(kind))) + "-as-" + name,
                 prefixed(static_cast<std::uint8_t>(kind), bytes));
    });
  }
  FM_CHECK(known, "a payload of the samples is unknown to protocol_forms.h");
}

void add_state(Corpus& corpus, const std::string& name, const Bytes& bytes) {
  bool known = false;
  for (std::size_t form = 0; form < std::variant_size_v<StateValue>; ++form) {
    with_state_value(form, bytes, [&](const auto& value) {
      if (!value.ok()) return;
      known = true;
      corpus.add("state_value", name, prefixed(static_cast<std::uint8_t>(form), bytes));
    });
  }
  FM_CHECK(known, "a state value of the samples is unknown to protocol_forms.h");
}

void add_codec(Corpus& corpus) {
  corpus.add("codec", "default", codec::encode(Everything{}));
  Everything full;
  full.flag = true;
  full.number16 = 0xffff;
  full.number64 = ~std::uint64_t{0};
  full.signed32 = -1;
  full.signed64 = INT64_MIN;
  full.text = std::string(40, 't');
  full.bytes = Bytes(300, 7);
  full.colour = Colour::last;
  full.part = Part{-128, Digest{}};
  full.parts.assign(20, Part{5, std::nullopt});
  full.table = {{1, 200, 70'000}, {}};
  full.pair = {"pair", -70'000};
  corpus.add("codec", "full", codec::encode(full));
}

}  // namespace

void add_protocol_seeds(Corpus& corpus) {
  for (const Sample& sample : protocol::all_samples()) {
    const auto space = sample.name.find(' ');
    const std::string group = sample.name.substr(0, space);
    const std::string name = sample.name.substr(space + 1);
    if (group == "message") corpus.add("message", name, sample.bytes);
    if (group == "payload") add_payload(corpus, name, sample.bytes);
    if (group == "state") add_state(corpus, name, sample.bytes);
    // The state under "enrol/" is the payload of the record.
    if (sample.name == "payload enrol") add_state(corpus, name, sample.bytes);
  }
  add_codec(corpus);
}

}  // namespace fedmesh::fuzz
