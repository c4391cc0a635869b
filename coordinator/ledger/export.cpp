#include "coordinator/ledger/export.h"

#include <algorithm>
#include <fstream>
#include <map>

#include "coordinator/ledger/block_check.h"
#include "coordinator/ledger/memory_store.h"

namespace fedmesh::ledger {
namespace {

constexpr std::string_view kMagic = "fedmesh ledger export v1 ";
constexpr std::size_t kTrailerBytes = 4 + 8 + 32;

Bytes first_line(const ChainId& chain) {
  return to_bytes(as_bytes(std::string(kMagic) + chain.hex() + "\n"));
}

void put(std::ostream& out, ByteView bytes) {
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

// Length-prefixed frames; a frame of length zero begins the trailer.
class FrameReader {
 public:
  explicit FrameReader(ByteView rest) : rest_(rest) {}

  Result<ByteView> next() {
    if (rest_.size() < 4) return corruption("the export ends in the middle");
    const std::uint32_t length = load_le32(rest_.first(4));
    if (length > rest_.size() - 4) return corruption("the export ends in the middle");
    const ByteView frame = rest_.subspan(4, length);
    rest_ = rest_.subspan(4 + std::size_t{length});
    return frame;
  }
  ByteView rest() const { return rest_; }

 private:
  ByteView rest_;
};

Result<void> check_trailer(ByteView rest, const Export& ledger, const Digest& head) {
  if (rest.size() != kTrailerBytes - 4)
    return corruption("the export's trailer has another length: cut off, or bytes follow it");
  if (load_le64(rest.first(8)) != ledger.blocks.size())
    return corruption("the export holds " + std::to_string(ledger.blocks.size()) +
                      " blocks, its trailer says " + std::to_string(load_le64(rest.first(8))));
  if (!std::equal(head.bytes.begin(), head.bytes.end(), rest.begin() + 8))
    return corruption("the export's trailer names another head than its last block");
  return {};
}

// Strictly increasing per (author, job), like the chain's, without a state.
class SequenceCheck {
 public:
  Result<void> add(const Record& record) {
    std::uint64_t& last = last_[{record.author, record.job}];
    if (record.author_seq <= last)
      return invalid_argument("author_seq " + std::to_string(record.author_seq) +
                              " does not follow " + std::to_string(last));
    last = record.author_seq;
    return {};
  }

 private:
  std::map<std::pair<crypto::PublicKey, JobId>, std::uint64_t> last_;
};

}  // namespace

ExportWriter::ExportWriter(std::ostream& out, const Genesis& genesis) : out_(out) {
  const ChainId chain = chain_id(genesis);
  head_ = Digest{chain.bytes};
  put(out_, first_line(chain));
  frame(encode_genesis(genesis));
}

void ExportWriter::frame(ByteView bytes) {
  std::array<std::uint8_t, 4> length;
  store_le32(length, static_cast<std::uint32_t>(bytes.size()));
  put(out_, length);
  put(out_, bytes);
}

Result<void> ExportWriter::add(const CertifiedBlock& block) {
  const Header& header = block.block.header;
  if (header.height.value != blocks_ + 1 || header.parent_hash != head_)
    return invalid_argument("the export expects block " + std::to_string(blocks_ + 1) + ", not " +
                            std::to_string(header.height.value));
  frame(encode_certified_block(block));
  head_ = header_hash(header);
  ++blocks_;
  return {};
}

Result<void> ExportWriter::finish() {
  std::array<std::uint8_t, kTrailerBytes> trailer{};
  store_le64(MutableByteView(trailer).subspan(4, 8), blocks_);
  std::copy(head_.bytes.begin(), head_.bytes.end(), trailer.begin() + 12);
  put(out_, trailer);
  out_.flush();
  if (!out_) return unavailable("the export could not be written (disk full?)");
  return {};
}

Result<void> write_export(std::ostream& out, const Chain& chain) {
  ExportWriter writer(out, chain.genesis());
  for (Height height{1}; height <= chain.height(); height = height.next()) {
    FM_TRY(const CertifiedBlock block, chain.get(height));
    FM_TRY_VOID(writer.add(block));
  }
  return writer.finish();
}

Result<void> write_export(const std::filesystem::path& path, const Chain& chain) {
  std::filesystem::path part = path;
  part += ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  if (!out) return unavailable("cannot write " + part.string());
  FM_TRY_VOID(write_export(out, chain));
  out.close();
  std::error_code error;
  std::filesystem::rename(part, path, error);
  if (error) return unavailable("cannot rename " + part.string() + ": " + error.message());
  return {};
}

Result<Export> read_export(ByteView bytes) {
  const std::size_t line = kMagic.size() + 64 + 1;
  if (bytes.size() < line || as_text(bytes.first(kMagic.size())) != kMagic)
    return corruption("not a ledger export: it does not begin with \"" + std::string(kMagic) +
                      "\"");
  FrameReader frames(bytes.subspan(line));
  FM_TRY(const ByteView genesis_bytes, frames.next());
  auto genesis = decode_genesis(genesis_bytes);
  if (!genesis.ok()) return genesis.error().with_context("export");
  Export ledger{std::move(*genesis), {}};
  const ChainId chain = chain_id(ledger.genesis);
  const Bytes expected = first_line(chain);
  if (!std::equal(expected.begin(), expected.end(), bytes.begin()))
    return corruption("the export's first line does not name its genesis, which is chain " +
                      chain.hex());
  Digest head{chain.bytes};
  for (;;) {
    FM_TRY(const ByteView frame, frames.next());
    if (frame.empty()) break;
    auto block = decode_certified_block(frame);
    const Height height{ledger.blocks.size() + 1};
    if (!block.ok()) return block.error().with_context("export, " + describe(height));
    ledger.blocks.push_back(std::move(*block));
    head = header_hash(ledger.blocks.back().block.header);
  }
  FM_TRY_VOID(check_trailer(frames.rest(), ledger, head));
  return ledger;
}

Result<Export> read_export(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return not_found("cannot read " + path.string() + ": " + error.message());
  if (size > kMaxExportBytes)
    return exhausted(path.string() + " is longer than an export may be, 4 GiB");
  std::ifstream in(path, std::ios::binary);
  Bytes bytes(size);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!in) return not_found("cannot read " + path.string());
  auto ledger = read_export(bytes);
  if (!ledger.ok()) return ledger.error().with_context(path.string());
  return ledger;
}

Result<void> verify_export(const Export& ledger) {
  FM_TRY_VOID(validate(ledger.genesis));
  const ChainId chain = chain_id(ledger.genesis);
  Tip tip = genesis_tip(ledger.genesis);
  SequenceCheck sequences;
  for (const CertifiedBlock& certified : ledger.blocks) {
    const Block& block = certified.block;
    FM_TRY_VOID(check_header(ledger.genesis, chain, tip, block.header));
    FM_TRY(BodyResult body,
           check_body(tip, block, [&](const Record& record, const Digest&) -> Result<void> {
             FM_TRY_VOID(verify_record(record, chain));
             return sequences.add(record);
           }));
    if (auto final =
            verify_certificate(certified.certificate, block.header, ledger.genesis.committee);
        !final.ok())
      return final.error().with_context(describe(block.header.height));
    tip = std::move(body.tip);
  }
  return {};
}

Result<void> verify_export(const Export& ledger, const StateMachine& machine,
                           const std::function<void(const Chain&)>& inspect) {
  MemoryStore store;
  FM_TRY(const std::unique_ptr<Chain> chain, Chain::open(ledger.genesis, machine, store));
  for (const CertifiedBlock& block : ledger.blocks) FM_TRY_VOID(chain->commit(block));
  if (inspect) inspect(*chain);
  return {};
}

}  // namespace fedmesh::ledger
