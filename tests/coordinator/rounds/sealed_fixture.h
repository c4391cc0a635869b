// Updates as workers seal them, and files in memory that count how they are read.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "base/crypto/blob_hash.h"
#include "coordinator/rounds/aggregate.h"

namespace fedmesh::rounds {

struct PlainUpdate {
  NodeId worker;
  std::uint64_t examples = 0;
  std::array<std::uint8_t, 32> seed_share{};
  std::array<std::uint8_t, 32> salt{};
  std::array<std::uint8_t, 32> content_key{};
  std::vector<std::int32_t> values;

  protocol::ContentKey key() const { return protocol::ContentKey(content_key); }
  Bytes seal() const {
    protocol::UpdateHeader header;
    header.examples = examples;
    header.values = values.size();
    header.seed_share = seed_share;
    header.salt = salt;
    Bytes bytes(4 * values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      store_le32(MutableByteView(bytes).subspan(4 * i), static_cast<std::uint32_t>(values[i]));
    return protocol::seal_update(key(), header, bytes);
  }
  Digest commitment(const ChainId& chain, const protocol::RoundState& round,
                    const protocol::CohortSlot& slot, ByteView ciphertext) const {
    return protocol::commitment(
        chain, round.job, round.slot, round.base_root, slot.worker, slot.data_root,
        protocol::update_digest(crypto::blob_root(ciphertext), ciphertext.size(), key()), Digest{},
        salt);
  }
  // Every member must have accepted.
  protocol::Reveal reveal(const ChainId& chain, const protocol::RoundState& round,
                          ByteView ciphertext) const {
    protocol::Reveal out{
        round.slot, protocol::kSealSuite, crypto::blob_root(ciphertext), ciphertext.size(), {}};
    for (const auto& member : round.members)
      out.keys.push_back(*protocol::seal_key(key(), {chain, round.job, round.slot, worker},
                                             member.member, *member.round_key,
                                             out.ciphertext_root));
    return out;
  }
};

class MemoryFiles {
 public:
  Digest put(Bytes bytes) {
    const Digest root = crypto::blob_root(bytes);
    files_[root] = std::move(bytes);
    return root;
  }
  OpenBlob opener() {
    return [this](const Digest& root) -> Result<std::unique_ptr<ByteSource>> {
      const auto at = files_.find(root);
      if (at == files_.end()) return not_found("no file " + root.short_hex());
      return std::unique_ptr<ByteSource>(std::make_unique<Source>(at->second, longest_));
    };
  }
  std::size_t longest_read() const { return longest_; }

 private:
  class Source final : public ByteSource {
   public:
    Source(ByteView bytes, std::size_t& longest) : bytes_(bytes), longest_(longest) {}
    std::uint64_t size() const override { return bytes_.size(); }
    Result<void> read(std::uint64_t offset, MutableByteView to) const override {
      longest_ = std::max(longest_, to.size());
      return bytes_.read(offset, to);
    }

   private:
    MemorySource bytes_;
    std::size_t& longest_;
  };
  std::map<Digest, Bytes> files_;
  std::size_t longest_ = 0;
};

struct MemorySink final : ByteSink {
  Result<void> append(ByteView more) override {
    longest = std::max(longest, more.size());
    fedmesh::append(bytes, more);
    return {};
  }
  Bytes bytes;
  std::size_t longest = 0;
};

}  // namespace fedmesh::rounds
